/*
 * The protobuf form written: whatever is written is read again as it was, for every type that has
 * the form; and the bytes are those that others' clients know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/schema/proto-internal.h"
#include "lib/schema/proto.h"

#define DEPTH 7

/* ---- any object of a type, with values that the form can tell from absence ---- */

struct maker {
	struct arena a;
	struct rng rng;
	int room; /* of values, so that schemas in schemas end */
};

static struct json *make(struct maker *m, const struct schema *s, int depth);

static struct str word(struct maker *m)
{
	static const char *const words[] = {"a", "web-1", "ü", "a longer text with spaces",
					    "\"\\\n"};

	return str_c(words[rng_below(&m->rng, ARRAY_LEN(words))]);
}

static struct json *make_time(struct maker *m, bool micro)
{
	char text[TIME_TEXT_MAX];
	int64_t ns = (int64_t)(1 + rng_below(&m->rng, 2000000000)) * NS_PER_S;

	if (!micro)
		return json_new_str(&m->a, time_format(ns, text));
	ns += (int64_t)rng_below(&m->rng, 1000000) * 1000;
	return json_new_str(&m->a, time_format_micro(ns, text));
}

static struct json *make_any(struct maker *m, const struct schema *s, int depth)
{
	const struct schema *member;
	enum proto_union kind = proto_union_of(s, &member);
	struct json *list;

	if (kind == PROTO_PLAIN)
		return json_build(&m->a, "{s:s,s:[i,n],s:{}}", "any", "thing", "l", 0, "e");
	if (depth > 1 && rng_below(&m->rng, 2))
		return make(m, member, depth - 1);
	if (kind == PROTO_SCHEMA_OR_BOOL)
		return json_new_bool(&m->a, rng_below(&m->rng, 2) != 0);
	list = json_new(&m->a, JSON_ARRAY);
	if (kind == PROTO_SCHEMA_OR_STRINGS)
		json_append_str(&m->a, list, STR("x"));
	else
		json_append(&m->a, list, json_build(&m->a, "{s:s}", "type", "string"));
	return list;
}

static struct json *make_object(struct maker *m, const struct schema *s, int depth)
{
	struct json *o = json_new(&m->a, JSON_OBJECT);

	for (size_t i = 0; i < s->nfields; i++) {
		const struct schema_field *f = &s->fields[i];

		if (!f->proto || !depth || rng_below(&m->rng, 3) == 0 || m->room-- <= 0)
			continue;
		json_set(&m->a, o, str_c(f->name), make(m, f->type, depth - 1));
	}
	return o;
}

static struct json *make_many(struct maker *m, const struct schema *s, int depth)
{
	struct json *v = json_new(&m->a, s->type == SCHEMA_MAP ? JSON_OBJECT : JSON_ARRAY);

	for (uint64_t n = 1 + rng_below(&m->rng, 3); n; n--) {
		struct json *item = make(m, s->item, depth);
		if (s->type == SCHEMA_ARRAY)
			json_append(&m->a, v, item);
		else
			json_set(&m->a, v, arena_strf(&m->a, "k%d", (int)n), item);
	}
	return v;
}

static struct json *make_bytes(struct maker *m)
{
	AUTO(buf) struct buf text = {0};

	base64_encode(word(m), &text);
	return json_new_str(&m->a, buf_view(&text));
}

static struct json *make(struct maker *m, const struct schema *s, int depth)
{
	int64_t n = (int64_t)(1 + rng_below(&m->rng, 2147483000));

