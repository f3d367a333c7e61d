/*
 * The transformers that set fields: namespace, namePrefix and nameSuffix, labels and annotations,
 * images, replicas. A value taken verbatim from the kustomization carries its place there; an
 * image that was put together carries the place of its tag (or digest, or name). Pure. Memory: the
 * caller's arena.
 */
#include <string.h>

#include "lib/base/map.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

struct setter {
	struct arena *a;
	const struct json *value;
	struct str key; /* of a map, or STR_NONE */
	bool unset_only;
};

static int set_value(void *ctx, struct json *at, struct err *err)
{
	struct setter *s = ctx;

	if (json_is(at, JSON_OBJECT) || json_is(at, JSON_ARRAY))
		return err_set(err, ERR_INVALID, "a value is expected, not a map or list");
	if (s->unset_only && json_str(at).n)
		return 0;
	*at = *kvalue(s->a, s->value);
	return 0;
}

/* ---- namespace ---- */

static int set_subjects(struct arena *a, struct kres *r, const struct knamespace *n,
			const struct kid *id)
{
	struct json *subjects = json_get(r->tree, STR("subjects"));

	if (n->subjects == KSUBJECTS_NONE ||
	    (!str_is(id->kind, "RoleBinding") && !str_is(id->kind, "ClusterRoleBinding")))
		return 0;
	for (size_t i = 0; i < json_len(subjects); i++) {
		struct json *s = json_item(subjects, i);
		bool mine = str_is(json_str(json_get(s, STR("kind"))), "ServiceAccount") &&
			    (n->subjects == KSUBJECTS_ALL ||
			     str_is(json_str(json_get(s, STR("name"))), "default"));

		if (mine && !(n->unset_only && json_str(json_get(s, STR("namespace"))).n))
			json_set(a, s, STR("namespace"), kvalue(a, n->value));
	}
	return 0;
}

static int check_unique(struct kres_list *l, struct err *err)
{
	AUTO(map) struct map seen = {0};
	AUTO(arena) struct arena a = {0};

	for (size_t i = 0; i < l->n; i++) {
		struct kid id = kres_id(&l->v[i]);
		struct str text;

		if (kid_cluster_scoped(&id))
			id.namespace = STR_NONE;
		text = arena_strf(&a, "%.*s/%.*s/%.*s/%.*s/%.*s", STR_ARG(id.group),
				  STR_ARG(id.version), STR_ARG(id.kind), STR_ARG(id.namespace),
				  STR_ARG(id.name));
		if (map_set(&seen, text, l))
			return err_set(err, ERR_INVALID,
				       "the namespace makes two %.*s %.*s into one",
				       STR_ARG(id.kind), STR_ARG(id.name));
	}
	return 0;
}

/* All but those that have been dealt with already. */
static int visit_others(const struct kvisit *v, const struct kspecs *l, struct kres *r,
			struct err *err)
{
	for (size_t i = 0; l && i < l->n; i++) {
		const struct kspec *s = &l->v[i];

		if (str_is(s->path, "metadata/namespace") ||
		    (str_ends(s->kind, STR("RoleBinding")) &&
		     str_is(s->path, "subjects/namespace")))
			continue;
		if (kspec_visit(v, s, r, err))
			return -1;
	}
	return 0;
}

int kustomize_namespace(struct arena *a, struct kres_list *l, const struct knamespace *n,
			struct err *err)
{
	const struct kspec meta = {.path = STR("metadata/namespace"), .create = true};
	struct setter s = {.a = a, .value = n->value, .unset_only = n->unset_only};
	const struct kvisit v = {.a = a, .set = set_value, .ctx = &s, .create = KCREATE_SCALAR};

	if (!json_str(n->value).n)
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		struct kres *r = &l->v[i];
		struct kid id = kres_id(r);

		kres_remember(a, r);
		if ((!kid_cluster_scoped(&id) && kspec_visit(&v, &meta, r, err)) ||
		    set_subjects(a, r, n, &id) || visit_others(&v, n->specs, r, err))
			return -1;
	}
	return check_unique(l, err);
}

/* ---- names ---- */

static bool keeps_name(const struct kid *id)
{
	return str_is(id->kind, "CustomResourceDefinition") || str_is(id->kind, "Namespace") ||
	       (str_is(id->kind, "APIService") && str_is(id->group, "apiregistration.k8s.io"));
}

