/*
 * See hpa.h: the autoscalers and their turns. A turn asks for the target's scale, measures
 * (hpa_metrics_run.c), decides (hpa_limits.c), writes the scale and then the status, and is over.
 * Must never write a scale that it has not read in the same turn: the update names the version.
 * On the controllers' loop; a turn's memory is the turn's.
 */
#include "controllers/hpa-internal.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"

enum { TURNS_MAX = 8, CONFLICTS_MAX = 5 };
#define LOOK_AGAIN (20 * NS_PER_MS)
#define TELL_AGAIN (60 * NS_PER_S) /* the same failure in another event */

static void on_due(struct loop *l, struct loop_timer *t);

/* ---- the end of a turn ---- */

static void turn_free(struct turn *t)
{
	struct scaler *s = t->s;

	client_call_cancel(s->h->client, t->call);
	obj_unref(t->obj);
	arena_release(&t->a);
	free(t);
	s->turn = NULL;
	s->h->running--;
}

static void turn_end(struct turn *t)
{
	struct scaler *s = t->s;

	turn_free(t);
	loop_timer_set(s->h->client->loop, &s->due, s->again ? 0 : s->h->period_ns, on_due);
	s->again = false;
}

static void on_status(void *arg, const struct api_answer *a)
{
	struct turn *t = arg;

	t->call = NULL;
	if (a->err.code && a->err.code != ERR_NOT_FOUND)
		log_warn("cannot write an autoscaler's status, trying again", "autoscaler",
			 t->s->name, "error", a->err.msg);
	turn_end(t);
}

/* Members that are gone must be said to be, in a merge patch. */
static void write_status(struct turn *t)
{
	static const char *const members[] = {"conditions",      "currentMetrics",
					      "currentReplicas", "desiredReplicas",
					      "lastScaleTime",   "observedGeneration"};
	static const struct json null = {.type = JSON_NULL};
	const struct json *old = json_get(obj_tree(t->obj, &t->a), STR("status"));
	const struct json *new = json_get(t->hpa, STR("status"));
	struct json *patch = json_new(&t->a, JSON_OBJECT), *status;
	AUTO(buf) struct buf body = {0};

	if (json_equal(old, new)) {
		turn_end(t);
		return;
	}
	status = json_set_object(&t->a, patch, "status");
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const struct json *v = json_get(new, str_c(members[i]));

		if (v || json_get(old, str_c(members[i])))
			json_set(&t->a, status, str_c(members[i]), v ? v : &null);
	}
	json_write(patch, &body);
	t->call = client_call(t->s->h->client,
			      &(struct api_call){.verb = API_PATCH,
						 .resource = &res_horizontalpodautoscalers,
						 .namespace = t->obj->namespace,
						 .name = t->obj->name,
						 .subresource = "status",
						 .patch = API_PATCH_MERGE,
						 .body = buf_view(&body)},
			      on_status, t);
}

/* ---- what is said ---- */

static bool set_condition(struct turn *t, const char *type, bool is_true, const char *reason,
			  const char *message)
{
	return condition_set(&t->a, t->hpa, type, is_true ? "True" : "False", reason,
			     str_c(message), t->now_ns);
}

/* The first time, and now and then: each is a write. */
static void warn(struct turn *t, bool is_new, const char *reason, const char *message)
{
	int64_t now = loop_now(t->s->h->client->loop);

	if (!is_new && now - t->s->told_ns < TELL_AGAIN)
		return;
	t->s->told_ns = now;
	t->told = true;
	recorder_event(t->s->h->recorder, t->hpa, "Warning", reason, "%s", message);
}

void hpa_turn_inactive(struct turn *t, const char *reason, const char *message)
{
	static const char prefix[] = "the HPA was unable to compute the replica count: ";
	bool is_new = set_condition(t, "ScalingActive", false, reason, message);

	if (str_starts(str_c(message), str_c(prefix)))
		message += sizeof(prefix) - 1;
	warn(t, is_new, reason, message);
}

static void no_scale(struct turn *t, const char *why)
{
	char *message = arena_printf(
		&t->a, "the HPA controller was unable to get the target's current scale: %s", why);
	bool is_new = set_condition(t, "AbleToScale", false, "FailedGetScale", message);

	warn(t, is_new, "FailedGetScale", why);
	write_status(t);
}

/* Counts are what they are also when nothing could be decided. */
static struct json *put_counts(struct turn *t)
{
	struct json *status = json_set_object(&t->a, t->hpa, "status");
	const struct json *generation = json_at(t->hpa, "metadata", "generation");