	switch (s->type) {
	case SCHEMA_STRING:
		return json_new_str(&m->a, word(m));
	case SCHEMA_INT:
		return json_new_int(&m->a, rng_below(&m->rng, 4) ? n : -n);
	case SCHEMA_NUMBER:
		return json_parse(&m->a, rng_below(&m->rng, 2) ? STR("0.1") : STR("-1.5e+20"), NULL,
				  NULL);
	case SCHEMA_BOOL:
		return json_new_bool(&m->a, true);
	case SCHEMA_OBJECT:
		return make_object(m, s, depth);
	case SCHEMA_MAP:
	case SCHEMA_ARRAY:
		return make_many(m, s, depth);
	case SCHEMA_INT_OR_STRING:
		return rng_below(&m->rng, 2) ? json_new_int(&m->a, n)
					     : json_new_str(&m->a, STR("50%"));
	case SCHEMA_QUANTITY:
		return json_new_str(&m->a, STR("1500m"));
	case SCHEMA_TIME:
	case SCHEMA_MICRO_TIME:
		return make_time(m, s->type == SCHEMA_MICRO_TIME);
	case SCHEMA_DURATION:
		return json_new_str(&m->a, STR("1m30s"));
	case SCHEMA_BYTES:
		return make_bytes(m);
	case SCHEMA_ANY:
		break;
	}
	return make_any(m, s, depth);
}

static void assert_same(const struct json *want, const struct json *got, const char *name)
{
	AUTO(buf) struct buf x = {0};
	AUTO(buf) struct buf y = {0};

	json_write_sorted(want, &x);
	json_write_sorted(got, &y);
	if (!str_eq(buf_view(&x), buf_view(&y)))
		fail_msg("%s\n%s\n%s", name, buf_cstr(&x), buf_cstr(&y));
}

/* The type's apiVersion: kinds say so in their full name, "io.k8s.api.apps.v1.Deployment". */
static struct json *typed(struct maker *m, const struct schema *s)
{
	static const char *const versions[] = {
		"v1",
		"apps/v1",
		"batch/v1",
		"autoscaling/v1",
		"autoscaling/v2",
		"policy/v1",
		"rbac.authorization.k8s.io/v1",
		"networking.k8s.io/v1",
		"storage.k8s.io/v1",
		"scheduling.k8s.io/v1",
		"coordination.k8s.io/v1",
		"discovery.k8s.io/v1",
		"events.k8s.io/v1",
		"node.k8s.io/v1",
		"certificates.k8s.io/v1",
		"authentication.k8s.io/v1",
		"authorization.k8s.io/v1",
		"admissionregistration.k8s.io/v1",
		"apiregistration.k8s.io/v1",
		"apiextensions.k8s.io/v1",
		"flowcontrol.apiserver.k8s.io/v1",
	};
	const char *kind = strrchr(s->name, '.');

	for (size_t i = 0; kind && i < ARRAY_LEN(versions); i++) {
		if (schema_find_kind(str_c(versions[i]), str_c(kind + 1)) != s)
			continue;
		struct json *o = make_object(m, s, DEPTH);
		json_del(o, STR("kind"));
		json_del(o, STR("apiVersion"));
		json_set_str(&m->a, o, "kind", str_c(kind + 1));
		json_set_str(&m->a, o, "apiVersion", str_c(versions[i]));
		return o;
	}
	return NULL;
}

void test_proto_write__what_is_written_is_read_again(void **state)
{
	const struct schema *s;
	size_t kinds = 0;

	(void)state;
	for (size_t i = 0; (s = schema_nth(i)); i++) {
		for (uint64_t seed = 1; seed <= 20; seed++) {
			struct maker m = {.room = 400};
			AUTO(buf) struct buf out = {0};
			struct err err = {0};
			rng_seed(&m.rng, seed * 1000 + i);
			struct json *o = s->type == SCHEMA_OBJECT ? typed(&m, s) : NULL;
			if (!o) {
				arena_release(&m.a);
				break;
			}
			kinds += seed == 1;
			if (proto_encode(o, &out, &err))
				fail_msg("%s: %s", s->name, err.msg);
			struct json *back = proto_decode(&m.a, buf_view(&out), &err);
			if (!back)
				fail_msg("%s: %s", s->name, err.msg);
			assert_same(o, back, s->name);
			arena_release(&m.a);
		}
	}
	assert_true(kinds > 60);
}

