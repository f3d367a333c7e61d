/*
 * An opened file printed the way sops does: see sops_emit.h. The tree says keys and values;
 * comments come from the text between them, and stand where yaml.v3 hands them to sops: above the
 * next key or item, or below the last one of a mapping or list that is indented deeper than what
 * follows. Pure.
 */
#include "secrets/sops_emit.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 4, SIMPLE_KEY_MAX = 128 };

struct emitting {
	const struct sops_emit *e;
	struct str text;
	size_t at, end; /* what of the text is read; where the document ends */
	struct sops_hole hole;
	struct buf *out;
	size_t line; /* where its last line begins in out */
	bool dash;   /* nothing but "- " stands on it: what follows goes behind that */
	ptrdiff_t
		foot_indent; /* a comment ended there: the next line at it has a gap above; or -1 */
	struct str *head, *foot;
	size_t nhead, nfoot;
	struct buf foot_path, path;
};

/* ---- lines ---- */

static size_t column(const struct emitting *e)
{
	return e->out->n - e->line;
}

static void line_end(struct emitting *e)
{
	buf_putc(e->out, '\n');
	e->line = e->out->n;
	e->dash = false;
}

static void put(struct emitting *e, const char *s)
{
	buf_puts(e->out, s);
	e->dash = false;
}

static void indent(struct emitting *e, size_t n)
{
	if (column(e) && !(e->dash && column(e) <= n))
		line_end(e);
	if (e->foot_indent == (ptrdiff_t)n)
		line_end(e);
	while (column(e) < n)
		buf_putc(e->out, ' ');
	e->foot_indent = -1;
}

/* ---- comments ---- */

void sops_emit_comment(const struct sops_key *k, struct str comment, struct str path,
		       struct buf *out)
{
	enum sops_type type;

	/* A list's or mapping's own path as a rule; sops puts ":" behind none at all. */
	while (k && sops_is_value(comment)) {
		if (sops_value_open(k, comment, path.n ? path : STR(":"), out, &type, NULL) == 0)
			return;
		if (!path.n)
			break;
		for (path.n--; path.n && path.p[path.n - 1] != ':';)
			path.n--;
	}
	/* It may look like one only. */
	buf_str(out, comment);
}

/* How long the line break is that stands there, as readers of YAML 1.1 see them; 0 = none. */
static size_t break_at(struct str s, size_t i)
{
	struct str rest = str_sub(s, i, s.n);

	if (rest.n && (*rest.p == '\n' || *rest.p == '\r'))
		return 1;
	if (str_starts(rest, STR("\xC2\x85")))
		return 2;
	return str_starts(rest, STR("\xE2\x80\xA8")) || str_starts(rest, STR("\xE2\x80\xA9")) ? 3
											      : 0;
}

static void put_comment_line(struct emitting *e, struct str line, bool first, size_t n)
{
	indent(e, n);
	if (first)
		put(e, "#");
	else if (!line.n || *line.p != '#')
		put(e, line.n ? "# " : "#");
	buf_str(e->out, line);
	line_end(e);
}

/* A line break in what was encrypted must not end the comment. */
static void put_comment(struct emitting *e, struct str comment, struct str path, size_t n)
{
	struct buf plain = {0};
	struct str text;
	size_t from = 0;

	sops_emit_comment(e->e->key, comment, path, &plain);
	text = buf_view(&plain);
	for (size_t i = 0; i < text.n; i++) {
		size_t len = break_at(text, i);

		if (!len)
			continue;
		put_comment_line(e, str_sub(text, from, i - from), !from, n);
		from = i + len;
		i = from - 1;
	}
	if (!from || from < text.n)
		put_comment_line(e, str_sub(text, from, text.n), !from, n);
	buf_wipe(&plain);
}

static void push(struct str **v, size_t *n, struct str s)
{
	if (!(*n & (*n - 1)))
		*v = xreallocarray(*v, *n ? *n * 2 : 1, sizeof(**v));
	(*v)[(*n)++] = s;
}

static void put_head(struct emitting *e, size_t n)
{
	for (size_t i = 0; i < e->nhead; i++)
		put_comment(e, e->head[i], buf_view(&e->path), n);
	e->nhead = 0;
}

static void put_foot(struct emitting *e, size_t n)
{
	for (size_t i = 0; i < e->nfoot; i++)
		put_comment(e, e->foot[i], buf_view(&e->foot_path), n);
	if (e->nfoot)
		e->foot_indent = (ptrdiff_t)n;
	e->nfoot = 0;
}

/* The line's text behind a "#" at `at`. */
static struct str comment_at(const struct emitting *e, size_t at, size_t *ret_end)
{
	size_t end = at;
	struct str s;

