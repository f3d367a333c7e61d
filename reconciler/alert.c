/*
 * Sending alerts: for each Alert that wants an event its Provider and that one's Secret are read,
 * and the message goes out through a helper process, a few times where it doesn't arrive. Never
 * holds up what it tells of; what is too much is dropped and counted in the log. On the role's
 * loop.
 */
#include "reconciler/alert.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/hmac.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/forge_call.h"
#include "reconciler/webcall.h"

#define SENDING_MAX 64
#define ATTEMPTS_MAX 3

struct alerts {
	struct reconciler *r;
	struct informer *alerts, *providers;
	struct map last; /* unit → digest of what was told last */
	struct list sending;
	size_t nsending;
};

struct sending {
	struct alerts *owner;
	struct list link;
	struct arena arena;
	struct alert_event event;
	struct alert_about about;
	const struct json *provider, *metadata, *secret;
	struct str provider_namespace, provider_name, summary;
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
	s->owner->nsending--;
	arena_release(&s->arena);
	free(s);
}

static void given_up(struct sending *s, const char *why)
{
	log_warn("cannot tell of an event", "provider",
		 log_fmt("%.*s/%.*s", STR_ARG(s->provider_namespace), STR_ARG(s->provider_name)),
		 "error", why);
	sending_free(s);
}

