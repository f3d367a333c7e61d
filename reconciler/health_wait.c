/*
 * Waiting for health: judged whenever a watched object changes, not by polling; over at the
 * timeout or when a newer run starts. On the role's loop.
 */
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/schema/cel.h"
#include "reconciler/engine.h"
#include "reconciler/health/health.h"

#define TIMEOUT_MIN (30 * NS_PER_S)
#define TIMEOUT_DEFAULT (300 * NS_PER_S)
/* What is waited for is said this often, and not for what takes less than FIRST_WORD. */
#define WORD_PAUSE (5 * NS_PER_S)
#define FIRST_WORD (2 * NS_PER_S)
/* What failed long ago may take a moment to notice that it was changed. */
#define FAILED_FOR (5 * NS_PER_S)

void verdict_add(struct verdict *v, int state, struct str what)
{
	v->all++;
	if (state == HEALTH_CURRENT)
		return;
	if (state == HEALTH_FAILED)
		v->failed++;
	else
		v->waiting++;
	if (!v->first.n || (state == HEALTH_FAILED && v->failed == 1))
		v->first = what;
}

/* ---- expressions ---- */

static const struct json *expressions_for(const struct unit *u, const struct json *o,
					  struct arena *a)
{
	const struct json *all = json_at(unit_tree(u, a), "spec", "healthCheckExprs");
	struct str group, version, mine;

	api_version_split(json_str(json_get(o, STR("apiVersion"))), &mine, &version);
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *e = json_item(all, i);

		api_version_split(json_str(json_get(e, STR("apiVersion"))), &group, &version);
		if (str_eq(group, mine) &&
		    str_eq(json_str(json_get(e, STR("kind"))), json_str(json_get(o, STR("kind")))))
			return e;
	}
	return NULL;
}

/* In the order of Flux: on its way, failed, as wanted. */
static struct health_result by_expressions(const struct json *e, const struct json *o,
					   struct arena *a)
{
	static const char *const names[] = {"inProgress", "failed", "current"};
	struct err err = {0};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str text = json_str(json_get(e, str_c(names[i])));
		bool is = false;

		if (!text.n)
			continue;
		if (cel_test(a, text, o, &is, &err))
			return health_wait(a, "%s: %s", names[i], err.msg);
		if (is && i == 2)
			return HEALTHY;
		if (is)
			return i ? health_fail(a, "it says that it failed")
				 : health_wait(a, "it says that it is on its way");
	}
	return health_wait(a, "it does not say that it is as wanted");
}

struct health_result unit_health_of(const struct unit *u, const struct json *o, struct arena *a)
{
	const struct json *e = expressions_for(u, o, a);

	return e ? by_expressions(e, o, a) : health_of(o, a);
}

/* ---- the unit's own objects ---- */

static void judge(struct entry *e, struct arena *a, struct verdict *v)
{
	const struct obj *live = entry_live(e);
	struct health_result h;

	if (!live)
		h = health_wait(a, "it is not there");
	else if (e->accepted && live->revision < e->accepted->revision &&
		 str_eq(live->uid, e->accepted->uid))
		h = health_wait(a, "what was applied is not seen yet");
	else
		h = unit_health_of(e->unit, obj_tree(live, a), a);

	verdict_add(v, h.state,
		    h.state == HEALTH_CURRENT
			    ? STR_NONE
			    : arena_strf(a, "%s %s%s%s: %.*s", e->kind, e->namespace,
					 e->namespace[0] ? "/" : "", e->name, STR_ARG(h.message)));
}

bool health_check_names(const struct json *check, const struct entry *e)
{
	struct str ns = json_str(json_get(check, STR("namespace")));

	return str_is(json_str(json_get(check, STR("kind"))), e->kind) &&
	       str_is(json_str(json_get(check, STR("name"))), e->name) &&
	       (!ns.n || str_is(ns, e->namespace));
}

static bool is_named(const struct json *checks, const struct entry *e)
{
	for (size_t i = 0; i < json_len(checks); i++) {
		if (health_check_names(json_item(checks, i), e))
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
	farchecks_judge(u, a, &v);
	return v;
}

int64_t unit_timeout(const struct json *spec)
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
	farchecks_free(u);
	unit_report(u, &rep);
	if (!ok)
		revert_unhealthy(u, message);
	loop_timer_cancel(u->r->loop, &u->timer);
	unit_ended(u, ok);
}

/* So that nobody has to guess whom a rollout waits for. */
static void say_progress(struct unit *u, struct arena *a, const struct verdict *v, int64_t now)
{
	struct unit_report rep = {
		.ready = "Unknown", .reason = "Progressing", .healthy = "Unknown"};

	if (now < u->health_told + WORD_PAUSE)
		return;
	u->health_told = now;
	rep.message = arena_strf(a, "waiting for health: %.*s (%zu of %zu objects wait)",
				 STR_ARG(v->first), v->waiting + v->failed, v->all);
	unit_report(u, &rep);
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
	else if (v.failed && now >= u->health_from + FAILED_FOR)
		settle(u, false,
		       arena_strf(&a, "failed: %.*s (%zu of %zu objects failed)", STR_ARG(v.first),
				  v.failed, v.all));
	else {
		say_progress(u, &a, &v, now);
		unit_look_after(u, MIN(u->health_until, u->health_told + WORD_PAUSE) - now);
	}
}

void unit_health_start(struct unit *u)
{
	AUTO(arena) struct arena a = {0};

	u->health_from = loop_now(u->r->loop);
	u->health_until = u->health_from + unit_timeout(json_get(unit_tree(u, &a), STR("spec")));
	u->health_told = u->health_from + FIRST_WORD - WORD_PAUSE;
	loop_timer_cancel(u->r->loop, &u->timer);
	farchecks_start(u);
	unit_health_look(u);
}
