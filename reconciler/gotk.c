/*
 * Prometheus figures under the names that Flux's dashboards and alerts use. Counts only; holds
 * nothing but what lib/base/metrics keeps for the process's life.
 */
#include "reconciler/gotk.h"

#include <string.h>

#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"

#define LABELS "kind,name,namespace"

static struct metric *conditions(void)
{
	return metric_new(METRIC_GAUGE, "gotk_reconcile_condition",
			  "The current condition status of a GitOps Toolkit resource.",
			  LABELS ",type,status", NULL);
}

void gotk_condition(const struct gotk_object *o, const char *status)
{
	static const char *const all[] = {"True", "False", "Unknown", "Deleted"};
	AUTO(free) char *name = xstrndup(o->name.p, o->name.n);
	AUTO(free) char *namespace = xstrndup(o->namespace.p, o->namespace.n);

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		metric_set(metric_with(conditions(), o->kind, name, namespace, "Ready", all[i],
				       (char *)NULL),
			   !strcmp(all[i], status));
}

void gotk_suspended(const struct gotk_object *o, bool on)
{
	struct metric *m = metric_new(METRIC_GAUGE, "gotk_suspend_status",
				      "The current suspend status of a GitOps Toolkit resource.",
				      LABELS, NULL);
	AUTO(free) char *name = xstrndup(o->name.p, o->name.n);
	AUTO(free) char *namespace = xstrndup(o->namespace.p, o->namespace.n);

	metric_set(metric_with(m, o->kind, name, namespace, (char *)NULL), on);
}

void gotk_took(const struct gotk_object *o, int64_t ns)
{
	static const double bounds[] = {0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300, 1800, 0};
	struct metric *m = metric_new(METRIC_HISTOGRAM, "gotk_reconcile_duration_seconds",
				      "The duration in seconds of a GitOps Toolkit resource "
				      "reconciliation.",
				      LABELS, bounds);
	AUTO(free) char *name = xstrndup(o->name.p, o->name.n);
	AUTO(free) char *namespace = xstrndup(o->namespace.p, o->namespace.n);

	metric_observe(metric_with(m, o->kind, name, namespace, (char *)NULL),
		       (double)ns / NS_PER_S);
}
