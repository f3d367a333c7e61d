/*
 * What the transformers work on: the default tables, and what files under `configurations` and
 * `crds` add to them. A field that stands in a table already isn't added twice; one that says
 * otherwise about making the field is refused, as kustomize does. Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "reconciler/kustomize/engine.h"
#include "reconciler/kustomize/tables.h"

#include "lib/base/pure.h"

static bool same_field(const struct kspec *x, const struct kspec *y)
{
	return str_eq(x->group, y->group) && str_eq(x->version, y->version) &&
	       str_eq(x->kind, y->kind) && str_eq(x->path, y->path);
}

void kspecs_add(struct arena *a, struct kspecs *l, const struct kspec *s)
{
	for (size_t i = 0; i < l->n; i++) {
		if (same_field(&l->v[i], s))
			return;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct kspec *v = arena_array(a, cap, sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *s;
}

int kspecs_read(struct arena *a, struct kspecs *l, const struct json *list, struct err *err)
{
	if (list && !json_is(list, JSON_ARRAY) && !json_is(list, JSON_NULL))
		return err_set(err, ERR_INVALID, "a list of fields is expected");
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct kspec s = {.group = json_str(json_get(v, STR("group"))),
				  .version = json_str(json_get(v, STR("version"))),
				  .kind = json_str(json_get(v, STR("kind"))),
				  .path = json_str(json_get(v, STR("path"))),
				  .create = json_bool(json_get(v, STR("create")), false)};

		if (!s.path.n)
			return err_set(err, ERR_INVALID, "a field needs a path");
		if (str_starts(s.path, STR("/")))
			s.path = str_sub(s.path, 1, s.path.n);
		kspecs_add(a, l, &s);
	}
	return 0;
}

static void fill(struct arena *a, struct kspecs *l, const struct kspecrow *rows)
{
	for (; rows->path; rows++) {
		struct kspec s = {str_c(rows->group), str_c(rows->version), str_c(rows->kind),
				  str_c(rows->path), rows->create};

		kspecs_add(a, l, &s);
	}
}

static struct kref *ref_of(struct arena *a, struct kconfig *c, const struct kref *like)
{
	for (size_t i = 0; i < c->nrefs; i++) {
		struct kref *r = &c->refs[i];

		if (str_eq(r->group, like->group) && str_eq(r->version, like->version) &&
		    str_eq(r->kind, like->kind))
			return r;
	}
	if (c->nrefs == c->refs_cap) {
		size_t cap = c->refs_cap ? c->refs_cap * 2 : 32;
		struct kref *v = arena_array(a, cap, sizeof(*v));

		if (c->nrefs)
			memcpy(v, c->refs, c->nrefs * sizeof(*v));
		c->refs = v;
		c->refs_cap = cap;
	}
	c->refs[c->nrefs] = (struct kref){like->group, like->version, like->kind, {0}};
	return &c->refs[c->nrefs++];
}

static void fill_refs(struct arena *a, struct kref *r)
{
	for (const struct kpodref *p = kpodrefs; p->target; p++) {
		for (size_t i = 0; str_is(r->kind, p->target) && i < nkholders; i++) {
			const struct kholder *h = &kholders[i];
			struct kspec s = {.kind = str_c(h->kind)};

			if (!(p->holders & h->bit))
				continue;
			s.path = arena_strf(a, "%s%s", h->at, p->path);
			kspecs_add(a, &r->from, &s);
		}
	}
	for (const struct krefrow *row = krefrows; row->target; row++) {
		struct kspec s = {str_c(row->group), str_c(row->version), str_c(row->kind),
				  str_c(row->path), false};

		if (str_is(r->kind, row->target))
			kspecs_add(a, &r->from, &s);
	}
}

struct kconfig *kconfig_default(struct arena *a)
{
	struct kconfig *c = arena_alloc(a, sizeof(*c));

	fill(a, &c->name_prefix, knames);
	fill(a, &c->name_suffix, knames);
	fill(a, &c->namespace, knamespaces);
	fill(a, &c->labels, klabel_selectors);
	fill(a, &c->labels, klabel_templates);
	fill(a, &c->template_labels, klabel_templates);
	fill(a, &c->annotations, kannotations);
	fill(a, &c->images, kimages);
	fill(a, &c->replicas, kreplicas);
	for (const struct kreftarget *t = kreftargets; t->kind; t++) {
		struct kref like = {str_c(t->group), str_c(t->version), str_c(t->kind), {0}};

		fill_refs(a, ref_of(a, c, &like));
	}
	c->vars = json_new(a, JSON_ARRAY);
	return c;
}

static void join(struct arena *a, struct kspecs *to, const struct kspecs *from)
{
	for (size_t i = 0; i < from->n; i++)
		kspecs_add(a, to, &from->v[i]);
}

void kconfig_join(struct arena *a, struct kconfig *c, const struct kconfig *other)
{
	join(a, &c->name_prefix, &other->name_prefix);
	join(a, &c->name_suffix, &other->name_suffix);
	join(a, &c->namespace, &other->namespace);
	join(a, &c->labels, &other->labels);
	join(a, &c->template_labels, &other->template_labels);
	join(a, &c->annotations, &other->annotations);
	join(a, &c->images, &other->images);
	join(a, &c->replicas, &other->replicas);
	for (size_t i = 0; i < other->nrefs; i++)
		join(a, &ref_of(a, c, &other->refs[i])->from, &other->refs[i].from);
	for (size_t i = 0; i < json_len(other->vars); i++)
		json_append(a, c->vars, json_item(other->vars, i));
}

static int merge_refs(struct arena *a, struct kconfig *c, const struct json *list, struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct kref like = {json_str(json_get(v, STR("group"))),
				    json_str(json_get(v, STR("version"))),
				    json_str(json_get(v, STR("kind"))),
				    {0}};

		if (kspecs_read(a, &ref_of(a, c, &like)->from, json_get(v, STR("fieldSpecs")), err))
			return -1;
	}
	return 0;
}

int kconfig_merge(struct arena *a, struct kconfig *c, const struct json *file, struct err *err)
{
	const struct {
		const char *key;
		struct kspecs *to;
	} lists[] = {{"namePrefix", &c->name_prefix},
		     {"nameSuffix", &c->name_suffix},
		     {"namespace", &c->namespace},
		     {"commonLabels", &c->labels},
		     {"templateLabels", &c->template_labels},
		     {"commonAnnotations", &c->annotations},
		     {"images", &c->images},
		     {"replicas", &c->replicas}};
	const struct json *vars = json_get(file, STR("varReference"));

	if (file && !json_is(file, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "a configuration is a map");
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (kspecs_read(a, lists[i].to, json_get(file, str_c(lists[i].key)), err))
			return err_wrap(err, "%s", lists[i].key);
	}
	for (size_t i = 0; i < json_len(vars); i++)
		json_append(a, c->vars, json_item(vars, i));
	return merge_refs(a, c, json_get(file, STR("nameReference")), err);
}

/* ---- crds: definitions with x-kubernetes-object-ref-… ---- */

