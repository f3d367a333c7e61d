/*
 * Reading YAML: libyaml's events become trees, each value with the place it came from. Aliases are
 * expanded into copies, counted against a limit before they are made. Never prints, never keeps
 * the text. One call at a time per arena.
 */
#include "lib/json/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "lib/base/codec.h"
#include "lib/base/map.h"
#include "lib/json/yaml-internal.h"

#define ANCHORS_MAX 10000
#define DOCS_MAX 100000

struct anchor {
	struct str name;
	struct json value;
	bool open; /* still being read: an alias to it would contain itself */
};

struct reader {
	struct arena *a;
	struct str text;
	yaml_parser_t parser;
	yaml_event_t event;
	bool have_event;
	struct yaml_srcs *srcs;
	uint32_t file, doc;
	size_t depth_max, nodes_left;
	bool core_booleans;
	struct anchor *anchors; /* of the document */
	size_t nanchors, anchors_cap;
	size_t chars, bytes; /* one place in the text, counted both ways */
	struct err *err;
};

static int read_value(struct reader *r, size_t depth, const yaml_mark_t *key, struct json *ret);

/* ---- places ---- */

/* libyaml counts characters; we keep bytes. Marks come nearly in order, so walking is short. */
static uint32_t byte_at(struct reader *r, size_t chars)
{
	while (r->chars < chars && r->bytes < r->text.n) {
		r->bytes++;
		while (r->bytes < r->text.n && (r->text.p[r->bytes] & 0xc0) == 0x80)
			r->bytes++;
		r->chars++;
	}
	while (r->chars > chars && r->bytes) {
		r->bytes--;
		while (r->bytes && (r->text.p[r->bytes] & 0xc0) == 0x80)
			r->bytes--;
		r->chars--;
	}
	return (uint32_t)r->bytes;
}

static int PRINTF_LIKE(3, 4) fail_at(struct reader *r, const yaml_mark_t *m, const char *fmt, ...)
{
	AUTO(buf) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	err_set(r->err, ERR_PARSE, "%s", buf_cstr(&text));
	return err_wrap(r->err, "line %zu, column %zu", m->line + 1, m->column + 1);
}

static int fail_parser(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t m = p->problem_mark;

	if (p->error == YAML_READER_ERROR) {
		m = p->mark;
		return fail_at(r, &m, "%s", p->problem ? p->problem : "not UTF-8");
	}
	if (p->context)
		err_set(r->err, ERR_PARSE, "%s, %s", p->problem ? p->problem : "bad YAML",
			p->context);
	else
		err_set(r->err, ERR_PARSE, "%s", p->problem ? p->problem : "bad YAML");
	return err_wrap(r->err, "line %zu, column %zu", m.line + 1, m.column + 1);
}

static uint32_t place_new(struct reader *r, const yaml_mark_t *key, enum yaml_style style)
{
	const yaml_event_t *e = &r->event;
	struct yaml_srcs *t = r->srcs;
	struct yaml_src *row;

	if (!t)
		return 0;
	if (t->n == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 256;
		t->rows = xreallocarray(t->rows, t->cap, sizeof(*t->rows));
	}
	row = &t->rows[t->n++];
	*row = (struct yaml_src){.file = r->file, .doc = r->doc, .style = (uint8_t)style};
	row->line = (uint32_t)e->start_mark.line + 1;
	row->col = (uint32_t)e->start_mark.column + 1;
	if (key)
		row->key_begin = byte_at(r, key->index);
	row->begin = byte_at(r, e->start_mark.index);
	row->end = byte_at(r, e->end_mark.index);
	if (!key)
		row->key_begin = row->begin;
	return (uint32_t)t->n;
}

/* A block collection ends with its last child; libyaml would put the end before the next token. */
static void place_end(struct reader *r, uint32_t src, const struct json *last, bool flow)
{
	struct yaml_src *row = src ? &r->srcs->rows[src - 1] : NULL;

	if (!row)
		return;
	if (flow)
		row->end = byte_at(r, r->event.end_mark.index);
	else if (last && last->src)
		row->end = MAX(row->begin, r->srcs->rows[last->src - 1].end);
}

/* ---- events ---- */

