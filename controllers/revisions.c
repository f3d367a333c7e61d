/*
 * ControllerRevisions: recognised by comparing what they keep, named after its hash, so that a
 * decision made twice makes one. Pure, in the view's arena.
 */
#include "controllers/revisions.h"

#include "controllers/deployment_core.h"

#include "lib/base/pure.h"

/* What `kubectl rollout undo` patches the owner with. */
static struct json *data_of(struct arena *a, const struct json *owner)
{
	struct json *template = json_copy(a, json_at(owner, "spec", "template"));

	json_set_str(a, template, "$patch", STR("replace"));
	return json_build(a, "{s:{s:o}}", "spec", "template", template);
}

/* As it is kept: the very bytes that kubectl and Kubernetes' tests make of the owner, keys in order
 * and the time stamp that Go writes into every metadata, or they would find no equal. */
static const struct json *data_kept(struct arena *a, const struct json *data)
{
	struct json *copy = json_copy(a, data), *sorted;
	struct json *template = json_set_object(a, json_set_object(a, copy, "spec"), "template");
	AUTO(buf) struct buf text = {0};

	json_set(a, json_set_object(a, template, "metadata"), STR("creationTimestamp"), NULL);
	json_write_sorted(copy, &text);
	sorted = json_parse(a, arena_str(a, buf_view(&text)), NULL, NULL);
	return sorted ? sorted : copy;
}

static bool keeps(struct arena *a, const struct json *revision, const struct json *data)
{
	struct json *had = json_copy(a, json_at(revision, "data"));
	struct json *meta = json_at(had, "spec", "template", "metadata");

	if (json_is(json_at(meta, "creationTimestamp"), JSON_NULL))
		json_del(meta, STR("creationTimestamp"));
	return json_equal(had, data);
}

const struct json *revision_template(const struct json *revision)
{
	const struct json *t = json_at(revision, "data", "spec", "template");

	return json_is(t, JSON_OBJECT) ? t : NULL;
}

struct str revision_hash(const struct json *revision)
{
	return meta_label(revision, LABEL_REVISION);
}

const struct json *revisions_find(const struct revisions *all, struct str name)
{
	for (size_t i = 0; i < all->all.n; i++)
		if (str_eq(meta_name(all->all.v[i]), name))
			return all->all.v[i];
	return NULL;
}

static int64_t number_of(const struct json *revision)
{
	return json_int(json_at(revision, "revision"), 0);
}

static int by_number(const void *pa, const void *pb)
{
	const struct json *a = *(const struct json *const *)pa,
			  *b = *(const struct json *const *)pb;
	int64_t x = number_of(a), y = number_of(b);

	return x != y ? (x > y) - (x < y) : str_cmp(meta_name(a), meta_name(b));
}

static const struct json *find_equal(struct arena *a, const struct revisions *r,
				     const struct json *data)
{
	for (size_t i = r->all.n; i-- > 0;)
		if (keeps(a, r->all.v[i], data))
			return r->all.v[i];
	return NULL;
}

static void plan_revision(const struct view *v, const struct resource *r, const struct json *owner,
			  const struct json *data, int64_t number, struct plan *p,
			  const struct revisions *ret)
{
	struct json *o =
		object_new(v->arena, &res_controllerrevisions, meta_namespace(owner), ret->name);
	const struct json *labels = json_at(owner, "spec", "template", "metadata", "labels"),
			  *notes = json_at(owner, "metadata", "annotations");
	struct json *meta = json_set_object(v->arena, o, "metadata"), *own;

	(void)r;
	own = json_set(v->arena, meta, STR("labels"),
		       labels ? json_copy(v->arena, labels) : json_new(v->arena, JSON_OBJECT));
	json_set_str(v->arena, own, LABEL_REVISION, ret->hash);
	/* `kubectl rollout history` reads the change's cause from them. */
	if (json_len(notes))
		json_set(v->arena, meta, STR("annotations"), notes);
	json_append(v->arena, json_set_array(v->arena, meta, "ownerReferences"),
		    meta_owner_ref(v->arena, owner, true));
	json_set(v->arena, o, STR("data"), data_kept(v->arena, data));
	json_set_int(v->arena, o, "revision", number);
	plan_create(p, &res_controllerrevisions, o);
	p->last->ignore_exists = true;
}

/* A name that isn't taken by another template of the same hash. */
static void name_new(const struct view *v, const struct json *owner, struct revisions *ret)
{
	const struct json *template = json_at(owner, "spec", "template");

	for (int i = 0; i < 32; i++, ret->collisions++) {
		ret->hash = dep_template_hash(v->arena, template, ret->collisions);
		ret->name = arena_strf(v->arena, "%.*s-%.*s", (int)MIN(meta_name(owner).n, 223),
				       meta_name(owner).p, STR_ARG(ret->hash));
		if (!view_get(v, &res_controllerrevisions, meta_namespace(owner), ret->name))
			return;
	}
}

void revisions_sync(const struct view *v, const struct resource *r, const struct json *owner,
		    const struct selector *s, struct plan *p, struct revisions *ret)
{
	const struct json *data = data_of(v->arena, owner), *equal;
	int64_t highest = 0;

	*ret = (struct revisions){.collisions =
					  count_of(json_at(owner, "status", "collisionCount"), 0)};
	claim_objects(v, owner, s, &res_controllerrevisions, p, &ret->all);
	if (ret->all.n) {
		qsort(ret->all.v, ret->all.n, sizeof(*ret->all.v), by_number);
		highest = number_of(ret->all.v[ret->all.n - 1]);
	}
	equal = find_equal(v->arena, ret, data);
	if (!equal) {
		name_new(v, owner, ret);
		plan_revision(v, r, owner, data, highest + 1, p, ret);
		return;
	}
	ret->name = meta_name(equal);
	ret->hash = revision_hash(equal);
	if (number_of(equal) == highest)
		return;
	plan_patch(p, &res_controllerrevisions, equal, NULL,
		   json_build(v->arena, "{s:I}", "revision", highest + 1));
	p->last->ignore_not_found = true;
}

static bool in_use(const struct json *revision, const struct trees *pods)
{
	for (size_t i = 0; i < pods->n; i++) {
		struct str label = meta_label(pods->v[i], LABEL_REVISION);

		if (str_eq(label, revision_hash(revision)) || str_eq(label, meta_name(revision)))
			return true;
	}
	return false;
}

void revisions_prune(const struct view *v, struct plan *p, const struct revisions *all,
		     const struct trees *pods, struct str kept, int64_t limit)
{
	struct trees idle = {0};

	for (size_t i = 0; i < all->all.n; i++) {
		const struct json *o = all->all.v[i];

		if (!str_eq(meta_name(o), all->name) && !str_eq(meta_name(o), kept) &&
		    !in_use(o, pods) && !meta_deleting(o))
			trees_add(v->arena, &idle, o);
	}
	for (size_t i = 0; i + (size_t)limit < idle.n; i++)
		plan_delete(p, &res_controllerrevisions, idle.v[i])->ignore_not_found = true;
}
