/* What is read of an object without parsing all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/kube/obj.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* Past everything else, wherever it stands. */
void test_obj__controller_without_the_rest(void **state)
{
	static const char with[] =
		"{\"kind\":\"Pod\",\"spec\":{\"metadata\":{\"ownerReferences\":[{\"uid\":\"no\","
		"\"controller\":true}]},\"x\":\"}]\\\"{\"},\"metadata\":{\"name\":\"x\","
		"\"annotations\":{\"a\":\"\\\\\"},\"ownerReferences\":[{\"uid\":\"1\"},{\"uid\":"
		"\"2\",\"controller\":true}]}}";
	static const char *const without[] = {
		"{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}",
		"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":[{\"uid\":\"1\"}]}}",
		"{\"kind\":\"Pod\",\"metadata\":{\"ownerReferences\":null}}"};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct obj *o = obj_from_bytes(str_c(with), &err);

	(void)state;
	assert_non_null(o);
	assert_true(str_is(json_str(json_get(obj_controller(o, &a), STR("uid"))), "2"));
	obj_unref(o);
	for (size_t i = 0; i < ARRAY_LEN(without); i++) {
		o = obj_from_bytes(str_c(without[i]), &err);
		assert_non_null(o);
		assert_null(obj_controller(o, &a));
		obj_unref(o);
	}
}