	json_set_int(&t->a, status, "currentReplicas", t->replicas);
	if (json_len(t->statuses))
		json_set(&t->a, status, STR("currentMetrics"), t->statuses);
	else
		json_del(status, STR("currentMetrics"));
	if (json_int(generation, 0) > 0)
		json_set(&t->a, status, STR("observedGeneration"), generation);
	return status;
}

static void done(struct turn *t, int64_t desired)
{
	struct json *status = put_counts(t);
	char text[TIME_TEXT_MAX];

	json_set_int(&t->a, status, "desiredReplicas", desired);
	if (t->rescaled)
		json_set_str(&t->a, status, "lastScaleTime", time_format(t->now_ns, text));
	write_status(t);
}

/* ---- scaling ---- */

struct rescale {
	struct turn *t;
	int64_t to;
	const char *reason;
};

static void on_rescaled(void *arg, const struct api_answer *a)
{
	struct rescale *r = arg;
	struct turn *t = r->t;

	t->call = NULL;
	if (a->err.code == ERR_CONFLICT && t->s->conflicts++ < CONFLICTS_MAX) {
		t->s->again = true; /* it has just been written: look again at once */
		turn_end(t);
		return;
	}
	t->s->conflicts = 0;
	if (a->err.code) {
		set_condition(t, "AbleToScale", false, "FailedUpdateScale",
			      arena_printf(&t->a,
					   "the HPA controller was unable to update the target "
					   "scale: %s",
					   a->err.msg));
		recorder_event(t->s->h->recorder, t->hpa, "Warning", "FailedRescale",
			       "New size: %lld; reason: %s; error: %s", (long long)r->to, r->reason,
			       a->err.msg);
		put_counts(t);
		write_status(t);
		return;
	}
	set_condition(t, "AbleToScale", true, "SucceededRescale",
		      arena_printf(&t->a,
				   "the HPA controller was able to update the target scale to %lld",
				   (long long)r->to));
	recorder_event(t->s->h->recorder, t->hpa, "Normal", "SuccessfulRescale",
		       "New size: %lld; reason: %s", (long long)r->to, r->reason);
	log_info("scaled", "autoscaler", t->s->name, "namespace", t->s->namespace, "from",
		 log_fmt("%lld", (long long)t->replicas), "to", log_fmt("%lld", (long long)r->to),
		 "reason", r->reason);
	hpa_note(t->spec, &t->s->memory, t->now_ns, t->replicas, r->to);
	t->rescaled = true;
	done(t, r->to);
}

static void rescale(struct turn *t, int64_t to, const char *reason)
{
	struct rescale *r = arena_alloc(&t->a, sizeof(*r));
	AUTO(buf) struct buf body = {0};

	*r = (struct rescale){t, to, reason};
	json_set_int(&t->a, json_set_object(&t->a, t->scale, "spec"), "replicas", to);
	json_write(t->scale, &body);
	t->call = client_call(
		t->s->h->client,
		&(struct api_call){.verb = API_UPDATE,
				   .resource = t->target,
				   .namespace = t->obj->namespace,
				   .name = json_str(json_at(t->spec, "scaleTargetRef", "name")),
				   .subresource = "scale",
				   .body = buf_view(&body)},
		on_rescaled, r);
}

void hpa_turn_measured(struct turn *t)
{
	size_t n = json_len(json_get(t->spec, STR("metrics")));
	struct hpa_verdict v = {0};

	if (t->failed >= n || (t->failed && t->best < t->replicas)) {
		warn(t, t->told, "FailedComputeMetricsReplicas",
		     arena_printf(&t->a,
				  "invalid metrics (%zu invalid out of %zu), first error is: %s",
				  t->failed, n, t->first_failure.msg));
		put_counts(t);
		write_status(t);
		return;
	}
	set_condition(t, "ScalingActive", true, "ValidMetricFound",
		      arena_printf(&t->a,
				   "the HPA was able to successfully calculate a replica count "
				   "from %.*s",
				   STR_ARG(t->best_name)));
	hpa_limit(t->spec, &t->s->memory, t->now_ns, t->replicas, t->best, &v);
	set_condition(t, "AbleToScale", true, v.able_reason, v.able_message);
	set_condition(t, "ScalingLimited", v.limited, v.limited_reason, v.limited_message);
	if (v.replicas == t->replicas)
		done(t, t->replicas);
	else
		rescale(t, v.replicas,
			v.replicas > t->replicas
				? arena_printf(&t->a, "%.*s above target", STR_ARG(t->best_name))
				: "All metrics below target");
}

