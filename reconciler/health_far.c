/*
 * healthChecks that name objects which the unit does not declare itself: a controller makes them,
 * or another unit. No watch shows them, so they are asked for, every second while somebody waits.
 * On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "reconciler/engine.h"
#include "reconciler/health/health.h"

#define PAUSE NS_PER_S
#define CHECKS_MAX 200

struct far_check {
	struct farchecks *all;
	struct client_call *call;
	const struct resource *resource; /* NULL: nobody serves the kind */
	char *namespace, *name, *kind;
	enum health_state state;
	char *message;
};

struct farchecks {
	struct unit *u;
	struct loop_timer timer;
	size_t n;
	struct far_check v[];
};

static void say(struct far_check *c, enum health_state state, struct str message)
{
	c->state = state;
	free(c->message);
	c->message = xstrndup(message.p ? message.p : "", message.n);
}

static void on_answer(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct far_check *c = arg;
	struct health_result h = {HEALTH_PROGRESSING, str_c(answer->err.msg)};
	const struct json *o;

	c->call = NULL;
	if (!answer->err.code) {
		o = json_parse(&a, answer->body, NULL, NULL);
		h = o ? unit_health_of(c->all->u, o, &a) : h;
	}
	say(c, h.state, h.message);
	unit_health_look(c->all->u);
}

static void ask_all(struct loop *l, struct loop_timer *t)
{
	struct farchecks *f = CONTAINER_OF(t, struct farchecks, timer);

	for (size_t i = 0; i < f->n; i++) {
		struct far_check *c = &f->v[i];
		struct api_call call = {.verb = API_GET,
					.resource = c->resource,
					.namespace = str_c(c->namespace),
					.name = str_c(c->name)};
		AUTO(arena) struct arena a = {0};

		call.impersonate = unit_acts_as(f->u, &a);
		if (c->resource && !c->call)
			c->call = client_call(unit_there(f->u)->client, &call, on_answer, c);
	}
	loop_timer_set(l, &f->timer, PAUSE, ask_all);
}

static bool is_own(const struct unit *u, const struct json *check)
{
	struct map_iter it = {0};

	while (map_next(&u->entries, &it)) {
		if (health_check_names(check, it.value))
			return true;
	}
	return false;
}

static void check_new(struct farchecks *f, const struct json *check)
{
	struct far_check *c = &f->v[f->n++];
	struct str ns = json_str(json_get(check, STR("namespace"))),
		   name = json_str(json_get(check, STR("name"))),
		   kind = json_str(json_get(check, STR("kind")));

	if (!ns.n)
		ns = f->u->o->namespace;
	c->all = f;
	c->namespace = xstrndup(ns.p, ns.n);
	c->name = xstrndup(name.p, name.n);
	c->kind = xstrndup(kind.p, kind.n);
	c->resource =
		restmap_find(unit_there(f->u)->restmap,
			     json_str_or(json_get(check, STR("apiVersion")), STR("v1")), kind);
	say(c, HEALTH_PROGRESSING,
	    c->resource ? STR("it was not looked at yet") : STR("the cluster has no such kind"));
}

void farchecks_start(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct json *spec = json_get(unit_tree(u, &a), STR("spec")),
			  *checks = json_get(spec, STR("healthChecks"));
	size_t n = MIN(json_len(checks), (size_t)CHECKS_MAX);
	struct farchecks *f;

	farchecks_free(u);
	if (!n || json_bool(json_get(spec, STR("wait")), false))
		return;
	f = xalloc(sizeof(*f) + n * sizeof(f->v[0]));
	f->u = u;
	for (size_t i = 0; i < n; i++) {
		if (!is_own(u, json_item(checks, i)))
			check_new(f, json_item(checks, i));
	}
	u->farchecks = f;
	if (f->n)
		loop_timer_set(u->r->loop, &f->timer, 0, ask_all);
}

void farchecks_free(struct unit *u)
{
	struct farchecks *f = u->farchecks;

	if (!f)
		return;
	loop_timer_cancel(u->r->loop, &f->timer);
	for (size_t i = 0; i < f->n; i++) {
		struct far_check *c = &f->v[i];

		if (c->call)
			client_call_cancel(unit_there(u)->client, c->call);
		free(c->namespace);
		free(c->name);
		free(c->kind);
		free(c->message);
	}
	free(f);
	u->farchecks = NULL;
}

void farchecks_judge(const struct unit *u, struct arena *a, struct verdict *v)
{
	const struct farchecks *f = u->farchecks;

	for (size_t i = 0; f && i < f->n; i++)
		verdict_add(v, f->v[i].state,
			    arena_strf(a, "%s %s/%s: %s", f->v[i].kind, f->v[i].namespace,
				       f->v[i].name, f->v[i].message));
}
