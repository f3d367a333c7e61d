/*
 * Builds status as kubectl describe reads it: phase, conditions, one entry a container. Never
 * drops a condition that isn't the kubelet's. Pure; memory is the caller's arena.
 */
#include "kubelet/status_core.h"

#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* An end is told when nothing runs any more: who hears of it may start another pod in its place.
 * One that was deleted has an end as well: others count it. */
static enum pod_end told_end(const struct pod_spec *s, const struct pod_obs *o)
{
	for (size_t i = 0; i < s->n; i++) {
		if (o->c[i].state == CONT_STARTING || o->c[i].state == CONT_RUNNING)
			return POD_END_NONE;
	}
	if (o->end != POD_END_NONE || !o->torn_down)
		return o->end;
	for (size_t i = s->ninit; i < s->nmain; i++) {
		if (o->c[i].state != CONT_EXITED || o->c[i].end.exit_code)
			return POD_END_FAILED;
	}
	return POD_END_SUCCEEDED;
}

const char *pod_phase(const struct pod_spec *s, const struct pod_obs *o)
{
	enum pod_end end = told_end(s, o);

	if (end != POD_END_NONE)
		return end == POD_END_SUCCEEDED ? "Succeeded" : "Failed";
	for (size_t i = s->ninit; i < s->nmain; i++) {
		const struct cont_obs *c = &o->c[i];
		if ((c->state == CONT_WAITING || c->state == CONT_STARTING) && !c->last.set)
			return "Pending";
	}
	return "Running";
}

/* Between the runs of one image and of the next, and a moment longer: who has just given it another
 * image and read it again may write its status without meeting ours, as with kube. */
static bool swapping(const struct status_in *in, size_t i)
{
	const struct cont_obs *c = &in->obs->c[i];

	if (*c->reason || pod_stopping(in->spec, in->obs))
		return false;
	if (c->state == CONT_RUNNING)
		return c->quiet_until > in->now.mono && c->was_ready == c->ready;
	return c->swap &&
	       (c->state == CONT_STARTING ||
		(c->state == CONT_EXITED && cont_restarts(&in->spec->c[i], c->end.exit_code)));
}

static void set_time(struct arena *a, struct json *o, const char *key, int64_t wall)
{
	char text[TIME_TEXT_MAX];

	if (wall)
		json_set_str(a, o, key, time_format(wall, text));
}

static void set_id(struct arena *a, struct json *o, const struct status_in *in, const char *id)
{
	if (*id)
		json_set_str(a, o, "containerID", arena_strf(a, "%s://%s", in->runtime, id));
}

static struct json *ended(struct arena *a, const struct status_in *in, const struct cont_end *e)
{
	struct json *v = json_new(a, JSON_OBJECT);
	struct json *t = json_set_object(a, v, "terminated");

	json_set_int(a, t, "exitCode", e->exit_code);
	json_set_str(a, t, "reason", str_c(e->reason));
	if (e->message)
		json_set_str(a, t, "message", str_c(e->message));
	set_time(a, t, "startedAt", e->started_wall);
	set_time(a, t, "finishedAt", e->finished_wall);
	set_id(a, t, in, e->id);
	return v;
}

static struct json *waiting(struct arena *a, const char *reason, struct str message)
{
	struct json *v = json_new(a, JSON_OBJECT);
	struct json *w = json_set_object(a, v, "waiting");

	json_set_str(a, w, "reason", str_c(reason));
	if (message.n)
		json_set_str(a, w, "message", message);
	return v;
}

static struct json *why_waiting(struct arena *a, const struct status_in *in, size_t i)
{
	const struct cont_obs *c = &in->obs->c[i];
	const struct container_spec *cs = &in->spec->c[i];

	if (c->image.state == PART_FAILED && c->image.failures > 1 &&
	    !strcmp(c->reason, "ErrImagePull"))
		return waiting(a, "ImagePullBackOff",
			       arena_strf(a, "Back-off pulling image \"%.*s\": ErrImagePull: %s",
					  STR_ARG(cs->image), c->message ? c->message : ""));
	if (*c->reason)
		return waiting(a, c->reason, str_c(c->message));
	return waiting(a, in->spec->ninit ? "PodInitializing" : "ContainerCreating", STR_NONE);
}

