/*
 * One eviction: a patch of the victim's status, its deletion, an event. Must never delete another
 * pod that has taken the name: the uid goes with both. Memory: an eviction lives until its last
 * answer and holds a reference on its pod.
 */
#include "scheduler/evict.h"

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

struct eviction {
	struct list all;
	struct evictor *e;
	struct sched_pod *pod;
	struct client_call *call;
	char *by, *node;
};

static void eviction_free(struct eviction *v)
{
	client_call_cancel(v->e->client, v->call);
	list_remove(&v->all);
	sched_pod_unref(v->pod);
	free(v->by);
	free(v->node);
	free(v);
}

void evictor_init(struct evictor *e, struct client *c, struct recorder *r, struct map *leaving)
{
	e->leaving = leaving;
	e->client = c;
	e->recorder = r;
	list_init(&e->all);
}

void evictor_release(struct evictor *e)
{
	LIST_FOREACH (it, &e->all)
		eviction_free(CONTAINER_OF(it, struct eviction, all));
}

const struct json *pod_reference(const struct sched_pod *p, struct arena *a)
{
	return json_build(a, "{s:s, s:s, s:{s:S, s:S, s:S}}", "apiVersion", "v1", "kind", "Pod",
			  "metadata", "namespace", p->namespace, "name", p->name, "uid", p->uid);
}

/* The preemptor will ask again. */
static void give_up(struct eviction *v, const struct err *err)
{
	if (err->code != ERR_NOT_FOUND)
		log_warn("pod not preempted", "pod", log_fmt("%.*s", STR_ARG(v->pod->key)), "error",
			 err->msg);
	map_del(v->e->leaving, v->pod->uid);
	eviction_free(v);
}

static void on_deleted(void *arg, const struct api_answer *a)
{
	struct eviction *v = arg;
	AUTO(arena) struct arena arena = {0};

	v->call = NULL;
	if (a->err.code != ERR_NONE) {
		give_up(v, &a->err);
		return;
	}
	recorder_event(v->e->recorder, pod_reference(v->pod, &arena), "Normal", "Preempted",
		       "Preempted by pod %s on node %s", v->by, v->node);
	eviction_free(v);
}

static void ask(struct eviction *v, struct api_call *call, const struct json *body, api_done *done)
{
	AUTO(buf) struct buf text = {0};

	json_write(body, &text);
	call->resource = &res_pods;
	call->namespace = v->pod->namespace;
	call->name = v->pod->name;
	call->body = buf_view(&text);
	v->call = client_call(v->e->client, call, done, v);
}

static void on_marked(void *arg, const struct api_answer *a)
{
	struct eviction *v = arg;
	struct api_call call = {.verb = API_DELETE};
	AUTO(arena) struct arena arena = {0};

	v->call = NULL;
	if (a->err.code != ERR_NONE) {
		give_up(v, &a->err);
		return;
	}
	ask(v, &call,
	    json_build(&arena, "{s:s, s:s, s:{s:S}}", "apiVersion", "v1", "kind", "DeleteOptions",
		       "preconditions", "uid", v->pod->uid),
	    on_deleted);
}

void evict_pod(struct evictor *e, struct sched_pod *victim, struct str by_uid, struct str node)
{
	struct api_call call = {
		.verb = API_PATCH, .patch = API_PATCH_STRATEGIC, .subresource = "status"};
	AUTO(arena) struct arena a = {0};
	char text[TIME_TEXT_MAX];
	struct eviction *v;

	if (map_set(e->leaving, victim->uid, e))
		return;
	v = xalloc(sizeof(*v));
	v->e = e;
	v->pod = sched_pod_ref(victim);
	v->by = xstrndup(by_uid.p, by_uid.n);
	v->node = xstrndup(node.p, node.n);
	list_append(&e->all, &v->all);
	ask(v, &call,
	    json_build(&a, "{s:{s:S}, s:{s:[{s:s, s:s, s:s, s:s, s:S}]}}", "metadata", "uid",
		       victim->uid, "status", "conditions", "type", "DisruptionTarget", "status",
		       "True", "reason", "PreemptionByScheduler", "message",
		       "default-scheduler: preempting to accommodate a higher priority pod",
		       "lastTransitionTime", time_format(loop_wall(e->client->loop), text)),
	    on_marked);
}
