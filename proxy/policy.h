/*
 * NetworkPolicies: who may talk to the pods of this node, and whom these may talk to. Keeps what
 * the rules depend on (pods of the whole cluster, namespaces, policies), and when something
 * changes makes anew only the rules that hang on it. Pure; on one thread.
 *
 *	policies_pod / policies_namespace / policies_policy	as objects change
 *	policies_render(p)	writes what is due into the rule set given to policies_new
 */
#ifndef PLUMB_PROXY_POLICY_H
#define PLUMB_PROXY_POLICY_H

#include "lib/kube/obj.h"
#include "proxy/ruleset.h"

struct policies;
/* r outlives it; node is this node's name, and is copied. */
struct policies *policies_new(struct ruleset *r, struct str node);
void policies_free(struct policies *p); /* NULL is fine */

/* What there is under this name now; NULL = nothing any more. A reference is kept. */
void policies_pod(struct policies *p, struct str namespace, struct str name, const struct obj *o);
void policies_namespace(struct policies *p, struct str name, const struct obj *o);
void policies_policy(struct policies *p, struct str namespace, struct str name,
		     const struct obj *o);
bool policies_due(const struct policies *p); /* is there anything to write? */
void policies_render(struct policies *p);

#endif
