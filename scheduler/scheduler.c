/*
 * The scheduler's shell: informers feed the cache and the queue; one pod after the other is
 * placed by the pure core; the answer becomes a binding, or a condition and an event that say why
 * not. One loop. A pod counts on its node from the moment of the choice (assumed) until the API
 * server refused the binding; an unclear answer is asked for again, never taken as a no, so that
 * a node is not filled twice.
 */
#include "scheduler/main.h"

#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"
#include "scheduler/evict.h"
#include "scheduler/preempt.h"
#include "scheduler/queue.h"
#include "scheduler/unschedulable.h"
#include "scheduler/volume_wait.h"

/* Few a turn, so that answers are heard in between; and no more writes under way than the API
 * server takes at once, so that none waits for long (the lease's neither). */
enum { PODS_A_TURN = 4, CALLS_MAX = 64 };

struct scheduler {
	struct client *client;
	struct scheduler_opts opts;
	struct sched_cache cache;
	struct queue queue;
	struct informer *pods, *nodes, *claims, *volumes, *classes, *budgets, *namespaces;
	struct recorder *recorder;
	struct evictor evictor;
	struct loop_timer turn;
	struct list calls; /* struct attempt */
	size_t ncalls;     /* of these with a write under way */
	uint64_t choices;
	bool synced;
	struct metric_value *scheduled, *unschedulable, *failed, *pending;
};

/* A write under way: a binding (with an item), or a condition. */
struct attempt {
	struct list all;
	struct scheduler *s;
	struct queue_item *item;
	struct sched_pod *pod; /* as assumed; own reference */
	char *node;
	struct volume_wait *wait; /* before it is bound */
	struct client_call *call;
	bool counted; /* in ncalls */
	struct loop_timer again;
};

static int64_t now_of(const struct scheduler *s)
{
	return loop_now(s->client->loop);
}

static void on_turn(struct loop *l, struct loop_timer *t);

/* Arms the timer for the next thing that is due. */
static void schedule_turn(struct scheduler *s)
{
	int64_t next = queue_next(&s->queue);

	if (next != INT64_MAX && s->ncalls < CALLS_MAX)
		loop_timer_set(s->client->loop, &s->turn, MAX(next - now_of(s), 0), on_turn);
	metric_set(s->pending,
		   (double)(s->queue.active.n + s->queue.backoff.n + s->queue.nwaiting));
}

static void happened(struct scheduler *s, unsigned event)
{
	queue_event(&s->queue, event, now_of(s));
	schedule_turn(s);
}

/* It writes, or no longer does. */
static void count_call(struct attempt *t, bool writes)
{
	struct scheduler *s = t->s;

	if (t->counted == writes)
		return;
	t->counted = writes;
	if (writes)
		s->ncalls++;
	else if (s->ncalls-- == CALLS_MAX)
		schedule_turn(s);
}

static struct attempt *attempt_new(struct scheduler *s, struct sched_pod *pod)
{
	struct attempt *t = xalloc(sizeof(*t));

	t->s = s;
	t->pod = sched_pod_ref(pod);
	list_append(&s->calls, &t->all);
	return t;
}

static void attempt_free(struct attempt *t)
{
	count_call(t, false);
	client_call_cancel(t->s->client, t->call);
	volume_wait_free(t->wait);
	loop_timer_cancel(t->s->client->loop, &t->again);
	list_remove(&t->all);
	sched_pod_unref(t->pod);
	free(t->node);
	free(t);
}

/* ---- binding ---- */

static void bind_pod(struct attempt *t);

static void on_again(struct loop *l UNUSED, struct loop_timer *t)
{
	bind_pod(CONTAINER_OF(t, struct attempt, again));
}

