/*
 * Names of objects in other objects: where layers changed a name or a namespace, whatever refers to
 * the object as it was called before is made to say the new one. An object is found by any name it
 * ever had; among several, the one in the referrer's namespace and with its prefixes is meant.
 * Pure. Memory: the caller's arena.
 */
#include <string.h>

#include "lib/base/map.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

struct hit {
	struct kres *r;
	struct hit *next;
};

struct fix {
	struct arena *a;
	struct kres_list *l;
	struct map by_name; /* a past name → its hits */
	struct kres *referrer;
	struct kid id; /* the referrer's */
	const struct kref *target;
	const struct kspec *field;
};

/* What is left over after each sieve. */
struct sieve {
	struct kres **v;
	size_t n;
};

static bool past_name_and_kind(const struct kres *r, struct str name, const struct kspec *want)
{
	bool named = false, kind = false;

	for (size_t i = 0; i < r->npast; i++) {
		named = named || str_eq(r->past[i].name, name);
		kind = kind || kspec_fits(want, &r->past[i]);
	}
	return named && kind;
}

/* roleRef says the kind itself. */
static bool role_fits(const struct fix *f, const struct kres *r)
{
	const struct json *ref = json_get(f->referrer->tree, STR("roleRef"));
	struct kspec want = {.group = json_str(json_get(ref, STR("apiGroup"))),
			     .kind = json_str(json_get(ref, STR("kind")))};

	if (!str_ends(f->field->path, STR("roleRef/name")))
		return true;
	for (size_t i = 0; i < r->npast; i++) {
		if (kspec_fits(&want, &r->past[i]))
			return true;
	}
	return false;
}

static bool subject_namespace(const struct fix *f, struct str ns)
{
	const struct json *subjects = json_get(f->referrer->tree, STR("subjects"));

	if (!str_is(f->id.kind, "RoleBinding"))
		return false;
	for (size_t i = 0; i < json_len(subjects); i++) {
		const struct json *s = json_item(subjects, i);

		if (str_is(json_str(json_get(s, STR("kind"))), "ServiceAccount") &&
		    str_eq(json_str(json_get(s, STR("namespace"))), ns))
			return true;
	}
	return false;
}

/* Said, but to be nothing: whoever wrote it meant some namespace. */
static int check_subjects(const struct fix *f, struct err *err)
{
	const struct json *subjects = json_get(f->referrer->tree, STR("subjects"));

	if (!str_is(f->id.kind, "RoleBinding"))
		return 0;
	for (size_t i = 0; i < json_len(subjects); i++) {
		const struct json *s = json_item(subjects, i);

		if (str_is(json_str(json_get(s, STR("kind"))), "ServiceAccount") &&
		    json_get(s, STR("namespace")) &&
		    !json_is(json_get(s, STR("namespace")), JSON_STRING))
			return err_set(err, ERR_INVALID,
				       "RoleBinding %.*s: namespace of subjects[%zu] is blank",
				       STR_ARG(f->id.name), i);
	}
	return 0;
}

static bool reachable(const struct fix *f, const struct kres *r)
{
	struct kid id = kres_id(r);

	if (kid_cluster_scoped(&f->id) || kid_cluster_scoped(&id) ||
	    kid_same_namespace(&f->id, &id))
		return true;
	return str_is(id.kind, "ServiceAccount") && subject_namespace(f, id.namespace);
}

/* The shorter list is the end of the longer one. */
static bool same_end(const struct str *x, size_t nx, const struct str *y, size_t ny)
{
	while (nx && ny) {
		if (!str_eq(x[--nx], y[--ny]))
			return false;
	}
	return true;
}

static bool same_affixes(const struct kres *x, const struct kres *y, bool strict)
{
	if (strict && (!x->nprefixes != !y->nprefixes || !x->nsuffixes != !y->nsuffixes))
		return false;
	return same_end(x->prefixes, x->nprefixes, y->prefixes, y->nprefixes) &&
	       same_end(x->suffixes, x->nsuffixes, y->suffixes, y->nsuffixes);
}

static void keep_alike(const struct fix *f, struct sieve *s, bool strict)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (same_affixes(f->referrer, s->v[i], strict))
			s->v[n++] = s->v[i];
	}
	s->n = n;
}

/* A reference that has a namespace, too, cannot mean one of two. */
static bool all_one_name(const struct sieve *s, bool in_one_namespace)
{
	struct kid first = kres_id(s->v[0]);

	for (size_t i = 1; i < s->n; i++) {
		struct kid id = kres_id(s->v[i]);

		if (!str_eq(id.name, first.name) ||
		    (in_one_namespace && !kid_same_namespace(&id, &first)))
			return false;
	}
	return true;
}

/* Whether something stood in that namespace before any layer changed it. */
static bool was_namespace(const struct fix *f, struct str ns)
{
	const struct kid want = {.namespace = ns};

	for (size_t i = 0; i < f->l->n; i++) {
		struct kid first = kres_first(&f->l->v[i]);

		if (!kid_cluster_scoped(&first) && kid_same_namespace(&first, &want))
			return true;
	}
	return false;
}

static bool in_namespace(const struct kres *r, struct str ns, bool before)
{
	const struct kid want = {.namespace = ns};
	struct kid id = before ? kres_first(r) : kres_id(r);

	return !kid_cluster_scoped(&id) && kid_same_namespace(&id, &want);
}

static struct sieve candidates(struct fix *f, struct str name, const struct str *ns)
{
	const struct kspec want = {f->target->group, f->target->version, f->target->kind, STR_NONE,
				   false};
	bool before = ns && was_namespace(f, *ns);
	struct sieve s = {0};
	size_t most = 0;

