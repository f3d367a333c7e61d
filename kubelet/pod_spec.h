/*
 * What the kubelet wants to know of a Pod, read once from its tree: a projection for the state
 * machine, never written back. Strings and trees point into the pod's bytes and arena. Pure.
 */
#ifndef PLUMB_KUBELET_POD_SPEC_H
#define PLUMB_KUBELET_POD_SPEC_H

#include "lib/json/json.h"

#define POD_CONTAINERS_MAX 100
#define POD_VOLUMES_MAX 200

enum restart_policy { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };
enum probe_type { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS, PROBE_TYPE_MAX };
enum probe_action { PROBE_NONE, PROBE_HTTP, PROBE_TCP, PROBE_EXEC, PROBE_GRPC };
enum pull_policy { PULL_ALWAYS, PULL_IF_NOT_PRESENT, PULL_NEVER };

struct probe_spec {
	enum probe_action action;
	const struct json *how; /* the httpGet, tcpSocket, exec or grpc object */
	int64_t initial_s, period_s, timeout_s;
	unsigned success, failure;
	int64_t grace_s; /* terminationGracePeriodSeconds of its own; -1 = the pod's */
};

struct container_spec {
	struct str name, image;
	enum pull_policy pull;
	enum restart_policy restart; /* what applies to this container */
	bool init, sidecar;          /* a sidecar is an init container that keeps running */
	bool ephemeral;              /* kubectl debug's: runs once, and counts for nothing */
	struct probe_spec probe[PROBE_TYPE_MAX];
	const struct json *post_start, *pre_stop; /* handlers, or NULL */
	const struct json *json;
};

struct pod_spec {
	struct str namespace, name, uid;
	/* Init containers first, in order; from nmain on the ephemeral ones, of which more may
	 * come while the pod runs. */
	struct container_spec *c;
	size_t n, ninit, nmain;
	enum restart_policy restart;
	int64_t grace_s;    /* terminationGracePeriodSeconds, or the deletion's */
	int64_t deadline_s; /* activeDeadlineSeconds; 0 = none */
	bool deleting;      /* has a deletionTimestamp */
	bool host_network, host_pid, host_ipc;
	bool share_pid;  /* shareProcessNamespace */
	const char *qos; /* "Guaranteed", "Burstable", "BestEffort" */
	const struct json *json, *spec;
};

/* ERR_INVALID when it is something that no API server should have let through. */
MUST_USE int pod_spec_read(struct arena *a, const struct json *pod, struct pod_spec *ret,
			   struct err *err);
const char *pod_qos(const struct json *spec);
/* Usable as one path component: no separators, not "." or "..", at most 253 bytes. */
bool path_part_ok(struct str s);

#endif