/* The room is free again, unless the pod is known to be placed by now. */
static void give_up(struct attempt *t, bool again)
{
	struct scheduler *s = t->s;

	metric_add(s->failed, 1);
	if (sched_cache_pod(&s->cache, t->pod->uid) == t->pod) {
		sched_cache_del_pod(&s->cache, t->pod->uid);
		t->pod->node_name = STR_NONE;
	}
	if (again)
		queue_retry(&s->queue, t->item, now_of(s));
	else
		queue_done(&s->queue, t->item);
	attempt_free(t);
	happened(s, SCHED_POD_GONE);
}

/* The API server said no. */
static void refuse(struct attempt *t, const struct api_answer *a)
{
	log_warn("binding refused", "pod", log_fmt("%.*s", STR_ARG(t->pod->key)), "node", t->node,
		 "error", a->err.msg);
	give_up(t, a->err.code != ERR_NOT_FOUND);
}

static void on_bound(void *arg, const struct api_answer *a)
{
	struct attempt *t = arg;
	struct scheduler *s = t->s;
	AUTO(arena) struct arena arena = {0};

	t->call = NULL;
	if (a->err.code != ERR_NONE) {
		if (a->status >= 400 && a->status < 500 && a->status != 429)
			refuse(t, a);
		else
			loop_timer_set(s->client->loop, &t->again, NS_PER_S, on_again);
		return;
	}
	metric_add(s->scheduled, 1);
	recorder_event(s->recorder, pod_reference(t->pod, &arena), "Normal", "Scheduled",
		       "Successfully assigned %.*s to %s", STR_ARG(t->pod->key), t->node);
	queue_done(&s->queue, t->item);
	attempt_free(t);
}

static void bind_pod(struct attempt *t)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct api_call call = {
		.verb = API_CREATE,
		.resource = &res_pods,
		.namespace = t->pod->namespace,
		.name = t->pod->name,
		.subresource = "binding",
	};

	json_write(json_build(&a, "{s:s, s:s, s:{s:S, s:S, s:S}, s:{s:s, s:s, s:s}}", "apiVersion",
			      "v1", "kind", "Binding", "metadata", "namespace", t->pod->namespace,
			      "name", t->pod->name, "uid", t->pod->uid, "target", "apiVersion",
			      "v1", "kind", "Node", "name", t->node),
		   &body);
	call.body = buf_view(&body);
	count_call(t, true);
	t->call = client_call(t->s->client, &call, on_bound, t);
}

/* ---- its volumes, before ---- */

static void on_volumes(void *arg, const struct err *err)
{
	struct attempt *t = arg;
	AUTO(arena) struct arena a = {0};

	if (!err->code) {
		volume_wait_free(t->wait);
		t->wait = NULL;
		bind_pod(t);
		return;
	}
	recorder_event(t->s->recorder, pod_reference(t->pod, &a), "Warning", "FailedScheduling",
		       "%s", err->msg);
	give_up(t, true);
}

/* A claim, a volume or a class changed. */
static void volumes_changed(struct scheduler *s)
{
	LIST_FOREACH (it, &s->calls) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, all);

		if (t->wait)
			volume_wait_look(t->wait);
	}
	happened(s, SCHED_CLAIM_CHANGED);
}

static void on_claim(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;
	const struct obj *o = new ? new : old;
	AUTO(arena) struct arena a = {0};

	sched_object_set(&s->cache.claims, obj_key(&a, o->namespace, o->name), new);
	volumes_changed(s);
}

static void on_volume(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;

	sched_object_set(&s->cache.volumes, new ? new->name : old->name, new);
	volumes_changed(s);
}

static void on_budget(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;
	const struct obj *o = new ? new : old;
	AUTO(arena) struct arena a = {0};

	sched_object_set(&s->cache.budgets, obj_key(&a, o->namespace, o->name), new);
}

static void on_namespace(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;

	sched_object_set(&s->cache.namespaces, new ? new->name : old->name, new);
	happened(s, SCHED_POD_ADDED); /* affinity may hold now */
}

static void on_class(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;

	sched_object_set(&s->cache.classes, new ? new->name : old->name, new);
	volumes_changed(s);
}

/* ---- saying why not ---- */

