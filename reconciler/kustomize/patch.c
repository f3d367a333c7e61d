/*
 * patches: which resources a patch is for, and what it may change of their identity. A strategic
 * merge patch without a target is for the one resource it names; with one, for all that fit. A
 * patch that finds nothing is an error only where it names its resource. Pure. Memory: the
 * caller's arena.
 */
#include <string.h>

#include "lib/json/patch.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

static struct kid id_of_patch(const struct json *doc)
{
	const struct kres r = {.tree = (struct json *)doc};

	return kres_id(&r);
}

static bool any_id_is(const struct kres *r, const struct kid *want)
{
	struct kid now = kres_id(r), id = *want;

	if (kid_cluster_scoped(want))
		id.namespace = now.namespace;
	if (kid_eq(&now, &id))
		return true;
	for (size_t i = 0; i < r->npast; i++) {
		id.namespace = kid_cluster_scoped(want) ? r->past[i].namespace : want->namespace;
		if (kid_eq(&r->past[i], &id))
			return true;
	}
	return false;
}

static bool allowed(const struct json *options, const char *what)
{
	const struct json *v = json_get(options, str_c(what));

	return json_bool(v, false) || str_is(json_str(v), "true");
}

static void put_back(struct arena *a, struct json *object, const char *key, const struct json *was)
{
	if (was)
		json_set(a, object, str_c(key), was);
	else
		json_del(object, str_c(key));
}

/* The tree's text as it was, before the merge changes slots in place. */
struct identity {
	struct json api_version, kind, name, namespace;
	bool has_api_version, has_kind, has_name, has_namespace;
};

static bool keep(const struct json *object, const char *key, struct json *to)
{
	const struct json *v = json_get(object, str_c(key));

	if (v)
		*to = *v;
	return v != NULL;
}

static struct identity identity_of(const struct json *tree)
{
	const struct json *meta = json_get(tree, STR("metadata"));
	struct identity id = {0};

	id.has_api_version = keep(tree, "apiVersion", &id.api_version);
	id.has_kind = keep(tree, "kind", &id.kind);
	id.has_name = keep(meta, "name", &id.name);
	id.has_namespace = keep(meta, "namespace", &id.namespace);
	return id;
}

static void restore(struct arena *a, struct json *tree, const struct identity *id,
		    const struct json *options)
{
	struct json *meta = json_set_object(a, tree, "metadata");

	put_back(a, tree, "apiVersion", id->has_api_version ? &id->api_version : NULL);
	if (!allowed(options, "allowKindChange"))
		put_back(a, tree, "kind", id->has_kind ? &id->kind : NULL);
	if (!allowed(options, "allowNameChange"))
		put_back(a, meta, "name", id->has_name ? &id->name : NULL);
	put_back(a, meta, "namespace", id->has_namespace ? &id->namespace : NULL);
}

static int merge_into(struct arena *a, struct kres *r, const struct json *doc,
		      const struct kpatch *p, struct err *err)
{
	const struct json *options = p->options;
	const struct identity was = identity_of(r->tree);
	const struct schema *s =
		ktypes_find(p->types, json_str(&was.api_version), json_str(&was.kind));
	const struct kmerge how = {.a = a, .type = was.has_kind ? s : NULL, .p = p};
	bool gone = false;

	r->patched = true;
	if (allowed(options, "allowNameChange") || allowed(options, "allowKindChange"))
		kres_remember(a, r);
	if (kustomize_merge(&how, r->tree, doc, &gone, err))
		return -1;
	if (gone) {
		*r->tree = (struct json){.type = JSON_OBJECT};
		return 0;
	}
	restore(a, r->tree, &was, options);
	return 0;
}

