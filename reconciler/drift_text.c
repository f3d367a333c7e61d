/*
 * The words of a drift report: commit message and page. Values come in redacted already. Pure.
 */
#include <string.h>

#include "lib/base/timefmt.h"
#include "reconciler/drifts.h"
#include "reconciler/gitremote.h"

#include "lib/base/pure.h"

#define SUBJECT_MAX 100

static void object_name(const struct drift_note *n, struct buf *out)
{
	buf_printf(out, "%s %s%s%s", n->kind, n->namespace, n->namespace[0] ? "/" : "", n->name);
}

/* "/spec/replicas" as people write it: "spec.replicas". */
static void field_name(const char *path, struct buf *out)
{
	struct str rest = str_c(path), token;
	bool first = true;

	rest = str_sub(rest, 1, rest.n);
	while (str_next(&rest, '/', &token)) {
		uint64_t i;

		if (!str_to_u64(token, &i))
			buf_printf(out, "[%.*s]", STR_ARG(token));
		else
			buf_printf(out, "%s%.*s", first ? "" : ".", STR_ARG(token));
		first = false;
	}
}

static void what(const struct drift_note *n, struct buf *out)
{
	object_name(n, out);
	if (n->op == DRIFT_DELETED) {
		buf_puts(out, " was deleted");
		return;
	}
	buf_puts(out, ": ");
	field_name(n->path, out);
	if (n->op == DRIFT_REMOVED)
		buf_puts(out, " was removed");
	else
		buf_printf(out, " %s → %s", n->git, n->live);
}

void drift_subject(const struct drifts *d, const struct drift_text *t, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	(void)t;
	buf_puts(&text, "drift: ");
	if (d->n)
		what(&d->v[0], &text);
	if (text.n > SUBJECT_MAX) {
		text.n = SUBJECT_MAX;
		while (text.n && ((unsigned char)text.p[text.n - 1] & 0xc0) == 0x80)
			text.n--;
		text.n -= text.n > 0;
		buf_puts(&text, "…");
	}
	buf_str(out, buf_view(&text));
	if (d->n > 1)
		buf_printf(out, " and %zu more", d->n - 1);
}

static const char *manager_of(const struct drift_note *n)
{
	return n->manager[0] ? n->manager : "somebody unknown";
}

void drift_message(const struct drifts *d, const struct drift_text *t, struct buf *out)
{
	drift_subject(d, t, out);
	buf_printf(out,
		   "\n\nOn cluster %s these fields were changed past git%s.\n"
		   "Merging this commit adopts them; %s keeps what git says.\n\n",
		   t->cluster, d->proposed ? "; they stay until this is decided" : " and put back",
		   d->proposed ? "deleting the branch" : "leaving it alone");
	for (size_t i = 0; i < d->n; i++) {
		buf_puts(out, "- ");
		what(&d->v[i], out);
		buf_printf(out, " (by %s)\n", manager_of(&d->v[i]));
	}
	buf_printf(out, "\nUnit: %s\nRevision: %s\n" GIT_TRAILER, t->unit, t->revision);
	for (size_t i = 0; i < d->n && i < 20; i++)
		buf_printf(out, "%s%s", i ? "," : "", d->v[i].id);
	buf_putc(out, '\n');
}

/* A value in a table's cell. */
static void cell(const char *s, struct buf *out)
{
	if (!*s) {
		buf_puts(out, " |");
		return;
	}
	buf_puts(out, " `");
	for (; *s; s++) {
		if (*s == '|')
			buf_puts(out, "\\|");
		else
			buf_putc(out, *s == '`' ? '\'' : *s == '\n' ? ' ' : *s);
	}
	buf_puts(out, "` |");
}

static void row(const struct drift_note *n, struct buf *out)
{
	AUTO(buf) struct buf text = {0};
	char when[TIME_TEXT_MAX];
	struct str t = time_format(n->at_ns, when);

	object_name(n, &text);
	buf_putc(out, '|');
	cell(buf_cstr(&text), out);
	buf_reset(&text);
	field_name(n->path, &text);
	cell(n->op == DRIFT_DELETED ? "" : buf_cstr(&text), out);
	cell(n->git, out);
	cell(n->op == DRIFT_CHANGED ? n->live : drift_op_text(n->op), out);
	cell(manager_of(n), out);
	buf_printf(out, " %.*s |", STR_ARG(t));
	cell(n->place, out);
	buf_printf(out, " %s |\n", n->reason ? n->reason : "edited in this commit");
}

void drift_markdown(const struct drifts *d, const struct drift_text *t, struct buf *out)
{
	buf_printf(
		out,
		"# Drift of %s on cluster %s\n\n"
		"The cluster differed from revision `%s`. %s\n"
		"Merge this branch to adopt what was live; delete it to leave things as they "
		"are.\n\n"
		"| object | field | in git | was live | by | noticed | declared at | manifest |\n"
		"| --- | --- | --- | --- | --- | --- | --- | --- |\n",
		t->unit, t->cluster, t->revision,
		d->proposed ? "What was changed stays as it is until this is decided."
			    : "What git says was put back at once.");
	for (size_t i = 0; i < d->n; i++)
		row(&d->v[i], out);
}
