/* Claims and volumes keep their finalizer while they are used, and lose it after. */
#include "fake.h"

extern const struct controller controller_pvcprotection, controller_pvprotection;

#define PVC "kubernetes.io/pvc-protection"
#define PV "kubernetes.io/pv-protection"

static bool protected(struct fake *f, const struct resource *r, const char *ns, const char *name,
		      const char *finalizer)
{
	const struct json *list = json_at(fake_get(f, r, ns, name), "metadata", "finalizers");

	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_item(list, i)), finalizer))
			return true;
	return false;
}

static void add_pod(struct fake *f, const char *node, const char *volume)
{
	fake_add(f, &res_pods,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':"
			      "'a'},'spec':{%s'volumes':[{'name':'v',%s}]}}",
			      node, volume));
}

static void add_claim(struct fake *f, const char *name, const char *more)
{
	fake_add(f, &res_persistentvolumeclaims,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{"
			      "'name':'%s','namespace':'a'%s}}",
			      name, more));
}

#define DYING ",'deletionTimestamp':'2030-01-01T00:00:00Z','finalizers':['x/y','" PVC "']"

void test_protection__a_claim_in_use_stays(void **state)
{
	struct fake *f = fake_new(&controller_pvcprotection);

	(void)state;
	add_claim(f, "c", DYING);
	add_pod(f, "'nodeName':'n1',", "'persistentVolumeClaim':{'claimName':'c'}");
	fake_run(f, "a", "c");
	assert_true(protected(f, &res_persistentvolumeclaims, "a", "c", PVC));
	fake_remove(f, fake_find(f, &res_pods, STR("a"), STR("p")));
	fake_run(f, "a", "c");
	assert_false(protected(f, &res_persistentvolumeclaims, "a", "c", PVC));
	assert_true(protected(f, &res_persistentvolumeclaims, "a", "c", "x/y"));
	fake_free(f);
}

void test_protection__an_ephemeral_volume_uses_its_claim(void **state)
{
	struct fake *f = fake_new(&controller_pvcprotection);

	(void)state;
	add_claim(f, "p-v", DYING);
	add_pod(f, "'nodeName':'n1',", "'ephemeral':{}");
	fake_run(f, "a", "p-v");
	assert_true(protected(f, &res_persistentvolumeclaims, "a", "p-v", PVC));
	fake_free(f);
}

void test_protection__a_pod_without_a_node_uses_nothing(void **state)
{
	struct fake *f = fake_new(&controller_pvcprotection);

	(void)state;
	add_claim(f, "c", DYING);
	add_pod(f, "", "'persistentVolumeClaim':{'claimName':'c'}");
	fake_run(f, "a", "c");
	assert_false(protected(f, &res_persistentvolumeclaims, "a", "c", PVC));
	fake_free(f);
}

void test_protection__old_claims_are_protected_too(void **state)
{
	struct fake *f = fake_new(&controller_pvcprotection);

	(void)state;
	add_claim(f, "c", "");
	fake_run(f, "a", "c");
	assert_true(protected(f, &res_persistentvolumeclaims, "a", "c", PVC));
	fake_free(f);
}

void test_protection__a_bound_volume_stays(void **state)
{
	struct fake *f = fake_new(&controller_pvprotection);

	(void)state;
	fake_add(f, &res_persistentvolumes,
		 "{'apiVersion':'v1','kind':'PersistentVolume','metadata':{'name':'v',"
		 "'deletionTimestamp':'2030-01-01T00:00:00Z','finalizers':['x/y','" PV
		 "']},'status':{'phase':'Bound'}}");
	fake_run(f, NULL, "v");
	assert_true(protected(f, &res_persistentvolumes, NULL, "v", PV));
	fake_merge(f, &res_persistentvolumes, NULL, "v", "{'status':{'phase':'Released'}}");
	fake_run(f, NULL, "v");
	assert_false(protected(f, &res_persistentvolumes, NULL, "v", PV));
	fake_free(f);
}
