/*
 * Reading YAML: libyaml's events become trees, each value with the place it came from. Aliases are
 * expanded into copies, counted against a limit before they are made. Never prints, never keeps
 * the text. One call at a time per arena.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/json/yaml-reader.h"

#define ANCHORS_MAX 10000
#define DOCS_MAX 100000

static int read_value(struct yaml_reader *r, size_t depth, const yaml_mark_t *key,
		      struct json *ret);

/* ---- errors ---- */

int yaml_fail_at(struct yaml_reader *r, const yaml_mark_t *m, const char *fmt, ...)
{
	AUTO(buf) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	err_set(r->err, ERR_PARSE, "%s", buf_cstr(&text));
	return err_wrap(r->err, "line %zu, column %zu", m->line + 1, m->column + 1);
}

static int fail_parser(struct yaml_reader *r)
{
	const yaml_parser_t *p = &r->parser;
	yaml_mark_t m = p->problem_mark;

	if (p->error == YAML_READER_ERROR) {
		m = p->mark;
		return yaml_fail_at(r, &m, "%s", p->problem ? p->problem : "not UTF-8");
	}
	if (p->context)
		err_set(r->err, ERR_PARSE, "%s, %s", p->problem ? p->problem : "bad YAML",
			p->context);
	else
		err_set(r->err, ERR_PARSE, "%s", p->problem ? p->problem : "bad YAML");
	return err_wrap(r->err, "line %zu, column %zu", m.line + 1, m.column + 1);
}

/* ---- events ---- */

static int next_event(struct yaml_reader *r)
{
	if (r->have_event)
		yaml_event_delete(&r->event);
	r->have_event = yaml_parser_parse(&r->parser, &r->event) == 1;
	return r->have_event ? 0 : fail_parser(r);
}

static int count_node(struct yaml_reader *r)
{
	if (!r->nodes_left)
		return yaml_fail_at(r, &r->event.start_mark, "%s",
				    "too many values: aliases expand beyond the limit");
	r->nodes_left--;
	return 0;
}

/* ---- anchors ---- */

static size_t anchor_open(struct yaml_reader *r, const yaml_char_t *name, int *ret)
{
	*ret = 0;
	if (!name)
		return SIZE_MAX;
	if (r->nanchors == ANCHORS_MAX) {
		*ret = yaml_fail_at(r, &r->event.start_mark, "%s", "too many anchors");
		return SIZE_MAX;
	}
	if (r->nanchors == r->anchors_cap) {
		r->anchors_cap = r->anchors_cap ? 2 * r->anchors_cap : 8;
		r->anchors = xreallocarray(r->anchors, r->anchors_cap, sizeof(*r->anchors));
	}
	r->anchors[r->nanchors] = (struct yaml_anchor){.open = true};
	map_set(&r->anchor_names, str_c((const char *)name), (void *)(uintptr_t)(r->nanchors + 1));
	return r->nanchors++;
}

static void anchor_close(struct yaml_reader *r, size_t at, const struct json *value)
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

