/*
 * Service account tokens for projected volumes: asked of the API for this pod, renewed when four
 * fifths of their life are over. Must never write one anywhere but into the pod's volume (which
 * volume.c does), nor log it. Owned by their pod; on the kubelet's loop.
 */
#include "kubelet/kubelet.h"
#include "kubelet/volume/volume.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define LIFETIME_DEFAULT_S 3600
#define RENEW_EARLY_MAX_NS (INT64_C(24) * 3600 * NS_PER_S)

struct token {
	struct pod *p;
	char *audience;
	int64_t lifetime_s;
	struct buf text;
	struct client_call *call;
	struct loop_timer timer;
	unsigned failures;
	struct token *next;
};

static int64_t lifetime(const struct json *source)
{
	return MAX(json_int(json_at(source, "expirationSeconds"), LIFETIME_DEFAULT_S), 600);
}

static struct token *find(const struct pod *p, const struct json *source)
{
	for (struct token *t = p->tokens; t; t = t->next) {
		if (str_eq(str_c(t->audience), json_str_or(json_at(source, "audience"), STR(""))) &&
		    t->lifetime_s == lifetime(source))
			return t;
	}
	return NULL;
}

static void ask(struct token *t);

static void on_due(struct loop *l, struct loop_timer *timer)
{
	(void)l;
	ask(CONTAINER_OF(timer, struct token, timer));
}

static void plan_renewal(struct token *t, const struct json *answer)
{
	int64_t expires, left = t->lifetime_s * NS_PER_S;

	if (!time_parse(json_str(json_at(answer, "status", "expirationTimestamp")), &expires))
		left = expires - loop_wall(t->p->k->loop);
	left = MAX(left, 10 * NS_PER_S);
	loop_timer_set(t->p->k->loop, &t->timer, MIN(left / 5 * 4, RENEW_EARLY_MAX_NS), on_due);
}

static void failed(struct token *t, const char *why)
{
	struct pod *p = t->p;
	int64_t after = NS_PER_S << MIN(t->failures, 6u);

	if (t->failures++ == 0 && !t->text.n)
		pod_event(p, "Warning", "FailedMount",
			  "MountVolume.SetUp failed for a projected volume: token of service "
			  "account: %s",
			  why);
	log_warn("no service account token", "pod", p->uid, "error", why);
	loop_timer_set(p->k->loop, &t->timer, after, on_due);
}

static void on_token(void *arg, const struct api_answer *a)
{
	struct token *t = arg;
	AUTO(arena) struct arena scratch = {0};
	struct err err = {0};
	const struct json *v;
	bool renewed = t->text.n > 0;

	t->call = NULL;
	if (a->err.code) {
		failed(t, a->err.msg);
		return;
	}
	v = json_parse(&scratch, a->body, NULL, &err);
	struct str token = json_str(json_at(v, "status", "token"));
	if (!token.n) {
		failed(t, "the answer holds no token");
		return;
	}
	t->failures = 0;
	buf_wipe(&t->text);
	buf_str(&t->text, token);
	plan_renewal(t, v);
	if (renewed && t->p->obs.volumes.state == PART_READY) {
		struct payload_in in = pod_payload_in(t->p);
		if (volumes_update(t->p->dir, &in, &err))
			log_warn("cannot renew a token", "pod", t->p->uid, "error", err.msg);
	}
	pod_wake(t->p);
}

static void ask(struct token *t)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct pod *p = t->p;
	struct json *v =
		json_build(&a, "{s:s, s:s, s:{s:I, s:{s:s, s:s, s:S, s:S}}}", "apiVersion",
			   "authentication.k8s.io/v1", "kind", "TokenRequest", "spec",
			   "expirationSeconds", t->lifetime_s, "boundObjectRef", "apiVersion", "v1",
			   "kind", "Pod", "name", p->spec.name, "uid", p->spec.uid);
	struct api_call call = {.verb = API_CREATE,
				.resource = &res_serviceaccounts,
				.namespace = p->spec.namespace,
				.subresource = "token"};

	call.name = json_str_or(json_at(p->spec.spec, "serviceAccountName"), STR("default"));
	if (*t->audience)
		json_append_str(&a, json_set_array(&a, json_get(v, STR("spec")), "audiences"),
				str_c(t->audience));
	json_write(v, &body);
	call.body = buf_view(&body);
	t->call = client_call(p->k->client, &call, on_token, t);
}

static void add(void *ctx, const struct json *source)
{
	struct pod *p = ctx;
	struct str audience = json_str_or(json_at(source, "audience"), STR(""));
	struct token *t;

	if (find(p, source))
		return;
	t = xalloc(sizeof(*t));
	*t = (struct token){.p = p, .lifetime_s = lifetime(source), .next = p->tokens};
	t->audience = xstrndup(audience.p, audience.n);
	p->tokens = t;
	ask(t);
}

void tokens_start(struct pod *p)
{
	pod_tokens(&p->spec, add, p);
}

bool tokens_ready(const struct pod *p)
{
	for (const struct token *t = p->tokens; t; t = t->next) {
		if (!t->text.n)
			return false;
	}
	return true;
}

struct str tokens_get(const struct pod *p, const struct json *source)
{
	const struct token *t = find(p, source);

	return t && t->text.n ? buf_view(&t->text) : STR_NONE;
}

void pod_tokens_free(struct pod *p)
{
	while (p->tokens) {
		struct token *t = p->tokens;
		p->tokens = t->next;
		if (t->call)
			client_call_cancel(p->k->client, t->call);
		loop_timer_cancel(p->k->loop, &t->timer);
		buf_wipe(&t->text);
		free(t->audience);
		free(t);
	}
}
