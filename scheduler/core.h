/*
 * The scheduler's core: small projections of pods and nodes, the accounting of what is taken on
 * each node (assumed pods included), and the choice of a node for a pod. No I/O, no clock, no
 * dice but the seed: the same cache, pod and seed give the same answer.
 *
 * Ownership: the cache owns its nodes and holds a reference on each pod it accounts for. Not
 * thread-safe.
 */
#ifndef PLUMB_SCHEDULER_CORE_H
#define PLUMB_SCHEDULER_CORE_H

#include "lib/base/codec.h"
#include "lib/base/map.h"
#include "lib/kube/obj.h"
#include "lib/kube/selector.h"

/* ---- amounts ---- */
struct amount {
	struct str name; /* "nvidia.com/gpu", "hugepages-2Mi" */
	int64_t value;
};
struct amounts {
	int64_t cpu_m, memory, ephemeral;
	struct amount *others;
	size_t n;
};
int64_t amounts_other(const struct amounts *a, struct str name); /* 0 when absent */

/* ---- a pod, as far as placing it goes ---- */
struct host_port {
	struct str ip, protocol; /* ip "" means every address */
	int64_t port;
};
/* Which other pods a pod wants near or away, and by which label of the nodes. */
struct affinity_term {
	struct str key;
	int64_t weight; /* of a preference; negative keeps away */
	struct selector selector;
	const struct json *namespaces, *namespace_selector;
};
struct affinity_terms {
	struct affinity_term *v;
	size_t n;
};
struct sched_pod {
	uint32_t refs;
	struct arena arena;    /* what the fields below point into */
	const struct obj *obj; /* for its labels; owns a reference */
	struct str namespace, name, uid, key;
	struct str node_name; /* spec.nodeName, STR_NONE = not placed */
	struct str owner_uid; /* the controlling owner's */
	struct str nominated; /* the node that it preempted others on, STR_NONE = none */
	int64_t priority;
	int64_t start_ns;    /* when it began to run; INT64_MAX = not yet */
	bool never_preempts; /* preemptionPolicy */
	bool preempted;      /* it goes because the scheduler made it */
	bool leaving;        /* it goes anyway; known while victims are sought */
	struct amounts requests;
	int64_t score_cpu_m,
		score_memory; /* with Kubernetes' minimum for containers that ask nothing */
	struct host_port *ports;
	size_t nports;
	/* Subtrees of the spec, NULL when absent. */
	const struct json *node_selector, *node_affinity, *tolerations, *spread;
	struct affinity_terms near, away, like; /* must be, mustn't be, should (not) be */
	struct str *claims;                     /* keys of the claims that its volumes name */
	size_t nclaims;
	struct str *images; /* of its containers and init containers, written out in full */
	size_t nimages;
};
/* Wants others near or away. */
static inline bool sched_pod_has_affinity(const struct sched_pod *p)
{
	return p->near.n || p->away.n || p->like.n;
}
struct sched_pod *sched_pod_new(const struct obj *o);
struct sched_pod *sched_pod_ref(struct sched_pod *p);
void sched_pod_unref(struct sched_pod *p); /* NULL is fine */
/* Neither finished nor somebody else's: what this scheduler has to place. */
bool sched_pod_is_ours(const struct obj *o);
/* Takes up room on a node: has one and isn't finished. */
bool sched_pod_takes_room(const struct obj *o);

/* ---- a node ---- */
struct taint {
	struct str key, value, effect;
};
struct sched_node {
	struct str name;
	const struct obj *obj; /* NULL: pods name it, but it isn't there (yet) */
	struct arena arena;    /* of what was parsed from obj */
	struct amounts allocatable;
	int64_t max_pods;
	bool unschedulable;
	struct taint *taints;
	size_t ntaints;
	struct map images; /* full name → bytes (uintptr_t): what needn't be fetched */
	/* Sums over pods. */
	struct amounts used; /* others: heap, owned */
	size_t others_cap;
	int64_t score_cpu_m, score_memory;
	struct sched_pod **pods;
	size_t npods, pods_cap;
	struct map owners; /* owner uid → number of pods (uintptr_t) */
	size_t at;         /* position in the cache's list */
};
/* An image's name with the registry, folder and tag that are understood where it has none. */
struct str sched_image_name(struct arena *a, struct str name);
struct str sched_node_label(const struct sched_node *n, struct str key); /* STR_NONE when absent */
size_t sched_node_pods_of(const struct sched_node *n, struct str owner_uid);