	for (struct hit *h = map_get(&f->by_name, name); h; h = h->next)
		most++;
	if (!most)
		return s;
	s.v = arena_array(f->a, most, sizeof(struct kres *));
	for (struct hit *h = map_get(&f->by_name, name); h; h = h->next) {
		if ((!ns || in_namespace(h->r, *ns, before)) && reachable(f, h->r) &&
		    past_name_and_kind(h->r, name, &want) && role_fits(f, h->r))
			s.v[s.n++] = h->r;
	}
	return s;
}

/* The reference is a text, or a map that has a namespace beside its name, maybe not said. */
struct wanted {
	struct str name;
	const struct str *namespace;
	bool is_map;
};

static int choose(struct fix *f, const struct wanted *w, struct kres **ret, struct err *err)
{
	struct str name = w->name;
	struct sieve s = candidates(f, name, w->namespace);

	*ret = NULL;
	if (s.n > 1)
		keep_alike(f, &s, false);
	if (s.n > 1)
		keep_alike(f, &s, true);
	if (!s.n)
		return 0;
	if (s.n > 1 && !all_one_name(&s, w->is_map))
		return err_set(err, ERR_INVALID,
			       "%.*s %.*s: %.*s could be several %.*s of other layers",
			       STR_ARG(f->id.kind), STR_ARG(f->id.name), STR_ARG(name),
			       STR_ARG(f->target->kind));
	*ret = s.v[0];
	return 0;
}

static int set_scalar(struct fix *f, struct json *at, struct err *err)
{
	const struct wanted w = {.name = json_str(at)};
	struct kres *to;
	struct kid id;

	if (choose(f, &w, &to, err))
		return -1;
	if (!to)
		return 0;
	id = kres_id(to);
	if (!str_eq(id.name, json_str(at)))
		*at = *json_new_str(f->a, id.name);
	return 0;
}

static int set_map(struct fix *f, struct json *at, struct err *err)
{
	const struct json *name = json_get(at, STR("name")),
			  *where = json_get(at, STR("namespace"));
	struct str ns = json_str(where);
	struct wanted w;
	struct kres *to;
	struct kid id;

	if (!name)
		return err_set(err, ERR_INVALID, "%.*s has no name", STR_ARG(f->field->path));
	if (!json_is(name, JSON_STRING))
		return 0;
	w = (struct wanted){json_str(name), json_is(where, JSON_STRING) ? &ns : NULL, true};
	if (choose(f, &w, &to, err))
		return -1;
	if (!to)
		return 0;
	id = kres_id(to);
	if (!str_eq(id.name, json_str(name)))
		json_set_str(f->a, at, "name", id.name);
	if (id.namespace.n && !str_eq(id.namespace, ns))
		json_set_str(f->a, at, "namespace", id.namespace);
	return 0;
}

static int set_reference(void *ctx, struct json *at, struct err *err)
{
	struct fix *f = ctx;

	if (json_is(at, JSON_STRING))
		return set_scalar(f, at, err);
	if (json_is(at, JSON_OBJECT))
		return set_map(f, at, err);
	for (size_t i = 0; json_is(at, JSON_ARRAY) && i < json_len(at); i++) {
		if (json_is(json_item(at, i), JSON_ARRAY))
			return err_set(err, ERR_INVALID, "%.*s is no name",
				       STR_ARG(f->field->path));
		if (set_reference(f, json_item(at, i), err))
			return -1;
	}
	return 0;
}

static void index_names(struct fix *f)
{
	/* From the last to the first, so that chains are in order. */
	for (size_t i = f->l->n; i-- > 0;) {
		struct kres *r = &f->l->v[i];

		for (size_t p = 0; p < r->npast; p++) {
			struct hit *h = map_get(&f->by_name, r->past[p].name), *new;

			if (h && h->r == r)
				continue;
			new = arena_alloc(f->a, sizeof(*new));
			*new = (struct hit){r, h};
			map_set(&f->by_name, r->past[p].name, new);
		}
	}
}

static int fix_one(struct fix *f, const struct kconfig *c, struct err *err)
{
	const struct kvisit v = {.a = f->a, .set = set_reference, .ctx = f};

	for (size_t t = 0; t < c->nrefs; t++) {
		f->target = &c->refs[t];
		for (size_t i = 0; i < f->target->from.n; i++) {
			f->field = &f->target->from.v[i];
			if (kspec_fits(f->field, &f->id) &&
			    kspec_visit(&v, f->field, f->referrer, err))
				return -1;
		}
	}
	return 0;
}

int kustomize_references(struct arena *a, struct kres_list *l, const struct kconfig *c,
			 struct err *err)
{
	struct fix f = {.a = a, .l = l};
	int rc = 0;

	index_names(&f);
	/* Also where nothing was renamed: fields that no reference can stand in are told of. */
	for (size_t i = 0; !rc && i < l->n; i++) {
		f.referrer = &l->v[i];
		f.id = kres_id(f.referrer);
		rc = check_subjects(&f, err) ? -1 : fix_one(&f, c, err);
	}
	map_release(&f.by_name);
	return rc;
}

void kustomize_add_hashes(struct arena *a, struct kres_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct kres *r = &l->v[i];
		struct json *meta = json_get(r->tree, STR("metadata"));

		if (!r->needs_hash)
			continue;
		kres_remember(a, r);
		json_set_str(a, meta, "name",
			     arena_strf(a, "%.*s-%.*s",
					STR_ARG(json_str(json_get(meta, STR("name")))),
					STR_ARG(kustomize_hash(a, r->tree))));
	}
}