	while (end < e->end && !break_at(e->text, end))
		end++;
	*ret_end = end;
	s = str_sub(e->text, at + 1, end - at - 1);
	while (s.n && strchr(" \t\r", s.p[s.n - 1]))
		s.n--;
	return s;
}

static size_t column_at(const struct emitting *e, size_t at)
{
	size_t begin = at;

	while (begin && e->text.p[begin - 1] != '\n')
		begin--;
	return at - begin;
}

/* Takes comments up to there as those above what comes next. */
static void gather(struct emitting *e, size_t to)
{
	to = MIN(to, e->end);
	while (e->at < to) {
		char c = e->text.p[e->at];

		if (e->at >= e->hole.begin && e->at < e->hole.end)
			e->at = e->hole.end;
		else if (c == '#' && (!e->at || strchr(" \t\n", e->text.p[e->at - 1])))
			push(&e->head, &e->nhead, comment_at(e, e->at, &e->at));
		else
			e->at++;
	}
}

/* A comment behind what was read, on its line. */
static void gather_line(struct emitting *e)
{
	size_t at = e->at;

	while (at < e->end && (e->text.p[at] == ' ' || e->text.p[at] == '\t'))
		at++;
	if (at < e->end && at > e->at && e->text.p[at] == '#')
		push(&e->head, &e->nhead, comment_at(e, at, &e->at));
}

/* The column of the first thing that is no comment. */
static size_t next_column(const struct emitting *e)
{
	size_t at = e->at;

	while (at < e->end) {
		if (at >= e->hole.begin && at < e->hole.end)
			return 0;
		if (e->text.p[at] == '#')
			comment_at(e, at, &at);
		else if (strchr(" \t\r\n", e->text.p[at]))
			at++;
		else
			return column_at(e, at);
	}
	return 0;
}

/* Behind the last value of something: comments that are indented deeper than what follows. */
static void gather_foot(struct emitting *e, bool all)
{
	size_t next = next_column(e), at = e->at, n = 0, lines = 0;

	for (; at < e->end; at++) {
		if (at >= e->hole.begin && at < e->hole.end) {
			if (!all)
				break;
			at = e->hole.end - 1;
			continue;
		}
		if (strchr(" \t\r\n", e->text.p[at])) {
			lines += e->text.p[at] == '\n';
			continue;
		}
		/* Behind a gap they are about what follows. */
		if (e->text.p[at] != '#' || (!all && n && lines > 1) ||
		    (!all && column_at(e, at) <= next))
			break;
		if (!n++)
			e->nfoot = 0; /* yaml.v3 has room for one */
		push(&e->foot, &e->nfoot, comment_at(e, at, &at));
		e->at = at;
		at--;
		lines = 0;
	}
	if (n) {
		buf_reset(&e->foot_path);
		buf_str(&e->foot_path, buf_view(&e->path));
	}
}

/* ---- keys and scalars ---- */

static const struct yaml_src *src_of(const struct emitting *e, const struct json *v)
{
	const struct sops_docs *d = e->e->d;
	const struct yaml_src *src = d->srcs ? yaml_src_of(d->srcs, v) : NULL;

	return src && src->begin <= src->end && src->end <= d->text.n ? src : NULL;
}

/* How a key without quotes is spelt, and where it ends. */
static struct str spelt(const struct emitting *e, const struct yaml_src *src, size_t *ret_end)
{
	size_t i = src->key_begin, to = MIN((size_t)src->begin, e->text.n);
	char quote = i < to ? e->text.p[i] : 0;

	if (quote == '"' || quote == '\'') {
		for (i++; i < to && e->text.p[i] != quote; i++)
			i += quote == '"' && e->text.p[i] == '\\';
		*ret_end = MIN(i + 1, to);
		return STR_NONE;
	}
	while (i < to && e->text.p[i] != '\n' &&
	       (e->text.p[i] != ':' || (i + 1 < e->text.n && !strchr(" \t\r\n", e->text.p[i + 1]))))
		i++;
	*ret_end = i;
	return str_trim(str_sub(e->text, src->key_begin, i - src->key_begin));
}

static void put_key(struct emitting *e, const struct json_member *m, const struct sops_lines *n)
{
	const struct yaml_src *src = src_of(e, &m->value);
	struct str plain = STR_NONE;
	size_t end;

	e->dash = false;
	if (src && src->style != YAML_ALIAS && src->key_begin < src->begin)
		plain = spelt(e, src, &end);
	if (plain.n && sops_yaml_plain(plain, e->out))
		return;
	/* yes and on are texts to sops. */
	if (plain.n && (str_is(m->key, "true") || str_is(m->key, "false")))
		sops_yaml_string(plain, n, e->out);
	else
		sops_yaml_string(m->key, n, e->out);
}

