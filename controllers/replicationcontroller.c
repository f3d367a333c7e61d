/*
 * ReplicationController: what ReplicaSets do, for those who still use their forerunner. Everything
 * is shared with replicaset.c but where the objects stand. Pure.
 */
#include "controllers/common.h"
#include "controllers/replicaset_core.h"

#include "lib/base/pure.h"

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *rc = view_get(v, &res_replicationcontrollers, namespace, name);

	return rc ? replicaset_keep(v, &res_replicationcontrollers, rc, p, err) : 0;
}

static void map_pod(const struct view *v, const struct obj *o,
		    void (*put)(void *ctx, struct str key), void *ctx)
{
	map_to_owner_or_selectors(v, &res_replicationcontrollers, o, put, ctx);
}

static const struct controller_watch watches[] = {
	{&res_replicationcontrollers, NULL, NULL, NULL},
	{&res_pods, NULL, NULL, map_pod},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_pods, INDEX_OWNER, index_by_controller_uid},
	{&res_pods, INDEX_ORPHAN, index_orphans},
	{0},
};

const struct controller controller_replicationcontroller = {
	.name = "replicationcontroller",
	.component = "replication-controller",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
	.counts_gone = true,
};