static void on_said(void *arg, const struct api_answer *a)
{
	struct attempt *t = arg;

	t->call = NULL;
	if (a->err.code != ERR_NONE && a->err.code != ERR_NOT_FOUND)
		log_debug("condition not written", "pod", log_fmt("%.*s", STR_ARG(t->pod->key)),
			  "error", a->err.msg);
	attempt_free(t);
}

static void patch_status(struct scheduler *s, struct sched_pod *pod, const struct json *status,
			 struct arena *a)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {
		.verb = API_PATCH,
		.patch = API_PATCH_STRATEGIC,
		.resource = &res_pods,
		.namespace = pod->namespace,
		.name = pod->name,
		.subresource = "status",
	};
	struct attempt *t;

	json_write(json_build(a, "{s:{s:S}, s:o}", "metadata", "uid", pod->uid, "status", status),
		   &body);
	call.body = buf_view(&body);
	t = attempt_new(s, pod);
	count_call(t, true);
	t->call = client_call(s->client, &call, on_said, t);
}

static void say_unschedulable(struct scheduler *s, struct sched_pod *pod, struct str message,
			      struct arena *a)
{
	const struct json *status =
		unschedulable_status(pod, message, loop_wall(s->client->loop), a);

	recorder_event(s->recorder, pod_reference(pod, a), "Warning", "FailedScheduling", "%.*s",
		       STR_ARG(message));
	if (status)
		patch_status(s, pod, status, a);
}

/* ---- making room ---- */

/* Less important pods that waited for room on that node have to look anew. */
static void drop_lesser_nominations(struct scheduler *s, const struct sched_pod *pod,
				    struct str node, struct arena *a)
{
	struct map_iter it = {0};

	while (map_next(&s->cache.nominated, &it)) {
		struct sched_pod *p = it.value;

		if (p->priority >= pod->priority || !str_eq(p->nominated, node))
			continue;
		patch_status(s, p, json_build(a, "{s:n}", "nominatedNodeName"), a);
		sched_unnominate(&s->cache, p->uid);
	}
}

/* Fits nowhere: whom it may push aside goes, and its room is kept until it takes it. */
static void make_room(struct scheduler *s, struct queue_item *item, const struct preemption *p,
		      struct sched_result *r, struct arena *a)
{
	struct sched_pod *pod = item->pod;

	metric_add(s->unschedulable, 1);
	if (p->message.n)
		r->message = arena_strf(a, "%.*s %.*s", STR_ARG(r->message), STR_ARG(p->message));
	if (p->node) {
		drop_lesser_nominations(s, pod, p->node->name, a);
		pod->nominated = arena_str(&pod->arena, p->node->name);
		for (size_t i = 0; i < p->n; i++)
			evict_pod(&s->evictor, p->victims[i], pod->uid, p->node->name);
	} else if (!p->keep) {
		pod->nominated = STR_NONE;
	}
	sched_nominate(&s->cache, pod);
	say_unschedulable(s, pod, r->message, a);
	queue_wait(&s->queue, item, sched_helped_by(r->rejected_by), now_of(s));
}

/* ---- one pod ---- */

static void place(struct scheduler *s, struct queue_item *item)
{
	AUTO(arena) struct arena a = {0};
	struct preemption p = {0};
	struct sched_result r;
	struct attempt *t;
	struct trial kept;

	if (sched_cache_pod(&s->cache, item->pod->uid)) {
		queue_done(&s->queue, item);
		return;
	}
	kept = sched_nominated_enter(&s->cache, item->pod, &a);
	sched_pick(&s->cache, item->pod, s->opts.seed + s->choices++, &a, &r);
	if (!r.node && s->cache.n)
		sched_preempt(&s->cache, item->pod, &r, &a, &p);
	sched_nominated_leave(&s->cache, &kept);
	if (!r.node) {
		make_room(s, item, &p, &r, &a);
		return;
	}
	t = attempt_new(s, item->pod);
	t->item = item;
	t->node = xstrndup(r.node->name.p, r.node->name.n);
	t->wait = volume_wait_new(s->client, &s->cache, t->pod, r.node, on_volumes, t);
	sched_cache_set_pod(&s->cache, t->pod, r.node->name);
	if (sched_unnominate(&s->cache, t->pod->uid))
		happened(s, SCHED_POD_GONE);
	if (!t->wait)
		bind_pod(t);
}

