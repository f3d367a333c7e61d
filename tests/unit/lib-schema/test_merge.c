/* Strategic merge patch: lists by key, lists of scalars, and every directive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/schema.h"

static struct arena a;

static struct json *parse(const char *text)
{
	struct err err = {0};
	struct json *v = json_parse(&a, str_c(text), NULL, &err);

	if (!v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static void same(const struct json *got, const char *want)
{
	AUTO(buf) struct buf x = {0};
	AUTO(buf) struct buf y = {0};

	json_write_sorted(got, &x);
	json_write_sorted(parse(want), &y);
	assert_string_equal(buf_cstr(&x), buf_cstr(&y));
}

/* Patches a PodSpec (its fields have all the strategies) and compares. */
static void patched(const char *type, const char *doc, const char *patch, const char *want)
{
	struct err err = {0};
	const struct json *before = parse(doc);
	struct json *v =
		schema_strategic_merge(&a, schema_find(str_c(type)), before, parse(patch), &err);

	if (!v)
		fail_msg("%s: %s", patch, err.msg);
	same(v, want);
	same(before, doc); /* the document stays */
}

#define POD "io.k8s.api.core.v1.PodSpec"
#define TWO "{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"y\"}]}"

void test_merge__objects_merge_and_null_removes(void **state)
{
	(void)state;
	patched(POD, "{\"nodeName\":\"n\",\"hostname\":\"h\"}",
		"{\"hostname\":null,\"subdomain\":\"s\"}",
		"{\"nodeName\":\"n\",\"subdomain\":\"s\"}");
	patched(POD, "{\"nodeSelector\":{\"a\":\"1\",\"b\":\"2\"}}",
		"{\"nodeSelector\":{\"a\":null,\"c\":\"3\"}}",
		"{\"nodeSelector\":{\"b\":\"2\",\"c\":\"3\"}}");
	arena_release(&a);
}

void test_merge__lists_merge_by_key(void **state)
{
	(void)state;
	patched(POD, TWO, "{\"containers\":[{\"name\":\"b\",\"image\":\"z\"}]}",
		"{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"z\"}"
		"]}");
	patched(POD, TWO, "{\"containers\":[{\"name\":\"c\",\"image\":\"w\"}]}",
		"{\"containers\":[{\"name\":\"c\",\"image\":\"w\"},{\"name\":\"a\",\"image\":\"x\"}"
		",{\"name\":\"b\",\"image\":\"y\"}]}");
	arena_release(&a);
}

/* The patch's order counts; what it doesn't name stands where it stood, after what is new. */
void test_merge__lists_take_the_patchs_order(void **state)
{
	(void)state;
	patched(POD, TWO, "{\"containers\":[{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"a\"}]}",
		"{\"containers\":[{\"name\":\"b\",\"image\":\"y\"},{\"name\":\"c\"},{\"name\":"
		"\"a\","
		"\"image\":\"x\"}]}");
	patched(POD, TWO, "{\"containers\":[{\"name\":\"b\"},{\"name\":\"c\"}]}",
		"{\"containers\":[{\"name\":\"a\",\"image\":\"x\"},{\"name\":\"b\",\"image\":\"y\"}"
		",{\"name\":\"c\"}]}");
	patched("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "{\"finalizers\":[\"a\",\"b\"]}",
		"{\"finalizers\":[\"c\"]}", "{\"finalizers\":[\"c\",\"a\",\"b\"]}");
	arena_release(&a);
}

static void refused(const char *doc, const char *patch)
{
	struct err err = {0};

	if (schema_strategic_merge(&a, schema_find(STR(POD)), parse(doc), parse(patch), &err))
		fail_msg("%s was taken", patch);
	assert_int_equal(err.code, ERR_BAD_REQUEST);
}

void test_merge__directives_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	refused("{\"affinity\":{}}", "{\"affinity\":{\"$patch\":\"merge\"}}");
	refused(TWO, "{\"containers\":[{\"name\":\"a\",\"$patch\":\"x\"}]}");
	refused(TWO, "{\"$retainKeys\":[\"containers\"],\"nodeName\":\"n\"}");
	refused(TWO, "{\"$retainKeys\":1}");
	refused(TWO,
		"{\"$setElementOrder/containers\":[{\"name\":\"a\"}],\"containers\":[{\"name\":"
		"\"b\"}]}");
	arena_release(&a);
}

void test_merge__an_object_that_is_deleted_by_directive_is_left_empty(void **state)
{
	(void)state;
	patched(POD, "{\"affinity\":{\"nodeAffinity\":{}}}",
		"{\"affinity\":{\"$patch\":\"delete\"}}", "{\"affinity\":{}}");
	arena_release(&a);
}

