/*
 * What the transformers work on: the default tables, and what files under `configurations` and
 * `crds` add to them. A field that stands in a table already isn't added twice; one that says
 * otherwise about making the field is refused, as kustomize does. Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "reconciler/kustomize/engine.h"
#include "reconciler/kustomize/tables.h"

#include "lib/base/pure.h"

static bool fits_or_any(struct str have, struct str want)
{
	return !want.n || str_eq(have, want);
}

/* Whether s, said of more kinds or of the same, means the field that x means. */
static bool covers(const struct kspec *s, const struct kspec *x)
{
	return str_eq(s->path, x->path) && fits_or_any(x->kind, s->kind) &&
	       fits_or_any(x->group, s->group) && fits_or_any(x->version, s->version);
}

static int agree(const struct kspec *x, const struct kspec *y, struct err *err)
{
	if (x->create == y->create)
		return 0;
	return err_set(err, ERR_INVALID, "%.*s is both to be created where it is missing and not",
		       STR_ARG(x->path));
}

static void push(struct arena *a, struct kspecs *l, const struct kspec *s)
{
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

int kspecs_add(struct arena *a, struct kspecs *l, const struct kspec *s, struct err *err)
{
	for (size_t i = 0; i < l->n; i++) {
		if (covers(s, &l->v[i]))
			return agree(s, &l->v[i], err);
	}
	push(a, l, s);
	return 0;
}

/*
 * A field said of all kinds gives way to the same field said of some: that is how kustomize merges
 * its defaults with what a configuration says, and how somebody prefixes names of one kind only.
 */
static int settle(struct kspecs *l, struct err *err)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct kspec s = l->v[i];
		bool gone = false;

		for (size_t n = 0; n < l->n && !gone; n++) {
			/* Those before `kept` have been moved, the ones from i on not yet. */
			const struct kspec *x = &l->v[n];

			if ((n >= kept && n <= i) || !covers(&s, x) || covers(x, &s))
				continue;
			if (agree(&s, x, err))
				return -1;
			gone = true;
		}
		if (!gone)
			l->v[kept++] = s;
	}
	l->n = kept;
	return 0;
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
		push(a, l, &s);
	}
	return 0;
}

static void fill(struct arena *a, struct kspecs *l, const struct kspecrow *rows)
{
	for (; rows->path; rows++) {
		struct kspec s = {str_c(rows->group), str_c(rows->version), str_c(rows->kind),
				  str_c(rows->path), rows->create};

		push(a, l, &s);
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
			push(a, &r->from, &s);
		}
	}
	for (const struct krefrow *row = krefrows; row->target; row++) {
		struct kspec s = {str_c(row->group), str_c(row->version), str_c(row->kind),
				  str_c(row->path), false};

		if (str_is(r->kind, row->target))
			push(a, &r->from, &s);
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

static int join(struct arena *a, struct kspecs *to, const struct kspecs *from, struct err *err)
{
	for (size_t i = 0; i < from->n; i++) {
		if (kspecs_add(a, to, &from->v[i], err))
			return -1;
	}
	return settle(to, err);
}

#define LISTS 9
struct list {
	const char *key;
	struct kspecs *at;
};

static void lists_of(struct kconfig *c, struct list ret[LISTS])
{
	const struct list all[LISTS] = {{"namePrefix", &c->name_prefix},
					{"nameSuffix", &c->name_suffix},
					{"namespace", &c->namespace},
					{"commonLabels", &c->labels},
					{"labels", &c->all_labels},
					{"templateLabels", &c->template_labels},
					{"commonAnnotations", &c->annotations},
					{"images", &c->images},
					{"replicas", &c->replicas}};

	memcpy(ret, all, sizeof(all));
}

int kconfig_join(struct arena *a, struct kconfig *c, const struct kconfig *other, struct err *err)
{
	struct kconfig from = *other;
	struct list to[LISTS], of[LISTS];

	lists_of(c, to);
	lists_of(&from, of);
	for (size_t i = 0; i < LISTS; i++) {
		if (join(a, to[i].at, of[i].at, err))
			return err_wrap(err, "%s", to[i].key);
	}
	for (size_t i = 0; i < other->nrefs; i++) {
		if (join(a, &ref_of(a, c, &other->refs[i])->from, &other->refs[i].from, err))
			return err_wrap(err, "nameReference");
	}
	for (size_t i = 0; i < json_len(other->vars); i++)
		json_append(a, c->vars, json_item(other->vars, i));
	return 0;
}

static int merge_refs(struct arena *a, struct kconfig *c, const struct json *list, struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct kref like = {json_str(json_get(v, STR("group"))),
				    json_str(json_get(v, STR("version"))),
				    json_str(json_get(v, STR("kind"))),
				    {0}};
		struct kspecs more = {0};

		if (kspecs_read(a, &more, json_get(v, STR("fieldSpecs")), err) ||
		    join(a, &ref_of(a, c, &like)->from, &more, err))
			return err_wrap(err, "nameReference");
	}
	return 0;
}

int kconfig_merge(struct arena *a, struct kconfig *c, const struct json *file, struct err *err)
{
	const struct json *vars = json_get(file, STR("varReference"));
	struct list lists[LISTS];

	if (file && !json_is(file, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "a configuration is a map");
	lists_of(c, lists);
	for (size_t i = 0; i < LISTS; i++) {
		struct kspecs more = {0};

		if (kspecs_read(a, &more, json_get(file, str_c(lists[i].key)), err) ||
		    join(a, lists[i].at, &more, err))
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
	bool failed;
	struct err *err;
};

static void crd_add(struct crd *w, struct kspecs *l, const struct kspec *s)
{
	if (!w->failed && kspecs_add(w->a, l, s, w->err))
		w->failed = true;
}

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

		crd_add(w, &w->c->annotations, &at);
	}
	if (json_get(p, STR("x-kubernetes-label-selector"))) {
		struct kspec at = {.kind = w->kind, .path = path};

		crd_add(w, &w->c->labels, &at);
	}
	if (json_get(p, STR("x-kubernetes-identity"))) {
		struct kspec at = {.kind = w->kind, .path = path};

		crd_add(w, &w->c->name_prefix, &at);
	}
	if (ref_kind.n && ref_version.n) {
		if (str_cut(ref_version, '/', &like.group, &like.version) == false) {
			like.version = ref_version;
			like.group = STR_NONE;
		}
		s.path = arena_strf(w->a, "%.*s/%.*s", STR_ARG(path), STR_ARG(key));
		crd_add(w, &ref_of(w->a, w->c, &like)->from, &s);
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

int kconfig_crd(struct arena *a, struct kconfig *c, const struct json *definitions, struct err *err)
{
	struct json_member *m = json_members(definitions);
	struct crd w = {.a = a, .c = c, .definitions = definitions, .err = err};
	struct str head;

	for (size_t i = 0; m && i < json_len(definitions); i++) {
		if (!is_object_type(&m[i].value))
			continue;
		if (!str_rcut(m[i].key, '.', &head, &w.kind))
			w.kind = m[i].key;
		crd_walk(&w, &m[i].value, STR_NONE);
	}
	return w.failed ? -1 : 0;
}
