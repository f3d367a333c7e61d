/*
 * AppProjects: which repositories, namespaces and kinds an Application may use, and when. What
 * cannot be read forbids, it never allows. Pure; no memory.
 */
#include "reconciler/argo_project.h"

#include <string.h>

#include "lib/base/cron.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"
#include "reconciler/application.h"

#include "lib/base/pure.h"

static int check_repos(const struct json *project, struct str url, struct err *err)
{
	const struct json *repos = json_at(project, "spec", "sourceRepos");
	bool allowed = false;

	for (size_t i = 0; i < json_len(repos); i++) {
		struct str p = json_str(json_item(repos, i));
		bool negated = str_starts(p, STR("!"));

		if (!argo_glob(negated ? str_sub(p, 1, p.n) : p, url, !str_is(p, "*")))
			continue;
		allowed = !negated;
		if (negated)
			break;
	}
	if (allowed)
		return 0;
	return err_set(err, ERR_FORBIDDEN,
		       "application repo %.*s is not permitted in project '%.*s'", STR_ARG(url),
		       STR_ARG(meta_name(project)));
}

/* Whether the rule's cluster is this one, by address or by name. */
static bool is_here(const struct json *rule)
{
	struct str server = json_str(json_get(rule, STR("server")));
	struct str name = json_str(json_get(rule, STR("name")));

	if (server.n)
		return argo_glob(server, STR(ARGO_CLUSTER), false);
	return name.n && argo_glob(name, STR("in-cluster"), false);
}

static int check_destinations(const struct json *project, struct str ns, struct err *err)
{
	const struct json *all = json_at(project, "spec", "destinations");
	bool allowed = false;

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *rule = json_item(all, i);
		struct str p = json_str(json_get(rule, STR("namespace")));
		bool negated = str_starts(p, STR("!"));

		if (!is_here(rule) || !argo_glob(negated ? str_sub(p, 1, p.n) : p, ns, false))
			continue;
		allowed = !negated;
		if (negated)
			break;
	}
	if (allowed)
		return 0;
	return err_set(err, ERR_FORBIDDEN,
		       "application destination namespace '%.*s' is not permitted in project "
		       "'%.*s'",
		       STR_ARG(ns), STR_ARG(meta_name(project)));
}

/* What a project demands and nobody here sees to: deploying all the same would break it. */
static int check_promises(const struct json *project, struct err *err)
{
	static const struct {
		const char *field, *advice;
	} demands[] = {
		{"signatureKeys",
		 "apply it with a Kustomization, of a GitRepository with spec.verify"},
		{"destinationServiceAccounts",
		 "apply it with a Kustomization that has spec.serviceAccountName"},
		{"sourceIntegrity",
		 "apply it with a Kustomization, of a GitRepository with spec.verify"},
	};

	for (size_t i = 0; i < ARRAY_LEN(demands); i++) {
		if (json_len(json_at(project, "spec", demands[i].field)))
			return err_set(err, ERR_UNSUPPORTED,
				       "project '%.*s': spec.%s is not supported; %s",
				       STR_ARG(meta_name(project)), demands[i].field,
				       demands[i].advice);
	}
	return 0;
}

/* Each matches as a pattern, or, between slashes, as an expression: those are not known here, and
 * what isn't known forbids. */
bool project_serves(const struct json *project, struct str namespace)
{
	const struct json *all = json_at(project, "spec", "sourceNamespaces");

	if (str_eq(meta_namespace(project), namespace))
		return true;
	for (size_t i = 0; i < json_len(all); i++) {
		if (argo_glob(json_str(json_item(all, i)), namespace, false))
			return true;
	}
	return false;
}

int application_allowed(const struct json *project, const struct json *app, bool scoped,
			struct err *err)
{
	const struct json *source = application_source(json_get(app, STR("spec")));

