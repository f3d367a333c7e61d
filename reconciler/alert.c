/*
 * Which Alerts want an event, what is told only once, and what Alerts and Providers say of
 * themselves. What is too much is dropped and said in the log. On the role's loop; messages are
 * alert_send.c's.
 */
#include "reconciler/alert.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/resources.h"
#include "reconciler/alert_send.h"
#include "reconciler/forge_call.h"

#define SENDING_MAX 64

struct alerts {
	struct reconciler *r;
	struct informer *alerts, *providers;
	struct map last; /* whom it is about → digest of what was told last */
	struct sendings sendings;
	bool judged; /* all Alerts, since all Providers are known */
};

/* ---- which Alerts ---- */

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
	struct forge_ask q = alert_status_ask(&a, u->r->opts.cluster_name, about, e);
	struct forge_repo repo;
	struct err err = {0};

	if (s && q.sha.n && source_forge(s, &a, &repo, &err) > 0)
		source_ask(s, &repo, &q, on_own_status, NULL);
}

/* What is tried again and again is told once. */
static bool is_news(struct alerts *al, const struct alert_about *about, const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	char hex[65], *old;
	bool same;

	sha256_hex(arena_strf(&a, "%s %.*s %.*s", e->reason, STR_ARG(e->revision),
			      STR_ARG(e->message)),
		   hex);
	old = map_set(&al->last,
		      arena_strf(&a, "%.*s/%.*s/%.*s", STR_ARG(about->kind),
				 STR_ARG(about->namespace), STR_ARG(about->name)),
		      xstrdup(hex));
	same = old && !strcmp(old, hex);
	free(old);
	return !same;
}

static const struct obj *provider_of(const struct alerts *al, const struct obj *alert)
{
	AUTO(arena) struct arena a = {0};

	return informer_get(al->providers, alert->namespace,
			    json_str(json_at(obj_tree(alert, &a), "spec", "providerRef", "name")));
}

static void tell_all(struct alerts *al, const struct alert_about *about, const struct json *labels,
		     const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	struct obj_set all = informer_list(al->alerts, &a);

	for (size_t i = 0; i < all.n; i++) {
		const struct obj *o = all.v[i];

		if (!alert_wants(json_get(obj_tree(o, &a), STR("spec")), o->namespace, about,
				 labels, e))
			continue;
		if (al->sendings.n >= SENDING_MAX) {
			log_warn("too many events at once: one is not told", "about",
				 log_fmt("%.*s/%.*s", STR_ARG(about->namespace),
					 STR_ARG(about->name)));
			return;
		}
		sendings_begin(&al->sendings, o, provider_of(al, o), about, e);
	}
}

static struct alert_about about_of(const struct obj *o)
{
	return (struct alert_about){.api_version = o->api_version,
				    .kind = o->kind,
				    .namespace = o->namespace,
				    .name = o->name,
				    .uid = o->uid};
}

void alert_unit(struct unit *u, const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	struct alerts *al = u->r->alerts;
	struct alert_about about = about_of(u->o);

	if (!al || !is_news(al, &about, e))
		return;
	own_status(u, &about, e);
	tell_all(al, &about, json_at(unit_tree(u, &a), "metadata", "labels"), e);
}

void alert_source(struct source *s, const struct alert_event *e)
{
	AUTO(arena) struct arena a = {0};
	struct alerts *al = s->r->alerts;
	struct alert_about about = about_of(s->o);

	if (al && is_news(al, &about, e))
		tell_all(al, &about, json_at(obj_tree(s->o, &a), "metadata", "labels"), e);
}

/* ---- what Alerts and Providers say of themselves ---- */

static void judge(struct alerts *al, const struct resource *res, const struct obj *obj)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_copy(&a, obj_tree(obj, &a));
	const struct json *spec = json_get(o, STR("spec"));
	struct str provider = json_str(json_at(spec, "providerRef", "name"));
	struct err err = {0};
	bool ok = res == &res_providers ? !alert_provider_check(spec, &err)
					: !alert_check(spec, &err),
	     changed;
	const char *reason = ok ? "Succeeded" : "NotSupported";

	if (ok && res == &res_alerts && !informer_get(al->providers, obj->namespace, provider)) {
		ok = false;
		reason = "ProviderNotFound";
		(void)err_set(&err, ERR_NOT_FOUND, "there is no Provider %.*s in namespace %.*s",
			      STR_ARG(provider), STR_ARG(obj->namespace));
	}
	json_set_object(&a, o, "status");
	changed = condition_set(&a, o, "Ready", ok ? "True" : "False", reason,
				ok ? STR("initialized") : str_c(err.msg), loop_wall(al->r->loop));
	changed |= json_int(json_at(o, "status", "observedGeneration"), 0) != obj->generation;
	if (!changed)
		return;
	statusq_put(al->r->statuses, res, obj,
		    json_build(&a, "{s:{s:o,s:I}}", "status", "conditions",
			       json_at(o, "status", "conditions"), "observedGeneration",
			       obj->generation));
}

/* Before both are known everything would seem to be missing. */
static void judge_alerts(struct alerts *al, struct str namespace)
{
	AUTO(arena) struct arena a = {0};
	struct obj_set all;

	if (!informer_synced(al->alerts) || !informer_synced(al->providers))
		return;
	all = namespace.n ? informer_list_ns(al->alerts, namespace, &a)
			  : informer_list(al->alerts, &a);
	for (size_t i = 0; i < all.n; i++) {
		if (!all.v[i]->deleted_ns)
			judge(al, &res_alerts, all.v[i]);
	}
}

static void on_provider(void *arg, const struct obj *old, const struct obj *new)
{
	struct alerts *al = arg;

	if (new && !new->deleted_ns)
		judge(al, &res_providers, new);
	judge_alerts(al, (new ?: old)->namespace);
}

static void on_alert(void *arg, const struct obj *old, const struct obj *new)
{
	(void)old;
	if (new)
		judge_alerts(arg, new->namespace);
}

static void on_progress(void *arg)
{
	struct alerts *al = arg;

	if (al->judged || !informer_synced(al->alerts) || !informer_synced(al->providers))
		return;
	al->judged = true;
	judge_alerts(al, STR_NONE);
}

static struct informer *cache(struct alerts *al, const struct resource *res, informer_fn *fn)
{
	struct informer_opts o = {.resource = res};
	struct informer *i = informer_new(al->r->client, &o);

	informer_on_change(i, fn, al);
	informer_on_progress(i, on_progress, al);
	return i;
}

struct alerts *alerts_start(struct reconciler *r)
{
	struct alerts *al = xalloc(sizeof(*al));

	al->r = r;
	sendings_init(&al->sendings, r);
	al->alerts = cache(al, &res_alerts, on_alert);
	al->providers = cache(al, &res_providers, on_provider);
	informer_start(al->alerts);
	informer_start(al->providers);
	return al;
}

void alerts_free(struct alerts *al)
{
	struct map_iter it = {0};

	if (!al)
		return;
	sendings_release(&al->sendings);
	while (map_next(&al->last, &it))
		free(it.value);
	map_release(&al->last);
	informer_free(al->alerts);
	informer_free(al->providers);
	free(al);
}
