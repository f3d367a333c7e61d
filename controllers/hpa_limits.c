/*
 * See hpa_core.h: from what is wanted to what is done. Recommendations are smoothed over a window
 * (never lower than the highest lately, on the way down; with a behavior also never higher than the
 * lowest, on the way up), then the policies say how far a step may go. Pure; what is remembered is
 * the caller's.
 */
#include "controllers/hpa_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define WINDOW_S 300      /* on the way down, unless a behavior says another */
#define REMEMBER_S 3600   /* no window is longer */
#define PERIOD_S_MAX 1800 /* no policy's period is */
#define EVENTS_MAX 100000

int64_t hpa_min(const struct json *spec)
{
	return count_of(json_get(spec, STR("minReplicas")), 1);
}

int64_t hpa_max(const struct json *spec)
{
	return count_of(json_get(spec, STR("maxReplicas")), 1);
}

/* ---- memory ---- */

void hpa_memory_release(struct hpa_memory *m)
{
	free(m->recommended.v);
	free(m->up.v);
	free(m->down.v);
	*m = (struct hpa_memory){0};
}

static void add(struct hpa_events *e, int64_t now_ns, int64_t n, int64_t keep_s)
{
	size_t old = 0;

	while (old < e->n &&
	       (e->v[old].at_ns <= now_ns - keep_s * NS_PER_S || e->n - old >= EVENTS_MAX))
		old++;
	if (old)
		memmove(e->v, e->v + old, (e->n - old) * sizeof(*e->v));
	e->n -= old;
	if (e->n == e->cap) {
		e->cap = e->cap ? 2 * e->cap : 16;
		e->v = xreallocarray(e->v, e->cap, sizeof(*e->v));
	}
	e->v[e->n++] = (struct hpa_event){now_ns, n};
}

void hpa_remember(struct hpa_memory *m, int64_t now_ns, int64_t replicas)
{
	if (!m->recommended.n)
		add(&m->recommended, now_ns, replicas, REMEMBER_S);
}

void hpa_note(const struct json *spec, struct hpa_memory *m, int64_t now_ns, int64_t from,
	      int64_t to)
{
	if (!json_get(spec, STR("behavior")))
		return;
	add(to > from ? &m->up : &m->down, now_ns, llabs(to - from), PERIOD_S_MAX);
}

static int64_t sum_since(const struct hpa_events *e, int64_t since_ns)
{
	int64_t sum = 0;

	for (size_t i = 0; i < e->n; i++)
		sum += e->v[i].at_ns > since_ns ? e->v[i].n : 0;
	return sum;
}

/* ---- smoothing ---- */

static int64_t window_s(const struct json *spec, const char *way, int64_t otherwise)
{
	return count_of(json_at(spec, "behavior", way, "stabilizationWindowSeconds"), otherwise);
}

static int64_t extreme(const struct hpa_events *e, int64_t since_ns, int64_t from, bool lowest)
{
	for (size_t i = 0; i < e->n; i++) {
		if (e->v[i].at_ns <= since_ns)
			continue;
		from = lowest ? MIN(from, e->v[i].n) : MAX(from, e->v[i].n);
	}
	return from;
}

static int64_t smooth(const struct json *spec, const struct hpa_memory *m, int64_t now,
		      int64_t current, int64_t wanted)
{
	int64_t down_s = window_s(spec, "scaleDown", WINDOW_S);
	int64_t highest = extreme(&m->recommended, now - down_s * NS_PER_S, wanted, false), lowest;

	if (!json_get(spec, STR("behavior")))
		return highest;
	lowest = extreme(&m->recommended, now - window_s(spec, "scaleUp", 0) * NS_PER_S, wanted,
			 true);
	if (current < lowest)
		return lowest;
	return current > highest ? highest : current;
}

/* ---- policies ---- */

struct step {
	const struct json *rules;
	const struct hpa_memory *m;
	int64_t now_ns, current;
	bool up;
};

