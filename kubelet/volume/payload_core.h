/* What ConfigMap, Secret, downwardAPI and projected volumes hold: files, from trees. Pure. */
#ifndef PLUMB_KUBELET_PAYLOAD_CORE_H
#define PLUMB_KUBELET_PAYLOAD_CORE_H

#include "kubelet/expand_core.h"
#include "kubelet/pod_spec.h"

#define PAYLOAD_FILES_MAX 10000
#define PAYLOAD_BYTES_MAX (16 << 20)

struct payload {
	struct payload_file {
		struct str path, data;
		unsigned mode;
		bool owned; /* by uid, instead of root */
		uint32_t uid;
	} * v;
	size_t n, cap, bytes;
};

struct persistent;

struct payload_in {
	const struct pod_spec *pod;
	struct field_ctx fields;
	struct node_resources node;
	/* A ConfigMap's or Secret's tree, NULL when there is none. */
	const struct json *(*find)(void *arg, bool secret, struct str name);
	/* The token of a serviceAccountToken source; STR_NONE when there is none yet. */
	struct str (*token)(void *arg, const struct json *source);
	/* What a volume of type persistentVolumeClaim or ephemeral stands for; NULL = nothing
	 * does. */
	int (*claim)(void *arg, const struct json *volume, struct persistent *ret, struct err *err);
	void *arg;
};

/* volume: one of spec.volumes. False when it is of another kind. */
bool payload_is(const struct json *volume, bool *ret_secret);
/* ERR_NOT_FOUND: what it needs and isn't optional is missing. */
MUST_USE int payload_of(struct arena *a, const struct payload_in *in, const struct json *volume,
			struct payload *ret, struct err *err);
/* Relative, without "..", and not in the writer's own name space. */
bool payload_path_ok(struct str path);
/* The value of a key of a ConfigMap or Secret, decoded into `a`; false when absent. */
bool payload_value(struct arena *a, const struct json *object, bool secret, struct str key,
		   struct str *ret);

/* Calls put(ctx, secret, name) for each ConfigMap and Secret that the pod's volumes and environment
 * refer to. */
void pod_refs(const struct pod_spec *pod, void (*put)(void *ctx, bool secret, struct str name),
	      void *ctx);
/* Calls put for each serviceAccountToken source of the pod. */
void pod_tokens(const struct pod_spec *pod, void (*put)(void *ctx, const struct json *source),
		void *ctx);

#endif