struct affixer {
	struct arena *a;
	struct str affix;
	bool suffix;
};

static int set_affix(void *ctx, struct json *at, struct err *err)
{
	struct affixer *s = ctx;
	struct str was = json_str(at);

	(void)err;
	if (json_is(at, JSON_STRING))
		*at = *json_new_str(
			s->a,
			s->suffix ? arena_strf(s->a, "%.*s%.*s", STR_ARG(was), STR_ARG(s->affix))
				  : arena_strf(s->a, "%.*s%.*s", STR_ARG(s->affix), STR_ARG(was)));
	return 0;
}

static void push(struct arena *a, struct str **list, size_t *n, struct str s)
{
	struct str *v = arena_array(a, *n + 1, sizeof(*v));

	if (*n)
		memcpy(v, *list, *n * sizeof(*v));
	v[(*n)++] = s;
	*list = v;
}

int kustomize_affix(struct arena *a, struct kres_list *l, const struct kspecs *specs,
		    struct str affix, bool suffix)
{
	struct affixer s = {a, affix, suffix};
	const struct kvisit v = {.a = a, .set = set_affix, .ctx = &s};

	for (size_t i = 0; affix.n && i < l->n; i++) {
		struct kres *r = &l->v[i];
		struct kid id = kres_first(r);

		if (keeps_name(&id))
			continue;
		kres_remember(a, r);
		if (suffix)
			push(a, &r->suffixes, &r->nsuffixes, affix);
		else
			push(a, &r->prefixes, &r->nprefixes, affix);
		if (kspecs_visit(&v, specs, r, NULL))
			return -1;
	}
	return 0;
}

/* ---- labels and annotations ---- */

static int set_pair(void *ctx, struct json *at, struct err *err)
{
	struct setter *s = ctx;

	if (json_is(at, JSON_NULL))
		*at = (struct json){.type = JSON_OBJECT};
	if (!json_is(at, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "a map is expected");
	json_set(s->a, at, s->key, kvalue(s->a, s->value));
	return 0;
}

int kustomize_pairs(struct arena *a, struct kres_list *l, const struct kspecs *specs,
		    const struct json *pairs, struct err *err)
{
	struct json_member *m = json_members(pairs);
	struct setter s = {.a = a};
	const struct kvisit v = {.a = a, .set = set_pair, .ctx = &s, .create = KCREATE_MAP};

	if (pairs && !json_is(pairs, JSON_OBJECT) && !json_is(pairs, JSON_NULL))
		return err_set(err, ERR_INVALID, "a map of texts is expected");
	for (size_t p = 0; m && p < json_len(pairs); p++) {
		if (!json_is(&m[p].value, JSON_STRING))
			return err_set(err, ERR_INVALID, "%.*s: text is expected, in quotes",
				       STR_ARG(m[p].key));
		s.key = m[p].key;
		s.value = &m[p].value;
		for (size_t i = 0; i < l->n; i++) {
			if (kspecs_visit(&v, specs, &l->v[i], err))
				return -1;
		}
	}
	return 0;
}

/* ---- images ---- */

struct imager {
	struct arena *a;
	const struct json *name, *new_name, *new_tag, *digest, *tag_suffix;
};

/* "registry:5000/name:tag@digest" in its three parts. */
static void image_split(struct str image, struct str *name, struct str *tag, struct str *digest)
{
	struct str head, tail;

	*tag = *digest = STR_NONE;
	*name = image;
	if (str_rcut(image, '@', &head, &tail)) {
		*digest = tail;
		*name = head;
	}
	if (str_rcut(*name, ':', &head, &tail) && !memchr(tail.p, '/', tail.n)) {
		*tag = tail;
		*name = head;
	}
}

static int set_image(void *ctx, struct json *at, struct err *err)
{
	struct imager *s = ctx;
	struct str name, tag, digest;
	const struct json *from = NULL;
	AUTO(buf) struct buf out = {0};

	(void)err;
	if (!json_is(at, JSON_STRING))
		return 0;
	image_split(json_str(at), &name, &tag, &digest);
	if (!name.n || !str_eq(name, json_str(s->name)))
		return 0;
	if (json_str(s->new_name).n) {
		from = s->new_name;
		name = json_str(from);
	}
	if (json_str(s->new_tag).n || json_str(s->digest).n) {
		tag = json_str(s->new_tag);
		digest = json_str(s->digest);
		from = digest.n ? s->digest : s->new_tag;
	} else if (json_str(s->tag_suffix).n) {
		tag = arena_strf(s->a, "%.*s%.*s", STR_ARG(tag), STR_ARG(json_str(s->tag_suffix)));
		digest = STR_NONE;
		from = s->tag_suffix;
	}
	if (!from)
		return 0;
	buf_str(&out, name);
	if (tag.n)
		buf_printf(&out, ":%.*s", STR_ARG(tag));
	if (digest.n)
		buf_printf(&out, "@%.*s", STR_ARG(digest));
	if (str_eq(buf_view(&out), json_str(at)))
		return 0;
	*at = *json_new_str(s->a, buf_view(&out));
	at->src = from->src;
	return 0;
}

/* Wherever containers stand, for kinds that no table knows. */
static int images_anywhere(struct imager *s, struct json *v)
{
	struct json_member *m = json_members(v);

	for (size_t i = 0; m && i < json_len(v); i++) {
		bool here = str_is(m[i].key, "containers") || str_is(m[i].key, "initContainers");

		for (size_t c = 0; here && c < json_len(&m[i].value); c++) {
			struct json *image = json_get(json_item(&m[i].value, c), STR("image"));

			if (image && set_image(s, image, NULL))
				return -1;
		}
		if (!here && images_anywhere(s, &m[i].value))
			return -1;
	}
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++) {
		if (images_anywhere(s, json_item(v, i)))
			return -1;
	}
	return 0;
}

