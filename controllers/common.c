/*
 * Shared questions about pods and metadata, adoption and release, and indexes. Runs inside
 * reconcile functions: pure, everything it makes is in the view's arena.
 */
#include "controllers/common.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

const char name_alphabet[28] = "bcdfghjklmnpqrstvwxz2456789";

void index_orphans(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str value),
		   void *ctx)
{
	if (!obj_controller(o, a))
		put(ctx, o->namespace);
}

static struct str label_value(struct arena *a, struct str namespace, struct str key,
			      struct str value)
{
	return arena_strf(a, "%.*s/%.*s=%.*s", STR_ARG(namespace), STR_ARG(key), STR_ARG(value));
}

void index_by_label(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str value),
		    void *ctx)
{
	for (uint32_t i = 0; i < o->nlabels; i++)
		put(ctx, label_value(a, o->namespace, o->labels[i].key, o->labels[i].value));
}

bool meta_deleting(const struct json *o)
{
	return json_str(json_at(o, "metadata", "deletionTimestamp")).n > 0;
}

int64_t meta_time_ns(const struct json *text)
{
	int64_t ns;

	if (time_parse(json_str(text), &ns) != 0)
		return 0;
	return ns;
}

int64_t meta_created_ns(const struct json *o)
{
	return meta_time_ns(json_at(o, "metadata", "creationTimestamp"));
}

struct json *meta_set_object(struct arena *a, struct json *o, const char *field)
{
	return json_set_object(a, json_set_object(a, o, "metadata"), field);
}

struct json *object_new(struct arena *a, const struct resource *r, struct str namespace,
			struct str name)
{
	struct json *o = json_new(a, JSON_OBJECT), *meta;
	const char *version = r->version;

	if (r->group[0])
		version = arena_printf(a, "%s/%s", r->group, r->version);
	json_set_str(a, o, "apiVersion", str_c(version));
	json_set_str(a, o, "kind", str_c(r->kind));
	meta = json_set_object(a, o, "metadata");
	json_set_str(a, meta, "name", name);
	if (namespace.n)
		json_set_str(a, meta, "namespace", namespace);
	return o;
}

bool pod_finished(const struct json *pod)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	return str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

void finalizer_set(const struct view *v, const struct resource *r, const struct json *o,
		   const char *finalizer, bool there, struct plan *p)
{
	const struct json *have = json_at(o, "metadata", "finalizers");
	struct json *next, *list;
	size_t at = 0;

	while (at < json_len(have) && !str_is(json_str(json_item(have, at)), finalizer))
		at++;
	if ((at < json_len(have)) == there)
		return;
	next = json_copy(v->arena, o);
	list = json_set_array(v->arena, json_set_object(v->arena, next, "metadata"), "finalizers");
	if (there)
		json_append_str(v->arena, list, str_c(finalizer));
	else
		json_remove(list, at);
	plan_update(p, r, next);
	p->last->ignore_not_found = true;
}

bool pod_active(const struct json *pod)
{
	return !pod_finished(pod) && !meta_deleting(pod);
}

bool pod_ready(const struct json *pod)
{
	return str_is(json_str(json_at(condition_find(pod, "Ready"), "status")), "True");
}

bool pod_available(const struct json *pod, int64_t min_ready_s, int64_t now_ns,
		   int64_t *ret_wait_ns)
{
	int64_t since, due;

	if (!pod_ready(pod))
		return false;
	if (min_ready_s <= 0)
		return true;
	since = meta_time_ns(json_at(condition_find(pod, "Ready"), "lastTransitionTime"));
	if (!since)
		return false;
	due = since + min_ready_s * NS_PER_S;
	if (due <= now_ns)
		return true;
	if (ret_wait_ns)
		*ret_wait_ns = due - now_ns;
	return false;
}

void trees_add(struct arena *a, struct trees *t, const struct json *v)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		const struct json **grown = arena_array(a, cap, sizeof(*grown));

		if (t->n)
			memcpy(grown, t->v, t->n * sizeof(*grown));
		t->v = grown;
		t->cap = cap;
	}
	t->v[t->n++] = v;
}

/* The one label that every match must carry, or false: then the whole namespace is looked at. */
static bool selector_anchor(const struct selector *s, struct str *ret_key, struct str *ret_value)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct selector_term *t = &s->terms[i];

		if ((t->op != SELECT_EQ && t->op != SELECT_IN) || t->nvalues != 1)
			continue;
		*ret_key = t->key;
		*ret_value = t->values[0];
		return true;
	}
	return false;
}

struct json_set_view select_objects(const struct view *v, const struct resource *r,
				    struct str namespace, const struct selector *s)
{
	struct json_set_view all;
	struct trees found = {0};
	struct str key, value;

	if (s->nothing)
		return (struct json_set_view){0};
	if (selector_anchor(s, &key, &value))
		all = view_by_index(v, r, INDEX_LABEL,
				    label_value(v->arena, namespace, key, value));
	else
		all = view_list(v, r, namespace);
	for (size_t i = 0; i < all.n; i++)
		if (str_eq(meta_namespace(all.v[i]), namespace) &&
		    selector_match_json(s, json_at(all.v[i], "metadata", "labels")))
			trees_add(v->arena, &found, all.v[i]);
	return (struct json_set_view){found.v, found.n};
}

/* The list with the finalizer that a Job's pods keep until their end is counted, or without it;
 * NULL: nothing is to change. */
