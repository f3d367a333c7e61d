/* Tables: column definitions, rows of kinds with and without a row function, what goes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/table.h"
#include "lib/base/timefmt.h"

#define NOW (INT64_C(1700000000) * NS_PER_S)

static struct arena a;

static const struct kind *find(const char *plural)
{
	for (size_t i = 0; kind_registry[i]; i++)
		if (!strcmp(kind_registry[i]->plural, plural))
			return kind_registry[i];
	fail_msg("no %s", plural);
	return NULL;
}

static struct json *parsed(struct str text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, arena_str(&a, text), NULL, &err);

	if (!v)
		fail_msg("%.*s: %s", STR_ARG(text), err.msg);
	return v;
}

static struct json *row(const struct kind *k, const char *object, const char *include)
{
	AUTO(buf) struct buf out = {0};

	table_row(k, parsed(str_c(object)), str_c(include), NOW, &out);
	return parsed(buf_view(&out));
}

static const char *cell(const struct json *r, size_t i)
{
	return arena_cstr(&a, json_str_or(json_item(json_get(r, STR("cells")), i), STR("?")));
}

#define LEASE                                                                                      \
	"{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":"    \
	"\"l\",\"creationTimestamp\":\"2023-11-14T22:12:20Z\"},\"spec\":{\"holderIdentity\":"      \
	"\"me\"}}"

void test_table__columns_are_complete(void **state)
{
	AUTO(buf) struct buf out = {0};

	(void)state;
	table_columns(find("pods"), &out);
	struct json *v = parsed(buf_view(&out));
	assert_true(json_len(v) > 5);
	for (size_t i = 0; i < json_len(v); i++) {
		const struct json *c = json_item(v, i);
		assert_true(json_str(json_get(c, STR("name"))).n > 0);
		assert_true(json_str(json_get(c, STR("type"))).n > 0);
		assert_true(json_is(json_get(c, STR("format")), JSON_STRING));
		assert_true(json_is(json_get(c, STR("priority")), JSON_INT));
	}
	assert_true(str_is(json_str(json_get(json_item(v, 0), STR("format"))), "name"));
	arena_release(&a);
}

void test_table__a_row_has_cells_and_what_was_asked_for(void **state)
{
	struct json *r = row(find("leases"), LEASE, "Metadata");

	(void)state;
	assert_string_equal(cell(r, 0), "l");
	assert_string_equal(cell(r, 1), "me");
	assert_string_equal(cell(r, 2), "60s");
	assert_true(str_is(json_str(json_at(r, "object", "kind")), "PartialObjectMetadata"));
	assert_true(str_is(json_str(json_at(r, "object", "metadata", "name")), "l"));
	assert_null(json_at(r, "object", "spec"));
	r = row(find("leases"), LEASE, "Object");
	assert_non_null(json_at(r, "object", "spec"));
	r = row(find("leases"), LEASE, "None");
	assert_true(json_is(json_get(r, STR("object")), JSON_NULL));
	arena_release(&a);
}

void test_table__columns_by_path(void **state)
{
	struct json *r = row(find("runtimeclasses"),
			     "{\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2023-11-14T22:"
			     "12:20Z\"},\"handler\":\"crun\"}",
			     "None");

	(void)state;
	assert_string_equal(cell(r, 0), "x");
	assert_string_equal(cell(r, 1), "crun");
	assert_string_equal(cell(r, 2), "60s");
	arena_release(&a);
}

void test_table__a_kind_without_columns_shows_name_and_time(void **state)
{
	struct kind plain = {.kind = "Thing", .plural = "things"};
	struct json *r = row(&plain,
			     "{\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2023-11-14T22:"
			     "12:20Z\"}}",
			     "None");
	AUTO(buf) struct buf out = {0};

	(void)state;
	table_columns(&plain, &out);
	assert_int_equal(json_len(parsed(buf_view(&out))), 2);
	assert_string_equal(cell(r, 0), "x");
	assert_string_equal(cell(r, 1), "2023-11-14T22:12:20Z");
	arena_release(&a);
}

void test_table__missing_members_leave_empty_cells(void **state)
{
	struct json *r = row(find("runtimeclasses"), "{}", "None");

	(void)state;
	assert_int_equal(json_len(json_get(r, STR("cells"))), 3);
	assert_true(json_is(json_item(json_get(r, STR("cells")), 1), JSON_NULL));
	arena_release(&a);
}