static int read_alias(struct yaml_reader *r, const yaml_mark_t *key, struct json *ret)
{
	const char *name = (const char *)r->event.data.alias.anchor;
	uintptr_t at = (uintptr_t)map_get(&r->anchor_names, str_c(name));
	struct yaml_anchor *an = at ? &r->anchors[at - 1] : NULL;
	size_t n;

	if (!an)
		return yaml_fail_at(r, &r->event.start_mark, "unknown anchor '%s' referenced",
				    name);
	if (an->open)
		return yaml_fail_at(r, &r->event.start_mark, "anchor '%s' value contains itself",
				    name);
	n = node_count(&an->value, r->nodes_left);
	if (n > r->nodes_left)
		return yaml_fail_at(r, &r->event.start_mark,
				    "alias '%s' expands to too many values", name);
	r->nodes_left -= n;
	*ret = *json_copy(r->a, &an->value);
	ret->src = yaml_place_new(r, key, YAML_ALIAS);
	return 0;
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

static int binary_value(struct yaml_reader *r, struct str s, struct json *ret)
{
	AUTO(buf) struct buf packed = {0};
	AUTO(buf) struct buf bytes = {0};

	for (size_t i = 0; i < s.n; i++)
		if (!strchr(" \t\r\n", s.p[i]))
			buf_putc(&packed, s.p[i]);
	if (base64_decode(buf_view(&packed), &bytes))
		return yaml_fail_at(r, &r->event.start_mark, "%s",
				    "!!binary value contains invalid base64 data");
	*ret = (struct json){.type = JSON_STRING,
			     .n = (uint32_t)bytes.n,
			     .s = arena_cstr(r->a, buf_view(&bytes))};
	return 0;
}

static int scalar_value(struct yaml_reader *r, struct json *ret)
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
		return yaml_fail_at(r, &e->start_mark, "%s", "infinity and NaN have no JSON form");
	if (resolves && !(r->core_booleans && yaml_is_old_boolean(s)))
		yaml_resolve(r->a, s, ret);
	else
		*ret = (struct json){
			.type = JSON_STRING, .n = (uint32_t)s.n, .s = arena_cstr(r->a, s)};
	if (json_is(ret, JSON_STRING) && e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		ret->flags |= JSON_F_QUOTED;
	return 0;
}

static int read_scalar(struct yaml_reader *r, const yaml_mark_t *key, struct json *ret)
{
	int failed;
	size_t anchor = anchor_open(r, r->event.data.scalar.anchor, &failed);

	if (failed || scalar_value(r, ret))
		return -1;
	ret->src = yaml_place_new(r, key, scalar_style(&r->event));
	anchor_close(r, anchor, ret);
	return 0;
}

/* ---- collections ---- */

static int read_sequence(struct yaml_reader *r, size_t depth, const yaml_mark_t *key,
			 struct json *ret)
{
	bool flow = r->event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
	struct json *v = json_new(r->a, JSON_ARRAY);
	int failed;
	size_t anchor = anchor_open(r, r->event.data.sequence_start.anchor, &failed);

	if (failed)
		return -1;
	v->src = yaml_place_new(r, key, flow ? YAML_FLOW : YAML_BLOCK);
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
	yaml_place_end(r, v->src, v->n ? &v->items[v->n - 1] : NULL, flow);
	*ret = *v;
	anchor_close(r, anchor, ret);
	return 0;
}

static bool is_merge_key(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       e->data.scalar.length == 2 && !memcmp(e->data.scalar.value, "<<", 2);
}

static int read_member(struct yaml_reader *r, size_t depth, struct yaml_mapping *m)
{
	yaml_mark_t at = r->event.start_mark;
	bool merge = is_merge_key(&r->event);
	struct json key = {0}, value = {0}, *earlier;
	struct yaml_srcs *srcs = r->srcs;
	struct str name;

	r->srcs = NULL; /* keys have no row of their own */
	if (read_value(r, depth, NULL, &key) || yaml_key_text(r, &key, &at, &name)) {
		r->srcs = srcs;
		return -1;
	}
	r->srcs = srcs;
	earlier = merge ? NULL : yaml_mapping_find(m, name);
	if (earlier)
		return yaml_duplicate_key(r, earlier, name, &at);
	if (next_event(r) || read_value(r, depth, &at, &value))
		return -1;
	m->last = merge ? json_append(r->a, &m->merges, &value)
			: yaml_mapping_add(r, m, name, &value);
	return 0;
}

static int read_members(struct yaml_reader *r, size_t depth, struct yaml_mapping *m)
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

static int read_mapping(struct yaml_reader *r, size_t depth, const yaml_mark_t *key,
			struct json *ret)
{
	bool flow = r->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	struct yaml_mapping m = {.v = json_new(r->a, JSON_OBJECT), .merges = {.type = JSON_ARRAY}};
	int failed;
	size_t anchor = anchor_open(r, r->event.data.mapping_start.anchor, &failed);

	if (failed)
		return -1;
	m.v->src = yaml_place_new(r, key, flow ? YAML_FLOW : YAML_BLOCK);
	failed = read_members(r, depth, &m);
	if (!failed)
		yaml_place_end(r, m.v->src, m.last, flow);
	for (uint32_t i = 0; i < m.merges.n && !failed; i++)
		failed = yaml_mapping_merge(r, &m, &m.merges.items[i], &r->event.start_mark);
	map_release(&m.keys);
	if (failed)
		return -1;
	*ret = *m.v;
	anchor_close(r, anchor, ret);
	return 0;
}

/* The value that the current event begins; afterwards the current event is its last. */
static int read_value(struct yaml_reader *r, size_t depth, const yaml_mark_t *key, struct json *ret)
{
	if (depth > r->depth_max)
		return yaml_fail_at(r, &r->event.start_mark, "%s", "nested too deeply");
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
	return yaml_fail_at(r, &r->event.start_mark, "%s", "a value is missing");
}

/* ---- documents ---- */

static bool is_empty(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT && !e->data.scalar.length &&
	       e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !e->data.scalar.tag;
}

static int read_document(struct yaml_reader *r, struct yaml_docs *ret)
{
	struct json value = {0};
	bool empty;

	r->nanchors = 0;
	map_release(&r->anchor_names);
	if (next_event(r))
		return -1;
	empty = is_empty(&r->event);
	if (read_value(r, 1, NULL, &value) || next_event(r))
		return -1;
	if (empty)
		return 0;
	if (ret->n == DOCS_MAX)
		return yaml_fail_at(r, &r->event.start_mark, "%s", "too many documents");
	if (!(ret->n & (ret->n - 1))) {
		struct json **grown = arena_array(r->a, ret->n ? 2 * ret->n : 1, sizeof(*grown));

		if (ret->n)
			memcpy(grown, ret->v, ret->n * sizeof(*grown));
		ret->v = grown;
	}
	ret->v[ret->n++] = arena_dup(r->a, &value, sizeof(value));
	return 0;
}

static int read_stream(struct yaml_reader *r, struct yaml_docs *ret)
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
static int read_json(struct yaml_reader *r, struct yaml_docs *ret)
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
	struct yaml_reader r = {.a = a,
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
	map_release(&r.anchor_names);
	if (failed && looks_json(text) && !read_json(&r, ret))
		return 0;
	if (failed)
		*ret = (struct yaml_docs){0};
	return failed;
}
