/*
 * What pods and the node use, read from the cgroups when somebody asks: counters, never rates, so
 * that nothing has to be remembered or sampled while nobody does. On the kubelet's loop; blocking,
 * some microseconds a container.
 */
#ifndef PLUMB_KUBELET_STATS_H
#define PLUMB_KUBELET_STATS_H

#include "kubelet/kubelet.h"
#include "lib/json/json.h"

struct usage {
	uint64_t cpu_ns;     /* since the container began */
	uint64_t memory;     /* bytes */
	uint64_t working;    /* without what the kernel can drop at once */
	uint64_t rss, cache; /* of that memory: the processes' own, and files' */
	uint64_t periods, throttled, throttled_ns; /* of a CPU limit; 0 without one */
	/* Where they are told; else 0. */
	uint64_t swap, peak, oom_kills, processes;
	uint64_t read_bytes, written_bytes, reads, writes; /* of disks */
	int64_t at_ns;                                     /* wall clock */
	int64_t started_ns;                                /* likewise; 0 = unknown */
};

/* -1 when the cgroup is gone. `root` is where cgroups are mounted, `rel` the cgroup below it. */
MUST_USE int usage_read(const char *root, const char *rel, bool v2, struct usage *ret);
/* The same of the machine: /proc/stat and /proc/meminfo below `proc`. */
MUST_USE int usage_read_machine(const char *proc, struct usage *ret);

/* A Summary as /stats/summary answers. */
struct json *stats_summary(struct kubelet *k, struct arena *a);
/* The same as Prometheus text, for /metrics/resource. */
void stats_resource(struct kubelet *k, struct buf *out);
/* Of a running container; of a pod's cgroup, which holds its containers'. False when there is none.
 * ret_rel is the cgroup's path. */
bool container_usage(const struct pod *p, size_t i, struct usage *ret, char **ret_rel);
bool pod_usage(const struct pod *p, struct usage *ret, char **ret_rel);

/* cadvisor.c: the same under the names that cAdvisor gave them, and what the pods' links carried,
 * for /metrics/cadvisor. */
void cadvisor_write(struct kubelet *k, struct buf *out);
/* Lines of /proc/net/dev: what came in (0) and went out (1) by the device. False without it. */
struct traffic {
	uint64_t bytes, packets, errors, dropped;
};
bool traffic_of(struct str net_dev, const char *device, struct traffic ret[2]);

#endif