struct crd {
	struct arena *a;
	struct kconfig *c;
	const struct json *definitions;
	struct str kind; /* whose fields they are */
	unsigned depth;
};

static void crd_walk(struct crd *w, const struct json *type, struct str path);

static void crd_property(struct crd *w, const struct json *p, struct str path)
{
	struct str ref_kind = json_str(json_get(p, STR("x-kubernetes-object-ref-kind")));
	struct str ref_version = json_str(json_get(p, STR("x-kubernetes-object-ref-api-version")));
	struct str key =
		json_str_or(json_get(p, STR("x-kubernetes-object-ref-name-key")), STR("name"));
	struct str ref = json_str(json_get(p, STR("$ref")));
	struct kref like = {.kind = ref_kind};
	struct kspec s = {.kind = w->kind};

	if (json_get(p, STR("x-kubernetes-annotation"))) {
		struct kspec at = {.kind = w->kind, .path = path};

		kspecs_add(w->a, &w->c->annotations, &at);
	}
	if (json_get(p, STR("x-kubernetes-label-selector"))) {
		struct kspec at = {.kind = w->kind, .path = path};

		kspecs_add(w->a, &w->c->labels, &at);
	}
	if (json_get(p, STR("x-kubernetes-identity"))) {
		struct kspec at = {.kind = w->kind, .path = path};

		kspecs_add(w->a, &w->c->name_prefix, &at);
	}
	if (ref_kind.n && ref_version.n) {
		if (str_cut(ref_version, '/', &like.group, &like.version) == false) {
			like.version = ref_version;
			like.group = STR_NONE;
		}
		s.path = arena_strf(w->a, "%.*s/%.*s", STR_ARG(path), STR_ARG(key));
		kspecs_add(w->a, &ref_of(w->a, w->c, &like)->from, &s);
	}
	if (str_starts(ref, STR("#/definitions/")))
		ref = str_sub(ref, 14, ref.n);
	if (ref.n)
		crd_walk(w, json_get(w->definitions, ref), path);
}

static void crd_walk(struct crd *w, const struct json *type, struct str path)
{
	const struct json *properties =
		json_get(json_get(type, STR("Schema")) ?: type, STR("properties"));
	struct json_member *m = json_members(properties);

	if (w->depth >= 16)
		return;
	w->depth++;
	for (size_t i = 0; m && i < json_len(properties); i++) {
		struct str at =
			path.n ? arena_strf(w->a, "%.*s/%.*s", STR_ARG(path), STR_ARG(m[i].key))
			       : m[i].key;

		crd_property(w, &m[i].value, at);
	}
	w->depth--;
}

static bool is_object_type(const struct json *type)
{
	const struct json *p = json_get(json_get(type, STR("Schema")) ?: type, STR("properties"));

	return json_get(p, STR("apiVersion")) && json_get(p, STR("kind")) &&
	       json_get(p, STR("metadata"));
}

void kconfig_crd(struct arena *a, struct kconfig *c, const struct json *definitions)
{
	struct json_member *m = json_members(definitions);
	struct crd w = {.a = a, .c = c, .definitions = definitions};
	struct str head;

	for (size_t i = 0; m && i < json_len(definitions); i++) {
		if (!is_object_type(&m[i].value))
			continue;
		if (!str_rcut(m[i].key, '.', &head, &w.kind))
			w.kind = m[i].key;
		crd_walk(&w, &m[i].value, STR_NONE);
	}
}
