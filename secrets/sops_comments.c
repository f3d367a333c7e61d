/*
 * Which values a comment speaks of, for sops' rules about comments. sops asks yaml.v3 which node a
 * comment belongs to; here only what there is no doubt about is taken: lines right above a key in
 * its column, and what stands behind a value on its line. A comment that the rule is about anywhere
 * else is an error rather than a guess: a value would stay in clear. Pure; memory: the caller's
 * arena.
 */
#include <stdlib.h>
#include <string.h>

#include "secrets/sops-internal.h"

struct finding {
	const struct sops_docs *d;
	const regex_t *rule;
	struct sops_marked *out;
	size_t at;               /* what is read so far */
	const struct json *last; /* the leaf that ends there */
	size_t last_end;
	size_t *lines; /* where comments that hit begin, until their key comes */
	size_t nlines;
	struct err *err;
};

bool sops_is_marked(const struct sops_marked *m, const struct json *v)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i] == v)
			return true;
	return false;
}

static int unclear(struct finding *f, size_t at)
{
	size_t line = 1;

	for (size_t i = 0; i < at; i++)
		line += f->d->text.p[i] == '\n';
	return err_set(f->err, ERR_UNSUPPORTED,
		       "line %zu: the file's rule is about this comment: put it right above its "
		       "key, or behind its value",
		       line);
}

static size_t line_begin(const struct finding *f, size_t at)
{
	while (at && f->d->text.p[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_end(const struct finding *f, size_t at)
{
	while (at < f->d->text.n && f->d->text.p[at] != '\n')
		at++;
	return at;
}

static size_t indent_of(const struct finding *f, size_t at)
{
	size_t begin = line_begin(f, at), n = begin;

	while (n < f->d->text.n && f->d->text.p[n] == ' ')
		n++;
	return n - begin;
}

static int mark(struct finding *f, const struct json *v, size_t at)
{
	struct sops_marked *m = f->out;

	if (!v || m->n == SOPS_MARKED_MAX)
		return unclear(f, at);
	m->v[m->n++] = v;
	return 0;
}

static bool hits(const struct finding *f, struct str text)
{
	AUTO(free) char *t = xstrndup(text.p, text.n);

	return regexec(f->rule, t, 0, NULL, 0) == 0;
}

static int comment(struct finding *f, size_t at)
{
	size_t end = line_end(f, at);
	struct str text = str_sub(f->d->text, at + 1, end - at - 1);

	if (text.n && text.p[text.n - 1] == '\r')
		text.n--;
	if (!hits(f, text))
		return 0;
	if (at == line_begin(f, at) + indent_of(f, at)) {
		if (f->nlines == SOPS_MARKED_MAX)
			return unclear(f, at);
		f->lines[f->nlines++] = at;
		return 0;
	}
	/* Behind a value that ends on this line, and nothing but it. */
	if (!f->last || str_trim(str_sub(f->d->text, f->last_end, at - f->last_end)).n ||
	    line_begin(f, f->last_end) != line_begin(f, at))
		return unclear(f, at);
	return mark(f, f->last, at);
}

/* Everything between two leaves: keys, marks of the syntax, comments. */
static int gap(struct finding *f, size_t to)
{
	struct str t = f->d->text;

	while (f->at < to) {
		char c = t.p[f->at];
		bool alone = f->at == 0 || strchr(" \t\n", t.p[f->at - 1]);

		if (c == '#' && alone) {
			if (comment(f, f->at) != 0)
				return -1;
			f->at = line_end(f, f->at);
			continue;
		}
		if ((c == '"' || c == '\'') && strchr(" \t\n{,[", f->at ? t.p[f->at - 1] : ' ')) {
			f->at++;
			while (f->at < to && t.p[f->at] != c)
				f->at += c == '"' && t.p[f->at] == '\\' ? 2 : 1;
		}
		f->at++;
	}
	return 0;
}

/* Lines that hit, all above this key without a gap and in its column. */
static int settle(struct finding *f, const struct json *v, size_t key)
{
	for (size_t i = 0; i < f->nlines; i++) {
		size_t at = line_begin(f, f->lines[i]);

		if (indent_of(f, at) != key - line_begin(f, key) ||
		    indent_of(f, key) != indent_of(f, at))
			return unclear(f, f->lines[i]);
		for (; at < line_begin(f, key); at = line_end(f, at) + 1)
			if (f->d->text.p[at + MIN(indent_of(f, at), f->d->text.n - at - 1)] != '#')
				return unclear(f, f->lines[i]);
	}
	if (f->nlines && mark(f, v, f->lines[0]) != 0)
		return -1;
	f->nlines = 0;
	return 0;
}

static int walk(struct finding *f, const struct json *v, bool member);

static int walk_inside(struct finding *f, const struct json *v)
{
	const struct json_member *m = json_members(v);

	for (size_t i = 0; m && i < json_len(v); i++)
		if (walk(f, &m[i].value, true) != 0)
			return -1;
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		if (walk(f, json_item(v, i), false) != 0)
			return -1;
	return 0;
}

/* Depth is bounded by the parser's. */
static int walk(struct finding *f, const struct json *v, bool member)
{
	const struct yaml_src *src = yaml_src_of(f->d->srcs, v);
	bool leaf = !json_is(v, JSON_OBJECT) && !json_is(v, JSON_ARRAY);

	if (!src || src->end > f->d->text.n || src->style == YAML_ALIAS)
		return err_set(f->err, ERR_UNSUPPORTED,
			       "an alias, under a rule that is about comments");
	if (member && gap(f, src->key_begin) != 0)
		return -1;
	if (member ? settle(f, v, src->key_begin) != 0 : f->nlines && leaf)
		return member ? -1 : unclear(f, f->lines[0]);
	if (!leaf)
		return walk_inside(f, v);
	/* From the key to the value: a comment there is nobody's. */
	f->last = NULL;
	if (gap(f, src->begin) != 0)
		return -1;
	if (f->nlines)
		return unclear(f, f->lines[0]);
	f->at = MAX(f->at, (size_t)src->end);
	f->last = src->style == YAML_LITERAL || src->style == YAML_FOLDED ? NULL : v;
	f->last_end = src->end;
	return 0;
}

int sops_find_marked(struct arena *a, const struct sops_docs *d, const regex_t *rule,
		     struct sops_marked *ret, struct err *err)
{
	struct finding f = {.d = d, .rule = rule, .out = ret, .err = err};

	ret->n = 0;
	ret->v = arena_array(a, SOPS_MARKED_MAX, sizeof(*ret->v));
	f.lines = arena_array(a, SOPS_MARKED_MAX, sizeof(*f.lines));
	if (!d->srcs)
		return 0;
	for (size_t i = 0; i < d->docs->n; i++)
		if (walk_inside(&f, d->docs->v[i]) != 0)
			return -1;
	/* What stands behind the last value; below it is nobody's. */
	return gap(&f, d->text.n);
}
