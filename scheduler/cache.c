/*
 * What is where: nodes, and the sum of what their pods ask for, kept up to date one pod at a
 * time. A pod is accounted for from the moment it is assumed, so that the next choice already
 * sees it. Pure; owns its nodes, shares the pods.
 */
#include "scheduler/core.h"
#include "scheduler/preempt.h"

#include "lib/base/quantity.h"

#include "lib/base/pure.h"

static int64_t quantity_of(const struct json *list, const char *name, bool milli, int64_t otherwise)
{
	const struct json *v = json_at(list, name);
	struct quantity q;

	if (json_is(v, JSON_INT))
		return milli ? json_int(v, 0) * 1000 : json_int(v, 0);
	if (quantity_parse(json_str(v), &q) != 0)
		return otherwise;
	return milli ? quantity_milli(q) : quantity_value(q);
}

static bool is_basic(struct str name)
{
	return str_is(name, "cpu") || str_is(name, "memory") || str_is(name, "ephemeral-storage") ||
	       str_is(name, "pods");
}

static void read_allocatable(struct sched_node *n, const struct json *tree)
{
	const struct json *list = json_at(tree, "status", "allocatable");
	const struct json_member *m = json_members(list);

	n->allocatable = (struct amounts){
		.cpu_m = quantity_of(list, "cpu", true, 0),
		.memory = quantity_of(list, "memory", false, 0),
		.ephemeral = quantity_of(list, "ephemeral-storage", false, 0),
	};
	n->max_pods = quantity_of(list, "pods", false, 0);
	n->allocatable.others = arena_array(&n->arena, json_len(list) + 1, sizeof(struct amount));
	for (size_t i = 0; i < json_len(list); i++) {
		char *name = arena_cstr(&n->arena, m[i].key);

		if (!is_basic(m[i].key))
			n->allocatable.others[n->allocatable.n++] =
				(struct amount){str_c(name), quantity_of(list, name, false, 0)};
	}
}

static void read_taints(struct sched_node *n, const struct json *tree)
{
	const struct json *all = json_at(tree, "spec", "taints");

	n->ntaints = json_len(all);
	n->taints = arena_array(&n->arena, n->ntaints + 1, sizeof(*n->taints));
	for (size_t i = 0; i < n->ntaints; i++) {
		const struct json *t = json_item(all, i);

		n->taints[i] = (struct taint){
			arena_str(&n->arena, json_str(json_at(t, "key"))),
			arena_str(&n->arena, json_str(json_at(t, "value"))),
			arena_str(&n->arena, json_str(json_at(t, "effect"))),
		};
	}
}

/* How many nodes have an image. */
static void count_image(struct sched_cache *c, struct str name, int sign)
{
	uintptr_t n = (uintptr_t)map_get(&c->images, name) + (uintptr_t)(intptr_t)sign;

	if (n)
		map_set(&c->images, name, (void *)n);
	else
		map_del(&c->images, name);
}

static void forget_images(struct sched_cache *c, struct sched_node *n)
{
	struct map_iter it = {0};

	while (map_next(&n->images, &it))
		count_image(c, it.key, -1);
	map_release(&n->images);
}

#define IMAGE_MAX (INT64_C(1) << 50) /* bytes; more is a lie */

static void read_images(struct sched_cache *c, struct sched_node *n, const struct json *tree)
{
	const struct json *all = json_at(tree, "status", "images");
	AUTO(arena) struct arena a = {0};

	forget_images(c, n);
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *names = json_at(json_item(all, i), "names");
		int64_t size = MIN(json_int(json_at(json_item(all, i), "sizeBytes"), 0), IMAGE_MAX);

		for (size_t j = 0; j < json_len(names) && size > 0; j++) {
			struct str name = sched_image_name(&a, json_str(json_item(names, j)));

			if (!map_set(&n->images, name, (void *)(uintptr_t)size))
				count_image(c, name, 1);
		}
	}
}

static struct sched_node *node_of(struct sched_cache *c, struct str name)
{
	struct sched_node *n = map_get(&c->by_name, name);

	if (n)
		return n;
	n = xalloc(sizeof(*n));
	n->name = str_c(xstrndup(name.p, name.n));
	map_set(&c->by_name, name, n);
	return n;
}

static void node_free(struct sched_node *n)
{
	for (size_t i = 0; i < n->npods; i++)
		sched_pod_unref(n->pods[i]);
	free(n->pods);
	for (size_t i = 0; i < n->used.n; i++)
		free((void *)(uintptr_t)n->used.others[i].name.p);
	free(n->used.others);
	map_release(&n->owners);
	map_release(&n->images);
	obj_unref(n->obj);
	arena_release(&n->arena);
	free((void *)(uintptr_t)n->name.p);
	free(n);
}

/* A node that neither exists nor is named by a pod is forgotten. */
static void drop_if_unused(struct sched_cache *c, struct sched_node *n)
{
	if (n->obj || n->npods)
		return;
	map_del(&c->by_name, n->name);
	node_free(n);
}

void sched_cache_release(struct sched_cache *c)
{
	struct map_iter it = {0};

	while (map_next(&c->by_name, &it))
		node_free(it.value);
	map_release(&c->by_name);
	map_release(&c->pods);
	map_release(&c->images);
	map_release(&c->leaving);
	sched_objects_release(c);
	sched_nominations_release(c);
	free(c->nodes);
	*c = (struct sched_cache){0};
}