static int next_event(struct reader *r)
{
	if (r->have_event)
		yaml_event_delete(&r->event);
	r->have_event = yaml_parser_parse(&r->parser, &r->event) == 1;
	return r->have_event ? 0 : fail_parser(r);
}

static int count_node(struct reader *r)
{
	if (!r->nodes_left)
		return fail_at(r, &r->event.start_mark, "%s",
			       "too many values: aliases expand beyond the limit");
	r->nodes_left--;
	return 0;
}

/* ---- anchors ---- */

static size_t anchor_open(struct reader *r, const yaml_char_t *name, int *ret)
{
	*ret = 0;
	if (!name)
		return SIZE_MAX;
	if (r->nanchors == ANCHORS_MAX) {
		*ret = fail_at(r, &r->event.start_mark, "%s", "too many anchors");
		return SIZE_MAX;
	}
	if (r->nanchors == r->anchors_cap) {
		r->anchors_cap = r->anchors_cap ? 2 * r->anchors_cap : 8;
		r->anchors = xreallocarray(r->anchors, r->anchors_cap, sizeof(*r->anchors));
	}
	r->anchors[r->nanchors] =
		(struct anchor){.name = arena_str(r->a, str_c((const char *)name)), .open = true};
	return r->nanchors++;
}

static void anchor_close(struct reader *r, size_t at, const struct json *value)
{
	if (at == SIZE_MAX)
		return;
	r->anchors[at].value = *value;
	r->anchors[at].open = false;
}

/* How many values v holds, at most `limit` + 1. */
static size_t node_count(const struct json *v, size_t limit)
{
	size_t n = 1;

	if (v->type != JSON_ARRAY && v->type != JSON_OBJECT)
		return n;
	for (uint32_t i = 0; i < v->n && n <= limit; i++)
		n += node_count(v->type == JSON_ARRAY ? &v->items[i] : &v->members[i].value,
				limit - n);
	return n;
}

static int read_alias(struct reader *r, const yaml_mark_t *key, struct json *ret)
{
	const char *name = (const char *)r->event.data.alias.anchor;

	for (size_t i = r->nanchors; i-- > 0;) { /* the latest of that name counts */
		struct anchor *an = &r->anchors[i];
		size_t n;

		if (!str_is(an->name, name))
			continue;
		if (an->open)
			return fail_at(r, &r->event.start_mark, "anchor '%s' value contains itself",
				       name);
		n = node_count(&an->value, r->nodes_left);
		if (n > r->nodes_left)
			return fail_at(r, &r->event.start_mark,
				       "alias '%s' expands to too many values", name);
		r->nodes_left -= n;
		*ret = *json_copy(r->a, &an->value);
		ret->src = place_new(r, key, YAML_ALIAS);
		return 0;
	}
	return fail_at(r, &r->event.start_mark, "unknown anchor '%s' referenced", name);
}

/* ---- scalars ---- */

static enum yaml_style scalar_style(const yaml_event_t *e)
{
	switch (e->data.scalar.style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
		return YAML_SINGLE;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		return YAML_DOUBLE;
	case YAML_LITERAL_SCALAR_STYLE:
		return YAML_LITERAL;
	case YAML_FOLDED_SCALAR_STYLE:
		return YAML_FOLDED;
	case YAML_ANY_SCALAR_STYLE:
	case YAML_PLAIN_SCALAR_STYLE:
		break;
	}
	return YAML_PLAIN;
}

static int binary_value(struct reader *r, struct str s, struct json *ret)
{
	AUTO(buf) struct buf packed = {0};
	AUTO(buf) struct buf bytes = {0};

	for (size_t i = 0; i < s.n; i++)
		if (!strchr(" \t\r\n", s.p[i]))
			buf_putc(&packed, s.p[i]);
	if (base64_decode(buf_view(&packed), &bytes))
		return fail_at(r, &r->event.start_mark, "%s",
			       "!!binary value contains invalid base64 data");
	*ret = (struct json){.type = JSON_STRING,
			     .n = (uint32_t)bytes.n,
			     .s = arena_cstr(r->a, buf_view(&bytes))};
	return 0;
}

