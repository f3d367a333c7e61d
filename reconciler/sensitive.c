/*
 * Keeping track of what must not be shown. Looks at flags that others set; never decides by a
 * value's look. Pure; memory: the caller's.
 */
#include "reconciler/sensitive.h"

#include <string.h>

#include "lib/base/codec.h"
#include "lib/json/patch.h"

#include "lib/base/pure.h"

#define SCRUB_MIN 3 /* shorter values say nothing, and stand in every sentence */
#define LINE_MIN 8  /* of one line of several */

static void paths(const struct json *v, struct buf *at, struct buf *out)
{
	const struct json_member *m = json_members(v);
	size_t mark = at->n;

	if (v->flags & JSON_F_SENSITIVE) {
		buf_str(out, buf_view(at));
		buf_putc(out, '\0');
		return;
	}
	for (size_t i = 0; m && i < json_len(v); i++) {
		pointer_push(at, m[i].key);
		paths(&m[i].value, at, out);
		at->n = mark;
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		buf_printf(at, "/%zu", i);
		paths(json_item(v, i), at, out);
		at->n = mark;
	}
}

void sensitive_paths(const struct json *tree, struct buf *out)
{
	AUTO(buf) struct buf at = {0};

	if (tree)
		paths(tree, &at, out);
}

void sensitive_mark(struct json *tree, struct str all)
{
	struct str path;

	while (all.n && str_cut(all, '\0', &path, &all)) {
		struct json *v = json_pointer(tree, path);

		if (v)
			v->flags |= JSON_F_SENSITIVE;
	}
}

/* The text's end where it breaks off within the secret: messages are cut to a length. */
static size_t broken_off(struct str text, struct str secret)
{
	for (size_t n = MIN(secret.n - 1, text.n); n > SCRUB_MIN; n--)
		if (str_ends(text, str_sub(secret, 0, n)))
			return n;
	return 0;
}

static struct str without(struct arena *a, struct str text, struct str secret)
{
	AUTO(buf) struct buf out = {0};
	ptrdiff_t at;
	size_t n;

	if (secret.n < SCRUB_MIN)
		return text;
	n = broken_off(text, secret);
	if (!n && str_find(text, secret) < 0)
		return text;
	text.n -= n;
	while ((at = str_find(text, secret)) >= 0) {
		buf_str(&out, str_sub(text, 0, (size_t)at));
		buf_puts(&out, "<sensitive>");
		text = str_sub(text, (size_t)at + secret.n, text.n);
	}
	buf_str(&out, text);
	if (n)
		buf_puts(&out, "<sensitive>");
	return arena_str(a, buf_view(&out));
}

/* As it is, as JSON would have it within quotes, and line by line. */
static struct str without_forms(struct arena *a, struct str text, struct str secret)
{
	struct buf escaped = {0};
	struct str line, rest = secret;

	text = without(a, text, secret);
	json_write_string(secret, &escaped);
	if (escaped.n > secret.n + 2)
		text = without(a, text, str_sub(buf_view(&escaped), 1, escaped.n - 2));
	buf_wipe(&escaped);
	while (str_find(secret, STR("\n")) >= 0 && rest.p && str_next(&rest, '\n', &line))
		if (line.n >= LINE_MIN)
			text = without(a, text, line);
	return text;
}

/* A Secret's data: somebody may have decoded it before telling of it. */
static struct str without_decoded(struct arena *a, struct str text, struct str coded)
{
	struct buf plain = {0};

	if (base64_decode(coded, &plain) == 0 && plain.n > SCRUB_MIN)
		text = without_forms(a, text, buf_view(&plain));
	buf_wipe(&plain);
	return text;
}

static struct str scrub(struct arena *a, const struct json *v, bool hidden, struct str text)
{
	const struct json_member *m = json_members(v);

	hidden |= (v->flags & JSON_F_SENSITIVE) != 0;
	for (size_t i = 0; m && i < json_len(v); i++)
		text = scrub(a, &m[i].value, hidden, text);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		text = scrub(a, json_item(v, i), hidden, text);
	if (!hidden || m || json_is(v, JSON_ARRAY) || json_is(v, JSON_BOOL) ||
	    json_is(v, JSON_NULL))
		return text;
	if (json_is(v, JSON_STRING))
		return without_decoded(a, without_forms(a, text, json_str(v)), json_str(v));

	AUTO(buf) struct buf number = {0};
	json_write(v, &number);
	return without(a, text, buf_view(&number));
}

struct str sensitive_scrub(struct arena *a, const struct json *tree, struct str text)
{
	bool secret = str_is(json_str(json_get(tree, STR("kind"))), "Secret");
	const struct json *data = json_get(tree, STR("data"));

	if (!tree)
		return text;
	text = scrub(a, tree, false, text);
	return secret && data ? scrub(a, data, true, text) : text;
}

struct str sensitive_name(const struct json *tree)
{
	const struct json *name = json_at(tree, "metadata", "name");

	return name && name->flags & JSON_F_SENSITIVE ? STR("<sensitive>") : json_str(name);
}
