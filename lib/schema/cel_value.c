/*
 * CEL's values: out of JSON and back, what equals what, and what a list or map holds whether it is
 * JSON or was made by an expression. JSON is read where it stands, never copied. Pure; memory is
 * the evaluation's arena and is paid for.
 */
#include <math.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

const char *cel_type_name(enum cel_type type)
{
	static const struct {
		enum cel_type type;
		const char *name;
	} names[] = {{CEL_NULL, "null_type"},
		     {CEL_BOOL, "bool"},
		     {CEL_INT, "int"},
		     {CEL_UINT, "uint"},
		     {CEL_DOUBLE, "double"},
		     {CEL_STRING, "string"},
		     {CEL_BYTES, "bytes"},
		     {CEL_LIST, "list"},
		     {CEL_MAP, "map"},
		     {CEL_DURATION, "google.protobuf.Duration"},
		     {CEL_TIMESTAMP, "google.protobuf.Timestamp"},
		     {CEL_TYPE, "type"},
		     {CEL_OPTIONAL, "optional_type"},
		     {CEL_QUANTITY, "kubernetes.Quantity"},
		     {CEL_URL, "kubernetes.URL"},
		     {CEL_IP, "net.IP"},
		     {CEL_CIDR, "net.CIDR"},
		     {CEL_SEMVER, "kubernetes.Semver"},
		     {CEL_AUTHORIZER, "kubernetes.authorization.Authorizer"},
		     {CEL_DECISION, "kubernetes.authorization.Decision"}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].type == type)
			return names[i].name;
	return "dyn";
}

/* ---- making ---- */

struct cel_value cel_new_str(struct cel *c, struct str s)
{
	if (!cel_pay(c, s.n / 10 + 1) || !cel_pay_memory(c, s.n + 1))
		return cel_fail(c, "%s", c->stop);
	return cel_of_str(arena_str(c->a, s));
}

struct cel_value *cel_new_items(struct cel *c, size_t n)
{
	if (n > UINT32_MAX / sizeof(struct cel_value) || !cel_pay(c, n) ||
	    !cel_pay_memory(c, n * sizeof(struct cel_value)))
		return NULL;
	return arena_array(c->a, n ? n : 1, sizeof(struct cel_value));
}

struct cel_value cel_some(struct cel *c, struct cel_value v)
{
	if (v.type == CEL_ERROR || !cel_pay_memory(c, sizeof(v)))
		return v;
	return (struct cel_value){.type = CEL_OPTIONAL, .held = arena_dup(c->a, &v, sizeof(v))};
}

struct str cel_unescape(struct arena *a, struct str name)
{
	static const struct {
		const char *from, *to;
	} words[] = {
		{"__underscores__", "__"}, {"__dot__", "."}, {"__dash__", "-"}, {"__slash__", "/"}};
	AUTO(buf) struct buf out = {0};

	if (str_find(name, STR("__")) < 0)
		return name;
	if (name.n > 4 && str_starts(name, STR("__")) && str_ends(name, STR("__"))) {
		static const char *const reserved[] = {
			"true", "false", "null",   "in",   "as",     "break",     "const",
			"for",  "else",  "if",     "let",  "import", "function",  "continue",
			"loop", "var",   "return", "void", "while",  "namespace", "package"};

		for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
			if (str_is(str_sub(name, 2, name.n - 4), reserved[i]))
				return str_c(reserved[i]);
	}
	for (size_t i = 0; i < name.n;) {
		size_t w = 0;

		while (w < ARRAY_LEN(words) &&
		       !str_starts(str_sub(name, i, name.n), str_c(words[w].from)))
			w++;
		if (w < ARRAY_LEN(words)) {
			buf_puts(&out, words[w].to);
			i += strlen(words[w].from);
		} else {
			buf_putc(&out, name.p[i++]);
		}
	}
	return arena_str(a, buf_view(&out));
}

/* ---- out of JSON ---- */

static bool has_format(const struct schema *s, const char *format)
{
	return s && s->format && !strcmp(s->format, format);
}

static struct cel_value of_text(struct cel *c, struct str text, const struct schema *s)
{
	AUTO(buf) struct buf out = {0};
	int64_t ns;

	if (!s)
		return cel_of_str(text);
	if (s->type == SCHEMA_BYTES) {
		if (base64_decode_lines(text, &out))
			return cel_fail(c, "invalid base64");
		struct cel_value v = cel_new_str(c, buf_view(&out));

		if (v.type == CEL_STRING)
			v.type = CEL_BYTES;
		return v;
	}
	if (s->type == SCHEMA_DURATION || has_format(s, "duration"))
		return duration_parse(text, &ns) ? cel_fail(c, "invalid duration")
						 : cel_of_ns(CEL_DURATION, ns);
	if (has_format(s, "date") && text.n == 10)
		text = arena_strf(c->a, "%.*sT00:00:00Z", STR_ARG(text));
	else if (s->type != SCHEMA_TIME && s->type != SCHEMA_MICRO_TIME)
		return cel_of_str(text);
	return time_parse(text, &ns) ? cel_fail(c, "invalid timestamp")
				     : cel_of_ns(CEL_TIMESTAMP, ns);
}

