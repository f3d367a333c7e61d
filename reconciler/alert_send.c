/*
 * Sending one alert: its Provider's Secrets are read, and the message goes out through a helper
 * process, a few times where it doesn't arrive. Never holds up what it tells of. What could not be
 * told at all is an event of the Alert's own. On the role's loop; memory: each message's own.
 */
#include "reconciler/alert_send.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/hmac.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/json/yaml.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/forge_call.h"
#include "reconciler/webcall.h"

#define ATTEMPTS_MAX 3

/* Secrets that a Provider names. */
static const char *const refs[] = {"secretRef", "proxySecretRef", "certSecretRef"};
enum { REF_SECRET, REF_PROXY, REF_CERT, REFS };

struct sending {
	struct sendings *owner;
	struct list link;
	struct arena arena;
	struct alert_event event;
	struct alert_about about;
	const struct json *alert; /* as an event wants it */
	const struct json *provider, *metadata, *secrets[REFS];
	struct str provider_namespace, provider_name, summary;
	size_t at; /* of the Secret that is being asked for */
	struct client_call *call;
	struct githelper *helper;
	struct forge_call *status;
	struct loop_timer timer;
	unsigned attempts;
};

static void post(struct sending *s);

static void sending_free(struct sending *s)
{
	struct reconciler *r = s->owner->r;

	client_call_cancel(r->client, s->call);
	githelper_cancel(s->helper);
	forge_call_cancel(s->status);
	loop_timer_cancel(r->loop, &s->timer);
	list_remove(&s->link);
	s->owner->n--;
	arena_release(&s->arena);
	free(s);
}

static void given_up(struct sending *s, const char *why)
{
	log_warn("cannot tell of an event", "provider",
		 log_fmt("%.*s/%.*s", STR_ARG(s->provider_namespace), STR_ARG(s->provider_name)),
		 "error", why);
	recorder_event(s->owner->r->recorder, s->alert, "Warning", "NotDelivered",
		       "%.*s %.*s/%.*s: %s; Provider %.*s: %s", STR_ARG(s->about.kind),
		       STR_ARG(s->about.namespace), STR_ARG(s->about.name), s->event.reason,
		       STR_ARG(s->provider_name), why);
	sending_free(s);
}

static struct str secret_text(const struct sending *s, const char *key)
{
	return str_trim(json_str(json_get(s->secrets[REF_SECRET], str_c(key))));
}

/* Whom to trust: certSecretRef's, else the Secret's own. */
static struct str ca_of(const struct sending *s)
{
	struct str ca = json_str(json_get(s->secrets[REF_CERT], STR("ca.crt")));

	return ca.n ? ca : secret_text(s, "ca.crt");
}

/* {address, …}: proxySecretRef's, else a URL in the Secret or in the Provider; or NULL. */
static const struct json *proxy_of(struct sending *s, struct arena *a)
{
	struct str url = secret_text(s, "proxy");

	if (s->secrets[REF_PROXY])
		return s->secrets[REF_PROXY];
	if (!url.n)
		url = json_str(json_get(s->provider, STR("proxy")));
	return url.n ? json_build(a, "{s:S}", "address", url) : NULL;
}

static struct str type_of(const struct sending *s)
{
	return json_str(json_get(s->provider, STR("type")));
}

/* ---- commit statuses ---- */

static void on_status(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct sending *s = arg;

	s->status = NULL;
	if (answer)
		sending_free(s);
	else
		given_up(s, err->msg);
}

struct forge_ask alert_status_ask(struct arena *a, const char *cluster,
				  const struct alert_about *about, const struct alert_event *e)
{
	struct str commit = alert_commit(e->revision);

	return (struct forge_ask){
		.verb = FORGE_STATUS,
		.sha = commit.n ? commit : alert_commit(e->origin),
		.state = e->error ? FORGE_FAILURE : FORGE_SUCCESS,
		.context = arena_strf(a, "plumb/%s/%.*s-%.*s", cluster, STR_ARG(about->namespace),
				      STR_ARG(about->name)),
		/* GitHub's line is short, and a reason says more than half a message. */
		.body = e->error ? str_c(e->reason) : str_sub(e->message, 0, 140)};
}