static int scalar_value(struct reader *r, struct json *ret)
{
	const yaml_event_t *e = &r->event;
	struct str s = {(const char *)e->data.scalar.value, e->data.scalar.length};
	struct str tag = str_c((const char *)e->data.scalar.tag);
	bool resolves = !tag.n && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (str_is(tag, YAML_INT_TAG) || str_is(tag, YAML_FLOAT_TAG) ||
	    str_is(tag, YAML_BOOL_TAG) || str_is(tag, YAML_NULL_TAG))
		resolves = true;
	if (str_is(tag, "tag:yaml.org,2002:binary"))
		return binary_value(r, s, ret);
	if (resolves && yaml_not_a_json_number(s))
		return fail_at(r, &e->start_mark, "%s", "infinity and NaN have no JSON form");
	if (resolves && !(r->core_booleans && yaml_is_old_boolean(s)))
		yaml_resolve(r->a, s, ret);
	else
		*ret = (struct json){
			.type = JSON_STRING, .n = (uint32_t)s.n, .s = arena_cstr(r->a, s)};
	return 0;
}

static int read_scalar(struct reader *r, const yaml_mark_t *key, struct json *ret)
{
	int failed;
	size_t anchor = anchor_open(r, r->event.data.scalar.anchor, &failed);

	if (failed || scalar_value(r, ret))
		return -1;
	ret->src = place_new(r, key, scalar_style(&r->event));
	anchor_close(r, anchor, ret);
	return 0;
}

/* ---- collections ---- */

static int read_sequence(struct reader *r, size_t depth, const yaml_mark_t *key, struct json *ret)
{
	bool flow = r->event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	struct json *v = json_new(r->a, JSON_ARRAY);
	int failed;
	size_t anchor = anchor_open(r, r->event.data.sequence_start.anchor, &failed);

	if (failed)
		return -1;
	v->src = place_new(r, key, flow ? YAML_FLOW : YAML_BLOCK);
	for (;;) {
		struct json item = {0};

		if (next_event(r))
			return -1;
		if (r->event.type == YAML_SEQUENCE_END_EVENT)
			break;
		if (read_value(r, depth + 1, NULL, &item))
			return -1;
		json_append(r->a, v, &item);
	}
	place_end(r, v->src, v->n ? &v->items[v->n - 1] : NULL, flow);
	*ret = *v;
	anchor_close(r, anchor, ret);
	return 0;
}

/* Keys are text in JSON; other scalars become theirs. */
static int key_text(struct reader *r, const struct json *key, const yaml_mark_t *at,
		    struct str *ret)
{
	AUTO(buf) struct buf text = {0};

	switch ((enum json_type)key->type) {
	case JSON_STRING:
		*ret = (struct str){key->s, key->n};
		return 0;
	case JSON_BOOL:
	case JSON_INT:
	case JSON_NUM:
		json_write(key, &text);
		*ret = arena_str(r->a, buf_view(&text));
		return 0;
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return fail_at(r, at, "%s", "a key must be text");
}

/* A mapping of many keys is looked up by hash, so that a hostile file costs what its size says. */
#define MANY_KEYS 32

struct mapping {
	struct json *v;
	struct map keys; /* of v → position + 1, once it has many */
	struct json
		merges; /* an array: applied at the end, so that own keys win wherever they stand */
	struct json *last;
};

static struct json *mapping_find(const struct mapping *m, struct str name)
{
	uintptr_t at;

