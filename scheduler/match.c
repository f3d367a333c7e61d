/*
 * Matching that several plugins need, over the scheduler's own pictures of pods and nodes. Pure.
 */
#include "lib/kube/nodematch.h"
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

static struct str label_of(const void *node, struct str key)
{
	return sched_node_label(node, key);
}

static struct node_facts facts(const struct sched_node *n)
{
	return (struct node_facts){n->name, label_of, n};
}

bool node_term_matches(const struct json *term, const struct sched_node *n)
{
	const struct node_facts f = facts(n);

	return nodematch_term(term, &f);
}

bool node_matches_selector(const struct sched_pod *pod, const struct sched_node *n)
{
	const struct node_facts f = facts(n);

	return nodematch_pod(pod->node_selector, pod->node_affinity, &f);
}

bool pod_tolerates(const struct sched_pod *pod, const struct taint *t)
{
	return tolerations_cover(pod->tolerations,
				 &(struct taint_facts){t->key, t->value, t->effect});
}
