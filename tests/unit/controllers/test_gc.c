/* What garbage collection decides. */
#include "fake.h"

#include "controllers/gc_core.h"

static const struct json *object(struct fake *f, const char *finalizers)
{
	return fake_json(f, arena_printf(&f->arena,
					 "{'metadata':{'name':'o','uid':'u','resourceVersion':'7',"
					 "'finalizers':[%s],'ownerReferences':["
					 "{'uid':'a','name':'x','blockOwnerDeletion':true},"
					 "{'uid':'b','name':'y'}]}}",
					 finalizers));
}

void test_gc__decides_by_what_became_of_the_owners(void **state)
{
	static const struct {
		enum gc_owner a, b;
		bool dependents;
		const char *finalizers;
		enum gc_action action;
		const char *propagation;
	} cases[] = {
		{GC_OWNER_SOLID, GC_OWNER_SOLID, false, "", GC_NOTHING, NULL},
		{GC_OWNER_SOLID, GC_OWNER_ABSENT, true, "", GC_DROP_OWNERS, NULL},
		{GC_OWNER_WAITING, GC_OWNER_SOLID, true, "", GC_DROP_OWNERS, NULL},
		{GC_OWNER_ABSENT, GC_OWNER_ABSENT, true, "", GC_DELETE, "Background"},
		{GC_OWNER_WAITING, GC_OWNER_ABSENT, true, "", GC_DELETE, "Foreground"},
		{GC_OWNER_WAITING, GC_OWNER_WAITING, false, "", GC_DELETE, "Background"},
		{GC_OWNER_ABSENT, GC_OWNER_ABSENT, true, "'orphan'", GC_DELETE, "Orphan"},
		{GC_OWNER_ABSENT, GC_OWNER_ABSENT, false, "'foregroundDeletion'", GC_DELETE,
		 "Foreground"},
	};
	struct fake *f = fake_new(NULL);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const enum gc_owner owners[] = {cases[i].a, cases[i].b};
		struct gc_decision d = gc_decide(&f->arena, object(f, cases[i].finalizers), owners,
						 cases[i].dependents);

		assert_int_equal(d.action, cases[i].action);
		if (cases[i].propagation)
			assert_string_equal(d.propagation, cases[i].propagation);
		if (d.action == GC_DROP_OWNERS)
			assert_int_equal(json_len(d.owners), 1);
	}
	fake_free(f);
}

void test_gc__an_owner_of_another_uid_is_absent(void **state)
{
	struct fake *f = fake_new(NULL);
	const struct json *there = fake_json(f, "{'metadata':{'uid':'a'}}");
	const struct json *waiting =
		fake_json(f, "{'metadata':{'uid':'a','deletionTimestamp':'2023-01-01T00:00:00Z',"
			     "'finalizers':['foregroundDeletion']}}");
	const struct json *going =
		fake_json(f, "{'metadata':{'uid':'a','deletionTimestamp':'2023-01-01T00:00:00Z'}}");

	(void)state;
	assert_int_equal(gc_owner_state(there, STR("a")), GC_OWNER_SOLID);
	assert_int_equal(gc_owner_state(there, STR("b")), GC_OWNER_ABSENT);
	assert_int_equal(gc_owner_state(NULL, STR("a")), GC_OWNER_ABSENT);
	assert_int_equal(gc_owner_state(waiting, STR("a")), GC_OWNER_WAITING);
	assert_int_equal(gc_owner_state(going, STR("a")), GC_OWNER_SOLID);
	fake_free(f);
}

void test_gc__lists_without(void **state)
{
	struct fake *f = fake_new(NULL);
	const struct json *o = object(f, "'x','orphan','y'"), *patch;

	(void)state;
	assert_true(gc_blocks(o, STR("a")));
	assert_false(gc_blocks(o, STR("b")));
	assert_false(gc_blocks(o, STR("c")));
	assert_null(gc_owners_without(&f->arena, o, STR("c")));
	assert_int_equal(json_len(gc_owners_without(&f->arena, o, STR("a"))), 1);
	patch = gc_patch(&f->arena, o, "finalizers", gc_finalizers_without(&f->arena, o, "orphan"));
	assert_int_equal(json_len(json_at(patch, "metadata", "finalizers")), 2);
	assert_str(json_str(json_at(patch, "metadata", "resourceVersion")), "7");
	assert_str(json_str(json_at(patch, "metadata", "uid")), "u");
	fake_free(f);
}