static int merge_named(struct arena *a, struct kres_list *l, const struct json *doc,
		       const struct kpatch *p, struct err *err)
{
	struct kid id = id_of_patch(doc);
	struct kres *found = NULL;

	if (!id.kind.n || !id.name.n)
		return err_set(err, ERR_INVALID,
			       "a patch without a target must say kind and metadata.name");
	for (size_t i = 0; i < l->n; i++) {
		if (!any_id_is(&l->v[i], &id))
			continue;
		if (found)
			return err_set(err, ERR_INVALID, "several resources are %.*s %.*s",
				       STR_ARG(id.kind), STR_ARG(id.name));
		found = &l->v[i];
	}
	if (!found)
		return err_set(err, ERR_INVALID,
			       "the patch is for %.*s %.*s%s%.*s, which isn't there",
			       STR_ARG(id.kind), STR_ARG(id.name),
			       id.namespace.n ? " in namespace " : "", STR_ARG(id.namespace));
	return merge_into(a, found, doc, p, err);
}

/* `replace` of a member that isn't there makes it, as kustomize's library has it. */
static struct json *lenient(struct arena *a, const struct json *tree, const struct json *op)
{
	struct json *ret = json_copy(a, op);
	struct str path = json_str(json_get(op, STR("path"))), parent, key;

	if (str_is(json_str(json_get(op, STR("op"))), "replace") && !json_pointer(tree, path) &&
	    str_rcut(path, '/', &parent, &key) && json_is(json_pointer(tree, parent), JSON_OBJECT))
		json_set_str(a, ret, "op", STR("add"));
	return ret;
}

static struct json *patched(struct arena *a, const struct json *tree, const struct json *ops,
			    struct err *err)
{
	struct json *next = patch_json(a, tree, ops, NULL);

	if (next || !json_is(ops, JSON_ARRAY) || json_len(ops) > 1000)
		return next ?: patch_json(a, tree, ops, err);
	next = (struct json *)tree;
	for (size_t i = 0; next && i < json_len(ops); i++) {
		struct json *one = json_new(a, JSON_ARRAY);

		json_append(a, one, lenient(a, next, json_item(ops, i)));
		next = patch_json(a, next, one, err);
	}
	return next;
}

/* kustomize writes and reads again what it has carried out operations on. */
static void requote(struct json *v)
{
	struct json_member *m = json_members(v);

	kvalue_requote(v);
	for (size_t i = 0; m && i < json_len(v); i++)
		requote(&m[i].value);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		requote(json_item(v, i));
}

static int apply_ops(struct arena *a, struct kres *r, const struct json *ops, struct err *err)
{
	struct kid id = kres_id(r);
	struct json *next;

	kres_remember(a, r);
	r->patched = true;
	next = patched(a, r->tree, ops, err);
	if (!next)
		return err_wrap(err, "%.*s %.*s", STR_ARG(id.kind), STR_ARG(id.name));
	if (!json_is(next, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "%.*s %.*s: the patch leaves no object",
			       STR_ARG(id.kind), STR_ARG(id.name));
	requote(next);
	r->tree = next;
	return 0;
}

static int selected(struct arena *a, struct kres_list *l, const struct kpatch *p, struct err *err)
{
	if (p->ndocs > 1)
		return err_set(err, ERR_INVALID, "a patch with a target must be one document");
	for (size_t i = 0; i < l->n; i++) {
		bool hit;

		if (kustomize_selects(&l->v[i], p->target, &hit, err))
			return -1;
		if (!hit)
			continue;
		if (p->ops ? apply_ops(a, &l->v[i], p->ops, err)
			   : merge_into(a, &l->v[i], p->docs[0], p, err))
			return -1;
	}
	return 0;
}

int kustomize_patch(struct arena *a, struct kres_list *l, const struct kpatch *p, struct err *err)
{
	int rc = 0;

	if (p->target)
		rc = selected(a, l, p, err);
	else if (p->ops)
		rc = err_set(err, ERR_INVALID, "a JSON patch needs a target");
	for (size_t i = 0; !rc && !p->target && i < p->ndocs; i++)
		rc = merge_named(a, l, p->docs[i], p, err);
	if (!rc)
		kres_remove_empty(l);
	return rc;
}
