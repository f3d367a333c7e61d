/* All controllers together against a small API server on a virtual clock; the test plays kubelet.
 */
#include "miniapi.h"

#include "controllers/main.h"

#define DEPLOYMENT                                                                                 \
	"{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'web','namespace':'a'},"   \
	"'spec':{'replicas':3,'progressDeadlineSeconds':600,'revisionHistoryLimit':2,"             \
	"'selector':{'matchLabels':{'app':'web'}},'template':{'metadata':{'labels':"               \
	"{'app':'web'}},'spec':{'containers':[{'name':'c','image':'one',"                          \
	"'ports':[{'name':'http','containerPort':8080}]}]}}}}"
#define SERVICE                                                                                    \
	"{'apiVersion':'v1','kind':'Service','metadata':{'name':'web','namespace':'a'},"           \
	"'spec':{'selector':{'app':'web'},'ports':[{'port':80,'targetPort':'http'}]}}"
#define NAMESPACE                                                                                  \
	"{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'a'},"                           \
	"'spec':{'finalizers':['kubernetes']}}"

static bool synced;

static void on_synced(void *arg)
{
	(void)arg;
	synced = true;
}

static struct controllers *start(struct mini *m)
{
	struct controllers_opts o = {.seed = 1,
				     .cluster_cidr = "10.244.0.0/16",
				     .root_ca = STR("PEM"),
				     .synced = on_synced};
	struct err err = {0};
	struct controllers *c = controllers_start(&m->client, &o, &err);

	synced = false;
	assert_non_null(c);
	return c;
}

/* Every pod without an address gets one and becomes ready; finishes what is being deleted. */
static void play_kubelet(struct mini *m)
{
	static int ip;
	char patch[300];

	for (size_t i = 0; i < m->n; i++) {
		struct str name = meta_name(m->v[i].tree);

		if (m->v[i].r != &res_pods)
			continue;
		if (json_at(m->v[i].tree, "metadata", "deletionTimestamp")) {
			mini_drop(m, i--);
			continue;
		}
		if (json_at(m->v[i].tree, "status", "podIP"))
			continue;
		ip++;
		snprintf(patch, sizeof(patch),
			 "{'spec':{'nodeName':'n1'},'status':{'phase':'Running','podIP':"
			 "'10.244.0.%d','conditions':[{'type':'Ready','status':'True',"
			 "'lastTransitionTime':'2023-01-01T00:00:00Z'}]}}",
			 ip % 250);
		mini_merge(m, &res_pods, "a", arena_cstr(&m->arena, name), patch);
	}
}

static void live(struct mini *m, int seconds)
{
	for (int i = 0; i < seconds * 5; i++) {
		loop_advance(m->loop, NS_PER_S / 5);
		play_kubelet(m);
	}
}

static void stop(struct mini *m, struct controllers *c)
{
	controllers_stop(c);
	mini_free(m);
}

static struct mini *world(struct controllers **ret)
{
	struct mini *m = mini_new();

	m->graceful_pods = true;
	mini_add(m, &res_namespaces, NAMESPACE);
	mini_add(m, &res_nodes,
		 "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'},'spec':{},"
		 "'status':{'conditions':[{'type':'Ready','status':'True'}]}}");
	*ret = start(m);
	mini_add(m, &res_services, SERVICE);
	mini_add(m, &res_deployments, DEPLOYMENT);
	live(m, 5);
	assert_true(synced);
	return m;
}

static int64_t status_of(struct mini *m, const char *field)
{
	return json_int(json_at(mini_get(m, &res_deployments, "a", "web"), "status", field), 0);
}

static size_t endpoints(struct mini *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].r == &res_endpointslices)
			n += json_len(json_at(m->v[i].tree, "endpoints"));
	return n;
}

void test_controllers__a_deployment_comes_up_behind_its_service(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	assert_int_equal(mini_count(m, &res_pods), 3);
	assert_int_equal(status_of(m, "availableReplicas"), 3);
	assert_int_equal(endpoints(m), 3);
	assert_non_null(mini_get(m, &res_endpoints, "a", "web"));
	assert_non_null(mini_get(m, &res_serviceaccounts, "a", "default"));
	assert_non_null(mini_get(m, &res_configmaps, "a", "kube-root-ca.crt"));
	assert_true(
		str_is(json_str(json_at(mini_get(m, &res_nodes, NULL, "n1"), "spec", "podCIDR")),
		       "10.244.0.0/24"));
	stop(m, c);
}

void test_controllers__nothing_is_written_when_nothing_happens(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);
	size_t written;

	(void)state;
	live(m, 2);
	written = m->nlog;
	live(m, 20);
	assert_int_equal(m->nlog, written);
	assert_true(controllers_idle(c));
	stop(m, c);
}

/* An answer takes a millisecond: one after the other, 400 pods would take 400 of them. */
void test_controllers__many_pods_are_made_side_by_side(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	mini_merge(m, &res_deployments, "a", "web", "{'spec':{'replicas':400}}");
	loop_advance(m->loop, 150 * NS_PER_MS);
	assert_int_equal(mini_count(m, &res_pods), 400);
	live(m, 2);
	assert_int_equal(status_of(m, "availableReplicas"), 400);
	/* Nor do they go one by one. */
	mini_merge(m, &res_deployments, "a", "web", "{'spec':{'replicas':0}}");
	for (int i = 0; i < 3; i++) {
		loop_advance(m->loop, 50 * NS_PER_MS);
		play_kubelet(m);
	}
	assert_int_equal(mini_count(m, &res_pods), 0);
	stop(m, c);
}