	if (!project)
		return 0;
	if (!project_serves(project, meta_namespace(app)))
		return err_set(err, ERR_FORBIDDEN,
			       "application '%.*s' in namespace '%.*s' is not permitted to use "
			       "project '%.*s'",
			       STR_ARG(meta_name(app)), STR_ARG(meta_namespace(app)),
			       STR_ARG(meta_name(project)));
	if (check_promises(project, err))
		return -1;
	if (!scoped &&
	    json_bool(json_at(project, "spec", "permitOnlyProjectScopedClusters"), false))
		return err_set(err, ERR_FORBIDDEN,
			       "project '%.*s' permits clusters of its own alone "
			       "(spec.permitOnlyProjectScopedClusters), and no Secret makes this "
			       "one that",
			       STR_ARG(meta_name(project)));
	if (check_repos(project, json_str(json_get(source, STR("repoURL"))), err))
		return -1;
	return check_destinations(project,
				  json_str(json_at(app, "spec", "destination", "namespace")), err);
}

/* ---- kinds ---- */

static bool lists_kind(const struct json *list, const struct project_object *o)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i);

		struct str name = json_str(json_get(e, STR("name")));

		if (argo_glob(json_str(json_get(e, STR("group"))), o->group, false) &&
		    argo_glob(json_str(json_get(e, STR("kind"))), o->kind, false) &&
		    (!name.n || argo_glob(name, o->name, false)))
			return true;
	}
	return false;
}

int project_permits(const struct json *project, const struct project_object *o, struct err *err)
{
	struct str namespace = o->namespace;
	const struct json *spec = json_get(project, STR("spec"));
	const struct json *yes = json_get(spec, namespace.n ? STR("namespaceResourceWhitelist")
							    : STR("clusterResourceWhitelist"));
	const struct json *no = json_get(spec, namespace.n ? STR("namespaceResourceBlacklist")
							   : STR("clusterResourceBlacklist"));
	bool unsaid = namespace.n && !json_is(yes, JSON_ARRAY);

	if (!project)
		return 0;
	/* Of what belongs to the cluster nothing is allowed unless it is said. */
	if ((!unsaid && !lists_kind(yes, o)) || lists_kind(no, o))
		return err_set(err, ERR_FORBIDDEN,
			       "resource %.*s:%.*s is not permitted in project %.*s",
			       STR_ARG(o->group), STR_ARG(o->kind), STR_ARG(meta_name(project)));
	return namespace.n ? check_destinations(project, namespace, err) : 0;
}

/* ---- orphans ---- */

bool project_orphan_known(const struct json *rules, struct str group, struct str kind,
			  const struct json *object)
{
	static const struct {
		const char *kind, *name;
	} everywhere[] = {{"ServiceAccount", "default"}, {"ConfigMap", "kube-root-ca.crt"}};
	const struct json *ignore = json_get(rules, STR("ignore"));
	struct str name = meta_name(object);

	for (size_t i = 0; !group.n && i < ARRAY_LEN(everywhere); i++) {
		if (str_is(kind, everywhere[i].kind) && str_is(name, everywhere[i].name))
			return true;
	}
	if (!group.n && str_is(kind, "Service") && str_is(name, "kubernetes") &&
	    str_is(meta_namespace(object), "default"))
		return true;
	for (size_t i = 0; i < json_len(ignore); i++) {
		const struct json *e = json_item(ignore, i);
		struct str k = json_str(json_get(e, STR("kind"))),
			   n = json_str(json_get(e, STR("name")));

		if (argo_glob(json_str(json_get(e, STR("group"))), group, false) &&
		    (!k.n || argo_glob(k, kind, false)) && (!n.n || argo_glob(n, name, false)))
			return true;
	}
	return false;
}

/* ---- windows ---- */

static bool names(const struct json *list, struct str what)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (argo_glob(json_str(json_item(list, i)), what, false))
			return true;
	}
	return false;
}

