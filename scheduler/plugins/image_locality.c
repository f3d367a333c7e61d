/*
 * ImageLocality: prefers nodes that have the pod's images, the bigger the better. An image that few
 * nodes have counts less, or all its pods would end on those. Pure.
 */
#include "scheduler/plugins/plugin.h"

#include "lib/base/pure.h"

/* What isn't worth moving a pod for, and what nothing outweighs, each in bytes. */
#define TOO_LITTLE (INT64_C(23) * 1024 * 1024)
#define ENOUGH (INT64_C(1000) * 1024 * 1024)

static int64_t score(const struct sched_cycle *c, const void *state UNUSED,
		     const struct sched_node *n)
{
	int64_t most = ENOUGH * (int64_t)MAX(c->pod->nimages, (size_t)1), sum = 0;

	for (size_t i = 0; i < c->pod->nimages && n->images.n; i++) {
		uintptr_t size = (uintptr_t)map_get(&n->images, c->pod->images[i]);
		uintptr_t nodes = (uintptr_t)map_get(&c->cache->images, c->pod->images[i]);

		sum += (int64_t)((double)size * (double)nodes / (double)c->cache->n);
		sum = MIN(sum, most);
	}
	return SCORE_MAX * (MAX(sum, TOO_LITTLE) - TOO_LITTLE) / (most - TOO_LITTLE);
}

const struct plugin plugin_image_locality = {
	.name = "ImageLocality",
	.score = score,
};
