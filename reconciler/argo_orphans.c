/*
 * Looking for orphans: kind after kind is listed in the namespace, metadata only, so that no Secret
 * is read for it. What an owner or a unit answers for is none, nor what every namespace has. Never
 * deletes anything. On the role's loop.
 */
#include "reconciler/argo_orphans.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "reconciler/argo.h"
#include "reconciler/argo_project.h"

#define EVERY (30 * NS_PER_S)
#define AGAIN (5 * NS_PER_S)

struct orphans {
	struct unit *u;
	size_t kind; /* the next, of the discovery's */
	const struct resource *res;
	struct client_list *list;
	struct loop_timer timer;
	int64_t at; /* of the last look */
	bool again;
	size_t n, found;            /* as it is being counted; of the last look that ended */
	char first[160], name[160]; /* one of them, the same way */
};

void argo_orphans_free(struct unit *u)
{
	struct orphans *o = u->argo->orphans;

	if (!o)
		return;
	client_list_cancel(o->list);
	loop_timer_cancel(u->r->loop, &o->timer);
	free(o);
	u->argo->orphans = NULL;
}

const char *argo_orphans_text(const struct unit *u, struct arena *a)
{
	const struct orphans *o = u->argo->orphans;

	if (!o || !o->found)
		return NULL;
	return arena_printf(a, "Application has %zu orphaned resources: %s%s", o->found, o->name,
			    o->found > 1 ? " …" : "");
}

/* What comes and goes by itself, or is nobody's to declare. */
static bool is_passing(const struct resource *res)
{
	static const char *const kinds[] = {"Event",      "Endpoints",      "EndpointSlice",
					    "Lease",      "PodMetrics",     "Application",
					    "AppProject", "ApplicationSet", "DriftReport"};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!strcmp(res->kind, kinds[i]))
			return true;
	}
	return !res->namespaced;
}

static const struct json *wish(const struct unit *u, struct arena *a)
{
	const struct json *project = argo_project(u, a);

	return project ? json_at(project, "spec", "orphanedResources") : NULL;
}

static bool is_declared(const struct unit *u, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct str name = obj_label(o, STR(UNIT_LABEL_NAME)),
		   ns = obj_label(o, STR(UNIT_LABEL_NAMESPACE)), key = obj_key(&a, ns, name);

	/* What a unit left behind when it went is nobody's. */
	return name.n && (map_has(&u->r->units, key) ||
			  map_has(&u->r->units, arena_strf(&a, "application/%.*s", STR_ARG(key))));
}

static void on_item(void *arg, struct obj *item)
{
	AUTO(arena) struct arena a = {0};
	struct orphans *o = arg;
	const struct json *rules = wish(o->u, &a), *tree = obj_tree(item, &a);

	if (rules && !json_len(json_at(tree, "metadata", "ownerReferences")) &&
	    !is_declared(o->u, item) &&
	    !project_orphan_known(rules, str_c(o->res->group), str_c(o->res->kind), tree)) {
		if (!o->n++)
			snprintf(o->first, sizeof(o->first), "%s %.*s", o->res->kind,
				 STR_ARG(str_sub(item->name, 0, 100)));
	}
	obj_unref(item);
}

static void next(struct orphans *o);

/* A kind that cannot be listed has none that anybody could see. */
static void on_listed(void *arg, uint64_t revision, const struct err *err)
{
	struct orphans *o = arg;

	(void)revision;
	(void)err;
	o->list = NULL;
	next(o);
}

static void begin(struct orphans *o)
{
	o->kind = o->n = 0;
	o->again = false;
	o->at = loop_now(o->u->r->loop);
	next(o);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	struct orphans *o = CONTAINER_OF(t, struct orphans, timer);

	(void)l;
	begin(o);
}

static void ended(struct orphans *o)
{
	bool news = o->n != o->found || strcmp(o->first, o->name) != 0;

	o->found = o->n;
	memcpy(o->name, o->first, sizeof(o->name));
	if (news)
		argo_look_later(o->u);
	/* What came while it was being counted may have been missed. */
	if (o->again)
		loop_timer_set(o->u->r->loop, &o->timer, AGAIN, on_timer);
}

static void next(struct orphans *o)
{
	struct unit *u = o->u;
	AUTO(arena) struct arena a = {0};
	struct str ns = json_str(json_at(obj_tree(u->o, &a), "spec", "destination", "namespace"));

	while (ns.n && (o->res = restmap_at(u->r->restmap, o->kind++))) {
		if (is_passing(o->res) || !restmap_served(u->r->restmap, o->res) ||
		    restmap_find_group(u->r->restmap, str_c(o->res->group), str_c(o->res->kind)) !=
			    o->res)
			continue;
		o->list = client_list_metadata(u->r->client, o->res, ns, NULL, NULL, on_item,
					       on_listed, o);
		return;
	}
	ended(o);
}

void argo_orphans_look(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	struct orphans *o = u->argo->orphans;
	const struct json *rules = wish(u, &a);
	bool now = u->argo->orphans_now;
	int64_t since;

	u->argo->orphans_now = false;
	/* Said, even if by an empty object; warning is what it does unless it says otherwise. */
	if (!json_is(rules, JSON_OBJECT) || !json_bool(json_get(rules, STR("warn")), true)) {
		argo_orphans_free(u);
		return;
	}
	if (!o) {
		o = u->argo->orphans = xalloc(sizeof(*o));
		o->u = u;
		begin(o);
		return;
	}
	since = loop_now(u->r->loop) - o->at;
	if (o->list)
		o->again = true;
	else if (now || since >= EVERY)
		loop_timer_set(u->r->loop, &o->timer, 0, on_timer);
	else if (!loop_timer_armed(&o->timer))
		loop_timer_set(u->r->loop, &o->timer, EVERY - since, on_timer);
}
