/*
 * The probes of running containers: when to ask, and what the answers make of the container. The
 * startup probe holds the others back until it has succeeded. Owned by the container's shell
 * (struct pod_cont), from its start to its end. On the kubelet's loop.
 */
#include "kubelet/probe_core.h"

#include "kubelet/kubelet.h"
#include "lib/base/timefmt.h"

#define FIRST_RETRY_NS (25 * NS_PER_MS)

struct prober {
	struct pod *p;
	size_t i;
	enum probe_type type;
	struct probe_count count;
	struct loop_timer timer;
	struct handler *running;
	int64_t asked; /* when it was started */
};

static const char *const names[PROBE_TYPE_MAX] = {[PROBE_STARTUP] = "Startup",
						  [PROBE_LIVENESS] = "Liveness",
						  [PROBE_READINESS] = "Readiness"};
static const char *const keys[PROBE_TYPE_MAX] = {[PROBE_STARTUP] = "startupProbe",
						 [PROBE_LIVENESS] = "livenessProbe",
						 [PROBE_READINESS] = "readinessProbe"};

static void probe(struct prober *b);

static const struct probe_spec *spec_of(const struct prober *b)
{
	return &b->p->spec.c[b->i].probe[b->type];
}

static void on_due(struct loop *l, struct loop_timer *t)
{
	(void)l;
	probe(CONTAINER_OF(t, struct prober, timer));
}

static void arm(struct prober *b, bool first)
{
	struct pod *p = b->p;
	int64_t after =
		probe_next_ns(spec_of(b), p->obs.c[b->i].started_mono, loop_now(p->k->loop), first);

	/* Until it is ready for the first time, ask more often than told: failures count for
	 * nothing yet. */
	if (b->type == PROBE_READINESS && !first && !(b->count.verdict_set && b->count.verdict))
		after = MIN(after, FIRST_RETRY_NS << MIN(b->count.run, 16u));
	loop_timer_set(p->k->loop, &b->timer, after, on_due);
}

static void start_one(struct pod *p, size_t i, enum probe_type type)
{
	struct prober *b;

	if (p->cont[i].probers[type] || p->spec.c[i].probe[type].action == PROBE_NONE)
		return;
	b = xalloc(sizeof(*b));
	*b = (struct prober){.p = p, .i = i, .type = type};
	p->cont[i].probers[type] = b;
	arm(b, true);
}

static void stop_one(struct pod *p, size_t i, enum probe_type type)
{
	struct prober *b = p->cont[i].probers[type];

	if (!b)
		return;
	p->cont[i].probers[type] = NULL;
	loop_timer_cancel(p->k->loop, &b->timer);
	handler_cancel(b->running);
	free(b);
}

void probes_stop(struct pod *p, size_t i)
{
	for (int t = 0; t < PROBE_TYPE_MAX; t++)
		stop_one(p, i, (enum probe_type)t);
}

void probes_start(struct pod *p, size_t i)
{
	struct cont_obs *c = &p->obs.c[i];

	if (!c->started && p->spec.c[i].probe[PROBE_STARTUP].action != PROBE_NONE) {
		start_one(p, i, PROBE_STARTUP);
		return;
	}
	start_one(p, i, PROBE_LIVENESS);
	start_one(p, i, PROBE_READINESS);
}

/* On its way out only its readiness is asked for. */
static bool idle(const struct prober *b)
{
	return b->type != PROBE_READINESS &&
	       (b->p->obs.c[b->i].unhealthy || pod_stopping(&b->p->spec, &b->p->obs));
}

static void unhealthy(struct prober *b)
{
	struct pod *p = b->p;
	const char *what = b->type == PROBE_STARTUP ? "startup" : "liveness";

	pod_event_of(p, b->i, "Normal", "Killing",
		     "Container %.*s failed %s probe, will be restarted",
		     STR_ARG(p->spec.c[b->i].name), what);
	pod_on_unhealthy(&p->obs.c[b->i], spec_of(b)->grace_s);
}

/* What a verdict means. True when the prober has done its work for good. */
static bool judge(struct prober *b, bool ok)
{
	struct pod *p = b->p;
	struct cont_obs *c = &p->obs.c[b->i];

	switch (b->type) {
	case PROBE_STARTUP:
		if (!ok) {
			unhealthy(b);
			return true;
		}
		c->started = true;
		c->ready = p->spec.c[b->i].probe[PROBE_READINESS].action == PROBE_NONE;
		probes_start(p, b->i);
		return true;
	case PROBE_LIVENESS:
		if (!ok)
			unhealthy(b);
		return !ok;
	case PROBE_READINESS:
		c->ready = ok;
		return false;
	case PROBE_TYPE_MAX:
		break;
	}
	return false;
}

static void on_result(void *arg, bool ok, const char *message)
{
	struct prober *b = arg;
	struct pod *p = b->p;
	bool was_verdict = b->count.verdict_set && b->count.verdict;

	b->running = NULL;
	probe_tally(&p->cont[b->i].tally[b->type], ok, loop_now(p->k->loop) - b->asked);
	if (p->obs.c[b->i].state != CONT_RUNNING || idle(b))
		return;
	if (!ok && (was_verdict || !b->count.any || b->count.last_ok || b->type != PROBE_READINESS))
		pod_event_of(p, b->i, "Warning", "Unhealthy", "%s probe failed: %s", names[b->type],
			     message);
	if (ok && *message)
		pod_event_of(p, b->i, "Warning", "ProbeWarning", "%s probe warning: %s",
			     names[b->type], message);
	if (probe_count_result(&b->count, spec_of(b), ok)) {
		pod_wake(p);
		if (judge(b, ok)) {
			stop_one(p, b->i, b->type);
			return;
		}
	}
	arm(b, false);
}

static void probe(struct prober *b)
{
	struct pod *p = b->p;
	const struct probe_spec *s = spec_of(b);

	if (p->obs.c[b->i].state != CONT_RUNNING || idle(b))
		return;
	b->asked = loop_now(p->k->loop);
	b->running = handler_run(p, b->i, json_at(p->spec.c[b->i].json, keys[b->type]),
				 s->timeout_s * NS_PER_S, on_result, b);
}