static struct str secret_text(const struct sending *s, const char *key)
{
	return str_trim(json_str(json_get(s->secret, str_c(key))));
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

static struct forge_ask status_ask(struct arena *a, const char *cluster,
				   const struct alert_about *about, const struct alert_event *e)
{
	return (struct forge_ask){
		.verb = FORGE_STATUS,
		.sha = alert_commit(e->revision),
		.state = e->error ? FORGE_FAILURE : FORGE_SUCCESS,
		.context = arena_strf(a, "plumb/%s/%.*s-%.*s", cluster, STR_ARG(about->namespace),
				      STR_ARG(about->name)),
		/* GitHub's line is short, and a reason says more than half a message. */
		.body = e->error ? str_c(e->reason) : str_sub(e->message, 0, 140)};
}

static bool is_forge(struct str type)
{
	return str_is(type, "github") || str_is(type, "gitlab") || str_is(type, "gitea") ||
	       str_is(type, "forgejo");
}

/* The Provider's address is the repository's; the forge's API is found as for sources. */
static void put_status(struct sending *s, struct str address)
{
	struct forge_ask q =
		status_ask(&s->arena, s->owner->r->opts.cluster_name, &s->about, &s->event);
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
	s->status = forge_call(s->owner->r, &repo, s->secret, &q, on_status, s);
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

static void post(struct sending *s)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct str address = secret_text(s, "address"), type = type_of(s);
	struct webcall w = {.method = "POST", .content_type = STR("application/json")};
	bool chat = str_is(type, "slack") || str_is(type, "rocket") || str_is(type, "discord");

	if (!address.n)
		address = json_str(json_get(s->provider, STR("address")));
	if (is_forge(type)) {
		put_status(s, address);
		return;
	}
	if (!chat && !str_is(type, "generic") && !str_is(type, "generic-hmac")) {
		given_up(s, "providers of this type are not supported by Plumb");
		return;
	}
	json_write(chat ? alert_slack(&a, &s->about, &s->event, s->provider)
			: alert_generic(&a, &s->about, &s->event, s->metadata, s->summary),
		   &body);
	w.url = address;
	w.body = buf_view(&body);
	w.headers = headers_of(s, &a, w.body);
	w.ca = secret_text(s, "ca.crt");
	s->helper = webcall_start(s->owner->r->loop, &w, on_posted, s);
}

static void on_secret(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct sending *s = arg;
	const struct json *data;
	struct json *out = json_new(&s->arena, JSON_OBJECT);
	struct json_member *m;

	s->call = NULL;
	if (answer->err.code) {
		given_up(s, log_fmt("spec.secretRef: %s", answer->err.msg));
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
	s->secret = out;
	post(s);
}

/* ---- which Alerts ---- */

static void begin(struct alerts *al, const struct obj *alert, const struct alert_about *about,
		  const struct alert_event *e)
{
	struct sending *s = xalloc(sizeof(*s));
	struct arena *a = &s->arena;
	const struct json *spec = json_get(obj_tree(alert, a), STR("spec"));
	struct str name = json_str(json_at(spec, "providerRef", "name"));
	const struct obj *p = informer_get(al->providers, alert->namespace, name);
	struct api_call call = {
		.verb = API_GET, .resource = &res_secrets, .namespace = alert->namespace};

	s->owner = al;
	list_append(&al->sending, &s->link);
	al->nsending++;
	s->provider_namespace = arena_str(a, alert->namespace);
	s->provider_name = arena_str(a, name);
	s->event = (struct alert_event){.error = e->error,
					.reason = arena_cstr(a, str_c(e->reason)),
					.message = arena_str(a, e->message),
					.revision = arena_str(a, e->revision),
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
	call.name = json_str(json_at(s->provider, "secretRef", "name"));
	if (call.name.n)
		s->call = client_call(al->r->client, &call, on_secret, s);
	else
		loop_timer_set(al->r->loop, &s->timer, 0, on_again);
}

static void on_own_status(void *arg, const struct forge_answer *answer, const struct err *err)
{
	(void)arg;
	if (!answer)
		log_warn("cannot set a commit status", "error", err->msg);
}

/* A source that has a forge needs no Provider. */
static void own_status(struct unit *u, const struct alert_about *about, const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = unit_source(u, json_get(unit_tree(u, &a), STR("spec")));
	struct forge_ask q = status_ask(&a, u->r->opts.cluster_name, about, e);
	struct forge_repo repo;
	struct err err = {0};

	if (s && q.sha.n && source_forge(s, &a, &repo, &err) > 0)
		source_ask(s, &repo, &q, on_own_status, NULL);
}

/* What is tried again and again is told once. */
static bool is_news(struct alerts *al, const struct unit *u, const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	char hex[65], *old;
	bool same;

	sha256_hex(arena_strf(&a, "%s %.*s %.*s", e->reason, STR_ARG(e->revision),
			      STR_ARG(e->message)),
		   hex);
	old = map_set(&al->last, str_c(u->key), xstrdup(hex));
	same = old && !strcmp(old, hex);
	free(old);
	return !same;
}

void alert_unit(struct unit *u, const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	struct alerts *al = u->r->alerts;
	const struct json *labels = json_at(unit_tree(u, &a), "metadata", "labels");
	struct alert_about about = {.api_version = u->o->api_version,
				    .kind = u->o->kind,
				    .namespace = u->o->namespace,
				    .name = u->o->name,
				    .uid = u->o->uid};
	struct obj_set all;

	if (!al || !is_news(al, u, e))
		return;
	own_status(u, &about, e);
	all = informer_list(al->alerts, &a);
	for (size_t i = 0; i < all.n; i++) {
		const struct obj *o = all.v[i];

		if (!alert_wants(json_get(obj_tree(o, &a), STR("spec")), o->namespace, &about,
				 labels, e))
			continue;
		if (al->nsending >= SENDING_MAX) {
			log_warn("too many events at once: one is not told", "unit", u->key);
			return;
		}
		begin(al, o, &about, e);
	}
}

static struct informer *cache(struct reconciler *r, const struct resource *res)
{
	struct informer_opts o = {.resource = res};
	struct informer *i = informer_new(r->client, &o);

	informer_start(i);
	return i;
}

struct alerts *alerts_start(struct reconciler *r)
{
	struct alerts *al = xalloc(sizeof(*al));

	al->r = r;
	list_init(&al->sending);
	al->alerts = cache(r, &res_alerts);
	al->providers = cache(r, &res_providers);
	return al;
}

void alerts_free(struct alerts *al)
{
	struct map_iter it = {0};

	if (!al)
		return;
	LIST_FOREACH (s, &al->sending)
		sending_free(CONTAINER_OF(s, struct sending, link));
	while (map_next(&al->last, &it))
		free(it.value);
	map_release(&al->last);
	informer_free(al->alerts);
	informer_free(al->providers);
	free(al);
}
