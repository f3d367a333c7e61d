/*
 * /metrics/probes: how often each container's probes succeeded and failed, and what they took, as
 * other kubelets tell it. A count lives as long as its pod does here, over all runs of the
 * container. On the kubelet's loop; all memory is the caller's.
 */
#include <inttypes.h>

#include "kubelet/kubelet.h"
#include "kubelet/stats.h"

static const double bounds[PROBE_BUCKETS] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
static const char *const names[PROBE_TYPE_MAX] = {[PROBE_STARTUP] = "Startup",
						  [PROBE_LIVENESS] = "Liveness",
						  [PROBE_READINESS] = "Readiness"};

void probe_tally(struct probe_tally *t, bool ok, int64_t took_ns)
{
	double s = (double)MAX(took_ns, 0) / 1e9;

	t->count[ok]++;
	t->sum_s += s;
	for (size_t i = 0; i < PROBE_BUCKETS; i++)
		t->bucket[i] += s <= bounds[i];
}

static void put_labels(const struct pod *p, size_t i, enum probe_type type, struct buf *out)
{
	buf_printf(out, "container=\"%.*s\",namespace=\"%.*s\",pod=\"%.*s\",probe_type=\"%s\"",
		   STR_ARG(p->spec.c[i].name), STR_ARG(p->spec.namespace), STR_ARG(p->spec.name),
		   names[type]);
}

static void put_total(const struct pod *p, size_t i, enum probe_type type, struct buf *out)
{
	static const char *const results[] = {"failed", "successful"};

	for (size_t ok = 0; ok < ARRAY_LEN(results); ok++) {
		uint64_t n = p->cont[i].tally[type].count[ok];

		if (!n)
			continue;
		buf_puts(out, "prober_probe_total{");
		put_labels(p, i, type, out);
		buf_printf(out, ",pod_uid=\"%.*s\",result=\"%s\"} %" PRIu64 "\n",
			   STR_ARG(p->spec.uid), results[ok], n);
	}
}

static void put_duration(const struct pod *p, size_t i, enum probe_type type, struct buf *out)
{
	const struct probe_tally *t = &p->cont[i].tally[type];
	uint64_t n = t->count[0] + t->count[1];

	if (!n)
		return;
	for (size_t b = 0; b <= PROBE_BUCKETS; b++) {
		buf_puts(out, "prober_probe_duration_seconds_bucket{");
		put_labels(p, i, type, out);
		if (b < PROBE_BUCKETS)
			buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n", bounds[b], t->bucket[b]);
		else
			buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", n);
	}
	buf_puts(out, "prober_probe_duration_seconds_sum{");
	put_labels(p, i, type, out);
	buf_printf(out, "} %.9f\nprober_probe_duration_seconds_count{", t->sum_s);
	put_labels(p, i, type, out);
	buf_printf(out, "} %" PRIu64 "\n", n);
}

static void put_all(const struct kubelet *k, struct buf *out,
		    void (*put)(const struct pod *, size_t, enum probe_type, struct buf *))
{
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;

		for (size_t i = 0; i < p->spec.nmain; i++) {
			for (int t = 0; t < PROBE_TYPE_MAX; t++)
				put(p, i, (enum probe_type)t, out);
		}
	}
}

void probes_write(const struct kubelet *k, struct buf *out)
{
	buf_puts(out, "# HELP prober_probe_duration_seconds How long probes took.\n"
		      "# TYPE prober_probe_duration_seconds histogram\n");
	put_all(k, out, put_duration);
	buf_puts(out, "# HELP prober_probe_total Probes of containers, by what came of them.\n"
		      "# TYPE prober_probe_total counter\n");
	put_all(k, out, put_total);
}