/* What forge_call() takes for credentials. */
static const struct json *forge_secret(struct sending *s)
{
	struct json *v = s->secrets[REF_SECRET] ? json_copy(&s->arena, s->secrets[REF_SECRET])
						: json_new(&s->arena, JSON_OBJECT);
	const struct json *proxy = proxy_of(s, &s->arena);

	if (ca_of(s).n)
		json_set_str(&s->arena, v, "ca.crt", ca_of(s));
	json_set(&s->arena, v, STR("proxy"), proxy);
	return v;
}

/* The Provider's address is the repository's; the forge's API is found as for sources. */
static void put_status(struct sending *s, struct str address)
{
	struct forge_ask q =
		alert_status_ask(&s->arena, s->owner->r->opts.cluster_name, &s->about, &s->event);
	struct forge_repo repo;
	struct err err = {0};

	if (!q.sha.n) {
		sending_free(s); /* there is no commit to put it on */
		return;
	}
	if (forge_repo_parse(&s->arena, type_of(s), STR_NONE, address, &repo, &err)) {
		given_up(s, err.msg);
		return;
	}
	s->status = forge_call(s->owner->r, &repo, forge_secret(s), &q, on_status, s);
}

/* ---- messages ---- */

static void on_again(struct loop *l, struct loop_timer *t)
{
	(void)l;
	post(CONTAINER_OF(t, struct sending, timer));
}

static void on_posted(void *arg, const struct json *answer, const struct err *err)
{
	static const struct backoff pauses = {.base_ns = 2 * NS_PER_S, .max_ns = 60 * NS_PER_S};
	struct sending *s = arg;
	int64_t status = json_int(json_get(answer, STR("status")), 0);
	bool passes = !answer || status == 429 || status >= 500;

	s->helper = NULL;
	if (status >= 200 && status < 300)
		sending_free(s);
	else if (passes && ++s->attempts < ATTEMPTS_MAX)
		loop_timer_set(s->owner->r->loop, &s->timer, backoff_after(&pauses, s->attempts),
			       on_again);
	else
		given_up(s, answer ? log_fmt("the endpoint answers %lld", (long long)status)
				   : err->msg);
}

static struct json *headers_of(struct sending *s, struct arena *a, struct str body)
{
	struct json *h = json_build(a, "{s:s}", "Gotk-Component", "plumb-reconciler");
	struct str token = secret_text(s, "token");
	char hex[HMAC_HEX_MAX];

	if (str_is(type_of(s), "generic-hmac")) {
		hmac_hex(HMAC_SHA256, token, body, hex);
		json_set_str(a, h, "X-Signature", arena_strf(a, "sha256=%s", hex));
	} else if (str_is(type_of(s), "slack") && token.n) {
		json_set_str(a, h, "Authorization", arena_strf(a, "Bearer %.*s", STR_ARG(token)));
	}
	return h;
}

/* The Secret's `headers` is a YAML map of further ones; for plain HTTP endpoints. */
static int more_headers(struct sending *s, struct arena *a, struct json *h, struct err *err)
{
	struct str text = secret_text(s, "headers");
	struct yaml_docs docs;

	if (!text.n || !str_starts(type_of(s), STR("generic")))
		return 0;
	if (yaml_parse(a, text, 0, NULL, NULL, &docs, NULL) || docs.n != 1 ||
	    !json_is(docs.v[0], JSON_OBJECT))
		return err_set(err, ERR_INVALID, "spec.secretRef: headers is no map");
	for (size_t i = 0; i < json_len(docs.v[0]); i++) {
		const struct json_member *m = &json_members(docs.v[0])[i];

		if (!json_is(&m->value, JSON_STRING))
			return err_set(err, ERR_INVALID, "spec.secretRef: headers must be texts");
		json_set(a, h, m->key, &m->value);
	}
	return 0;
}

static const struct json *message_of(struct sending *s, struct arena *a)
{
	const struct alert_more more = {s->metadata, s->summary};
	const struct json *chat = alert_chat(a, type_of(s), &s->about, &s->event, &more);

	if (chat)
		return chat;
	if (str_starts(type_of(s), STR("generic")))
		return alert_generic(a, &s->about, &s->event, s->metadata, s->summary);
	return alert_slack(a, &s->about, &s->event, s->provider, s->metadata, s->summary);
}