static void on_turn(struct loop *l UNUSED, struct loop_timer *timer)
{
	struct scheduler *s = CONTAINER_OF(timer, struct scheduler, turn);
	struct queue_item *item;

	if (!s->synced)
		return;
	for (int n = 0;
	     n < PODS_A_TURN && s->ncalls < CALLS_MAX && (item = queue_take(&s->queue, now_of(s)));
	     n++)
		place(s, item);
	schedule_turn(s);
}

/* ---- what the caches tell ---- */

static bool same_for_placing(const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct json *x = obj_tree(old, &a), *y = obj_tree(new, &a);

	return json_equal(json_at(x, "spec"), json_at(y, "spec")) &&
	       json_equal(json_at(x, "metadata", "labels"), json_at(y, "metadata", "labels"));
}

static void stop_waiting(struct scheduler *s, struct str uid)
{
	LIST_FOREACH (it, &s->calls) {
		struct attempt *t = CONTAINER_OF(it, struct attempt, all);

		if (t->wait && str_eq(t->pod->uid, uid)) {
			give_up(t, false);
			return;
		}
	}
}

static void pod_left(struct scheduler *s, struct str uid)
{
	stop_waiting(s, uid);
	map_del(&s->cache.leaving, uid);
	queue_del(&s->queue, uid);
	if (sched_unnominate(&s->cache, uid))
		happened(s, SCHED_POD_GONE);
	if (!sched_cache_pod(&s->cache, uid))
		return;
	sched_cache_del_pod(&s->cache, uid);
	happened(s, SCHED_POD_GONE);
}

/* An event from before our own nomination was written doesn't end it; one that takes it away
 * does. */
static void keep_nomination(struct scheduler *s, const struct obj *old, struct sched_pod *p)
{
	const struct sched_pod *known = map_get(&s->cache.nominated, p->uid);
	AUTO(arena) struct arena a = {0};
	struct str had = old ? json_str(json_at(obj_tree(old, &a), "status", "nominatedNodeName"))
			     : STR_NONE;

	if (!p->nominated.n && !had.n && known)
		p->nominated = arena_str(&p->arena, known->nominated);
	sched_nominate(&s->cache, p);
}

static void on_pod(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;
	struct sched_pod *p;
	bool known;

	if (old && (!new || !str_eq(old->uid, new->uid)))
		pod_left(s, old->uid);
	if (!new)
		return;
	if (sched_pod_takes_room(new)) {
		known = sched_cache_pod(&s->cache, new->uid);
		p = sched_pod_new(new);
		sched_cache_set_pod(&s->cache, p, p->node_name);
		queue_del(&s->queue, new->uid);
		sched_unnominate(&s->cache, new->uid);
		/* Smaller requests or other labels of a known pod may help somebody as well. */
		if (!known || (old && !same_for_placing(old, new)))
			happened(s, SCHED_POD_ADDED | (known ? SCHED_POD_GONE : 0));
		sched_pod_unref(p);
	} else if (sched_pod_is_ours(new)) {
		p = sched_pod_new(new);
		keep_nomination(s, old, p);
		queue_put(&s->queue, p, old && !same_for_placing(old, new), now_of(s));
		sched_pod_unref(p);
		schedule_turn(s);
	} else {
		pod_left(s, new->uid);
	}
}

static bool same_node(const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct json *x = obj_tree(old, &a), *y = obj_tree(new, &a);

	return same_for_placing(old, new) &&
	       json_equal(json_at(x, "status", "allocatable"), json_at(y, "status", "allocatable"));
}