static struct json *crash_loop(struct arena *a, const struct status_in *in, size_t i)
{
	const struct cont_obs *c = &in->obs->c[i];
	const struct pod_spec *s = in->spec;
	AUTO(buf) struct buf text = {0};

	duration_format(crash_backoff_s(c->crashes) * NS_PER_S, &text);
	return waiting(
		a, "CrashLoopBackOff",
		arena_strf(a, "back-off %s restarting failed container=%.*s pod=%.*s_%.*s(%.*s)",
			   buf_cstr(&text), STR_ARG(s->c[i].name), STR_ARG(s->name),
			   STR_ARG(s->namespace), STR_ARG(s->uid)));
}

static void container_states(struct arena *a, const struct status_in *in, size_t i, struct json *v)
{
	const struct cont_obs *c = &in->obs->c[i];
	struct json *state, *r;
	const struct cont_end *last = &c->last;

	switch (c->state) {
	case CONT_RUNNING:
		state = json_new(a, JSON_OBJECT);
		r = json_set_object(a, state, "running");
		set_time(a, r, "startedAt", c->started_wall);
		break;
	case CONT_EXITED:
		if (!pod_stopping(in->spec, in->obs) &&
		    cont_restarts(&in->spec->c[i], c->end.exit_code) &&
		    (*c->reason || c->retry_at > in->now.mono)) {
			state = *c->reason ? why_waiting(a, in, i) : crash_loop(a, in, i);
			last = &c->end;
			break;
		}
		state = ended(a, in, &c->end);
		break;
	case CONT_STARTING:
		if (c->last.set) { /* between two runs the old one still shows, as kube does */
			state = ended(a, in, &c->last);
			break;
		}
		state = why_waiting(a, in, i);
		break;
	case CONT_WAITING:
	case CONT_STATE_MAX:
	default:
		state = why_waiting(a, in, i);
		break;
	}
	json_set(a, v, STR("state"), state);
	if (last->set)
		json_set(a, v, STR("lastState"), ended(a, in, last));
	else
		json_set_object(a, v, "lastState");
}

static bool counts_as_ready(const struct status_in *in, size_t i)
{
	const struct cont_obs *c = &in->obs->c[i];

	if (in->spec->c[i].init && !in->spec->c[i].sidecar)
		return c->state == CONT_EXITED && c->end.exit_code == 0;
	return c->state == CONT_RUNNING && c->ready && !in->spec->c[i].ephemeral;
}

/* How each was mounted. Recursive: whatever is mounted below is read-only as well. */
static void mounts(struct arena *a, const struct json *from, struct json *v)
{
	struct json *list = json_len(from) ? json_set_array(a, v, "volumeMounts") : NULL;

	for (size_t i = 0; i < json_len(from); i++) {
		const struct json *m = json_item(from, i);
		struct json *o = json_append_object(a, list);
		struct str all = json_str(json_at(m, "recursiveReadOnly"));

		json_set_str(a, o, "name", json_str(json_at(m, "name")));
		json_set_str(a, o, "mountPath", json_str(json_at(m, "mountPath")));
		if (!json_bool(json_at(m, "readOnly"), false))
			continue;
		json_set_bool(a, o, "readOnly", true);
		json_set_str(a, o, "recursiveReadOnly",
			     !all.n || str_is(all, "Disabled") ? STR("Disabled") : STR("Enabled"));
	}
}

/* What was last said of a container: NULL when nothing was. */
static const struct json *told(const struct status_in *in, size_t i)
{
	const struct json *list = json_at(in->old, in->spec->c[i].init ? "initContainerStatuses"
								       : "containerStatuses");

	for (size_t j = 0; j < json_len(list); j++) {
		if (str_eq(json_str(json_at(json_item(list, j), "name")), in->spec->c[i].name))
			return json_item(list, j);
	}
	return NULL;
}