	if (m->v->n <= MANY_KEYS)
		return json_get(m->v, name);
	at = (uintptr_t)map_get(&m->keys, name);
	return at ? &m->v->members[at - 1].value : NULL;
}

static struct json *mapping_add(struct reader *r, struct mapping *m, struct str name,
				const struct json *value)
{
	struct json *slot;

	if (m->v->n < MANY_KEYS)
		return json_set(r->a, m->v, name, value);
	if (!m->keys.n)
		for (uint32_t i = 0; i < m->v->n; i++)
			map_set(&m->keys, m->v->members[i].key, (void *)(uintptr_t)(i + 1));
	slot = json_add(r->a, m->v, name, value);
	map_set(&m->keys, name, (void *)(uintptr_t)m->v->n);
	return slot;
}

static int duplicate_key(struct reader *r, const struct json *earlier, struct str key,
			 const yaml_mark_t *at)
{
	const struct yaml_src *src = r->srcs ? yaml_src_of(r->srcs, earlier) : NULL;

	err_set(r->err, ERR_PARSE, "mapping key \"%.*s\" already defined", (int)MIN(key.n, 100),
		key.p);
	if (src)
		err_set(r->err, ERR_PARSE, "mapping key \"%.*s\" already defined at line %u",
			(int)MIN(key.n, 100), key.p, src->line);
	return err_wrap(r->err, "line %zu, column %zu", at->line + 1, at->column + 1);
}

/* "<<": what the mapping (or each of a list of mappings) says and the one being read does not. */
static int merge_into(struct reader *r, struct json *into, const struct json *from,
		      const yaml_mark_t *at)
{
	if (json_is(from, JSON_ARRAY)) {
		for (uint32_t i = 0; i < from->n; i++)
			if (!json_is(&from->items[i], JSON_OBJECT) ||
			    merge_into(r, into, &from->items[i], at))
				return fail_at(
					r, at, "%s",
					"map merge requires map or sequence of maps as the value");
		return 0;
	}
	if (!json_is(from, JSON_OBJECT))
		return fail_at(r, at, "%s",
			       "map merge requires map or sequence of maps as the value");
	for (uint32_t i = 0; i < from->n; i++)
		if (!json_get(into, from->members[i].key))
			json_set(r->a, into, from->members[i].key, &from->members[i].value);
	return 0;
}

static bool is_merge_key(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       e->data.scalar.length == 2 && !memcmp(e->data.scalar.value, "<<", 2);
}

static int read_member(struct reader *r, size_t depth, struct mapping *m)
{
	yaml_mark_t at = r->event.start_mark;
	bool merge = is_merge_key(&r->event);
	struct json key = {0}, value = {0}, *earlier;
	struct yaml_srcs *srcs = r->srcs;
	struct str name;

	r->srcs = NULL; /* keys have no row of their own */
	if (read_value(r, depth, NULL, &key) || key_text(r, &key, &at, &name)) {
		r->srcs = srcs;
		return -1;
	}
	r->srcs = srcs;
	earlier = merge ? NULL : mapping_find(m, name);
	if (earlier)
		return duplicate_key(r, earlier, name, &at);
	if (next_event(r) || read_value(r, depth, &at, &value))
		return -1;
	m->last = merge ? json_append(r->a, &m->merges, &value) : mapping_add(r, m, name, &value);
	return 0;
}

static int read_members(struct reader *r, size_t depth, struct mapping *m)
{
	for (;;) {
		if (next_event(r))
			return -1;
		if (r->event.type == YAML_MAPPING_END_EVENT)
			return 0;
		if (read_member(r, depth + 1, m))
			return -1;
	}
}

static int read_mapping(struct reader *r, size_t depth, const yaml_mark_t *key, struct json *ret)
{
	bool flow = r->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	struct mapping m = {.v = json_new(r->a, JSON_OBJECT), .merges = {.type = JSON_ARRAY}};
	int failed;
	size_t anchor = anchor_open(r, r->event.data.mapping_start.anchor, &failed);

	if (failed)
		return -1;
	m.v->src = place_new(r, key, flow ? YAML_FLOW : YAML_BLOCK);
	failed = read_members(r, depth, &m);
	map_release(&m.keys);
	if (failed)
		return -1;
	place_end(r, m.v->src, m.last, flow);
	for (uint32_t i = 0; i < m.merges.n; i++)
		if (merge_into(r, m.v, &m.merges.items[i], &r->event.start_mark))
			return -1;
	*ret = *m.v;
	anchor_close(r, anchor, ret);
	return 0;
}

/* The value that the current event begins; afterwards the current event is its last. */
static int read_value(struct reader *r, size_t depth, const yaml_mark_t *key, struct json *ret)
{
	if (depth > r->depth_max)
		return fail_at(r, &r->event.start_mark, "%s", "nested too deeply");
	if (count_node(r))
		return -1;
	switch (r->event.type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(r, key, ret);
	case YAML_ALIAS_EVENT:
		return read_alias(r, key, ret);
	case YAML_SEQUENCE_START_EVENT:
		return read_sequence(r, depth, key, ret);
	case YAML_MAPPING_START_EVENT:
		return read_mapping(r, depth, key, ret);
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		break;
	}
	return fail_at(r, &r->event.start_mark, "%s", "a value is missing");
}

/* ---- documents ---- */

static bool is_empty(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT && !e->data.scalar.length &&
	       e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !e->data.scalar.tag;
}

static int read_document(struct reader *r, struct yaml_docs *ret)
{
	struct json value = {0};
	bool empty;

	r->nanchors = 0;
	if (next_event(r))
		return -1;
	empty = is_empty(&r->event);
	if (read_value(r, 1, NULL, &value) || next_event(r))
		return -1;
	if (empty)
		return 0;
	if (ret->n == DOCS_MAX)
		return fail_at(r, &r->event.start_mark, "%s", "too many documents");
	if (!(ret->n & (ret->n - 1))) {
		struct json **grown = arena_array(r->a, ret->n ? 2 * ret->n : 1, sizeof(*grown));

		if (ret->n)
			memcpy(grown, ret->v, ret->n * sizeof(*grown));
		ret->v = grown;
	}
	ret->v[ret->n++] = arena_dup(r->a, &value, sizeof(value));
	return 0;
}

static int read_stream(struct reader *r, struct yaml_docs *ret)
{
	for (;;) {
		if (next_event(r))
			return -1;
		if (r->event.type == YAML_STREAM_END_EVENT)
			return 0;
		if (r->event.type != YAML_DOCUMENT_START_EVENT)
			continue;
		if (read_document(r, ret))
			return -1;
		r->doc++;
	}
}

static bool looks_json(struct str text)
{
	struct str t = str_trim(text);

	return t.n && (t.p[0] == '{' || t.p[0] == '[');
}

/* JSON that libyaml cannot read (tabs, long keys), or need not. */
static int read_json(struct reader *r, struct yaml_docs *ret)
{
	struct json_limits limits = {.depth = r->depth_max, .nodes = r->nodes_left};
	struct err ignored = {0};
	struct json *v = json_parse(r->a, arena_str(r->a, r->text), &limits, &ignored);

	if (!v)
		return -1;
	ret->v = arena_dup(r->a, &v, sizeof(struct json *));
	ret->n = 1;
	return 0;
}

int yaml_parse(struct arena *a, struct str text, uint32_t file, struct yaml_srcs *srcs,
	       const struct yaml_limits *limits, struct yaml_docs *ret, struct err *err)
{
	struct yaml_limits l = limits ? *limits : (struct yaml_limits){0};
	struct reader r = {.a = a,
			   .text = text,
			   .srcs = srcs,
			   .file = file,
			   .err = err,
			   .depth_max = l.depth ? l.depth : JSON_DEPTH_MAX,
			   .nodes_left = l.nodes ? l.nodes : 1000000,
			   .core_booleans = l.core_booleans};
	size_t max = l.bytes ? l.bytes : 16 << 20;
	int failed;

	*ret = (struct yaml_docs){0};
	if (text.n > max)
		return err_set(err, ERR_LIMIT, "%zu bytes of YAML, more than the %zu allowed",
			       text.n, max);
	if (!srcs && looks_json(text) && !read_json(&r, ret))
		return 0;
	if (str_starts(text, STR("\xef\xbb\xbf")))
		r.bytes = 3; /* the byte order mark counts as no character */
	if (!yaml_parser_initialize(&r.parser))
		panic("out of memory");
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""),
				     text.n);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	failed = read_stream(&r, ret);
	if (r.have_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	free(r.anchors);
	if (failed && looks_json(text) && !read_json(&r, ret))
		return 0;
	if (failed)
		*ret = (struct yaml_docs){0};
	return failed;
}

void yaml_srcs_release(struct yaml_srcs *t)
{
	free(t->rows);
	*t = (struct yaml_srcs){0};
}

const struct yaml_src *yaml_src_of(const struct yaml_srcs *t, const struct json *v)
{
	return v && v->src && v->src <= t->n ? &t->rows[v->src - 1] : NULL;
}