static const struct json *owned_finalizers(const struct view *v, const struct json *owner,
					   const struct json *o, bool owned)
{
	static const char tracking[] = "batch.kubernetes.io/job-tracking";
	const struct json *had = json_at(o, "metadata", "finalizers");
	struct json *list = had ? json_copy(v->arena, had) : json_new(v->arena, JSON_ARRAY);
	size_t at = 0;

	if (!str_is(json_str(json_at(owner, "kind")), "Job"))
		return NULL;
	while (at < json_len(list) && !str_is(json_str(json_item(list, at)), tracking))
		at++;
	if ((at < json_len(list)) == owned)
		return NULL;
	if (owned)
		json_append_str(v->arena, list, str_c(tracking));
	else
		json_remove(list, at);
	return list;
}

/*
 * Replaces the list of owners. uid and resourceVersion stand in the patch: an object that was
 * replaced or changed since refuses it, so that two owners never both believe they have it.
 */
static void patch_owners(const struct view *v, struct plan *p, const struct resource *r,
			 const struct json *o, const struct json *owners,
			 const struct json *finalizers)
{
	struct json *patch = json_build(
		v->arena, "{s:{s:S, s:S, s:o}}", "metadata", "uid", meta_uid(o), "resourceVersion",
		json_str(json_at(o, "metadata", "resourceVersion")), "ownerReferences", owners);

	if (finalizers)
		json_set(v->arena, json_get(patch, STR("metadata")), STR("finalizers"), finalizers);
	plan_patch(p, r, o, NULL, patch);
	p->last->ignore_not_found = true;
}

static void adopt(const struct view *v, const struct json *owner, struct plan *p,
		  const struct resource *r, const struct json *o)
{
	const struct json *had = json_at(o, "metadata", "ownerReferences");
	struct json *owners =
		json_len(had) ? json_copy(v->arena, had) : json_new(v->arena, JSON_ARRAY);

	json_append(v->arena, owners, meta_owner_ref(v->arena, owner, true));
	patch_owners(v, p, r, o, owners, owned_finalizers(v, owner, o, true));
}

static void let_go(const struct view *v, const struct json *owner, struct plan *p,
		   const struct resource *r, const struct json *o)
{
	struct json *owners = json_copy(v->arena, json_at(o, "metadata", "ownerReferences"));

	for (size_t i = json_len(owners); i-- > 0;)
		if (str_eq(json_str(json_at(json_item(owners, i), "uid")), meta_uid(owner)))
			json_remove(owners, i);
	patch_owners(v, p, r, o, owners, owned_finalizers(v, owner, o, false));
}

void claim_objects(const struct view *v, const struct json *owner, const struct selector *s,
		   const struct resource *r, struct plan *p, struct trees *ret)
{
	struct json_set_view owned = view_by_index(v, r, INDEX_OWNER, meta_uid(owner));
	struct json_set_view orphans;

	for (size_t i = 0; i < owned.n; i++) {
		const struct json *o = owned.v[i];

		if (selector_match_json(s, json_at(o, "metadata", "labels")))
			trees_add(v->arena, ret, o);
		else if (!meta_deleting(owner) && !meta_deleting(o))
			let_go(v, owner, p, r, o);
	}
	if (meta_deleting(owner))
		return;
	orphans = view_by_index(v, r, INDEX_ORPHAN, meta_namespace(owner));
	for (size_t i = 0; i < orphans.n; i++) {
		const struct json *o = orphans.v[i];

		if (meta_deleting(o) || !selector_match_json(s, json_at(o, "metadata", "labels")))
			continue;
		adopt(v, owner, p, r, o);
		trees_add(v->arena, ret, o);
	}
}

/* A ReplicationController's selector is a plain map, which picks nothing when it is empty. */
int owner_selector(const struct view *v, const struct resource *r, const struct json *o,
		   struct selector *ret, struct err *err)
{
	const struct json *s = json_at(o, "spec", "selector");

	return r == &res_replicationcontrollers ? selector_from_map(v->arena, s, ret, err)
						: selector_from_json(v->arena, s, ret, err);
}

void map_to_owner_or_selectors(const struct view *v, const struct resource *r, const struct obj *o,
			       void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all;

	if (obj_controller(o, v->arena)) {
		map_to_controller_owner(o, v->arena, put, ctx);
		return;
	}
	all = view_list(v, r, o->namespace);
	for (size_t i = 0; i < all.n; i++) {
		struct selector s;

		if (!owner_selector(v, r, all.v[i], &s, NULL) && selector_match_obj(&s, o))
			put(ctx, obj_key(v->arena, o->namespace, meta_name(all.v[i])));
	}
}

int64_t count_of(const struct json *v, int64_t otherwise)
{
	return MIN(MAX(json_int(v, otherwise), 0), INT32_MAX);
}

int64_t int_or_percent(const struct json *v, int64_t total, bool round_up, int64_t otherwise)
{
	struct str text = json_str(v);
	int64_t percent;

	if (json_is(v, JSON_INT))
		return count_of(v, otherwise);
	if (!str_ends(text, STR("%")))
		return otherwise;
	if (str_to_i64(str_sub(text, 0, text.n - 1), &percent) != 0 || percent < 0 ||
	    percent > 1000000)
		return otherwise;
	return (total * percent + (round_up ? 99 : 0)) / 100;
}