static void container_status(struct arena *a, const struct status_in *in, size_t i,
			     struct json *list)
{
	/* Of the moment between two images nothing is told: nobody is to see the pod go and come.
	 */
	if (swapping(in, i) && told(in, i)) {
		json_append(a, list, json_copy(a, told(in, i)));
		return;
	}
	struct json *v = json_append_object(a, list);
	const struct cont_obs *c = &in->obs->c[i];
	const struct container_spec *cs = &in->spec->c[i];
	const char *id = c->state == CONT_RUNNING  ? c->id
			 : c->state == CONT_EXITED ? c->end.id
						   : c->last.id;

	json_set_str(a, v, "name", cs->name);
	container_states(a, in, i, v);
	json_set_bool(a, v, "ready", counts_as_ready(in, i));
	json_set_int(a, v, "restartCount",
		     c->state == CONT_STARTING && c->restarts ? c->restarts - 1 : c->restarts);
	json_set_str(a, v, "image", cs->image);
	json_set_str(a, v, "imageID", str_c(c->image_id));
	set_id(a, v, in, id);
	json_set_bool(a, v, "started", c->state == CONT_RUNNING && c->started);
	if (c->state != CONT_WAITING)
		mounts(a, json_at(cs->json, "volumeMounts"), v);
}

/* ---- conditions ---- */

static bool serves(const struct status_in *in, size_t i)
{
	const struct cont_obs *c = &in->obs->c[i];

	return (c->state == CONT_RUNNING && c->ready) ||
	       (c->was_ready && swapping(in, i) && told(in, i));
}

/* Those that the pod's readiness is about: the main containers, and the sidecars. */
static bool must_serve(const struct status_in *in, size_t i)
{
	return i < in->spec->nmain && (!in->spec->c[i].init || in->spec->c[i].sidecar);
}

static void list_names(struct arena *a, const struct status_in *in, bool init, struct str *ret)
{
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < (init ? in->spec->ninit : in->spec->nmain); i++) {
		bool fine = !must_serve(in, i) || serves(in, i);

		if (init)
			fine = in->spec->c[i].sidecar ? in->obs->c[i].started
						      : counts_as_ready(in, i);
		if (fine)
			continue;
		buf_printf(&b, "%s%.*s", b.n ? " " : "", STR_ARG(in->spec->c[i].name));
	}
	*ret = arena_strf(a, "[%.*s]", STR_ARG(buf_view(&b)));
}

static void condition(struct arena *a, const struct status_in *in, struct json *holder,
		      const char *type, bool is, const char *reason, struct str message)
{
	condition_set(a, holder, type, is ? "True" : "False", reason, message, in->now.wall);
}

/* Those of spec.readinessGates are somebody else's to set, and ours to wait for: what is missing
 * goes to `out`. */
static void closed_gates(const struct status_in *in, const struct json *holder, struct buf *out)
{
	const struct json *gates = json_at(in->spec->spec, "readinessGates");

	for (size_t i = 0; i < json_len(gates); i++) {
		struct str type = json_str(json_at(json_item(gates, i), "conditionType"));
		const struct json *list = json_at(holder, "status", "conditions");
		struct str is = STR_NONE;
		for (size_t j = 0; j < json_len(list) && !is.n; j++) {
			const struct json *c = json_item(list, j);
			if (str_eq(json_str(json_at(c, "type")), type))
				is = json_str(json_at(c, "status"));
		}
		if (str_is(is, "True"))
			continue;
		buf_puts(out, out->n ? ", " : "");
		if (is.n)
			buf_printf(out,
				   "the status of pod readiness gate \"%.*s\" is not \"True\", but "
				   "%.*s",
				   STR_ARG(type), STR_ARG(is));
		else
			buf_printf(
				out,
				"corresponding condition of pod readiness gate \"%.*s\" does not "
				"exist.",
				STR_ARG(type));
	}
}

