/*
 * APIServices of the group versions that this server answers itself: made when they appear, taken
 * out with the last kind. Those that somebody else made are left alone. The core's thread; each
 * request's memory is its own.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/aggregate.h"
#include "lib/base/map.h"

#define AUTOMANAGED "kube-aggregator.kubernetes.io/automanaged"
#define VERSIONS_MAX 1024

/* ---- requests of our own ---- */

struct write {
	struct core_req req; /* first */
	struct arena a;
};

static void on_answer(struct core_req *r, const struct core_answer *answer)
{
	struct write *w = (struct write *)r;

	(void)answer; /* what went wrong is tried again with the next change or probe */
	arena_release(&w->a);
	free(w);
}

static const struct core_sink sink = {.answer = on_answer};

void aggregate_write(struct core *c, enum core_verb verb, struct str name, const char *subresource,
		     const struct json *body)
{
	static const struct str groups[] = {{"system:masters", 14}, {"system:authenticated", 20}};
	struct write *w = xalloc(sizeof(*w));
	AUTO(buf) struct buf text = {0};

	if (body)
		json_write(body, &text);
	w->req = (struct core_req){
		.verb = verb,
		.group = STR("apiregistration.k8s.io"),
		.version = STR("v1"),
		.resource = STR("apiservices"),
		.subresource = subresource ? str_c(subresource) : STR_NONE,
		.name = verb == CORE_CREATE ? STR_NONE : arena_str(&w->a, name),
		.content_type = verb == CORE_PATCH ? STR("application/merge-patch+json")
						   : STR("application/json"),
		.body = arena_str(&w->a, buf_view(&text)),
		.form_version = STR("v1"),
		.user = {.name = STR("system:apiserver"), .groups = groups, .ngroups = 2},
		.user_agent = STR("plumb-apiserver"),
		.internal = true,
		.sink = &sink,
		.arena = &w->a};
	core_submit(c, &w->req);
}

/* ---- which there are ---- */

bool aggregate_is_local(const struct core *c, struct str group, struct str version)
{
	const struct kind *k;

	for (size_t i = 0; (k = core_kind_at(c, i)); i++)
		if (str_is(group, k->group) && str_is(version, k->version))
			return true;
	return false;
}

/* As Kubernetes ranks its groups; those of definitions come after all of them. */
static int group_priority(const struct kind *k)
{
	static const struct {
		const char *group;
		int priority;
	} rows[] = {{"", 18000},
		    {"apps", 17800},
		    {"events.k8s.io", 17750},
		    {"authentication.k8s.io", 17700},
		    {"authorization.k8s.io", 17600},
		    {"autoscaling", 17500},
		    {"batch", 17400},
		    {"certificates.k8s.io", 17300},
		    {"networking.k8s.io", 17200},
		    {"policy", 17100},
		    {"rbac.authorization.k8s.io", 17000},
		    {"storage.k8s.io", 16800},
		    {"apiextensions.k8s.io", 16700},
		    {"admissionregistration.k8s.io", 16700},
		    {"scheduling.k8s.io", 16600},
		    {"coordination.k8s.io", 16500},
		    {"flowcontrol.apiserver.k8s.io", 16400},
		    {"node.k8s.io", 16300},
		    {"discovery.k8s.io", 16200}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(rows[i].group, k->group))
			return rows[i].priority;
	return k->crd ? 1000 : 16000;
}

static int version_priority(const struct kind *k)
{
	if (k->crd)
		return 100;
	if (strstr(k->version, "alpha"))
		return 1;
	if (strstr(k->version, "beta"))
		return 9;
	return k->version[0] == 'v' && k->version[1] > '1' ? 30 : 15;
}

static void make(struct core *c, struct arena *a, const struct kind *k, struct str name)
{
	aggregate_write(c, CORE_CREATE, STR_NONE, NULL,
			json_build(a, "{s:s,s:s,s:{s:S,s:{s:s}},s:{s:s,s:s,s:i,s:i}}", "kind",
				   "APIService", "apiVersion", "apiregistration.k8s.io/v1",
				   "metadata", "name", name, "labels", AUTOMANAGED,
				   k->crd ? "true" : "onstart", "spec", "group", k->group,
				   "version", k->version, "groupPriorityMinimum", group_priority(k),
				   "versionPriority", version_priority(k)));
}

struct stale {
	struct core *core;
	struct str names[VERSIONS_MAX];
	size_t n;
	struct arena *a;
};

static void look_at(void *arg, const struct obj *o)
{
	struct stale *s = arg;
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(obj_tree(o, &a), STR("spec"));

	if (!obj_label(o, STR(AUTOMANAGED)).n || json_get(spec, STR("service")) ||
	    s->n == VERSIONS_MAX ||
	    aggregate_is_local(s->core, json_str_or(json_get(spec, STR("group")), STR("")),
			       json_str(json_get(spec, STR("version")))))
		return;
	s->names[s->n++] = arena_str(s->a, o->name);
}

void aggregate_local(struct core *c)
{
	AUTO(arena) struct arena a = {0};
	AUTO(map) struct map done = {0};
	const struct kind *k, *services = core_kind_find(c, STR("apiregistration.k8s.io"),
							 STR("v1"), STR("apiservices"));
	struct stale s = {.core = c, .a = &a};

	if (!services)
		return;
	for (size_t i = 0; (k = core_kind_at(c, i)) && done.n < VERSIONS_MAX; i++) {
		struct str name = arena_strf(&a, "%s.%s", k->version, k->group);

		if (map_has(&done, name))
			continue;
		map_set(&done, name, &done);
		if (!core_get(c, services, STR_NONE, name))
			make(c, &a, k, name);
	}
	core_each(c, services, look_at, &s);
	for (size_t i = 0; i < s.n; i++)
		aggregate_write(c, CORE_DELETE, s.names[i], NULL, NULL);
}
