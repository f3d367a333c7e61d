/*
 * Counters, gauges and histograms in Prometheus' text format. Registered once at start, updated
 * from any thread (relaxed atomics), never freed. Label sets are made by metric_with(), which
 * returns the same child for the same values; keep the pointer on hot paths.
 */
#ifndef PLUMB_METRICS_H
#define PLUMB_METRICS_H

#include "lib/base/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
struct metric;       /* a family */
struct metric_value; /* one labelled series */

/* labels: comma-separated names or NULL. buckets: ascending upper bounds ended by 0, histograms
 * only. Asking twice for one name gives the same family. */
struct metric *metric_new(enum metric_type type, const char *name, const char *help,
			  const char *labels, const double *buckets);
/* Values in the order of the labels, ended by NULL. At most 10,000 series a family; beyond that all
 * share one series named "other". */
struct metric_value *metric_with(struct metric *m, ...) SENTINEL;
void metric_add(struct metric_value *v, double by);
void metric_set(struct metric_value *v, double to);
void metric_observe(struct metric_value *v, double sample);
/* Everything registered, plus process_* figures. */
void metrics_write(struct buf *out);

#endif