int kustomize_image(struct arena *a, struct kres_list *l, const struct kspecs *specs,
		    const struct json *image, struct err *err)
{
	struct imager s = {.a = a,
			   .name = json_get(image, STR("name")),
			   .new_name = json_get(image, STR("newName")),
			   .new_tag = json_get(image, STR("newTag")),
			   .digest = json_get(image, STR("digest")),
			   .tag_suffix = json_get(image, STR("tagSuffix"))};
	const struct kvisit v = {.a = a, .set = set_image, .ctx = &s};

	if (!json_str(s.name).n)
		return err_set(err, ERR_INVALID, "an image needs a name");
	if ((s.new_tag && !json_is(s.new_tag, JSON_STRING) && !json_is(s.new_tag, JSON_NULL)))
		return err_set(err, ERR_INVALID, "newTag: text is expected, in quotes");
	for (size_t i = 0; i < l->n; i++) {
		if (str_is(json_str(json_get(l->v[i].tree, STR("kind"))),
			   "CustomResourceDefinition"))
			continue;
		if (images_anywhere(&s, l->v[i].tree) || kspecs_visit(&v, specs, &l->v[i], err))
			return -1;
	}
	return 0;
}

/* ---- replicas ---- */

static bool any_id_fits(const struct kres *r, const struct kspec *spec, struct str name)
{
	struct kid now = kres_id(r);

	if (kspec_fits(spec, &now) && str_eq(now.name, name))
		return true;
	for (size_t i = 0; i < r->npast; i++) {
		if (kspec_fits(spec, &r->past[i]) && str_eq(r->past[i].name, name))
			return true;
	}
	return false;
}

int kustomize_replicas(struct arena *a, struct kres_list *l, const struct kspecs *specs,
		       const struct json *entry, struct err *err)
{
	struct str name = json_str(json_get(entry, STR("name")));
	struct setter s = {.a = a, .value = json_get(entry, STR("count"))};
	const struct kvisit v = {.a = a, .set = set_value, .ctx = &s, .create = KCREATE_SCALAR};
	const struct json zero = {.type = JSON_INT};
	bool found = false;

	if (!name.n)
		return err_set(err, ERR_INVALID, "replicas need a name");
	s.value = s.value ?: &zero;
	if (!json_is(s.value, JSON_INT))
		return err_set(err, ERR_INVALID, "replicas of %.*s: count must be a whole number",
			       STR_ARG(name));
	for (size_t k = 0; k < specs->n; k++) {
		for (size_t i = 0; i < l->n; i++) {
			if (!any_id_fits(&l->v[i], &specs->v[k], name))
				continue;
			found = true;
			if (kspec_visit(&v, &specs->v[k], &l->v[i], err))
				return -1;
		}
	}
	if (!found)
		return err_set(err, ERR_INVALID, "replicas: there is no %.*s to be scaled",
			       STR_ARG(name));
	return 0;
}