static void conditions(struct arena *a, const struct status_in *in, struct json *holder)
{
	const struct pod_obs *o = in->obs;
	enum pod_end end = told_end(in->spec, o);
	bool over = end != POD_END_NONE, done = end == POD_END_SUCCEEDED, ready = true;
	bool initialized = pod_initialized(in->spec, o) || done;
	AUTO(buf) struct buf gates = {0};
	struct str names;

	for (size_t i = 0; i < in->spec->nmain; i++)
		ready &= !must_serve(in, i) || serves(in, i);
	if (over)
		ready = false;
	condition(a, in, holder, "PodReadyToStartContainers", o->sandbox.state == PART_READY, "",
		  STR_NONE);
	list_names(a, in, true, &names);
	condition(a, in, holder, "Initialized", initialized,
		  done          ? "PodCompleted"
		  : initialized ? ""
				: "ContainersNotInitialized",
		  initialized ? STR_NONE
			      : arena_strf(a, "containers with incomplete status: %.*s",
					   STR_ARG(names)));
	list_names(a, in, false, &names);
	struct str unready = arena_strf(a, "containers with unready status: %.*s", STR_ARG(names));
	const char *reason = done ? "PodCompleted" : over ? "PodFailed" : "ContainersNotReady";
	condition(a, in, holder, "ContainersReady", ready, ready ? "" : reason,
		  ready || over ? STR_NONE : unready);
	if (ready)
		closed_gates(in, holder, &gates);
	if (gates.n)
		condition(a, in, holder, "Ready", false, "ReadinessGatesNotReady",
			  arena_str(a, buf_view(&gates)));
	else
		condition(a, in, holder, "Ready", ready, ready ? "" : reason,
			  ready || over ? STR_NONE : unready);
	if (o->by_pressure)
		condition(a, in, holder, "DisruptionTarget", true, "TerminationByKubelet",
			  str_c(o->end_message));
	if (!json_is(condition_find(holder, "PodScheduled"), JSON_OBJECT))
		condition(a, in, holder, "PodScheduled", true, "", STR_NONE);
}

static void addresses(struct arena *a, const struct status_in *in, struct json *st)
{
	const char *pod_ip = in->spec->host_network ? in->host_ip : in->obs->ip;

	json_set_str(a, st, "hostIP", str_c(in->host_ip));
	json_set_str(a, json_append_object(a, json_set_array(a, st, "hostIPs")), "ip",
		     str_c(in->host_ip));
	if (!*pod_ip)
		return;
	json_set_str(a, st, "podIP", str_c(pod_ip));
	json_set_str(a, json_append_object(a, json_set_array(a, st, "podIPs")), "ip",
		     str_c(pod_ip));
}

struct json *pod_status(struct arena *a, const struct status_in *in)
{
	struct json *holder = json_new(a, JSON_OBJECT);
	struct json *st = json_set_object(a, holder, "status");
	const struct json *old = json_at(in->old, "conditions");

	json_set_str(a, st, "phase", str_c(pod_phase(in->spec, in->obs)));
	if (*in->obs->end_reason && told_end(in->spec, in->obs) != POD_END_NONE) {
		json_set_str(a, st, "reason", str_c(in->obs->end_reason));
		json_set_str(a, st, "message", str_c(in->obs->end_message));
	}
	if (json_is(old, JSON_ARRAY))
		json_set(a, st, STR("conditions"), json_copy(a, old));
	conditions(a, in, holder);
	addresses(a, in, st);
	set_time(a, st, "startTime", in->obs->start_wall);
	if (in->spec->ninit) {
		struct json *list = json_set_array(a, st, "initContainerStatuses");
		for (size_t i = 0; i < in->spec->ninit; i++)
			container_status(a, in, i, list);
	}
	struct json *list = json_set_array(a, st, "containerStatuses");
	for (size_t i = in->spec->ninit; i < in->spec->nmain; i++)
		container_status(a, in, i, list);
	if (in->spec->n > in->spec->nmain) {
		list = json_set_array(a, st, "ephemeralContainerStatuses");
		for (size_t i = in->spec->nmain; i < in->spec->n; i++)
			container_status(a, in, i, list);
	}
	json_set_str(a, st, "qosClass", str_c(in->spec->qos));
	return st;
}
