/* Readings of counters, and the rates that they make. Pure; each set is its owner's. */
#ifndef PLUMB_APISERVER_RESMETRICS_SERIES_H
#define PLUMB_APISERVER_RESMETRICS_SERIES_H

#include "lib/base/map.h"
#include "lib/json/json.h"

enum { SERIES_READINGS = 8 };

struct reading {
	int64_t at_ns;
	uint64_t cpu_ns, memory;
};

/* One container's, or a node's. */
struct series {
	int64_t started_ns;
	struct reading v[SERIES_READINGS]; /* oldest first */
	size_t n;
};

/* By text; a zeroed one is empty. */
struct series_set {
	struct map map;
};
void series_set_release(struct series_set *s);
/* Forgets what has not been read since. */
void series_set_trim(struct series_set *s, int64_t since_ns);

/* What a rate was measured over, and came to. */
struct rate {
	int64_t at_ns, window_ns;
	uint64_t nanocores, memory;
};

/* Adds a reading; started_ns 0 = it has always run. A start at another time, or a counter that went
 * back, begins anew. */
void series_add(struct series_set *s, struct str key, int64_t started_ns, struct reading r);
/* False as long as there is no rate: one reading, and it has run for longer than is looked back. */
bool series_rate(const struct series_set *s, struct str key, struct rate *ret);

/* Takes a kubelet's Summary in. */
void series_take_summary(struct series_set *s, const struct json *summary);
/* The keys under which that is done. `buf` is reset. */
struct str series_node_key(struct buf *b, struct str node);
struct str series_container_key(struct buf *b, struct str uid, struct str container);

/* NodeMetrics and PodMetrics out of what a Summary names: NULL when a rate is missing. `of` is the
 * Node or Pod, whose name and labels it bears. */
struct json *series_node_metrics(const struct series_set *s, struct arena *a,
				 const struct json *of);
struct json *series_pod_metrics(const struct series_set *s, struct arena *a, const struct json *of,
				const struct json *stats);

#endif
