/* Counting a probe's results against its thresholds; where its redirections lead. Pure. */
#ifndef PLUMB_KUBELET_PROBE_CORE_H
#define PLUMB_KUBELET_PROBE_CORE_H

#include "kubelet/pod_spec.h"

struct probe_count {
	unsigned run; /* results of the same kind in a row */
	bool last_ok, any;
	bool verdict_set, verdict;
};
/* True when the verdict changed (or was reached for the first time); it is in c->verdict then. */
bool probe_count_result(struct probe_count *c, const struct probe_spec *s, bool ok);
/* When to probe next, ns after `now` (mono), for a container that started at started_mono. first:
 * no probe was made yet. */
int64_t probe_next_ns(const struct probe_spec *s, int64_t started_mono, int64_t now, bool first);

struct probe_url {
	struct str host, path; /* path with its query */
	int port;
	bool tls;
};
/* What a Location means, seen from `from`; parts may point into either, or into `a`. ERR_INVALID
 * when it is no http(s) address. */
MUST_USE int probe_redirect(struct arena *a, const struct probe_url *from, struct str location,
			    struct probe_url *ret);

#endif
