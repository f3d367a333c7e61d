/* Building, running and tearing down the simulated cluster. */
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN (INT64_C(1767225600) * NS_PER_S) /* 2026-01-01 */

int64_t world_now(const struct world *w)
{
	return loop_wall(w->loop);
}

void world_wrong(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->wrong[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->wrong, sizeof(w->wrong), fmt, ap);
	va_end(ap);
}

void world_say(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->verbose)
		return;
	printf("%10.3f ", (double)(world_now(w) - BEGIN) / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- the network ---- */

static int64_t net_delay(void *arg, bool watch)
{
	struct world *w = arg;

	if (!w->faults)
		return 0;
	if (!rng_below(&w->rng, 50))
		return (int64_t)rng_below(&w->rng, 3000) * NS_PER_MS;
	return (int64_t)rng_below(&w->rng, watch ? 40 : 8) * NS_PER_MS;
}

static bool net_cut(void *arg)
{
	struct world *w = arg;

	return w->faults && !rng_below(&w->rng, 150);
}

static bool net_lose(void *arg)
{
	struct world *w = arg;

	return w->faults && !rng_below(&w->rng, 60);
}

/* ---- the core ---- */

static int64_t core_clock(void *arg)
{
	return world_now(arg);
}

/* The story of rollouts: ReplicaSets' sizes, pods' lives. */
static void tell_change(struct world *w, const struct kind *k, const struct obj *old,
			const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *o = new ? new : old;
	const struct json *t = obj_tree(o, &a);

	if (!strcmp(k->kind, "ReplicaSet"))
		world_say(w, "  %llu replicaset %.*s: wants %lld, has %lld, %lld available%s",
			  (unsigned long long)o->revision, STR_ARG(o->name),
			  (long long)json_int(json_at(t, "spec", "replicas"), 0),
			  (long long)json_int(json_at(t, "status", "replicas"), 0),
			  (long long)json_int(json_at(t, "status", "availableReplicas"), 0),
			  new ? "" : ", gone");
	else if (!strcmp(k->kind, "Pod") && (!old || !new || (new->deleted_ns && !old->deleted_ns)))
		world_say(w, "  %llu pod %.*s: %s", (unsigned long long)o->revision,
			  STR_ARG(o->name),
			  !old   ? "made"
			  : !new ? "gone"
				 : "told to stop");
}

static void on_change(void *arg, const struct kind *k, const struct obj *old, const struct obj *new)
{
	struct world *w = arg;

	w->commits++;
	if (w->verbose)
		tell_change(w, k, old, new);
	invariants_change(w, k, old, new);
}

static void core_start(struct world *w)
{
	struct core_opts o = {
		.store = w->store, .seed = rng_u64(&w->rng), .now = core_clock, .now_arg = w};
	struct inproc_faults f = {
		.delay = net_delay, .cut = net_cut, .lose_answer = net_lose, .arg = w};
	struct err err = {0};

	w->core = core_new(&o, &err);
	if (!w->core)
		panic("core: %s", err.msg);
	core_on_change(w->core, on_change, w);
	w->net = inproc_new(w->core, w->loop, &f);
	w->calm = inproc_new(w->core, w->loop, NULL);
}

static void core_stop(struct world *w)
{
	inproc_free(w->net);
	inproc_free(w->calm);
	core_free(w->core);
}

/* ---- asking at once ---- */

struct asked {
	struct core_req req;
	struct buf *body;
	int status;
};

static void on_answer(struct core_req *r, const struct core_answer *a)
{
	struct asked *asked = CONTAINER_OF(r, struct asked, req);

	asked->status = a->status;
	for (size_t i = 0; asked->body && i < a->nblocks; i++)
		buf_str(asked->body, a->blocks[i]->data);
}

int world_ask(struct world *w, enum core_verb verb, const struct resource *r, const char *namespace,
	      const char *name, const char *subresource, const char *content_type, struct str body,
	      struct buf *ret)
{
	static const struct core_sink sink = {.answer = on_answer};
	static const struct str groups[] = {{"system:masters", 14}};
	AUTO(arena) struct arena a = {0};
	struct asked asked = {.body = ret};

	asked.req =
		(struct core_req){.verb = verb,
				  .group = str_c(r->group),
				  .version = str_c(r->version),
				  .resource = str_c(r->plural),
				  .subresource = str_c(subresource),
				  .namespace = str_c(namespace),
				  .name = str_c(name),
				  .content_type = str_c(content_type),
				  .query = STR("fieldManager=workload&force=true"),
				  .body = body,
				  .user = {.name = STR("somebody"), .groups = groups, .ngroups = 1},
				  .user_agent = STR("workload"),
				  .sink = &sink,
				  .arena = &a};
	core_submit(w->core, &asked.req);
	while (core_pending(w->core))
		core_turn(w->core);
	return asked.status;
}

static void make_namespaces(struct world *w)
{
	static const char *const names[] = {"default", "kube-system", "kube-node-lease"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(buf) struct buf body = {0};

		buf_printf(&body,
			   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":"
			   "\"%s\"}}",
			   names[i]);
		if (world_ask(w, CORE_CREATE, &res_namespaces, NULL, NULL, NULL, "application/json",
			      buf_view(&body), NULL) != 201)
			panic("namespace %s", names[i]);
	}
}

/* ---- roles ---- */

void world_start_controllers(struct world *w)
{
	struct controllers_opts o = {
		.seed = rng_u64(&w->rng), .cluster_cidr = "10.244.0.0/16", .root_ca = STR("x")};
	struct err err = {0};

	if (w->controllers)
		return;
	world_say(w, "controllers start");
	w->controllers_client =
		inproc_client(w->net, "system:kube-controller-manager", NULL, "controllers");
	w->controllers = controllers_start(w->controllers_client, &o, &err);
	if (!w->controllers)
		panic("controllers: %s", err.msg);
}

void world_stop_controllers(struct world *w)
{
	if (!w->controllers)
		return;
	world_say(w, "controllers die");
	controllers_stop(w->controllers);
	client_free(w->controllers_client);
	w->controllers = NULL;
}

void world_start_scheduler(struct world *w)
{
	struct scheduler_opts o = {.seed = rng_u64(&w->rng)};

	if (w->scheduler)
		return;
	world_say(w, "scheduler starts");
	w->scheduler_client = inproc_client(w->net, "system:kube-scheduler", NULL, "scheduler");
	w->scheduler = scheduler_start(w->scheduler_client, &o);
}

void world_stop_scheduler(struct world *w)
{
	if (!w->scheduler)
		return;
	world_say(w, "scheduler dies");
	scheduler_stop(w->scheduler);
	client_free(w->scheduler_client);
	w->scheduler = NULL;
}

static void start_all(struct world *w)
{
	for (int i = 0; i < OBSERVERS; i++)
		w->observers[i] = observer_new(w);
	world_start_controllers(w);
	world_start_scheduler(w);
}

static void stop_all(struct world *w)
{
	world_stop_controllers(w);
	world_stop_scheduler(w);
	for (int i = 0; i < NODES_MAX; i++) {
		kubelet_kill(w->kubelets[i]);
		w->kubelets[i] = NULL;
	}
	for (int i = 0; i < OBSERVERS; i++) {
		observer_free(w->observers[i]);
		w->observers[i] = NULL;
	}
}

void world_reboot(struct world *w)
{
	bool there[NODES_MAX];

	world_say(w, "everything dies");
	for (int i = 0; i < NODES_MAX; i++)
		there[i] = w->kubelets[i] != NULL;
	stop_all(w);
	core_stop(w);
	core_start(w);
	start_all(w);
	for (int i = 0; i < NODES_MAX; i++)
		if (there[i])
			w->kubelets[i] = kubelet_new(w, i);
}

/* ---- making and running ---- */

void world_make(struct world *w, uint64_t seed)
{
	w->seed = seed;
	rng_seed(&w->rng, seed);
	w->loop = loop_new_virtual(BEGIN);
	w->store = store_memory_new();
	w->faults = true;
	core_start(w);
	make_namespaces(w);
	start_all(w);
	for (int i = 0; i < 3; i++)
		w->kubelets[i] = kubelet_new(w, i);
}

void world_free(struct world *w)
{
	stop_all(w);
	core_stop(w);
	store_free(w->store);
	loop_free(w->loop);
	free(w->pod_revisions);
}

void world_run(struct world *w, int64_t ns)
{
	int64_t end = world_now(w) + ns;

	while (!w->wrong[0] && world_now(w) < end) {
		int64_t step = loop_next(w->loop), left = end - world_now(w);

		loop_advance(w->loop, step < 0 ? left : MIN(step, left));
	}
}
