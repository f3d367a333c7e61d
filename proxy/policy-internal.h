/* What policy_core.c knows and policy_rules_core.c makes rules of. */
#ifndef PLUMB_PROXY_POLICY_INTERNAL_H
#define PLUMB_PROXY_POLICY_INTERNAL_H

#include "lib/base/list.h"
#include "lib/kube/selector.h"
#include "proxy/policy.h"

#define POLICY_BRIDGE "plumb0" /* where the pods of a node are */

struct policy_pod {
	struct list node; /* of its namespace */
	const struct obj *obj;
	struct arena a;
	uint32_t ip; /* 0 = has no part in this: no address, the node's own, or ended */
	bool local;
	const struct json *containers; /* for the names of ports */
	bool dirty;
};

struct policy_namespace {
	const struct obj *obj; /* NULL = not heard of yet: only pods are known */
	struct list pods, policies;
};

struct policy_port {
	uint8_t proto;
	uint16_t from, to; /* 0 = any, unless there is a name */
	struct str name;
};

struct policy_peer {
	bool is_block, has_pods, has_namespaces;
	struct cidr block, *except;
	size_t nexcept;
	struct selector pods, namespaces;
};

struct policy_rule {
	struct policy_peer *peers; /* none = anybody */
	size_t npeers;
	struct policy_port *ports; /* none = any */
	size_t nports;
};

enum policy_direction { POLICY_INGRESS, POLICY_EGRESS, POLICY_DIRECTIONS };

struct policy {
	struct list node; /* of its namespace */
	const struct obj *obj;
	struct arena a;
	struct selector selector;
	bool applies[POLICY_DIRECTIONS];
	struct policy_rule *rules[POLICY_DIRECTIONS];
	size_t nrules[POLICY_DIRECTIONS];
	bool dirty;
};

struct policies {
	struct ruleset *rules;
	char *node;
	struct map pods, policies; /* key → struct policy_pod, struct policy */
	struct map namespaces;     /* name → struct policy_namespace */
	bool due;                  /* something is dirty, or rules are gone */
};

bool policy_selects(const struct policy *p, const struct policy_pod *pod);
/* Is the pod what `peer` of a policy in `own` speaks of? */
bool policy_peer_is(const struct policies *all, struct str own, const struct policy_peer *peer,
		    const struct policy_pod *pod);
/* The number behind a port's name, 0 = the pod has none of that name and protocol. */
uint16_t policy_port_of(const struct policy_pod *pod, const struct policy_port *port);

/* ---- policy_read_core.c ---- */
/* The parts of a policy's tree; what cannot be read matches nothing. Lives in p->a. */
void policy_read(struct policy *p, const struct json *o);

/* ---- policy_rules_core.c ---- */
void policy_rules(struct arena *a, const struct policies *all, const struct policy *p,
		  struct rules *ret);
/* What keeps pods that aren't known yet from talking; once there is a policy. */
void policy_door_rules(struct arena *a, const struct policies *all, struct rules *ret);
void policy_pod_rules(struct arena *a, const struct policies *all, const struct policy_pod *pod,
		      struct rules *ret);

#endif
