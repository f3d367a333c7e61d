/*
 * `plumb reconcile NAME`: fetches the source and applies now, and waits for the outcome. Asks by
 * the annotation that Flux knows too.
 */
#include <stdio.h>
#include <time.h>

#include "cli/verbs/unitverb.h"
#include "cli/verbs/verb.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define REQUESTED_AT "reconcile.fluxcd.io/requestedAt"
#define REFRESH "argocd.argoproj.io/refresh"
#define LOOK_EVERY (100 * NS_PER_MS)

static int ask(struct unitverb *v, const struct resource *r, const char *namespace,
	       const char *name, const char *now, struct err *err)
{
	const struct json *patch = json_build(&v->arena, "{s:{s:{s:s}}}", "metadata", "annotations",
					      REQUESTED_AT, now);

	return unitverb_patch(v, r, namespace, name, patch, err);
}

/* 1 = settled, 0 = not yet, -1 = error. */
static int settled(struct unitverb *v, const char *name, const char *now, struct err *err)
{
	const struct json *u = unitverb_get(v, &res_kustomizations, v->namespace, name, err);
	const struct json *ready = condition_find(u, "Ready");
	struct str status = json_str(json_get(ready, STR("status"))),
		   message = json_str(json_get(ready, STR("message")));

	if (!u)
		return -1;
	if (!str_is(json_str(json_at(u, "status", "lastHandledReconcileAt")), now) ||
	    str_is(status, "Unknown"))
		return 0;
	if (!str_is(status, "True"))
		return err_set(err, ERR_INVALID, "%.*s", STR_ARG(message));
	printf("%s/%s: %.*s\n", v->namespace, name, STR_ARG(message));
	return 1;
}

/* 1 = looked at, 0 = not yet, -1 = error. was: when it was told of last. */
static int app_settled(struct unitverb *v, const char *name, const char *was, struct err *err)
{
	const struct json *o = unitverb_get(v, &res_applications, v->namespace, name, err);
	const struct json *status = json_get(o, STR("status")),
			  *problem = json_item(json_get(status, STR("conditions")), 0);
	struct str sync = json_str(json_at(status, "sync", "status"));

	if (!o)
		return -1;
	if (meta_annotation(o, REFRESH).n ||
	    str_is(json_str(json_get(status, STR("reconciledAt"))), was) ||
	    str_is(json_str(json_at(status, "operationState", "phase")), "Running"))
		return 0;
	if (problem)
		return err_set(err, ERR_INVALID, "%.*s",
			       STR_ARG(json_str(json_get(problem, STR("message")))));
	printf("%s/%s: %.*s, %.*s\n", v->namespace, name, STR_ARG(sync),
	       STR_ARG(json_str(json_at(status, "health", "status"))));
	return 1;
}

static int wait_for(struct unitverb *v, const struct resource *r, const char *name, const char *now,
		    int64_t timeout, struct err *err)
{
	const struct timespec pause = {.tv_nsec = LOOK_EVERY};

	for (int64_t left = timeout; left > 0; left -= LOOK_EVERY) {
		int rc = r == &res_applications ? app_settled(v, name, now, err)
						: settled(v, name, now, err);

		if (rc)
			return rc < 0 ? -1 : 0;
		nanosleep(&pause, NULL);
	}
	return err_set(err, ERR_TIMEOUT, "%s/%s is not ready yet", v->namespace, name);
}

/* Times are told in seconds: within one, nothing would be seen to change. */
static int refresh(struct unitverb *v, const char *name, int64_t timeout, struct err *err)
{
	const struct json *o = unitverb_get(v, &res_applications, v->namespace, name, err);
	const char *was =
		o ? arena_cstr(&v->arena, json_str(json_at(o, "status", "reconciledAt"))) : NULL;
	char now[TIME_TEXT_MAX];
	struct timespec t;

	if (!o)
		return -1;
	clock_gettime(CLOCK_REALTIME, &t);
	if (str_is(time_format(t.tv_sec * NS_PER_S, now), was))
		nanosleep(&(const struct timespec){.tv_sec = 1}, NULL);
	if (unitverb_patch(v, &res_applications, v->namespace, name,
			   json_build(&v->arena, "{s:{s:{s:s}}}", "metadata", "annotations",
				      REFRESH, "normal"),
			   err))
		return -1;
	return wait_for(v, &res_applications, name, was, timeout, err);
}

static int reconcile(struct unitverb *v, const char *name, int64_t timeout, struct err *err)
{
	const struct json *u, *source;
	const char *source_ns, *source_name;
	const struct resource *r;
	char now[TIME_TEXT_MAX];
	struct timespec t;

	if (unitverb_open(v, err))
		return -1;
	r = unitverb_find(v, name, &name, err);
	if (!r)
		return -1;
	if (r == &res_applications)
		return refresh(v, name, timeout, err);
	u = unitverb_get(v, r, v->namespace, name, err);
	if (!u)
		return -1;
	clock_gettime(CLOCK_REALTIME, &t);
	struct str text = time_format_micro(t.tv_sec * NS_PER_S + t.tv_nsec, now);
	const char *value = arena_cstr(&v->arena, text);
	source = json_at(u, "spec", "sourceRef");
	source_name = arena_cstr(&v->arena, json_str(json_get(source, STR("name"))));
	source_ns = arena_cstr(
		&v->arena, json_str_or(json_get(source, STR("namespace")), str_c(v->namespace)));
	if (ask(v, &res_gitrepositories, source_ns, source_name, value, err) ||
	    ask(v, &res_kustomizations, v->namespace, name, value, err))
		return -1;
	return wait_for(v, r, name, value, timeout, err);
}

static int reconcile_main(int argc, char **argv)
{
	struct unitverb v;
	int64_t timeout = 60 * NS_PER_S;
	const struct flag flags[] = {UNITVERB_FLAGS(&v),
				     {"timeout", 0, FLAG_DURATION, &timeout, "DURATION",
				      "how long to wait for the outcome"},
				     {0}};
	struct err err = {0};
	int nargs, rc = 1;

	unitverb_defaults(&v);
	if (flags_parse(argc, argv, flags,
			"plumb reconcile [NAME]\n\nFetches and applies a Kustomization (root) or "
			"Application now.",
			&nargs, &err) == 0) {
		if (nargs > 1)
			err_set(&err, ERR_BAD_REQUEST, "name one Kustomization or Application");
		else if (!reconcile(&v, nargs ? argv[0] : "root", timeout, &err))
			rc = 0;
	}
	if (rc)
		fprintf(stderr, "plumb reconcile: %s\n", err.msg);
	unitverb_release(&v);
	return rc;
}

const struct verb verb_reconcile = {
	.name = "reconcile", .help = "fetch and apply now", .main = reconcile_main};