static void on_node(void *arg, const struct obj *old, const struct obj *new)
{
	struct scheduler *s = arg;

	if (!new) {
		sched_cache_del_node(&s->cache, old->name);
		return;
	}
	sched_cache_set_node(&s->cache, new);
	if (!old)
		happened(s, SCHED_NODE_ADDED);
	else if (!same_node(old, new))
		happened(s, SCHED_NODE_CHANGED);
}

static void on_progress(void *arg)
{
	struct scheduler *s = arg;

	if (s->synced || !informer_synced(s->pods) || !informer_synced(s->nodes) ||
	    !informer_synced(s->claims) || !informer_synced(s->volumes) ||
	    !informer_synced(s->classes) || !informer_synced(s->budgets) ||
	    !informer_synced(s->namespaces))
		return;
	s->synced = true;
	log_info("scheduling", "nodes", log_i64((int64_t)s->cache.n), "pods",
		 log_i64((int64_t)informer_count(s->pods)));
	schedule_turn(s);
	if (s->opts.synced)
		s->opts.synced(s->opts.arg);
}

static void make_metrics(struct scheduler *s)
{
	struct metric *attempts = metric_new(METRIC_COUNTER, "scheduler_schedule_attempts_total",
					     "Attempts to place pods, by result.", "result", NULL);

	s->scheduled = metric_with(attempts, "scheduled", (char *)NULL);
	s->unschedulable = metric_with(attempts, "unschedulable", (char *)NULL);
	s->failed = metric_with(attempts, "error", (char *)NULL);
	s->pending = metric_with(metric_new(METRIC_GAUGE, "scheduler_pending_pods",
					    "Pods without a node.", NULL, NULL),
				 (char *)NULL);
}

static struct informer *follow(struct scheduler *s, const struct resource *r, informer_fn *changed)
{
	struct informer_opts o = {.resource = r};
	struct informer *i = informer_new(s->client, &o);

	informer_on_change(i, changed, s);
	informer_on_progress(i, on_progress, s);
	return i;
}

struct scheduler *scheduler_start(struct client *c, const struct scheduler_opts *o)
{
	struct scheduler *s = xalloc(sizeof(*s));

	s->client = c;
	s->opts = *o;
	list_init(&s->calls);
	queue_init(&s->queue);
	make_metrics(s);
	s->recorder = recorder_new(c, "default-scheduler", NULL);
	evictor_init(&s->evictor, c, s->recorder, &s->cache.leaving);
	s->budgets = follow(s, &res_poddisruptionbudgets, on_budget);
	s->namespaces = follow(s, &res_namespaces, on_namespace);
	s->nodes = follow(s, &res_nodes, on_node);
	s->classes = follow(s, &res_storageclasses, on_class);
	s->volumes = follow(s, &res_persistentvolumes, on_volume);
	s->claims = follow(s, &res_persistentvolumeclaims, on_claim);
	s->pods = follow(s, &res_pods, on_pod);
	informer_start(s->budgets);
	informer_start(s->namespaces);
	informer_start(s->nodes);
	informer_start(s->classes);
	informer_start(s->volumes);
	informer_start(s->claims);
	informer_start(s->pods);
	return s;
}

void scheduler_stop(struct scheduler *s)
{
	if (!s)
		return;
	LIST_FOREACH (it, &s->calls)
		attempt_free(CONTAINER_OF(it, struct attempt, all));
	loop_timer_cancel(s->client->loop, &s->turn);
	evictor_release(&s->evictor);
	informer_free(s->pods);
	informer_free(s->nodes);
	informer_free(s->claims);
	informer_free(s->volumes);
	informer_free(s->classes);
	informer_free(s->budgets);
	informer_free(s->namespaces);
	recorder_free(s->recorder);
	queue_release(&s->queue);
	sched_cache_release(&s->cache);
	free(s);
}

bool scheduler_idle(const struct scheduler *s)
{
	return s->synced && !s->queue.active.n && !s->queue.backoff.n && list_empty(&s->calls);
}