struct cel_value cel_of_json(struct cel *c, const struct json *j, const struct schema *s)
{
	if (!j)
		return (struct cel_value){.type = CEL_NULL};
	switch ((enum json_type)j->type) {
	case JSON_NULL:
		break;
	case JSON_BOOL:
		return cel_of_bool(j->b);
	case JSON_INT:
		return s && s->type == SCHEMA_NUMBER ? cel_of_double((double)j->i)
						     : cel_of_int(j->i);
	case JSON_NUM:
		return s && s->type == SCHEMA_INT ? cel_of_int(json_int(j, 0))
						  : cel_of_double(json_double(j, 0));
	case JSON_STRING:
		return of_text(c, json_str(j), s);
	case JSON_ARRAY:
		return (struct cel_value){
			.type = CEL_LIST, .json = true, .j = j, .n = j->n, .schema = s};
	case JSON_OBJECT:
		return (struct cel_value){
			.type = CEL_MAP, .json = true, .j = j, .n = j->n, .schema = s};
	}
	return (struct cel_value){.type = CEL_NULL};
}

/* ---- what is inside ---- */

static const struct schema *member_type(const struct schema *s, struct str key)
{
	const struct schema_field *f = s ? schema_field(s, key) : NULL;

	return f ? f->type : s ? s->item : NULL;
}

struct cel_value cel_item(struct cel *c, const struct cel_value *list, size_t i)
{
	if (!list->json)
		return list->items[i];
	return cel_of_json(c, json_item(list->j, i), list->schema ? list->schema->item : NULL);
}

void cel_entry(struct cel *c, const struct cel_value *map, size_t i, struct cel_value *key,
	       struct cel_value *value)
{
	const struct json_member *m;

	if (map->lazy) {
		*key = cel_of_str(c->env->lazy[i].name);
		cel_find(c, map, key, value);
		return;
	}
	if (!map->json) {
		*key = map->entries[i].key;
		*value = map->entries[i].value;
		return;
	}
	m = &json_members(map->j)[i];
	*key = cel_of_str(m->key);
	*value = cel_of_json(c, &m->value, member_type(map->schema, m->key));
}

static bool find_lazy(struct cel *c, struct str name, struct cel_value *ret)
{
	for (size_t i = 0; i < c->env->nlazy; i++) {
		const struct cel_lazy *l = &c->env->lazy[i];
		struct cel_lazy_state *s = l->state;
		struct cel_value slots[CEL_SLOTS_MAX];

		if (!str_eq(l->name, name))
			continue;
		if (!l->program || !s || s->busy) {
			*ret = cel_fail(c, "no such key: %.*s", (int)MIN(name.n, 100), name.p);
			return true;
		}
		if (!s->done) {
			memcpy(slots, c->slots, sizeof(slots));
			s->busy = true;
			s->value = cel_run(c, l->program->root);
			s->busy = false;
			s->done = !c->stop;
			memcpy(c->slots, slots, sizeof(slots));
		}
		*ret = s->value;
		return true;
	}
	return false;
}

bool cel_find(struct cel *c, const struct cel_value *map, const struct cel_value *key,
	      struct cel_value *ret)
{
	const struct json *j;

	if (map->lazy)
		return key->type == CEL_STRING && find_lazy(c, key->s, ret);
	if (map->json) {
		j = key->type == CEL_STRING ? json_get(map->j, key->s) : NULL;
		if (j)
			*ret = cel_of_json(c, j, member_type(map->schema, key->s));
		return cel_pay(c, map->n / 16) && j;
	}
	for (size_t i = 0; i < map->n && cel_pay(c, i % 8 == 0); i++)
		if (cel_equal(c, &map->entries[i].key, key)) {
			*ret = map->entries[i].value;
			return true;
		}
	return false;
}

/* ---- comparing ---- */

static bool is_number(const struct cel_value *v)
{
	return v->type == CEL_INT || v->type == CEL_UINT || v->type == CEL_DOUBLE;
}

static int sign(bool less, bool more)
{
	return more - less;
}

static int order_int_uint(int64_t i, uint64_t u)
{
	return i < 0 ? -1 : sign((uint64_t)i<u, (uint64_t)i> u);
}

