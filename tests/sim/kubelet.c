/*
 * A kubelet without containers: registers its node, renews its Lease, and takes its pods through
 * their states whenever it looks, each step by chance. Level-triggered, so it may be killed and
 * started at any moment.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/list.h"
#include "lib/kube/informer.h"
#include "tests/sim/world.h"

struct kubelet {
	struct world *w;
	struct client *client;
	struct informer *pods;
	struct loop_timer look, renew;
	struct list calls;
	char name[16], selector[40];
};

struct kcall {
	struct list all;
	struct client_call *call;
};

static void on_done(void *arg, const struct api_answer *a)
{
	struct kcall *c = arg;

	(void)a; /* looked at again next time */
	list_remove(&c->all);
	free(c);
}

static void call(struct kubelet *k, const struct api_call *api)
{
	struct kcall *c = xalloc(sizeof(*c));

	list_append(&k->calls, &c->all);
	c->call = client_call(k->client, api, on_done, c);
}

/* ---- pods ---- */

static void delete_pod(struct kubelet *k, const struct obj *o)
{
	AUTO(buf) struct buf body = {0};
	struct api_call c = {.verb = API_DELETE,
			     .resource = &res_pods,
			     .namespace = o->namespace,
			     .name = o->name};

	buf_printf(&body,
		   "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,"
		   "\"preconditions\":{\"uid\":\"%.*s\"}}",
		   STR_ARG(o->uid));
	c.body = buf_view(&body);
	call(k, &c);
}

static void ready_pod(struct kubelet *k, const struct obj *o)
{
	AUTO(buf) struct buf body = {0};
	char now[TIME_TEXT_MAX];
	struct str t = time_format(world_now(k->w), now);
	struct api_call c = {.verb = API_PATCH,
			     .resource = &res_pods,
			     .namespace = o->namespace,
			     .name = o->name,
			     .subresource = "status"};

	buf_printf(&body,
		   "{\"metadata\":{\"uid\":\"%.*s\"},\"status\":{\"phase\":\"Running\",\"podIP\":"
		   "\"10.244.0.9\",\"startTime\":\"%.*s\","
		   "\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\"},{\"type\":"
		   "\"Ready\",\"status\":\"True\","
		   "\"lastTransitionTime\":\"%.*s\"},{\"type\":\"ContainersReady\",\"status\":"
		   "\"True\"}]}}",
		   STR_ARG(o->uid), STR_ARG(t), STR_ARG(t));
	c.body = buf_view(&body);
	call(k, &c);
}

static void look(struct loop *l, struct loop_timer *t);

static void look_soon(struct kubelet *k)
{
	if (!loop_timer_armed(&k->look))
		loop_timer_set(k->w->loop, &k->look,
			       (int64_t)(100 + rng_below(&k->w->rng, 400)) * NS_PER_MS, look);
}

static void on_pod(void *arg, const struct obj *old, const struct obj *new)
{
	(void)old;
	(void)new;
	look_soon(arg);
}

/* As long as anything is left to do it looks again. */
static void look(struct loop *l, struct loop_timer *t)
{
	struct kubelet *k = CONTAINER_OF(t, struct kubelet, look);
	AUTO(arena) struct arena a = {0};
	struct obj_set pods = informer_list(k->pods, &a);
	bool again = false;

	(void)l;
	for (size_t i = 0; i < pods.n; i++) {
		const struct obj *o = pods.v[i];
		const struct json *tree = obj_tree(o, &a);
		bool ready = str_is(
			json_str(json_get(condition_find(tree, "Ready"), STR("status"))), "True");

		if (ready && !o->deleted_ns)
			continue;
		again = true;
		if (rng_below(&k->w->rng, 3))
			continue;
		if (o->deleted_ns)
			delete_pod(k, o);
		else
			ready_pod(k, o);
	}
	if (again)
		look_soon(k);
}

/* ---- the node ---- */

static void put_node(struct kubelet *k)
{
	static const char *const status =
		"{\"status\":{\"capacity\":{\"cpu\":\"4\",\"memory\":\"8Gi\",\"pods\":\"8\"},"
		"\"allocatable\":{\"cpu\":\"4\",\"memory\":"
		"\"8Gi\",\"pods\":\"8\"},\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\","
		"\"reason\":\"KubeletReady\"}]}}";
	AUTO(buf) struct buf body = {0};
	struct api_call make = {.verb = API_CREATE, .resource = &res_nodes};
	struct api_call say = {.verb = API_PATCH,
			       .resource = &res_nodes,
			       .name = str_c(k->name),
			       .subresource = "status"};

	buf_printf(&body,
		   "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"%s\","
		   "\"labels\":{\"kubernetes.io/hostname\":\"%s\"}}}",
		   k->name, k->name);
	make.body = buf_view(&body);
	call(k, &make);
	say.body = str_c(status);
	call(k, &say);
}

static void renew(struct loop *l, struct loop_timer *t)
{
	struct kubelet *k = CONTAINER_OF(t, struct kubelet, renew);
	AUTO(buf) struct buf body = {0};
	char now[TIME_TEXT_MAX];
	struct api_call c = {.verb = API_APPLY,
			     .resource = &res_leases,
			     .namespace = STR("kube-node-lease"),
			     .name = str_c(k->name),
			     .force = true};

	buf_printf(&body,
		   "{\"apiVersion\":\"coordination.k8s.io/"
		   "v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"%s\",\"namespace\":"
		   "\"kube-node-lease\"},\"spec\":{\"holderIdentity\":\"%s\","
		   "\"leaseDurationSeconds\":40,\"renewTime\":\"%.*s\"}}",
		   k->name, k->name, STR_ARG(time_format_micro(world_now(k->w), now)));
	c.body = buf_view(&body);
	call(k, &c);
	put_node(k); /* once it is there, the creation is refused and the status is the same */
	loop_timer_set(l, t, 10 * NS_PER_S, renew);
}

struct kubelet *kubelet_new(struct world *w, int number)
{
	struct kubelet *k = xalloc(sizeof(*k));
	struct informer_opts o = {.resource = &res_pods};

	k->w = w;
	list_init(&k->calls);
	snprintf(k->name, sizeof(k->name), "node-%d", number);
	snprintf(k->selector, sizeof(k->selector), "spec.nodeName=%s", k->name);
	world_say(w, "kubelet of %s starts", k->name);
	k->client = inproc_client(w->net, "system:node", NULL, "kubelet");
	o.field_selector = k->selector;
	k->pods = informer_new(k->client, &o);
	informer_on_change(k->pods, on_pod, k);
	informer_start(k->pods);
	loop_timer_set(w->loop, &k->renew, 0, renew);
	return k;
}

void kubelet_kill(struct kubelet *k)
{
	if (!k)
		return;
	world_say(k->w, "kubelet of %s dies", k->name);
	loop_timer_cancel(k->w->loop, &k->look);
	loop_timer_cancel(k->w->loop, &k->renew);
	informer_free(k->pods);
	LIST_FOREACH (it, &k->calls) {
		struct kcall *c = CONTAINER_OF(it, struct kcall, all);

		client_call_cancel(k->client, c->call);
		list_remove(&c->all);
		free(c);
	}
	client_free(k->client);
	free(k);
}
