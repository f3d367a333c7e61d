/* What people and accidents do to the cluster, one deed at a time. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/world.h"

#define REPLICAS_MAX 5 /* three Deployments of that with surge fit on three nodes of eight pods */

/* ---- deployments ---- */

static void apply_deployment(struct world *w, int d)
{
	AUTO(buf) struct buf body = {0};
	int64_t replicas = (int64_t)rng_below(&w->rng, REPLICAS_MAX + 1),
		surge = (int64_t)rng_below(&w->rng, 3);
	int64_t unavailable = surge ? (int64_t)rng_below(&w->rng, 2) : 1;
	unsigned image = (unsigned)rng_below(&w->rng, 3);
	char name[4];
	AUTO(buf) struct buf answer = {0};
	int status;

	snprintf(name, sizeof(name), "d%d", d);
	buf_printf(&body,
		   "{\"apiVersion\":\"apps/"
		   "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
		   "\"default\"},\"spec\":{"
		   "\"replicas\":%lld,\"selector\":{\"matchLabels\":{\"app\":\"%s\"}},\"strategy\":"
		   "{\"type\":\"RollingUpdate\","
		   "\"rollingUpdate\":{\"maxSurge\":%lld,\"maxUnavailable\":%lld}},\"template\":{"
		   "\"metadata\":{\"labels\":{\"app\":\"%s\"}},"
		   "\"spec\":{\"terminationGracePeriodSeconds\":2,\"containers\":[{\"name\":\"c\","
		   "\"image\":\"x:%u\",\"resources\":{"
		   "\"requests\":{\"cpu\":\"500m\",\"memory\":\"64Mi\"}}}]}}}}",
		   name, (long long)replicas, name, (long long)surge, (long long)unavailable, name,
		   image);
	invariants_asked(w, d, replicas, surge, unavailable);
	status = world_ask(w, CORE_PATCH, &res_deployments, "default", name, NULL,
			   "application/apply-patch+yaml", buf_view(&body), &answer);
	world_say(w, "apply %s: %lld replicas, image %u, surge %lld, unavailable %lld: %d", name,
		  (long long)replicas, image, (long long)surge, (long long)unavailable, status);
	if (status / 100 != 2)
		world_wrong(w, "apply %s: %s", name, buf_cstr(&answer));
}

static void delete_deployment(struct world *w, int d)
{
	char name[4];

	snprintf(name, sizeof(name), "d%d", d);
	invariants_excuse(w);
	invariants_leftovers(w, d);
	world_say(w, "delete %s: %d", name,
		  world_ask(w, CORE_DELETE, &res_deployments, "default", name, NULL,
			    "application/json", STR_NONE, NULL));
}

/* ---- pods and nodes ---- */

struct picking {
	struct world *w;
	char name[80];
	unsigned seen;
};

static void pick(void *arg, const struct obj *o)
{
	struct picking *p = arg;

	if (!rng_below(&p->w->rng, ++p->seen))
		snprintf(p->name, sizeof(p->name), "%.*s", STR_ARG(o->name));
}

static void delete_pod(struct world *w)
{
	struct picking p = {.w = w};

	core_each(w->core, core_kind_find(w->core, STR(""), STR("v1"), STR("pods")), pick, &p);
	if (!p.seen)
		return;
	invariants_excuse(w);
	world_say(w, "delete pod %s: %d", p.name,
		  world_ask(w, CORE_DELETE, &res_pods, "default", p.name, NULL, "application/json",
			    STR_NONE, NULL));
}

static void remove_node(struct world *w, int n)
{
	char name[16];

	if (!w->kubelets[n])
		return;
	snprintf(name, sizeof(name), "node-%d", n);
	invariants_excuse(w);
	kubelet_kill(w->kubelets[n]);
	w->kubelets[n] = NULL;
	world_say(w, "delete %s: %d", name,
		  world_ask(w, CORE_DELETE, &res_nodes, NULL, name, NULL, "application/json",
			    STR_NONE, NULL));
}

static void restart_kubelet(struct world *w, int n)
{
	kubelet_kill(w->kubelets[n]);
	w->kubelets[n] = kubelet_new(w, n);
}

static void toggle_controllers(struct world *w)
{
	if (w->controllers)
		world_stop_controllers(w);
	else
		world_start_controllers(w);
}

static void toggle_scheduler(struct world *w)
{
	if (w->scheduler)
		world_stop_scheduler(w);
	else
		world_start_scheduler(w);
}

/* ---- mistakes that must be found ---- */

static void plant_over_capacity(struct world *w)
{
	static const char binding[] = "{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{},"
				      "\"target\":{\"kind\":\"Node\",\"name\":\"node-0\"}}";

	for (int i = 0; i < 9; i++) {
		AUTO(buf) struct buf body = {0};
		char name[16];

		snprintf(name, sizeof(name), "extra-%d", i);
		buf_printf(&body,
			   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"%s\"},"
			   "\"spec\":{\"schedulerName\":\"none\","
			   "\"containers\":[{\"name\":\"c\",\"image\":\"x\",\"resources\":{"
			   "\"requests\":{\"cpu\":\"500m\"}}}]}}",
			   name);
		(void)world_ask(w, CORE_CREATE, &res_pods, "default", NULL, NULL,
				"application/json", buf_view(&body), NULL);
		if (world_ask(w, CORE_CREATE, &res_pods, "default", name, "binding",
			      "application/json", str_c(binding), NULL) == 201)
			w->planted = true;
	}
}

static void plant_over_surge(struct world *w)
{
	for (int i = 0; i < REPLICAS_MAX + 4; i++) {
		AUTO(buf) struct buf body = {0};

		buf_printf(&body,
			   "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"twin-%"
			   "d\",\"labels\":{\"app\":\"d0\"}},\"spec\":{"
			   "\"schedulerName\":\"none\",\"containers\":[{\"name\":\"c\",\"image\":"
			   "\"x\"}]}}",
			   i);
		if (world_ask(w, CORE_CREATE, &res_pods, "default", NULL, NULL, "application/json",
			      buf_view(&body), NULL) == 201)
			w->planted = true;
	}
}

static void plant(struct world *w)
{
	if (!w->plant || w->planted)
		return;
	if (!strcmp(w->plant, "over-capacity"))
		plant_over_capacity(w);
	else if (!strcmp(w->plant, "over-surge"))
		plant_over_surge(w);
}

/* ---- */

void workload_step(struct world *w)
{
	int d = (int)rng_below(&w->rng, DEPLOYMENTS_MAX), n = (int)rng_below(&w->rng, NODES_MAX);
	uint64_t dice = rng_below(&w->rng, 100);

	plant(w);
	if (dice < 45)
		apply_deployment(w, d);
	else if (dice < 50)
		delete_deployment(w, d);
	else if (dice < 60)
		delete_pod(w);
	else if (dice < 72)
		toggle_controllers(w);
	else if (dice < 82)
		toggle_scheduler(w);
	else if (dice < 92)
		restart_kubelet(w, n);
	else if (dice < 96)
		remove_node(w, n);
	else
		world_reboot(w);
}

void workload_settle(struct world *w)
{
	world_say(w, "the storm is over");
	w->faults = false;
	world_start_controllers(w);
	world_start_scheduler(w);
	for (int i = 0; i < NODES_MAX; i++)
		if (!w->kubelets[i])
			w->kubelets[i] = kubelet_new(w, i);
}