void sched_cache_set_node(struct sched_cache *c, const struct obj *node)
{
	struct sched_node *n = node_of(c, node->name);
	AUTO(arena) struct arena tmp = {0};
	const struct json *tree = obj_tree(node, &tmp);

	if (!n->obj) {
		if (c->n == c->cap) {
			c->cap = c->cap ? c->cap * 2 : 16;
			c->nodes = xreallocarray(c->nodes, c->cap, sizeof(struct sched_node *));
		}
		n->at = c->n;
		c->nodes[c->n++] = n;
	}
	obj_ref(node);
	obj_unref(n->obj);
	n->obj = node;
	arena_reset(&n->arena);
	n->unschedulable = json_bool(json_at(tree, "spec", "unschedulable"), false);
	read_allocatable(n, tree);
	read_taints(n, tree);
	read_images(c, n, tree);
}

void sched_cache_del_node(struct sched_cache *c, struct str name)
{
	struct sched_node *n = map_get(&c->by_name, name);

	if (!n || !n->obj)
		return;
	/* The order of the rest stays: what is chosen must not depend on who left. */
	memmove(&c->nodes[n->at], &c->nodes[n->at + 1],
		(c->n - n->at - 1) * sizeof(struct sched_node *));
	c->n--;
	for (size_t i = n->at; i < c->n; i++)
		c->nodes[i]->at = i;
	forget_images(c, n);
	obj_unref(n->obj);
	n->obj = NULL;
	drop_if_unused(c, n);
}

/* ---- accounting ---- */

static int64_t *used_slot(struct sched_node *n, struct str name)
{
	for (size_t i = 0; i < n->used.n; i++)
		if (str_eq(n->used.others[i].name, name))
			return &n->used.others[i].value;
	if (n->used.n == n->others_cap) {
		n->others_cap = n->others_cap ? n->others_cap * 2 : 4;
		n->used.others =
			xreallocarray(n->used.others, n->others_cap, sizeof(*n->used.others));
	}
	n->used.others[n->used.n] = (struct amount){str_c(xstrndup(name.p, name.n)), 0};
	return &n->used.others[n->used.n++].value;
}

static void account(struct sched_node *n, const struct sched_pod *p, int sign)
{
	uintptr_t of_owner;

	n->used.cpu_m += sign * p->requests.cpu_m;
	n->used.memory += sign * p->requests.memory;
	n->used.ephemeral += sign * p->requests.ephemeral;
	for (size_t i = 0; i < p->requests.n; i++)
		*used_slot(n, p->requests.others[i].name) += sign * p->requests.others[i].value;
	n->score_cpu_m += sign * p->score_cpu_m;
	n->score_memory += sign * p->score_memory;
	if (!p->owner_uid.n)
		return;
	of_owner = (uintptr_t)map_get(&n->owners, p->owner_uid) + (uintptr_t)(intptr_t)sign;
	if (of_owner)
		map_set(&n->owners, p->owner_uid, (void *)of_owner);
	else
		map_del(&n->owners, p->owner_uid);
}

size_t sched_node_pods_of(const struct sched_node *n, struct str owner_uid)
{
	return (uintptr_t)map_get(&n->owners, owner_uid);
}

/* How many pods that have a node name each claim. */
static void account_claims(struct sched_cache *c, const struct sched_pod *p, int sign)
{
	for (size_t i = 0; i < p->nclaims; i++) {
		uintptr_t n = (uintptr_t)map_get(&c->claim_users, p->claims[i]) +
			      (uintptr_t)(intptr_t)sign;

		if (n)
			map_set(&c->claim_users, p->claims[i], (void *)n);
		else
			map_del(&c->claim_users, p->claims[i]);
	}
}

/* The node that a pod is accounted on travels in the pod: node_name is set when it is placed. */
void sched_cache_set_pod(struct sched_cache *c, struct sched_pod *pod, struct str node)
{
	struct sched_node *n;

	sched_cache_del_pod(c, pod->uid);
	n = node_of(c, node);
	if (str_eq(pod->nominated, node))
		pod->node_name = pod->nominated;
	else if (!str_eq(pod->node_name, node))
		pod->node_name = arena_str(&pod->arena, node);
	if (n->npods == n->pods_cap) {
		n->pods_cap = n->pods_cap ? n->pods_cap * 2 : 8;
		n->pods = xreallocarray(n->pods, n->pods_cap, sizeof(struct sched_pod *));
	}
	n->pods[n->npods++] = sched_pod_ref(pod);
	account(n, pod, 1);
	account_claims(c, pod, 1);
	map_set(&c->pods, pod->uid, pod);
	c->with_affinity += sched_pod_has_affinity(pod);
}

void sched_cache_del_pod(struct sched_cache *c, struct str uid)
{
	struct sched_pod *p = map_del(&c->pods, uid);
	struct sched_node *n;

	if (!p)
		return;
	n = map_get(&c->by_name, p->node_name);
	account(n, p, -1);
	account_claims(c, p, -1);
	c->with_affinity -= sched_pod_has_affinity(p);
	for (size_t i = 0; i < n->npods; i++) {
		if (n->pods[i] != p)
			continue;
		n->pods[i] = n->pods[--n->npods];
		break;
	}
	drop_if_unused(c, n);
	sched_pod_unref(p);
}

const struct sched_pod *sched_cache_pod(const struct sched_cache *c, struct str uid)
{
	return map_get(&c->pods, uid);
}

const struct sched_node *sched_cache_node(const struct sched_cache *c, struct str name)
{
	const struct sched_node *n = map_get(&c->by_name, name);

	return n && n->obj ? n : NULL;
}

struct str sched_node_label(const struct sched_node *n, struct str key)
{
	return obj_label(n->obj, key);
}