static void put_opened(const struct json *v, const struct sops_lines *n, struct buf *out)
{
	struct str text = json_str(v);

	switch (v->spare - 1) {
	case SOPS_INT:
		buf_i64(out, json_int(v, 0));
		break;
	case SOPS_FLOAT:
		if (!text.p || !sops_yaml_plain(text, out))
			sops_yaml_float(json_double(v, 0), out);
		break;
	case SOPS_BOOL:
		buf_puts(out, v->b ? "true" : "false");
		break;
	case SOPS_TIME:
		if (!sops_yaml_plain(text, out))
			sops_yaml_string(text, n, out);
		break;
	default:
		sops_yaml_string(text, n, out);
	}
}

static void put_scalar(struct emitting *e, const struct json *v, const struct sops_lines *n)
{
	const struct yaml_src *src = src_of(e, v);
	bool plain = src && src->style == YAML_PLAIN;
	size_t from = e->out->n;

	e->dash = false;
	if (v->spare)
		put_opened(v, n, e->out);
	else if (plain &&
		 sops_yaml_plain(str_sub(e->text, src->begin, src->end - src->begin), e->out))
		;
	else if (plain && !json_is(v, JSON_STRING)) /* Text to sops: yes, no. */
		sops_yaml_string(str_sub(e->text, src->begin, src->end - src->begin), n, e->out);
	else if (json_is(v, JSON_STRING))
		sops_yaml_string(json_str(v), n, e->out);
	else if (json_is(v, JSON_NUM))
		sops_yaml_float(json_double(v, 0), e->out);
	else
		json_write(v, e->out);
	for (size_t i = from; i < e->out->n; i++)
		if (e->out->p[i] == '\n')
			e->line = i + 1;
}

/* ---- mappings and lists ---- */

static void put_map(struct emitting *e, const struct json *o, size_t n);
static void put_list(struct emitting *e, const struct json *l, size_t n);

static bool is_branch(const struct json *v)
{
	return (json_is(v, JSON_OBJECT) || json_is(v, JSON_ARRAY)) && json_len(v) > 0;
}

static bool is_flow(const struct emitting *e, const struct json *v)
{
	const struct yaml_src *src = src_of(e, v);

	return src && src->style == YAML_FLOW;
}

/* Depth is bounded by the parser's. */
static void put_branch(struct emitting *e, const struct json *v, size_t n)
{
	const struct yaml_src *src = src_of(e, v);
	size_t end = 0;

	if (is_flow(e, v)) {
		size_t at = e->at;

		e->at = MAX(at, (size_t)src->end);
		gather_line(e);
		end = e->at;
		e->at = at;
	}
	if (json_is(v, JSON_OBJECT))
		put_map(e, v, n);
	else
		put_list(e, v, n);
	e->at = MAX(e->at, end);
}

/* What is read of a value that isn't printed by itself, with the comment on its line. */
static void pass_leaf(struct emitting *e, const struct json *v)
{
	const struct yaml_src *src = src_of(e, v);

	if (!src || src->style == YAML_ALIAS)
		return;
	gather(e, src->begin);
	e->at = MAX(e->at, (size_t)src->end);
	if (src->style != YAML_LITERAL && src->style != YAML_FOLDED)
		gather_line(e);
}

static void put_leaf(struct emitting *e, const struct json *v, const struct sops_lines *n)
{
	if (json_is(v, JSON_OBJECT) || json_is(v, JSON_ARRAY))
		put(e, json_is(v, JSON_OBJECT) ? "{}" : "[]");
	else
		put_scalar(e, v, n);
}

static void put_member(struct emitting *e, const struct json_member *m, size_t n, bool last)
{
	const struct yaml_src *src = src_of(e, &m->value);
	size_t below = STEP * ((n + STEP) / STEP), key, end;
	struct sops_lines lines = {below, below - n};
	bool simple = m->key.n <= SIMPLE_KEY_MAX && str_find(m->key, STR("\n")) < 0;

	if (src && src->style != YAML_ALIAS) {
		gather(e, src->key_begin);
		spelt(e, src, &end);
		e->at = MAX(e->at, end);
		if (e->at < e->end && e->text.p[e->at] == ':')
			e->at++;
		gather_line(e);
	}
	if (!is_branch(&m->value))
		pass_leaf(e, &m->value);
	put_head(e, n);
	indent(e, n);
	if (!simple)
		put(e, "? ");
	key = e->out->n;
	put_key(e, m, simple ? NULL : &lines);
	for (size_t i = key; i < e->out->n; i++)
		if (e->out->p[i] == '\n')
			e->line = i + 1;
	if (!simple)
		indent(e, n);
	put(e, ":");
	e->dash = !simple;
	if (is_branch(&m->value)) {
		size_t mark = e->path.n;

		put_foot(e, n);
		buf_str(&e->path, m->key);
		buf_putc(&e->path, ':');
		put_branch(e, &m->value, below);
		e->path.n = mark;
		if (last)
			gather_foot(e, !e->path.n);
		return;
	}
	put(e, " ");
	put_leaf(e, &m->value, &lines);
	if (last)
		gather_foot(e, !e->path.n);
	put_foot(e, n);
}