void test_proto_write__the_bytes(void **state)
{
	static const char text[] =
		"{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\","
		"\"creationTimestamp\":null},\"spec\":{\"volumes\":[{\"name\":\"d\",\"emptyDir\":{}"
		"}]},\"unknown\":1}";
	static const char want[] = "k8s\0"
				   "\x0a\x09\x0a\x02v1\x12\x03Pod"
				   "\x12\x10\x0a\x03\x0a\x01x"
				   "\x12\x09\x0a\x07\x0a\x01"
				   "d\x12\x02\x12\x00"
				   "\x1a\x00\x22";
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_int_equal(proto_encode(json_parse(&a, str_c(text), NULL, NULL), &out, NULL), 0);
	assert_int_equal(out.n, sizeof(want)); /* it ends in a zero */
	assert_memory_equal(out.p, want, sizeof(want));
}

void test_proto_write__lists_and_events(void **state)
{
	static const char list[] = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
				   "\"resourceVersion\":\"7\","
				   "\"remainingItemCount\":3},\"items\":[{\"metadata\":{\"name\":"
				   "\"a\"}},{\"metadata\":"
				   "{\"name\":\"b\"}}]}";
	static const char event[] =
		"{\"type\":\"ADDED\",\"object\":{\"kind\":\"Pod\",\"apiVersion\":"
		"\"v1\",\"metadata\":{\"name\":\"a\"}}}";
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct reader r = {.a = &a};
	struct raw body, meta, item, f;

	(void)state;
	assert_int_equal(proto_encode(json_parse(&a, str_c(list), NULL, NULL), &out, NULL), 0);
	struct str in = str_sub(buf_view(&out), 4, out.n);
	assert_int_equal(proto_pick(&r, in, 2, &body), 0);
	in = body.bytes;
	assert_int_equal(proto_take_field(&r, &in, &meta), 1);
	assert_int_equal(meta.number, 1);
	assert_int_equal(proto_pick(&r, meta.bytes, 2, &f), 0);
	assert_true(str_is(f.bytes, "7"));
	assert_int_equal(proto_pick(&r, meta.bytes, 4, &f), 0);
	assert_int_equal(f.n, 3);
	assert_int_equal(proto_take_field(&r, &in, &item), 1);
	assert_int_equal(proto_take_field(&r, &in, &item), 1);
	assert_int_equal(item.number, 2);
	assert_true(str_ends(item.bytes, STR("\x0a\x03\x0a\x01"
					     "b")));
	assert_int_equal(proto_take_field(&r, &in, &item), 0);
	buf_reset(&out);
	assert_int_equal(proto_encode_event(json_parse(&a, str_c(event), NULL, NULL), &out, NULL),
			 0);
	assert_int_equal(((unsigned char)out.p[2] << 8) + (unsigned char)out.p[3], out.n - 4);
	in = str_sub(buf_view(&out), 4, out.n);
	assert_int_equal(proto_pick(&r, in, 1, &f), 0);
	assert_true(str_is(f.bytes, "ADDED"));
	assert_int_equal(proto_pick(&r, in, 2, &f), 0);
	assert_int_equal(proto_pick(&r, f.bytes, 1, &f), 0);
	assert_true(str_is(json_str(json_at(proto_decode(&a, f.bytes, NULL), "metadata", "name")),
			   "a"));
}

void test_proto_write__what_has_no_such_form(void **state)
{
	static const char *const bad[] = {
		"{\"kind\":\"Widget\",\"apiVersion\":\"x.io/v1\"}",
		"{\"kind\":\"WidgetList\",\"apiVersion\":\"x.io/v1\",\"items\":[]}",
		"{\"kind\":\"DriftReport\",\"apiVersion\":\"plumb.dev/v1alpha1\"}",
		"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\"}",
		"[]",
		"7"};
	AUTO(arena) struct arena a = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(buf) struct buf out = {0};
		struct err err = {0};
		assert_int_equal(
			proto_encode(json_parse(&a, str_c(bad[i]), NULL, NULL), &out, &err), -1);
		assert_int_equal(err.code, ERR_NOT_ACCEPTABLE);
		assert_int_equal(out.n, 0);
	}
}