static void post(struct sending *s)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct str address = secret_text(s, "address"), type = type_of(s);
	struct webcall w = {.method = "POST", .content_type = STR("application/json")};
	struct json *headers;
	struct err err = {0};

	if (!address.n)
		address = json_str(json_get(s->provider, STR("address")));
	if (alert_provider_check(s->provider, &err)) {
		given_up(s, err.msg);
		return;
	}
	if (alert_is_forge(type)) {
		put_status(s, address);
		return;
	}
	json_write(message_of(s, &a), &body);
	w.url = alert_address(&a, type, address);
	w.body = buf_view(&body);
	w.headers = headers = headers_of(s, &a, w.body);
	w.ca = ca_of(s);
	w.proxy = proxy_of(s, &a);
	if (duration_parse(json_str(json_get(s->provider, STR("timeout"))), &w.timeout_ns))
		w.timeout_ns = 0;
	if (more_headers(s, &a, headers, &err)) {
		given_up(s, err.msg);
		return;
	}
	s->helper = webcall_start(s->owner->r->loop, &w, on_posted, s);
}

static void next_secret(struct sending *s);

static void on_secret(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct sending *s = arg;
	const struct json *data;
	struct json *out = json_new(&s->arena, JSON_OBJECT);
	struct json_member *m;

	s->call = NULL;
	if (answer->err.code) {
		given_up(s, log_fmt("spec.%s: %s", refs[s->at], answer->err.msg));
		return;
	}
	data = json_get(json_parse(&a, answer->body, NULL, NULL), STR("data"));
	m = json_members(data);
	for (size_t i = 0; m && i < json_len(data); i++) {
		AUTO(buf) struct buf text = {0};

		if (!base64_decode_lines(json_str(&m[i].value), &text))
			json_set_str(&s->arena, out, arena_cstr(&a, m[i].key), buf_view(&text));
		buf_wipe(&text);
	}
	s->secrets[s->at++] = out;
	next_secret(s);
}

static void next_secret(struct sending *s)
{
	struct api_call call = {
		.verb = API_GET, .resource = &res_secrets, .namespace = s->provider_namespace};

	for (; s->at < REFS; s->at++) {
		call.name = json_str(json_at(s->provider, refs[s->at], "name"));
		if (!call.name.n)
			continue;
		s->call = client_call(s->owner->r->client, &call, on_secret, s);
		return;
	}
	loop_timer_set(s->owner->r->loop, &s->timer, 0, on_again);
}

void sendings_begin(struct sendings *all, const struct obj *alert, const struct obj *p,
		    const struct alert_about *about, const struct alert_event *e)
{
	struct sending *s = xalloc(sizeof(*s));
	struct arena *a = &s->arena;
	const struct json *spec = json_get(obj_tree(alert, a), STR("spec"));
	struct str name = json_str(json_at(spec, "providerRef", "name"));

	s->owner = all;
	list_append(&all->v, &s->link);
	all->n++;
	s->alert = json_build(a, "{s:S,s:S,s:{s:S,s:S,s:S}}", "apiVersion", alert->api_version,
			      "kind", alert->kind, "metadata", "namespace", alert->namespace,
			      "name", alert->name, "uid", alert->uid);
	s->provider_namespace = arena_str(a, alert->namespace);
	s->provider_name = arena_str(a, name);
	s->event = (struct alert_event){.error = e->error,
					.reason = arena_cstr(a, str_c(e->reason)),
					.message = arena_str(a, e->message),
					.revision = arena_str(a, e->revision),
					.origin = arena_str(a, e->origin),
					.wall_ns = e->wall_ns};
	s->about = (struct alert_about){arena_str(a, about->api_version), arena_str(a, about->kind),
					arena_str(a, about->namespace), arena_str(a, about->name),
					arena_str(a, about->uid)};
	/* The cache may let go of both while this waits. */
	s->metadata = json_copy(a, json_get(spec, STR("eventMetadata")));
	s->summary = arena_str(a, json_str(json_get(spec, STR("summary"))));
	if (!p) {
		given_up(s, "there is no such Provider");
		return;
	}
	s->provider = json_copy(a, json_get(obj_tree(p, a), STR("spec")));
	if (json_bool(json_get(s->provider, STR("suspend")), false)) {
		sending_free(s);
		return;
	}
	next_secret(s);
}

void sendings_init(struct sendings *all, struct reconciler *r)
{
	*all = (struct sendings){.r = r};
	list_init(&all->v);
}

void sendings_release(struct sendings *all)
{
	LIST_FOREACH (s, &all->v)
		sending_free(CONTAINER_OF(s, struct sending, link));
}
