/*
 * A scheduler plugin: one file in this folder, `const struct plugin plugin_x = {…};`, found by
 * the generated registry. Hooks are pure: they see the cycle and answer.
 */
#ifndef PLUMB_SCHEDULER_PLUGIN_H
#define PLUMB_SCHEDULER_PLUGIN_H

#include "scheduler/core.h"

struct sched_cycle {
	const struct sched_cache *cache;
	const struct sched_pod *pod;
	struct arena *arena; /* of this cycle */
	bool filters_only;   /* nothing is scored: what only scores need is left out */
};

/* Why a node was turned down: as Kubernetes words it, static text or in the cycle's arena. */
enum { REASONS_MAX = 8 };
struct reasons {
	const char *v[REASONS_MAX];
	size_t n;
	bool for_good; /* it would be so without any pod on the node, too: preempting is no help */
};
void reasons_add(struct reasons *r, const char *why);
void reasons_add_for_good(struct reasons *r, const char *why);

struct plugin {
	const char *name;
	int order;  /* filters run from low to high: cheap and decisive ones first */
	int weight; /* of the score; 0 = 1 */
	/* Once for each pod, before any node: what the hooks below get as `state`. NULL = none. */
	void *(*prepare)(const struct sched_cycle *c);
	/* A pod came to that node (sign 1) or left it (-1) after prepare: brings the state up to
	 * date. NULL = the state doesn't depend on other pods. */
	void (*moved)(const struct sched_cycle *c, void *state, const struct sched_pod *p,
		      const struct sched_node *n, int sign);
	/* Called after prepare: true when there is nothing for this plugin to filter. */
	bool (*skip)(const struct sched_cycle *c, const void *state);
	/* Called after prepare: why no node will do at all; NULL = look at the nodes. */
	const char *(*refuse)(const struct sched_cycle *c, const void *state);
	/* True when the pod may run there; otherwise says why. */
	bool (*filter)(const struct sched_cycle *c, const void *state, const struct sched_node *n,
		       struct reasons *why);
	/* More is better; without normalize between 0 and 100. */
	int64_t (*score)(const struct sched_cycle *c, const void *state,
			 const struct sched_node *n);
	/* Brings raw scores of the nodes that fit to 0 … 100. */
	void (*normalize)(const struct sched_cycle *c, const void *state, int64_t *scores,
			  size_t n);
	unsigned helped_by; /* enum sched_event: what may change this plugin's mind */
};
enum { SCORE_MAX = 100 };

extern const struct plugin *const plugin_registry[]; /* generated, ended by NULL */

/* Raw scores scaled so that the greatest becomes 100; reverse: the least does. */
void scores_normalize(int64_t *scores, size_t n, bool reverse);

/* nodeSelectorTerms and preferences, shared by the node affinity and spreading plugins. */
bool node_matches_selector(const struct sched_pod *pod, const struct sched_node *n);
bool node_term_matches(const struct json *term, const struct sched_node *n);
/* True when the pod tolerates the taint. */
bool pod_tolerates(const struct sched_pod *pod, const struct taint *t);

#endif