/* ---- the target ---- */

/* Pods that two autoscalers count would be scaled by both. */
static bool is_ambiguous(struct turn *t)
{
	AUTO(buf) struct buf names = {0};
	struct map_iter it = {0};

	while (map_next(&t->s->h->scalers, &it)) {
		const struct scaler *s = it.value;
		struct selector theirs;
		bool shared = false;

		if (s == t->s || !s->selector || !str_is(t->obj->namespace, s->namespace) ||
		    selector_parse(&t->a, str_c(s->selector), &theirs, NULL))
			continue;
		for (size_t i = 0; i < t->pods.n && !shared; i++)
			shared = selector_match_json(&theirs,
						     json_at(t->pods.v[i], "metadata", "labels"));
		if (shared)
			buf_printf(&names, " %s/%s", s->namespace, s->name);
	}
	if (!names.n)
		return false;
	char *message = arena_printf(
		&t->a, "pods by selector %s are controlled by multiple HPAs: [%s/%s%s]",
		t->s->selector, t->s->namespace, t->s->name, buf_cstr(&names));
	warn(t, set_condition(t, "ScalingActive", false, "AmbiguousSelector", message),
	     "AmbiguousSelector", message);
	return true;
}

static void find_pods(struct turn *t)
{
	struct obj_set all = informer_list_ns(t->s->h->pods, t->obj->namespace, &t->a);
	const struct json **v = arena_array(&t->a, all.n + 1, sizeof(*v));
	size_t n = 0;

	/* A turn lasts longer than the cache's objects may: texts must be the turn's. */
	for (size_t i = 0; i < all.n; i++)
		if (selector_match_obj(&t->selector, all.v[i]))
			v[n++] = json_copy(&t->a, obj_tree(all.v[i], &t->a));
	t->pods = (struct json_set_view){v, n};
}

/* Whose pods they are is known by the scale's selector. */
static bool select_pods(struct turn *t)
{
	struct str text = json_str(json_at(t->scale, "status", "selector"));
	struct err err = {0};

	free(t->s->selector);
	t->s->selector = text.n ? xstrndup(text.p, text.n) : NULL;
	if (!text.n) {
		warn(t,
		     set_condition(t, "ScalingActive", false, "InvalidSelector",
				   "the HPA target's scale is missing a selector"),
		     "SelectorRequired", "selector is required");
		return false;
	}
	if (selector_parse(&t->a, text, &t->selector, &err)) {
		char *message = arena_printf(&t->a,
					     "couldn't convert selector into a corresponding "
					     "internal selector object: %s",
					     err.msg);

		warn(t, set_condition(t, "ScalingActive", false, "InvalidSelector", message),
		     "InvalidSelector", message);
		return false;
	}
	find_pods(t);
	return !is_ambiguous(t);
}

static void decide(struct turn *t)
{
	int64_t min = hpa_min(t->spec), max = hpa_max(t->spec);

	hpa_remember(&t->s->memory, t->now_ns, t->replicas);
	if (!t->replicas && min) {
		set_condition(t, "ScalingActive", false, "ScalingDisabled",
			      "scaling is disabled since the replica count of the target is zero");
		done(t, 0);
	} else if (t->replicas > max) {
		rescale(t, max, "Current number of replicas above Spec.MaxReplicas");
	} else if (t->replicas < min) {
		rescale(t, min, "Current number of replicas below Spec.MinReplicas");
	} else if (select_pods(t)) {
		hpa_turn_measure(t);
	} else {
		put_counts(t);
		write_status(t);
	}
}

static void on_scale(void *arg, const struct api_answer *answer)
{
	struct turn *t = arg;
	struct err err = answer->err;
	struct str text = arena_str(&t->a, answer->body);

	t->call = NULL;
	t->scale = err.code ? NULL : json_parse(&t->a, text, NULL, &err);
	if (!t->scale) {
		no_scale(t, err.msg);
		return;
	}
	set_condition(t, "AbleToScale", true, "SucceededGetScale",
		      "the HPA controller was able to get the target's current scale");
	t->replicas = count_of(json_at(t->scale, "spec", "replicas"), 0);
	t->shown = count_of(json_at(t->scale, "status", "replicas"), 0);
	decide(t);
}

