/*
 * Texts that a pod's spec is turned into: $(VAR) references, downward API fields, resource
 * fields. Pure.
 */
#ifndef PLUMB_KUBELET_EXPAND_CORE_H
#define PLUMB_KUBELET_EXPAND_CORE_H

#include "lib/json/json.h"

#define ENV_MAX 5000
#define ENV_BYTES_MAX (1 << 20)

/* Environment in order; a later value of a name replaces the earlier one in place. */
struct env {
	struct env_var {
		struct str name, value;
		bool hidden; /* the image's: processes see it, $(NAME) doesn't */
	} * v;
	size_t n, cap, bytes;
};
/* ERR_LIMIT when it grows out of bounds. Both texts must live in `a` or longer. */
MUST_USE int env_set(struct arena *a, struct env *e, struct str name, struct str value,
		     struct err *err);
/* Hides what is in it so far. */
void env_hide(struct env *e);
struct str env_get(const struct env *e, struct str name); /* STR_NONE when absent */

/* $(NAME) becomes the variable's value when there is one, stays when there is none; $$ is $. */
struct str expand_vars(struct arena *a, struct str text, const struct env *e);
/* ERR_INVALID when there is a variable that has no value. */
MUST_USE int expand_all_vars(struct arena *a, struct str text, const struct env *e, struct str *ret,
			     struct err *err);

/*
 * fieldRef: metadata.name, metadata.labels, metadata.labels['x'], spec.nodeName, status.podIP …
 * pod is the whole tree; pod_ip, host_ip say what status may not say yet. ERR_INVALID when not
 * known.
 */
struct field_ctx {
	const struct json *pod;
	struct str pod_ip, host_ip;
};
MUST_USE int field_value(struct arena *a, const struct field_ctx *ctx, struct str path,
			 struct str *ret, struct err *err);
/* resourceFieldRef of one container: "limits.cpu" … with divisor; absent limits are the node's. */
struct node_resources {
	int64_t cpu_m, memory, storage;
};
MUST_USE int resource_field_value(struct arena *a, const struct json *container,
				  const struct node_resources *node, const struct json *ref,
				  struct str *ret, struct err *err);
/* A name that may be an environment variable's: printable, without '='. */
bool env_name_ok(struct str s);

#endif
