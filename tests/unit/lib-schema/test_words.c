/* Descriptions: what people explain most has them, in sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/schema/schema.h"

static const struct schema *below(const struct schema *s)
{
	while (s->item)
		s = s->item;
	return s;
}

static void all_described(const struct schema *s, int depth)
{
	if (!s->description)
		fail_msg("nothing is said of %s", s->name);
	for (size_t i = 0; i < s->nfields; i++) {
		const struct schema *t = below(s->fields[i].type);

		if (!s->fields[i].description)
			fail_msg("nothing is said of %s.%s", s->name, s->fields[i].name);
		if (depth && t->name && t->nfields && strcmp(s->fields[i].name, "metadata"))
			all_described(t, depth - 1);
	}
}

void test_words__what_people_explain_most_is_described(void **state)
{
	static const struct {
		const char *api, *kind;
		int depth; /* levels of types below the kind itself */
	} kinds[] = {
		{"v1", "ConfigMap", 0},
		{"v1", "Secret", 0},
		{"v1", "Namespace", 2},
		{"v1", "ServiceAccount", 1},
		{"v1", "Service", 3},
		{"v1", "Event", 1},
		{"v1", "LimitRange", 3},
		{"v1", "ResourceQuota", 3},
		{"v1", "PersistentVolumeClaim", 1},
		{"v1", "PersistentVolume", 1},
		{"apps/v1", "Deployment", 1},
		{"apps/v1", "ReplicaSet", 1},
		{"apps/v1", "StatefulSet", 1},
		{"apps/v1", "DaemonSet", 1},
		{"batch/v1", "Job", 1},
		{"batch/v1", "CronJob", 1},
		{"autoscaling/v2", "HorizontalPodAutoscaler", 4},
		{"policy/v1", "PodDisruptionBudget", 2},
		{"scheduling.k8s.io/v1", "PriorityClass", 0},
		{"coordination.k8s.io/v1", "Lease", 1},
		{"discovery.k8s.io/v1", "EndpointSlice", 3},
		{"networking.k8s.io/v1", "Ingress", 4},
		{"networking.k8s.io/v1", "NetworkPolicy", 4},
		{"rbac.authorization.k8s.io/v1", "ClusterRole", 2},
		{"rbac.authorization.k8s.io/v1", "RoleBinding", 2},
		{"storage.k8s.io/v1", "StorageClass", 2},
		{"apiextensions.k8s.io/v1", "CustomResourceDefinition", 1},
		{"source.toolkit.fluxcd.io/v1", "GitRepository", 2},
		{"kustomize.toolkit.fluxcd.io/v1", "Kustomization", 2},
		{"bitnami.com/v1alpha1", "SealedSecret", 1},
		{"plumb.dev/v1", "SealedSecret", 2},
		{"plumb.dev/v1", "DriftReport", 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct schema *s =
			schema_find_kind(str_c(kinds[i].api), str_c(kinds[i].kind));

		if (!s)
			fail_msg("no %s %s", kinds[i].api, kinds[i].kind);
		all_described(s, kinds[i].depth);
	}
}

void test_words__pods_are_described_down_to_their_probes(void **state)
{
	static const char *const names[] = {"PodSpec",
					    "PodStatus",
					    "Container",
					    "EphemeralContainer",
					    "ContainerStatus",
					    "ContainerStateTerminated",
					    "Probe",
					    "HTTPGetAction",
					    "ResourceRequirements",
					    "SecurityContext",
					    "PodSecurityContext",
					    "Volume",
					    "VolumeMount",
					    "EnvVar",
					    "EnvVarSource",
					    "EnvFromSource",
					    "ConfigMapVolumeSource",
					    "SecretVolumeSource",
					    "EmptyDirVolumeSource",
					    "HostPathVolumeSource",
					    "ProjectedVolumeSource",
					    "NodeAffinity",
					    "PodAffinityTerm",
					    "Toleration",
					    "Taint",
					    "TopologySpreadConstraint",
					    "NodeSpec",
					    "NodeStatus",
					    "NodeSystemInfo"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char full[80];
		const struct schema *s;

		snprintf(full, sizeof(full), "io.k8s.api.core.v1.%s", names[i]);
		s = schema_find(str_c(full));
		assert_non_null(s);
		all_described(s, 0);
	}
}

static void is_sentence(const char *type, const char *field, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (text && (n < 8 || text[n - 1] != '.' || text[0] == ' '))
		fail_msg("%s.%s: \"%s\" is no sentence", type, field, text);
}

void test_words__every_description_is_a_sentence(void **state)
{
	const struct schema *s;

	(void)state;
	for (size_t n = 0; (s = schema_nth(n)); n++) {
		is_sentence(s->name, "", s->description);
		for (size_t i = 0; i < s->nfields; i++)
			is_sentence(s->name, s->fields[i].name, s->fields[i].description);
	}
}

void test_words__a_type_of_another_version_says_the_same(void **state)
{
	static const char *const path[] = {"spec", "jobTemplate", NULL};
	const struct schema *now = schema_find_kind(STR("batch/v1"), STR("CronJob")),
			    *old = schema_find_kind(STR("batch/v1beta1"), STR("CronJob"));

	(void)state;
	assert_string_equal(schema_at(now, path)->description, schema_at(old, path)->description);
}