static void find_target(struct turn *t)
{
	const struct json *ref = json_get(t->spec, STR("scaleTargetRef"));
	struct str version = json_str_or(json_get(ref, STR("apiVersion")), STR("v1"));
	struct str kind = json_str(json_get(ref, STR("kind"))), group, ignored;

	api_version_split(version, &group, &ignored);
	/* The version may be one that is no longer served: a scale is the same in all. */
	t->target = restmap_find(t->s->h->map, version, kind)
			    ?: restmap_find_group(t->s->h->map, group, kind);
	if (!t->target) {
		no_scale(t, arena_printf(&t->a, "no matches for kind \"%.*s\" in group \"%.*s\"",
					 STR_ARG(kind), STR_ARG(group)));
		return;
	}
	t->call = client_call(t->s->h->client,
			      &(struct api_call){.verb = API_GET,
						 .resource = t->target,
						 .namespace = t->obj->namespace,
						 .name = json_str(json_get(ref, STR("name"))),
						 .subresource = "scale"},
			      on_scale, t);
}

/* ---- turns ---- */

static void on_due(struct loop *l, struct loop_timer *timer)
{
	struct scaler *s = CONTAINER_OF(timer, struct scaler, due);
	struct hpa *h = s->h;
	const struct obj *o = informer_get(h->autoscalers, str_c(s->namespace), str_c(s->name));
	struct turn *t;

	if (!restmap_ready(h->map) || !informer_synced(h->pods) || h->running >= TURNS_MAX) {
		loop_timer_set(l, timer, LOOK_AGAIN, on_due);
		return;
	}
	if (!o || o->deleted_ns)
		return;
	t = xalloc(sizeof(*t));
	t->s = s;
	t->obj = obj_ref(o);
	t->hpa = json_copy(&t->a, obj_tree(o, &t->a));
	t->spec = json_get(t->hpa, STR("spec"));
	t->now_ns = loop_wall(l);
	s->turn = t;
	h->running++;
	find_target(t);
}

/* ---- coming and going ---- */

static void scaler_free(struct scaler *s)
{
	if (s->turn)
		turn_free(s->turn);
	loop_timer_cancel(s->h->client->loop, &s->due);
	hpa_memory_release(&s->memory);
	free(s->namespace);
	free(s->name);
	free(s->selector);
	free(s);
}

static bool same_spec(const struct obj *x, const struct obj *y)
{
	AUTO(arena) struct arena a = {0};

	return json_equal(json_get(obj_tree(x, &a), STR("spec")),
			  json_get(obj_tree(y, &a), STR("spec")));
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	struct hpa *h = arg;
	AUTO(arena) struct arena a = {0};
	const struct obj *o = new ? new : old;
	struct str key = o ? obj_key(&a, o->namespace, o->name) : STR_NONE;
	struct scaler *s = map_get(&h->scalers, key);

	if (s && (!new || (old && !str_eq(old->uid, new->uid)))) {
		map_del(&h->scalers, key);
		scaler_free(s);
		s = NULL;
	}
	if (!new || (s && old && same_spec(old, new)))
		return;
	if (!s) {
		s = xalloc(sizeof(*s));
		s->h = h;
		s->namespace = xstrndup(new->namespace.p, new->namespace.n);
		s->name = xstrndup(new->name.p, new->name.n);
		map_set(&h->scalers, key, s);
	}
	if (s->turn)
		s->again = true;
	else
		loop_timer_set(h->client->loop, &s->due, 0, on_due);
}

struct hpa *hpa_new(struct client *c, struct manager *m, struct restmap *map, int64_t period_ns)
{
	struct hpa *h = xalloc(sizeof(*h));

	h->client = c;
	h->map = map;
	h->period_ns = period_ns ? period_ns : HPA_PERIOD;
	h->recorder = recorder_new(c, "horizontal-pod-autoscaler", NULL);
	h->pods = manager_informer(m, &res_pods, NULL);
	h->autoscalers = manager_informer(m, &res_horizontalpodautoscalers, NULL);
	informer_on_change(h->autoscalers, on_change, h);
	return h;
}

void hpa_free(struct hpa *h)
{
	struct map_iter it = {0};

	if (!h)
		return;
	while (map_next(&h->scalers, &it))
		scaler_free(it.value);
	map_release(&h->scalers);
	recorder_free(h->recorder);
	free(h);
}

bool hpa_idle(const struct hpa *h)
{
	return !h->running;
}