/* By any of what it names, or by all of it where it says so. */
static bool concerns(const struct json *w, const struct json *app)
{
	static const char *const keys[] = {"applications", "namespaces", "clusters"};
	const struct json *to = json_at(app, "spec", "destination");
	bool all = json_bool(json_get(w, STR("andOperator")), false), any = false;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct json *list = json_get(w, str_c(keys[i]));
		bool fits =
			i == 0   ? names(list, meta_name(app))
			: i == 1 ? names(list, json_str(json_get(to, STR("namespace"))))
				 : names(list, STR("in-cluster")) || names(list, STR(ARGO_CLUSTER));

		if (all && json_len(list) && !fits)
			return false;
		any |= fits;
	}
	return any;
}

static int local(const struct project_clock *c, struct str zone, int64_t at_ns, int64_t *ret)
{
	int32_t ahead = 0;

	if (zone.n && !str_is(zone, "UTC") && c->zone(c->ctx, zone, at_ns / NS_PER_S, &ahead))
		return -1;
	*ret = at_ns + ahead * NS_PER_S;
	return 0;
}

static int is_open(const struct json *w, const struct project_clock *c, bool *ret, struct err *err)
{
	struct str schedule = json_str(json_get(w, STR("schedule")));
	struct str zone = json_str(json_get(w, STR("timeZone"))),
		   kind = json_str(json_get(w, STR("kind")));
	int64_t length, from, now, begin;
	struct cron cron;

	if (!str_is(kind, "allow") && !str_is(kind, "deny"))
		return err_set(err, ERR_INVALID, "a sync window is allow or deny, not '%.*s'",
			       STR_ARG(kind));
	if (cron_parse(schedule, &cron, err))
		return err_wrap(err, "sync window '%.*s'", STR_ARG(schedule));
	if (duration_parse(json_str(json_get(w, STR("duration"))), &length) || length <= 0)
		return err_set(err, ERR_INVALID, "sync window '%.*s': no duration",
			       STR_ARG(schedule));
	if (local(c, zone, c->now_ns - length, &from) || local(c, zone, c->now_ns, &now))
		return err_set(err, ERR_INVALID, "sync window '%.*s': no time zone %.*s",
			       STR_ARG(schedule), STR_ARG(zone));
	begin = cron_next(&cron, from);
	*ret = begin && begin <= now;
	return 0;
}

struct windows {
	const struct json *deny, *shut; /* one that is in the way; an allowance that is to come */
	bool allowed;
	bool deny_by_hand, shut_by_hand; /* all of those let people sync */
};

static int look(const struct json *project, const struct json *app, const struct project_clock *c,
		struct windows *ret, struct err *err)
{
	const struct json *all = json_at(project, "spec", "syncWindows");

	*ret = (struct windows){.deny_by_hand = true, .shut_by_hand = true};
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *w = json_item(all, i);
		bool now = false, by_hand = json_bool(json_get(w, STR("manualSync")), false);
		bool allow = str_is(json_str(json_get(w, STR("kind"))), "allow");

		if (!concerns(w, app))
			continue;
		if (is_open(w, c, &now, err))
			return -1;
		if (now && allow)
			ret->allowed = true;
		if (now && !allow) {
			ret->deny = ret->deny ?: w;
			ret->deny_by_hand &= by_hand;
		}
		if (!now && allow) {
			ret->shut = ret->shut ?: w;
			ret->shut_by_hand &= by_hand;
		}
	}
	return 0;
}

int project_window(const struct json *project, const struct json *app,
		   const struct project_clock *clock, bool by_hand, struct err *err)
{
	const struct json *in_the_way;
	struct windows w;

	if (look(project, app, clock, &w, err))
		return -1;
	if (w.deny && (!by_hand || !w.deny_by_hand))
		in_the_way = w.deny;
	else if (!w.deny && !w.allowed && w.shut && (!by_hand || !w.shut_by_hand))
		in_the_way = w.shut;
	else
		return 0;
	return err_set(err, ERR_FORBIDDEN, "blocked by sync window: %s '%.*s' for %.*s",
		       w.deny ? "denied from" : "allowed only from",
		       STR_ARG(json_str(json_get(in_the_way, STR("schedule")))),
		       STR_ARG(json_str(json_get(in_the_way, STR("duration")))));
}
