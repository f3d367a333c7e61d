/*
 * What a life before this one left: DriftReports of mode propose whose drift was gone by the time
 * its Kustomization was looked at again. Nobody would come back to their branches, which then look
 * like proposals that wait. Listed once, at the start; each is taken up when its unit has been
 * applied for the first time. Never touches a branch whose drift is there. On the role's loop.
 */
#include "reconciler/leftover.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/drifts.h"

struct leftovers {
	struct reconciler *r;
	struct map v; /* unit → struct leftover */
	struct client_call *call;
	struct loop_timer timer;
	unsigned failures;
};

struct leftover {
	char commit[GIT_OID_TEXT], branch[sizeof(((struct drifts *)NULL)->branch)];
};

static void ask(struct leftovers *l);

static void on_timer(struct loop *loop, struct loop_timer *t)
{
	(void)loop;
	ask(CONTAINER_OF(t, struct leftovers, timer));
}

static void note(struct leftovers *l, const struct json *report, struct arena *a)
{
	const struct json *spec = json_get(report, STR("spec")),
			  *ref = json_get(spec, STR("kustomizationRef"));
	struct str branch = json_str(json_get(spec, STR("branch"))),
		   commit = json_str(json_at(report, "status", "commit")),
		   key = obj_key(a, json_str(json_get(ref, STR("namespace"))),
				 json_str(json_get(ref, STR("name"))));
	struct leftover *v;
	struct unit *u;

	if (!str_is(json_str(json_get(spec, STR("mode"))), "propose") || !branch.n ||
	    commit.n != GIT_OID_TEXT - 1)
		return;
	if (str_is(json_str(json_get(ref, STR("kind"))), "Application"))
		key = arena_strf(a, "application/%.*s", STR_ARG(key));
	v = xalloc(sizeof(*v));
	snprintf(v->commit, sizeof(v->commit), "%.*s", STR_ARG(commit));
	snprintf(v->branch, sizeof(v->branch), "%.*s", STR_ARG(branch));
	free(map_set(&l->v, key, v));
	u = map_get(&l->r->units, key);
	if (u)
		unit_settle(u);
}

static void on_listed(void *arg, const struct api_answer *answer)
{
	static const struct backoff pauses = {.base_ns = 2 * NS_PER_S, .max_ns = 60 * NS_PER_S};
	AUTO(arena) struct arena a = {0};
	struct leftovers *l = arg;
	const struct json *items;

	l->call = NULL;
	if (answer->err.code) {
		loop_timer_set(l->r->loop, &l->timer, backoff_after(&pauses, l->failures++),
			       on_timer);
		return;
	}
	items = json_get(json_parse(&a, answer->body, NULL, NULL), STR("items"));
	for (size_t i = 0; i < json_len(items); i++)
		note(l, json_item(items, i), &a);
}

static void ask(struct leftovers *l)
{
	struct api_call call = {.verb = API_LIST, .resource = &res_driftreports};

	l->call = client_call(l->r->client, &call, on_listed, l);
}

void leftover_settle(struct unit *u, bool drifts)
{
	struct leftovers *l = u->r->leftovers;
	struct leftover *v;

	if (!l || !l->v.n || u->run || !u->revision)
		return;
	v = map_del(&l->v, str_c(u->key));
	if (v && !drifts && !u->drifts) {
		log_info("the drift of an earlier report is gone", "unit", u->key, "branch",
			 v->branch);
		drifts_take_up(u, v->branch, v->commit);
		drifts_close(u->drifts);
	}
	free(v);
}

struct leftovers *leftovers_start(struct reconciler *r)
{
	struct leftovers *l = xalloc(sizeof(*l));

	l->r = r;
	ask(l);
	return l;
}

void leftovers_free(struct leftovers *l)
{
	struct map_iter it = {0};

	if (!l)
		return;
	client_call_cancel(l->r->client, l->call);
	loop_timer_cancel(l->r->loop, &l->timer);
	while (map_next(&l->v, &it))
		free(it.value);
	map_release(&l->v);
	free(l);
}
