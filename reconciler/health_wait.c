/*
 * Waiting for health: judged whenever a watched object changes, not by polling; over at the
 * timeout or when a newer run starts. On the role's loop.
 */
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"
#include "reconciler/health/health.h"

#define TIMEOUT_MIN (30 * NS_PER_S)
#define TIMEOUT_DEFAULT (300 * NS_PER_S)

struct verdict {
	size_t waiting, failed, all;
	struct str first; /* what stands in the way */
};

static void judge(struct entry *e, struct arena *a, struct verdict *v)
{
	const struct obj *live = entry_live(e);
	struct health_result h;

	v->all++;
	h = live ? health_of(obj_tree(live, a), a) : health_wait(a, "it is not there");
	if (h.state == HEALTH_CURRENT)
		return;
	if (h.state == HEALTH_FAILED)
		v->failed++;
	else
		v->waiting++;
	if (!v->first.n || (h.state == HEALTH_FAILED && v->failed == 1))
		v->first = arena_strf(a, "%s %s%s%s: %.*s", e->kind, e->namespace,
				      e->namespace[0] ? "/" : "", e->name, STR_ARG(h.message));
}

static bool is_named(const struct json *checks, const struct entry *e)
{
	for (size_t i = 0; i < json_len(checks); i++) {
		const struct json *c = json_item(checks, i);
		struct str ns = json_str(json_get(c, STR("namespace")));

		if (str_is(json_str(json_get(c, STR("kind"))), e->kind) &&
		    str_is(json_str(json_get(c, STR("name"))), e->name) &&
		    (!ns.n || str_is(ns, e->namespace)))
			return true;
	}
	return false;
}

static struct verdict judge_all(struct unit *u, struct arena *a)
{
	const struct json *spec = json_get(unit_tree(u, a), STR("spec"));
	bool all = json_bool(json_get(spec, STR("wait")), false);
	struct map_iter it = {0};
	struct verdict v = {0};

	while (map_next(&u->entries, &it)) {
		struct entry *e = it.value;

		if (all || is_named(json_get(spec, STR("healthChecks")), e))
			judge(e, a, &v);
	}
	return v;
}

static int64_t timeout_of(const struct json *spec)
{
	int64_t ns;

	if (!duration_parse(json_str(json_get(spec, STR("timeout"))), &ns) && ns > 0)
		return ns;
	if (!duration_parse(json_str(json_get(spec, STR("interval"))), &ns) && ns > 0)
		return MAX(ns - 30 * NS_PER_S, TIMEOUT_MIN);
	return TIMEOUT_DEFAULT;
}

static void settle(struct unit *u, bool ok, struct str message)
{
	struct unit_report rep = {.ready = ok ? "True" : "False",
				  .reason = ok ? "ReconciliationSucceeded" : "HealthCheckFailed",
				  .message = message,
				  .healthy = ok ? "True" : "False",
				  .event = true,
				  .ended = true};

	u->health_until = 0;
	unit_report(u, &rep);
	loop_timer_cancel(u->r->loop, &u->timer);
	unit_ended(u, ok);
}

void unit_health_look(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	int64_t now = loop_now(u->r->loop);
	struct verdict v;

	if (!u->health_until || u->run || !u->o)
		return;
	v = judge_all(u, &a);
	if (!v.waiting && !v.failed)
		settle(u, true,
		       arena_strf(&a, "Applied revision: %s; %zu objects are healthy", u->revision,
				  v.all));
	else if (now >= u->health_until)
		settle(u, false,
		       arena_strf(&a, "not healthy in time: %.*s (%zu of %zu objects wait)",
				  STR_ARG(v.first), v.waiting + v.failed, v.all));
	else
		unit_look_after(u, u->health_until - now);
}

void unit_health_start(struct unit *u)
{
	AUTO(arena) struct arena a = {0};

	u->health_until =
		loop_now(u->r->loop) + timeout_of(json_get(unit_tree(u, &a), STR("spec")));
	loop_timer_cancel(u->r->loop, &u->timer);
	unit_health_look(u);
}
