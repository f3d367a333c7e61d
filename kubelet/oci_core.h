/*
 * The runtime's config.json for one container. Pure. Everything that can be bound into the root
 * file system safely beforehand is (kubelet/runtime/rootfs.h); what stands in config.json's
 * mounts are file systems of the container's own and what goes below /dev, /proc and /sys.
 */
#ifndef PLUMB_KUBELET_OCI_CORE_H
#define PLUMB_KUBELET_OCI_CORE_H

#include "kubelet/expand_core.h"
#include "kubelet/pod_spec.h"

#define OCI_GROUPS_MAX 256

struct oci_user {
	uint32_t uid, gid;
	uint32_t groups[OCI_GROUPS_MAX];
	size_t ngroups;
};

struct oci_mount {
	struct str destination, source;
	bool readonly;
	bool recursive;          /* read-only with all that is mounted below */
	const char *propagation; /* "rslave", "rshared"; NULL = "rprivate" */
};

struct oci_in {
	const struct pod_spec *pod;
	const struct container_spec *c;
	const struct json *image; /* the image's "config" object: Entrypoint, Cmd … */
	const struct env *env;    /* complete, for $(VAR) in command and args too */
	struct oci_user user;
	struct str rootfs, cgroup, netns, hostname; /* netns empty: the node's own */
	struct str ipcns; /* the pod's; empty: the node's for hostIPC, or one of its own */
	struct str pidns; /* another container's or the pod's; empty: one of its own */
	const struct oci_mount *mounts;
	size_t nmounts;
	uint64_t caps;     /* what this process itself may give away (CapBnd) */
	int oom_score_adj; /* INT_MIN = leave it */
	int64_t node_memory;
	const struct json *devices; /* the machine's, for who is privileged; or NULL */
	struct json *claimed;       /* devices that are its volumes, each with its "access" */
	const struct json *seccomp; /* a profile to use as it is (Localhost), or NULL */
	bool cgroup_v2;
};

/* ERR_INVALID: message for CreateContainerConfigError. */
struct json *oci_config(struct arena *a, const struct oci_in *in, struct err *err);
/* The argument vector: command/args over Entrypoint/Cmd, expanded. NULL with err when empty. */
struct json *oci_args(struct arena *a, const struct oci_in *in, struct err *err);
struct str oci_cwd(const struct oci_in *in);
/* The capability set as names, bounding for this container. */
uint64_t oci_caps(const struct oci_in *in, struct err *err);
/* As kube's: 1000 for BestEffort, by share of the node's memory for Burstable, -997 for Guaranteed.
 */
int oci_oom_score(const struct pod_spec *pod, const struct container_spec *c, int64_t node_memory);
/* securityContext value of the container, or else the pod's. */
const struct json *security_field(const struct pod_spec *pod, const struct container_spec *c,
				  const char *key);
/* The process object alone, for exec: args, env, cwd, user, capabilities. */
struct json *oci_process(struct arena *a, const struct oci_in *in, const struct json *args,
			 bool terminal, struct err *err);

#endif