/* A double against a whole number, beyond what doubles hold exactly too. */
static int order_double(double d, const struct cel_value *whole)
{
	double floor_d = floor(d);

	if (whole->type == CEL_INT) {
		if (d < -9223372036854775808.0)
			return -1;
		if (d >= 9223372036854775808.0)
			return 1;
		if ((int64_t)floor_d != whole->i)
			return sign((int64_t)floor_d<whole->i, (int64_t)floor_d> whole->i);
	} else {
		if (d < 0)
			return -1;
		if (d >= 18446744073709551616.0)
			return 1;
		if ((uint64_t)floor_d != whole->u)
			return sign((uint64_t)floor_d<whole->u, (uint64_t)floor_d> whole->u);
	}
	return d > floor_d;
}

static int order_numbers(const struct cel_value *x, const struct cel_value *y)
{
	if ((x->type == CEL_DOUBLE && isnan(x->d)) || (y->type == CEL_DOUBLE && isnan(y->d)))
		return 2;
	if (x->type == y->type) {
		if (x->type == CEL_INT)
			return sign(x->i<y->i, x->i> y->i);
		if (x->type == CEL_UINT)
			return sign(x->u<y->u, x->u> y->u);
		return sign(x->d<y->d, x->d> y->d);
	}
	if (x->type == CEL_DOUBLE)
		return order_double(x->d, y);
	if (y->type == CEL_DOUBLE)
		return -order_double(y->d, x);
	return x->type == CEL_INT ? order_int_uint(x->i, y->u) : -order_int_uint(y->i, x->u);
}

int cel_order(const struct cel_value *x, const struct cel_value *y)
{
	int r;

	if (is_number(x) && is_number(y))
		return order_numbers(x, y);
	if (x->type != y->type)
		return 2;
	if (x->type == CEL_STRING || x->type == CEL_BYTES) {
		r = str_cmp(x->s, y->s);
		return sign(r<0, r> 0);
	}
	if (x->type == CEL_BOOL)
		return x->b - y->b;
	if (x->type == CEL_DURATION || x->type == CEL_TIMESTAMP)
		return sign(x->i<y->i, x->i> y->i);
	return 2;
}

static bool holds(struct cel *c, const struct cel_value *list, const struct cel_value *v)
{
	for (size_t i = 0; i < list->n && !c->stop; i++) {
		struct cel_value item = cel_item(c, list, i);

		if (cel_equal(c, &item, v))
			return true;
	}
	return false;
}

/* Sets and list maps of custom resources have no order. */
static bool equal_lists(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	const struct schema *s = x->schema ? x->schema : y->schema;
	bool loose = s && s->list != SCHEMA_LIST_ATOMIC;

	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n; i++) {
		struct cel_value v = cel_item(c, x, i), w;

		if (!loose) {
			w = cel_item(c, y, i);
			if (!cel_equal(c, &v, &w))
				return false;
		} else if (!holds(c, y, &v)) {
			return false;
		}
	}
	return true;
}

static bool equal_maps(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	if (x->n != y->n)
		return false;
	for (size_t i = 0; i < x->n && !c->stop; i++) {
		struct cel_value key, v, w;

		cel_entry(c, x, i, &key, &v);
		if (!cel_find(c, y, &key, &w) || !cel_equal(c, &v, &w))
			return false;
	}
	return !c->stop;
}

static bool equal_special(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	switch (x->type) {
	case CEL_QUANTITY:
		return !quantity_cmp(*x->quantity, *y->quantity);
	case CEL_IP:
	case CEL_CIDR:
		return x->ip->len == y->ip->len && x->ip->prefix == y->ip->prefix &&
		       !memcmp(x->ip->bytes, y->ip->bytes, x->ip->len);
	case CEL_SEMVER:
		return x->semver->major == y->semver->major &&
		       x->semver->minor == y->semver->minor &&
		       x->semver->patch == y->semver->patch &&
		       str_eq(x->semver->pre, y->semver->pre);
	case CEL_OPTIONAL:
		if (!x->held || !y->held)
			return x->held == y->held;
		return cel_equal(c, x->held, y->held);
	case CEL_URL:
		return str_eq(x->s, y->s);
	default:
		return x->type == CEL_TYPE ? x->n == y->n : x->type == CEL_NULL;
	}
}

bool cel_equal(struct cel *c, const struct cel_value *x, const struct cel_value *y)
{
	if (!cel_pay(c, 1))
		return false;
	if (is_number(x) && is_number(y))
		return order_numbers(x, y) == 0;
	if (x->type != y->type)
		return false;
	if (x->type == CEL_LIST)
		return equal_lists(c, x, y);
	if (x->type == CEL_MAP)
		return equal_maps(c, x, y);
	if (x->type == CEL_STRING || x->type == CEL_BYTES || x->type == CEL_BOOL ||
	    x->type == CEL_DURATION || x->type == CEL_TIMESTAMP)
		return cel_order(x, y) == 0 && cel_pay(c, 0);
	return equal_special(c, x, y);
}
