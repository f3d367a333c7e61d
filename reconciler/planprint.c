/* A plan in words: for terminals, for a comment on a pull request, for programs. Pure. */
#include <string.h>

#include "reconciler/plandiff.h"

#include "lib/base/pure.h"

static const struct {
	const char *word, *sign, *colour;
} actions[] = {
	[PLAN_NONE] = {"same", " ", ""},
	[PLAN_CREATE] = {"create", "+", "\033[32m"},
	[PLAN_CHANGE] = {"change", "~", "\033[33m"},
	[PLAN_RECREATE] = {"recreate", "!", "\033[31m"},
	[PLAN_DELETE] = {"delete", "-", "\033[31m"},
	[PLAN_KEEP] = {"keep", "=", "\033[36m"},
	[PLAN_REFUSED] = {"refused", "x", "\033[1;31m"},
};

/* Control characters of a value would be the terminal's to obey. */
static void safe(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		buf_putc(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
	}
}

static void object_name(const struct plan_change *c, struct buf *out)
{
	buf_printf(out, "%.*s %.*s%s%.*s", STR_ARG(c->kind), STR_ARG(c->namespace),
		   c->namespace.n ? "/" : "", STR_ARG(c->name));
}

static void count(const struct plan_report *r, struct buf *out)
{
	static const enum plan_action told[] = {PLAN_CREATE, PLAN_CHANGE, PLAN_RECREATE,
						PLAN_DELETE, PLAN_KEEP,   PLAN_REFUSED};
	bool any = false;

	for (size_t k = 0; k < ARRAY_LEN(told); k++) {
		size_t n = 0;

		for (size_t i = 0; i < r->n; i++)
			n += r->v[i].action == told[k];
		if (!n)
			continue;
		buf_printf(out, "%s%zu to %s", any ? ", " : "", n,
			   told[k] == PLAN_REFUSED ? "be refused" : actions[told[k]].word);
		any = true;
	}
	if (!any)
		buf_puts(out, "nothing changes");
}

static void field(const struct plan_field *f, struct buf *out)
{
	safe(f->path, out);
	buf_puts(out, ": ");
	if (f->old.p) {
		safe(f->old, out);
		buf_puts(out, f->next.p ? " → " : " is taken away");
	} else {
		buf_puts(out, "+ ");
	}
	safe(f->next, out);
}

static void change_text(const struct plan_change *c, bool colour, struct buf *out)
{
	buf_printf(out, "  %s%s %-8s ", colour ? actions[c->action].colour : "",
		   actions[c->action].sign, actions[c->action].word);
	object_name(c, out);
	if (c->place.n)
		buf_printf(out, "  (%.*s)", STR_ARG(c->place));
	buf_printf(out, "%s\n", colour ? "\033[0m" : "");
	if (c->message.n) {
		buf_puts(out, "      ");
		safe(c->message, out);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < c->nfields; i++) {
		buf_puts(out, "      ");
		field(&c->fields[i], out);
		buf_putc(out, '\n');
	}
	if (c->more)
		buf_printf(out, "      … and %zu more\n", c->more);
}

static void print_text(const struct plan_report *r, bool colour, struct buf *out)
{
	buf_printf(out, "%s%.*s%s: ", colour ? "\033[1m" : "", STR_ARG(r->unit),
		   colour ? "\033[0m" : "");
	if (r->error.n) {
		buf_puts(out, "cannot be built\n      ");
		safe(r->error, out);
		buf_putc(out, '\n');
		return;
	}
	count(r, out);
	buf_putc(out, '\n');
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].action != PLAN_NONE)
			change_text(&r->v[i], colour, out);
	}
}

/* Nothing in a value ends the block of code that it stands in. */
static void code(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		buf_putc(out, s.p[i] == '`' ? '\'' : s.p[i]);
}

static void change_markdown(const struct plan_change *c, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	object_name(c, &text);
	buf_printf(out, "| %s | `", actions[c->action].word);
	code(buf_view(&text), out);
	buf_puts(out, "` | `");
	code(c->place, out);
	buf_puts(out, "` |\n");
}

static bool has_details(const struct plan_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].nfields || r->v[i].message.n)
			return true;
	}
	return false;
}

static void details(const struct plan_report *r, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	buf_puts(out, "\n<details><summary>fields</summary>\n\n```diff\n");
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].action != PLAN_NONE && (r->v[i].nfields || r->v[i].message.n))
			change_text(&r->v[i], false, &text);
	}
	code(buf_view(&text), out);
	buf_puts(out, "```\n\n</details>\n");
}

static void print_markdown(const struct plan_report *r, struct buf *out)
{
	buf_printf(out, "### %.*s: ", STR_ARG(r->unit));
	if (r->error.n) {
		buf_puts(out, "cannot be built\n\n```\n");
		code(r->error, out);
		buf_puts(out, "\n```\n\n");
		return;
	}
	count(r, out);
	buf_puts(out, "\n\n");
	for (size_t i = 0, rows = 0; i < r->n; i++) {
		if (r->v[i].action == PLAN_NONE)
			continue;
		if (!rows++)
			buf_puts(out, "| | object | declared at |\n| --- | --- | --- |\n");
		change_markdown(&r->v[i], out);
	}
	if (has_details(r))
		details(r, out);
	buf_putc(out, '\n');
}

void plan_print(const struct plan_report *r, enum plan_format format, bool colour, struct buf *out)
{
	if (format == PLAN_MARKDOWN)
		print_markdown(r, out);
	else
		print_text(r, colour, out);
}

static struct json *change_json(struct arena *a, const struct plan_change *c)
{
	struct json *v = json_build(a, "{s:s,s:S,s:S,s:S}", "action", actions[c->action].word,
				    "kind", c->kind, "namespace", c->namespace, "name", c->name);
	struct json *fields;

	if (c->place.n)
		json_set_str(a, v, "declaredAt", c->place);
	if (c->message.n)
		json_set_str(a, v, "message", c->message);
	if (!c->nfields)
		return v;
	fields = json_set_array(a, v, "fields");
	for (size_t i = 0; i < c->nfields; i++) {
		struct json *f = json_append_object(a, fields);

		json_set_str(a, f, "path", c->fields[i].path);
		if (c->fields[i].old.p)
			json_set_str(a, f, "old", c->fields[i].old);
		if (c->fields[i].next.p)
			json_set_str(a, f, "new", c->fields[i].next);
	}
	return v;
}

struct json *plan_json(struct arena *a, const struct plan_report *r)
{
	struct json *v = json_build(a, "{s:S}", "kustomization", r->unit), *list;

	if (r->error.n)
		json_set_str(a, v, "error", r->error);
	list = json_set_array(a, v, "changes");
	for (size_t i = 0; i < r->n; i++) {
		if (r->v[i].action != PLAN_NONE)
			json_append(a, list, change_json(a, &r->v[i]));
	}
	return v;
}