/* … but where the first is refused, no crowd follows it. */
void test_controllers__who_is_refused_does_not_push(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	m->no_new_pods = true;
	mini_merge(m, &res_deployments, "a", "web", "{'spec':{'replicas':400}}");
	live(m, 1);
	assert_true(m->refused > 0 && m->refused < 20);
	m->no_new_pods = false;
	live(m, 20);
	assert_int_equal(status_of(m, "availableReplicas"), 400);
	stop(m, c);
}

void test_controllers__rolls_out_while_being_killed(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	mini_merge(m, &res_deployments, "a", "web",
		   "{'spec':{'template':{'spec':{'containers':[{'name':'c','image':'two'}]}}}}");
	for (int i = 0; i < 60; i++) {
		/* At every millisecond of the rollout once. */
		loop_advance(m->loop, (1 + i % 7) * NS_PER_MS);
		controllers_stop(c);
		c = start(m);
		loop_advance(m->loop, (20 + i) * NS_PER_MS);
		play_kubelet(m);
		assert_true(mini_count(m, &res_pods) <= 3 + 1 + 3);
	}
	live(m, 10);
	assert_int_equal(mini_count(m, &res_pods), 3);
	assert_int_equal(mini_count(m, &res_replicasets), 2);
	assert_int_equal(status_of(m, "updatedReplicas"), 3);
	assert_int_equal(status_of(m, "availableReplicas"), 3);
	assert_int_equal(endpoints(m), 3);
	stop(m, c);
}

void test_controllers__deleting_in_the_background_takes_all(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	mini_remove(m, &res_deployments, "a", "web", "Background");
	live(m, 5);
	assert_int_equal(mini_count(m, &res_replicasets), 0);
	assert_int_equal(mini_count(m, &res_pods), 0);
	mini_remove(m, &res_services, "a", "web", "Background");
	live(m, 2);
	assert_int_equal(mini_count(m, &res_endpointslices), 0);
	assert_int_equal(mini_count(m, &res_endpoints), 0);
	stop(m, c);
}

void test_controllers__deleting_in_the_foreground_ends_with_the_owner(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	mini_remove(m, &res_deployments, "a", "web", "Foreground");
	loop_advance(m->loop, NS_PER_S);
	/* The pods still end: so everything above them is still there. */
	assert_non_null(mini_get(m, &res_deployments, "a", "web"));
	assert_int_equal(mini_count(m, &res_replicasets), 1);
	assert_int_equal(mini_count(m, &res_pods), 3);
	live(m, 5);
	assert_int_equal(mini_count(m, &res_pods), 0);
	assert_int_equal(mini_count(m, &res_replicasets), 0);
	assert_null(mini_get(m, &res_deployments, "a", "web"));
	stop(m, c);
}

void test_controllers__orphans_stay(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	mini_remove(m, &res_deployments, "a", "web", "Orphan");
	live(m, 5);
	assert_null(mini_get(m, &res_deployments, "a", "web"));
	assert_int_equal(mini_count(m, &res_replicasets), 1);
	assert_int_equal(mini_count(m, &res_pods), 3);
	/* A Deployment of the same selector adopts them. */
	mini_add(m, &res_deployments, DEPLOYMENT);
	live(m, 5);
	assert_int_equal(mini_count(m, &res_replicasets), 1);
	assert_int_equal(status_of(m, "availableReplicas"), 3);
	stop(m, c);
}

void test_controllers__a_namespace_goes_with_all_that_is_in_it(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);

	(void)state;
	mini_add(m, &res_configmaps,
		 "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'a'}}");
	mini_remove(m, &res_namespaces, NULL, "a", "Background");
	assert_non_null(mini_get(m, &res_namespaces, NULL, "a"));
	live(m, 20);
	assert_null(mini_get(m, &res_namespaces, NULL, "a"));
	assert_int_equal(mini_count(m, &res_configmaps), 0);
	assert_int_equal(mini_count(m, &res_deployments), 0);
	assert_int_equal(mini_count(m, &res_pods), 0);
	assert_int_equal(mini_count(m, &res_services), 0);
	assert_non_null(mini_get(m, &res_nodes, NULL, "n1"));
	stop(m, c);
}

void test_controllers__what_cannot_be_deleted_is_said(void **state)
{
	struct controllers *c;
	struct mini *m = world(&c);
	const struct json *said;

	(void)state;
	mini_add(m, &res_configmaps,
		 "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'x','namespace':'a',"
		 "'finalizers':['example.com/hold']}}");
	mini_remove(m, &res_namespaces, NULL, "a", "Background");
	live(m, 10);
	said = condition_find(mini_get(m, &res_namespaces, NULL, "a"), "NamespaceContentRemaining");
	assert_true(str_is(json_str(json_at(said, "status")), "True"));
	assert_true(str_find(json_str(json_at(said, "message")), STR("configmaps")) >= 0);
	mini_merge(m, &res_configmaps, "a", "x", "{'metadata':{'finalizers':null}}");
	live(m, 5);
	assert_null(mini_get(m, &res_namespaces, NULL, "a"));
	stop(m, c);
}

void test_controllers__a_bad_pod_network_is_refused(void **state)
{
	static const char *const bad[] = {"10.244.0.0",      "10.244.0.0/30", "10.244.0/16",
					  "10.244.0.256/16", "x/16",          "10.1.2.3.4/16"};
	struct mini *m = mini_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct controllers_opts o = {.cluster_cidr = bad[i]};
		struct err err = {0};

		assert_null(controllers_start(&m->client, &o, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
	mini_free(m);
}
