/* What a Node says of itself. Pure. */
#ifndef PLUMB_KUBELET_NODE_CORE_H
#define PLUMB_KUBELET_NODE_CORE_H

#include "lib/json/json.h"

#define NODE_MEMORY_LOW (INT64_C(100) << 20)
#define NODE_STORAGE_SHARE 50 /* low is less than one in so many bytes */

struct node_facts {
	const char *name, *ip, *runtime, *runtime_version;
	struct json *images; /* for status.images, or NULL */
	const char *volumes; /* where it holds persistent volumes; NULL = nowhere */
	const char *kernel, *os_image, *arch, *machine_id, *boot_id, *version;
	int64_t cpus, memory, storage, max_pods;
	int64_t memory_available, storage_available;
	int port;
	int64_t now_ns;
};
/* The object as it is first made. */
struct json *node_object(struct arena *a, const struct node_facts *f);
/* What of its metadata may have to be brought up to date: a merge patch. */
struct json *node_meta(struct arena *a, const struct node_facts *f);
/* Somebody said that the node has more or less of a resource of theirs than can be had. */
bool node_extended_differ(const struct json *status);
/* Its status, as a merge patch; old: what the API has, or NULL. Conditions of others stay. */
struct json *node_status(struct arena *a, const struct node_facts *f, const struct json *old);
/* The reason of the event that tells of a condition of ours as it stands ("NodeReady"); NULL for
 * conditions of others. */
const char *node_event_reason(struct str type, struct str status);

#endif