/* ---- the cache ---- */
struct sched_cache {
	struct map by_name;        /* every struct sched_node, known or only named by pods */
	struct sched_node **nodes; /* those that exist, in the order of arrival */
	size_t n, cap;
	struct map pods;      /* uid → struct sched_pod, each on its node */
	size_t with_affinity; /* pods that want others near or away */
	/* What volumes come from, see volumes.c: struct sched_object by key. */
	struct map claims, volumes, classes;
	struct map claim_users; /* claim's key → number of pods on nodes (uintptr_t) */
	struct map namespaces;  /* struct sched_object by name */
	struct map budgets;     /* PodDisruptionBudgets: struct sched_object by key */
	struct map images;      /* full name → number of nodes that have it (uintptr_t) */
	struct map nominated;   /* uid → struct sched_pod (owned reference), see preempt.h */
	struct map leaving;     /* uids of pods that are told to make way, until they are gone */
	struct map reserved; /* volume's name → claim's uid (char *): chosen, not written yet */
	size_t start;        /* where the next search begins */
};
void sched_cache_release(struct sched_cache *c);
void sched_cache_set_node(struct sched_cache *c, const struct obj *node);
void sched_cache_del_node(struct sched_cache *c, struct str name);
/* Accounts for a placed pod; replaces what was known of the same uid (an assumption, too). */
void sched_cache_set_pod(struct sched_cache *c, struct sched_pod *pod, struct str node);
void sched_cache_del_pod(struct sched_cache *c, struct str uid);
const struct sched_pod *sched_cache_pod(const struct sched_cache *c, struct str uid);
const struct sched_node *sched_cache_node(const struct sched_cache *c, struct str name);

/* ---- volumes ---- */
struct sched_object {
	const struct obj *obj;
	struct arena arena;
	const struct json *tree;
};
/* o NULL = it is gone. */
void sched_object_set(struct map *m, struct str key, const struct obj *o);
const struct json *sched_object_get(const struct map *m, struct str key);
void sched_objects_release(struct sched_cache *c);

/* Claims of a pod that are to get a volume once the pod's node is chosen, and the volumes of those
 * that have one (NULL in the list: it isn't there). In the arena that was given. */
struct pod_volumes {
	const char *refused; /* why no node will do; NULL = look at nodes */
	const struct json **waiting, **bound;
	size_t nwaiting, nbound;
};
void pod_volumes_find(const struct sched_cache *c, const struct sched_pod *p, struct arena *a,
		      struct pod_volumes *ret);
/* What each waiting claim would get on that node: chosen[i] a volume, or NULL = one is made there.
 * False: the node won't do, and *ret_why says why not. */
bool pod_volumes_choose(const struct sched_cache *c, const struct pod_volumes *v,
			const struct sched_node *n, const struct json **chosen,
			const char **ret_why);

/* ---- the choice ---- */
struct sched_result {
	const struct sched_node *node; /* NULL: none fits */
	struct str message;            /* then: "0/3 nodes are available: …", in the arena */
	uint64_t rejected_by;          /* bit i: plugin_registry[i] turned a node down */
	size_t looked_at, fit;
	bool *hopeful; /* by sched_node.at: it was turned down for something that pods there do */
};
void sched_pick(struct sched_cache *c, const struct sched_pod *pod, uint64_t seed, struct arena *a,
		struct sched_result *ret);

/* Changes that may make room; plugins say which of them can help a pod that they turned down. */
enum sched_event {
	SCHED_NODE_ADDED = 1,
	SCHED_NODE_CHANGED = 2,
	SCHED_POD_ADDED = 4,      /* a pod took its place: affinity may hold now */
	SCHED_POD_GONE = 8,       /* a pod left: room, ports, anti-affinity */
	SCHED_CLAIM_CHANGED = 16, /* a claim, a volume or a class came, went or changed */
	SCHED_ANY = 31,
};
/* The events that may help what was rejected by these plugins. */
unsigned sched_helped_by(uint64_t rejected_by);

#endif
