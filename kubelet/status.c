/*
 * Tells the API each pod's status, as merge patches of the status subresource: one call a pod at a
 * time, the newest status always wins, what was told already is not told again. Must never block a
 * pod's work on the API's answers, but for the last word before it is deleted. On the kubelet's
 * loop.
 */
#include "kubelet/status_core.h"

#include "kubelet/kubelet.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define RETRY_MAX_NS (10 * NS_PER_S)

static void on_answer(void *arg, const struct api_answer *a);
static void confirm_delete(struct pod *p);

static void build(struct pod *p, struct arena *a, struct buf *out)
{
	const struct json *api = obj_tree(p->api, a);
	struct status_in in = {.spec = &p->spec,
			       .obs = &p->obs,
			       .old = json_at(api, "status"),
			       .host_ip = p->k->node_ip,
			       .runtime = p->k->rt.name,
			       .now = pod_now(p->k)};
	struct json *st = pod_status(a, &in), *body = json_new(a, JSON_OBJECT);
	static const char *const optional[] = {"reason", "message"};

	for (size_t i = 0; i < ARRAY_LEN(optional); i++) {
		/* A merge patch removes only what is null. */
		if (!json_at(st, optional[i]) && json_at(in.old, optional[i]))
			json_set(a, st, str_c(optional[i]), NULL);
	}
	json_set_str(a, json_set_object(a, body, "metadata"), "uid", p->spec.uid);
	json_set(a, body, STR("status"), st);
	json_write(body, out);
}

static void on_retry(struct loop *l, struct loop_timer *t)
{
	struct pod *p = CONTAINER_OF(t, struct pod, retry);

	(void)l;
	status_push(p);
}

static bool over(const struct api_answer *a)
{
	return a->err.code == ERR_NOT_FOUND || a->err.code == ERR_GONE;
}

static void retry_later(struct pod *p, const struct err *err)
{
	int64_t after = (100 * NS_PER_MS) << MIN(p->status_failures, 7u);

	if (p->status_failures++ % 10 == 0)
		log_warn("cannot tell a pod's status, trying again", "pod", p->uid, "error",
			 err->msg);
	buf_reset(&p->sent);
	loop_timer_set(p->k->loop, &p->retry, MIN(after, RETRY_MAX_NS), on_retry);
}

static void on_answer(void *arg, const struct api_answer *a)
{
	struct pod *p = arg;
	struct err err = {0};

	p->call = NULL;
	if (a->err.code && !over(a)) {
		retry_later(p, &a->err);
		return;
	}
	p->status_failures = 0;
	if (!a->err.code) {
		struct obj *o = obj_from_bytes(a->body, &err);
		if (o && str_is(o->uid, p->uid) && o->revision > p->api->revision) {
			obj_unref(p->api);
			p->api = obj_ref(o);
		}
		obj_unref(o);
	}
	if (p->status_behind)
		status_push(p);
	else if (p->confirm_wanted)
		confirm_delete(p);
}

/* It was over before we could run any of it: what the API knows of its containers is more than we
 * do. */
static bool nothing_to_say(const struct pod *p)
{
	AUTO(arena) struct arena a = {0};
	struct str phase;

	if (p->obs.end == POD_END_NONE)
		return false;
	for (size_t i = 0; i < p->obs.n; i++) {
		if (p->obs.c[i].state != CONT_WAITING)
			return false;
	}
	phase = json_str(json_at(obj_tree(p->api, &a), "status", "phase"));
	return str_is(phase, "Failed") || str_is(phase, "Succeeded");
}

void status_push(struct pod *p)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_pods,
				.namespace = p->spec.namespace,
				.name = p->spec.name,
				.subresource = "status",
				.patch = API_PATCH_MERGE};

	if (p->obs.gone || p->removed)
		return;
	if (nothing_to_say(p)) {
		if (p->confirm_wanted && !p->call)
			confirm_delete(p);
		return;
	}
	p->status_behind = p->call != NULL;
	if (p->call)
		return;
	build(p, &a, &body);
	if (str_eq(buf_view(&body), buf_view(&p->sent))) {
		if (p->confirm_wanted)
			confirm_delete(p);
		return;
	}
	call.body = buf_view(&body);
	p->call = client_call(p->k->client, &call, on_answer, p);
	buf_reset(&p->sent);
	buf_str(&p->sent, buf_view(&body));
}

/* ---- the end ---- */

static void on_deleted(void *arg, const struct api_answer *a)
{
	struct pod *p = arg;

	p->call = NULL;
	p->confirm_wanted = false;
	/* A conflict says that the name belongs to another pod by now. */
	bool done = !a->err.code || over(a) || a->err.code == ERR_CONFLICT;
	if (!done)
		log_warn("cannot delete a pod that has ended, trying again", "pod", p->uid, "error",
			 a->err.msg);
	pod_on_confirmed(&p->obs, done, pod_now(p->k));
	if (done && a->err.code)
		p->obs.gone = true;
	pod_wake(p);
}

static void confirm_delete(struct pod *p)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_DELETE,
				.resource = &res_pods,
				.namespace = p->spec.namespace,
				.name = p->spec.name};

	json_write(json_build(&a, "{s:s, s:s, s:i, s:{s:S}}", "kind", "DeleteOptions", "apiVersion",
			      "v1", "gracePeriodSeconds", 0, "preconditions", "uid", p->spec.uid),
		   &body);
	call.body = buf_view(&body);
	p->call = client_call(p->k->client, &call, on_deleted, p);
}

void status_confirm(struct pod *p)
{
	p->confirm_wanted = true;
	status_push(p);
}

void status_cancel(struct pod *p)
{
	if (p->call)
		client_call_cancel(p->k->client, p->call);
	p->call = NULL;
	loop_timer_cancel(p->k->loop, &p->retry);
}