void test_merge__an_item_is_deleted_by_directive(void **state)
{
	(void)state;
	patched(POD, TWO, "{\"containers\":[{\"name\":\"a\",\"$patch\":\"delete\"}]}",
		"{\"containers\":[{\"name\":\"b\",\"image\":\"y\"}]}");
	patched(POD, TWO, "{\"containers\":[{\"name\":\"nobody\",\"$patch\":\"delete\"}]}", TWO);
	arena_release(&a);
}

void test_merge__a_list_is_replaced_by_directive(void **state)
{
	(void)state;
	patched(POD, TWO,
		"{\"containers\":[{\"name\":\"c\",\"image\":\"w\"},{\"$patch\":\"replace\"}]}",
		"{\"containers\":[{\"name\":\"c\",\"image\":\"w\"}]}");
	patched(POD, "{\"securityContext\":{\"runAsUser\":1,\"fsGroup\":2}}",
		"{\"securityContext\":{\"$patch\":\"replace\",\"fsGroup\":3}}",
		"{\"securityContext\":{\"fsGroup\":3}}");
	arena_release(&a);
}

void test_merge__atomic_lists_are_replaced(void **state)
{
	(void)state;
	patched(POD, "{\"tolerations\":[{\"key\":\"a\"}]}", "{\"tolerations\":[{\"key\":\"b\"}]}",
		"{\"tolerations\":[{\"key\":\"b\"}]}");
	arena_release(&a);
}

void test_merge__scalars_are_added_and_taken_out(void **state)
{
	(void)state;
	patched("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "{\"finalizers\":[\"a\",\"b\"]}",
		"{\"finalizers\":[\"b\",\"c\"]}", "{\"finalizers\":[\"a\",\"b\",\"c\"]}");
	patched("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "{\"finalizers\":[\"a\",\"b\"]}",
		"{\"$deleteFromPrimitiveList/finalizers\":[\"a\",\"z\"]}",
		"{\"finalizers\":[\"b\"]}");
	arena_release(&a);
}

void test_merge__order_is_set_by_directive(void **state)
{
	(void)state;
	patched(POD, TWO,
		"{\"$setElementOrder/containers\":[{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":"
		"\"a\"}],\"containers\":[{\"name\":\"c\",\"image\":\"w\"}]}",
		"{\"containers\":[{\"name\":\"b\",\"image\":\"y\"},{\"name\":\"c\",\"image\":\"w\"}"
		",{\"name\":\"a\",\"image\":\"x\"}]}");
	patched("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "{\"finalizers\":[\"a\",\"b\"]}",
		"{\"$setElementOrder/finalizers\":[\"b\",\"a\"]}",
		"{\"finalizers\":[\"b\",\"a\"]}");
	arena_release(&a);
}

void test_merge__retained_keys_push_out_the_others(void **state)
{
	(void)state;
	patched("io.k8s.api.apps.v1.DeploymentSpec",
		"{\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxSurge\":1}}}",
		"{\"strategy\":{\"$retainKeys\":[\"type\"],\"type\":\"Recreate\"}}",
		"{\"strategy\":{\"type\":\"Recreate\"}}");
	patched(POD, "{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}",
		"{\"volumes\":[{\"$retainKeys\":[\"name\",\"configMap\"],\"name\":\"v\","
		"\"configMap\":{\"name\":\"c\"}}]}",
		"{\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"c\"}}]}");
	arena_release(&a);
}

void test_merge__directives_never_stay_in_new_parts(void **state)
{
	(void)state;
	patched(POD, "{}",
		"{\"volumes\":[{\"$retainKeys\":[\"name\"],\"name\":\"v\"},{\"name\":\"gone\","
		"\"$patch\":\"delete\"}],\"securityContext\":{\"$patch\":\"replace\",\"fsGroup\":1}"
		",\"affinity\":{\"$patch\":\"delete\"}}",
		"{\"volumes\":[{\"name\":\"v\"}],\"securityContext\":{\"fsGroup\":1}}");
	arena_release(&a);
}

void test_merge__without_a_type_lists_are_replaced(void **state)
{
	struct err err = {0};

	(void)state;
	same(schema_strategic_merge(&a, NULL, parse(TWO),
				    parse("{\"containers\":[{\"name\":\"c\"}]}"), &err),
	     "{\"containers\":[{\"name\":\"c\"}]}");
	arena_release(&a);
}

void test_merge__an_item_without_its_key_is_an_error(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(schema_strategic_merge(&a, schema_find(STR(POD)), parse(TWO),
					   parse("{\"containers\":[{\"image\":\"z\"}]}"), &err));
	assert_int_equal(err.code, ERR_BAD_REQUEST);
	assert_null(
		schema_strategic_merge(&a, schema_find(STR(POD)), parse(TWO), parse("[]"), &err));
	arena_release(&a);
}
