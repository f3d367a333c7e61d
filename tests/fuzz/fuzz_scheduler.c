/*
 * The scheduler's core over any objects: the input is an array of nodes and pods. Pods with a
 * node are accounted for, the others placed; afterwards all is taken away again and nothing may
 * be left.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/schema/schema.h"
#include "scheduler/preempt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Of the right types: the API server lets nothing else in. */
static bool well_typed(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct schema *s = schema_find_kind(o->api_version, o->kind);
	struct schema_problems ps = {.a = &a};

	if (!s)
		return false;
	schema_check(s, obj_tree(o, &a), &ps, NULL);
	for (size_t i = 0; i < ps.n; i++)
		if (strcmp(ps.v[i].reason, "FieldValueTypeInvalid") == 0)
			return false;
	return true;
}

static void place(struct sched_cache *c, const struct obj *o, struct arena *a)
{
	struct sched_pod *p;
	struct sched_result r;
	struct preemption made;

	if (!o->uid.n)
		return;
	if (sched_pod_takes_room(o)) {
		p = sched_pod_new(o);
		sched_cache_set_pod(c, p, p->node_name);
		sched_pod_unref(p);
	} else if (sched_pod_is_ours(o)) {
		p = sched_pod_new(o);
		sched_pick(c, p, 1, a, &r);
		if (r.node)
			sched_cache_set_pod(c, p, r.node->name);
		else if (c->n)
			sched_preempt(c, p, &r, a, &made);
		sched_pod_unref(p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct sched_cache c = {0};
	const struct json *all = json_parse(&a, (struct str){(const char *)data, n}, NULL, &err);

	for (size_t i = 0; i < json_len(all) && i < 64 && json_is(all, JSON_ARRAY); i++) {
		struct obj *o = obj_from_json(json_item(all, i), &err);

		bool fine = o && well_typed(o);

		if (fine && str_is(o->kind, "Node"))
			sched_cache_set_node(&c, o);
		else if (fine && str_is(o->kind, "Pod"))
			place(&c, o, &a);
		obj_unref(o);
	}
	for (size_t i = c.n; i-- > 0;)
		sched_cache_del_node(&c, arena_str(&a, c.nodes[i]->name));
	while (c.pods.n) {
		struct map_iter it = {0};

		if (!map_next(&c.pods, &it))
			abort();
		sched_cache_del_pod(&c, arena_str(&a, it.key));
	}
	if (c.by_name.n || c.n || c.with_affinity)
		abort();
	sched_cache_release(&c);
	return 0;
}
