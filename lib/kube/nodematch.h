/*
 * May this pod stand on that node? Node selectors, node affinity and tolerations, as the scheduler
 * and the DaemonSet controller both ask. Pure; thread-safe.
 * Specification: k8s.io/component-helpers/scheduling/corev1.
 */
#ifndef PLUMB_NODEMATCH_H
#define PLUMB_NODEMATCH_H

#include "lib/json/json.h"

struct node_facts {
	struct str name;
	/* A label's value, STR_NONE when the node hasn't got it. */
	struct str (*label)(const void *ctx, struct str key);
	const void *ctx;
};
struct taint_facts {
	struct str key, value, effect;
};

/* The facts of a Node object; it must outlive them. */
struct node_facts node_facts_of(const struct json *node);
/* A NodeSelectorTerm; an empty one matches nothing. */
bool nodematch_term(const struct json *term, const struct node_facts *n);
/* spec.nodeSelector and spec.affinity.nodeAffinity's required part; either may be NULL. */
bool nodematch_pod(const struct json *node_selector, const struct json *node_affinity,
		   const struct node_facts *n);
/* Does one of spec.tolerations cover the taint? */
bool tolerations_cover(const struct json *tolerations, const struct taint_facts *t);

#endif