static void put_map(struct emitting *e, const struct json *o, size_t n)
{
	const struct json_member *m = json_members(o);

	for (size_t i = 0; i < json_len(o); i++)
		put_member(e, &m[i], n, i + 1 == json_len(o));
}

static void put_list(struct emitting *e, const struct json *l, size_t n)
{
	struct sops_lines lines = {n + 2, 2};

	for (size_t i = 0; i < json_len(l); i++) {
		const struct json *v = json_item(l, i);
		const struct yaml_src *src = src_of(e, v);

		if (src && src->style != YAML_ALIAS)
			gather(e, src->begin);
		if (!is_branch(v))
			pass_leaf(e, v);
		put_head(e, n);
		indent(e, n);
		put(e, "-");
		e->dash = true;
		if (is_branch(v)) {
			put_foot(e, n);
			put_branch(e, v, n + 2);
			continue;
		}
		put(e, " ");
		put_leaf(e, v, &lines);
		if (i + 1 == json_len(l))
			gather_foot(e, false);
		put_foot(e, n);
	}
}

/* ---- documents ---- */

static size_t leaf_end(const struct sops_docs *d, const struct json *v)
{
	const struct yaml_src *src = yaml_src_of(d->srcs, v);
	const struct json_member *m = json_members(v);
	size_t end = 0;

	for (size_t i = 0; m && i < json_len(v); i++)
		end = MAX(end, leaf_end(d, &m[i].value));
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		end = MAX(end, leaf_end(d, json_item(v, i)));
	if (src && src->style != YAML_BLOCK)
		end = MAX(end, (size_t)src->end);
	return MIN(end, d->text.n);
}

struct sops_hole *sops_holes(struct arena *a, const struct sops_docs *d)
{
	struct sops_hole *v = arena_array(a, d->docs->n + 1, sizeof(*v));

	for (size_t i = 0; d->srcs && i < d->docs->n; i++) {
		const struct json *m = json_get(d->docs->v[i], STR("sops"));
		const struct yaml_src *src = m ? yaml_src_of(d->srcs, m) : NULL;

		if (src && src->key_begin <= d->text.n)
			v[i] = (struct sops_hole){src->key_begin, leaf_end(d, m)};
	}
	return v;
}

/* In front of the line that begins the next document. */
static size_t document_end(const struct sops_docs *d, size_t i)
{
	const struct yaml_src *next =
		i + 1 < d->docs->n && d->srcs ? yaml_src_of(d->srcs, d->docs->v[i + 1]) : NULL;
	size_t at = next ? MIN((size_t)next->begin, d->text.n) : d->text.n;

	while (next && at > 4 && memcmp(d->text.p + at - 4, "\n---", 4) != 0)
		at--;
	return next ? at - MIN(at, (size_t)3) : at;
}

static void put_document(struct emitting *e, const struct json *doc)
{
	e->foot_indent = -1;
	if (is_branch(doc)) {
		put_branch(e, doc, 0);
	} else {
		gather(e, e->end);
		put_head(e, 0);
		put(e, "{}");
	}
	e->foot_indent = 0;
	if (e->nfoot)
		put_foot(e, 0);
	e->foot_indent = -1;
	indent(e, 0);
	e->nhead = e->nfoot = 0;
}

void sops_emit_yaml(const struct sops_emit *s, struct buf *out)
{
	struct emitting e = {.e = s, .text = s->d->text, .out = out, .line = out->n};

	for (size_t i = 0; i < s->d->docs->n; i++) {
		if (i) {
			put(&e, "---");
			line_end(&e);
		}
		e.hole = s->out[i];
		e.at = e.end;
		e.end = document_end(s->d, i);
		/* Where nothing is known to stand anywhere, no comment does. */
		if (!s->d->srcs)
			e.at = e.end;
		put_document(&e, s->d->docs->v[i]);
	}
	free(e.head);
	free(e.foot);
	buf_release(&e.foot_path);
	buf_release(&e.path);
}
