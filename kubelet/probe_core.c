/* Thresholds and times of probes, as kube's prober counts them. Pure; owns nothing. */
#include "kubelet/probe_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

bool probe_count_result(struct probe_count *c, const struct probe_spec *s, bool ok)
{
	if (!c->any || c->last_ok != ok)
		c->run = 0;
	c->any = true;
	c->last_ok = ok;
	if (c->run < UINT32_MAX)
		c->run++;
	if (c->run < (ok ? s->success : s->failure))
		return false;
	if (c->verdict_set && c->verdict == ok)
		return false;
	c->verdict_set = true;
	c->verdict = ok;
	return true;
}

int64_t probe_next_ns(const struct probe_spec *s, int64_t started_mono, int64_t now, bool first)
{
	if (!first)
		return s->period_s * NS_PER_S;
	int64_t due = started_mono + s->initial_s * NS_PER_S;
	return MAX(due - now, 0);
}