/* Where one policy ends, seen from where its period began. */
static int64_t policy_limit(const struct step *s, const struct json *policy)
{
	int64_t period = count_of(json_get(policy, STR("periodSeconds")), 15);
	int64_t since = s->now_ns - period * NS_PER_S;
	int64_t value = count_of(json_get(policy, STR("value")), 0);
	int64_t start = s->current - sum_since(&s->m->up, since) + sum_since(&s->m->down, since);
	double share = (double)value / 100;

	if (str_is(json_str(json_get(policy, STR("type"))), "Pods"))
		return s->up ? start + value : start - value;
	if (s->up)
		return (int64_t)MIN(ceil((double)start * (1 + share)), (double)HPA_COUNT_MAX);
	return (int64_t)((double)start * (1 - share));
}

/* How far the policies let it go; never the other way. */
static int64_t policies_limit(const struct step *s)
{
	const struct json *list = json_get(s->rules, STR("policies"));
	struct str pick = json_str(json_get(s->rules, STR("selectPolicy")));
	bool least = str_is(pick, "Min");
	int64_t limit = 0;

	if (str_is(pick, "Disabled"))
		return s->current;
	for (size_t i = 0; i < json_len(list); i++) {
		int64_t one = policy_limit(s, json_item(list, i));
		/* Most is furthest: upwards the biggest, downwards the smallest. */
		bool smaller = s->up == least;

		limit = !i ? one : smaller ? MIN(limit, one) : MAX(limit, one);
	}
	if (!json_len(list)) /* not defaulted: everything at once */
		limit = s->up ? HPA_COUNT_MAX : 0;
	return s->up ? MAX(limit, s->current) : MIN(limit, s->current);
}

/* ---- bounds ---- */

#define TOO_MANY "the desired replica count is more than the maximum replica count"
#define TOO_FEW "the desired replica count is less than the minimum replica count"
#define TOO_FAST "the desired replica count is increasing faster than the maximum scale rate"
#define TOO_FAST_DOWN "the desired replica count is decreasing faster than the maximum scale rate"

static void bound(struct hpa_verdict *v, int64_t at, const char *reason, const char *message)
{
	v->replicas = at;
	v->limited = true;
	v->limited_reason = reason;
	v->limited_message = message;
}

/* min and max bind in both directions: a spec may change while nothing else does. */
static void clamp(struct hpa_verdict *v, const struct json *spec, int64_t up, int64_t down)
{
	int64_t max = hpa_max(spec), min = hpa_min(spec);

	v->limited = false;
	v->limited_reason = "DesiredWithinRange";
	v->limited_message = "the desired count is within the acceptable range";
	if (v->replicas > MIN(max, up))
		bound(v, MIN(max, up), max > up ? "ScaleUpLimit" : "TooManyReplicas",
		      max > up ? TOO_FAST : TOO_MANY);
	else if (v->replicas < MAX(min, down))
		bound(v, MAX(min, down), min < down ? "ScaleDownLimit" : "TooFewReplicas",
		      min < down ? TOO_FAST_DOWN : TOO_FEW);
}

static void say_smoothed(struct hpa_verdict *v, bool smoothed, bool down)
{
	v->able_reason = "ReadyForNewScale";
	v->able_message = "recommended size matches current size";
	if (!smoothed)
		return;
	v->able_reason = down ? "ScaleDownStabilized" : "ScaleUpStabilized";
	v->able_message = down ? "recent recommendations were higher than current one, applying "
				 "the highest recent recommendation"
			       : "recent recommendations were lower than current one, applying the "
				 "lowest recent recommendation";
}

void hpa_limit(const struct json *spec, struct hpa_memory *m, int64_t now_ns, int64_t current,
	       int64_t wanted, struct hpa_verdict *ret)
{
	const struct json *behavior = json_get(spec, STR("behavior"));
	struct step s = {.m = m, .now_ns = now_ns, .current = current};
	int64_t up = MAX(2 * current, 4), down = 0;

	ret->replicas = smooth(spec, m, now_ns, current, wanted);
	say_smoothed(ret, ret->replicas != wanted, !behavior || wanted < current);
	add(&m->recommended, now_ns, wanted, REMEMBER_S);
	if (behavior) {
		s.up = ret->replicas > current;
		s.rules = json_get(behavior, s.up ? STR("scaleUp") : STR("scaleDown"));
		up = s.up ? policies_limit(&s) : HPA_COUNT_MAX;
		down = s.up || ret->replicas == current ? 0 : policies_limit(&s);
	}
	clamp(ret, spec, up, down);
}
