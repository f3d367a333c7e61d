/*
 * The ReplicaSet of a Deployment's present template: recognised by comparing templates, made
 * under a name derived from the template's hash, given the Deployment's annotations and the
 * newest revision number. Pure.
 */
#include "controllers/deployment_core.h"

#include "lib/base/pure.h"

/* As Kubernetes: the decimal digits of a 32-bit hash, each as a letter that spells no words. */
struct str dep_template_hash(struct arena *a, const struct json *template, int64_t collisions)
{
	AUTO(buf) struct buf b = {0};
	char *text;

	json_write_sorted(template, &b);
	if (collisions)
		buf_i64(&b, collisions);
	text = arena_printf(a, "%u", str_fnv32(buf_view(&b)));
	for (char *c = text; *c; c++)
		*c = name_alphabet[(unsigned char)*c % 27];
	return str_c(text);
}

static struct json *without_hash(struct arena *a, const struct json *template)
{
	struct json *copy = json_copy(a, template);
	struct json *labels = json_at(copy, "metadata", "labels");

	if (labels)
		json_del(labels, STR(LABEL_HASH));
	return copy;
}

static bool same_template(struct arena *a, const struct json *x, const struct json *y)
{
	return json_equal(without_hash(a, x), without_hash(a, y));
}

static struct dep_rs *describe(struct dep *d, const struct json *rs)
{
	struct dep_rs *r = arena_alloc(d->v->arena, sizeof(*r));

	r->was = rs;
	r->new = json_copy(d->v->arena, rs);
	r->name = meta_name(rs);
	r->had = r->replicas = count_of(json_at(rs, "spec", "replicas"), 1);
	r->actual = count_of(json_at(rs, "status", "replicas"), 0);
	r->settled = json_int(json_at(rs, "status", "observedGeneration"), 0) >=
		     json_int(json_at(rs, "metadata", "generation"), 0);
	r->ready = count_of(json_at(rs, "status", "readyReplicas"), 0);
	r->available = count_of(json_at(rs, "status", "availableReplicas"), 0);
	r->created_ns = meta_created_ns(rs);
	if (str_to_i64(meta_annotation(rs, ANNOTATION_REVISION), &r->revision) != 0)
		r->revision = 0;
	r->revision = MIN(MAX(r->revision, 0), INT64_MAX - 1);
	return r;
}

static int by_age(const void *pa, const void *pb)
{
	const struct dep_rs *a = *(struct dep_rs *const *)pa, *b = *(struct dep_rs *const *)pb;

	if (a->created_ns != b->created_ns)
		return a->created_ns < b->created_ns ? -1 : 1;
	return str_cmp(a->name, b->name);
}

void dep_take_replicasets(struct dep *d, const struct trees *rss)
{
	const struct json *template = json_at(d->was, "spec", "template");

	/* One more: the current one may be made. */
	d->all = arena_array(d->v->arena, rss->n + 1, sizeof(struct dep_rs *));
	for (size_t i = 0; i < rss->n; i++)
		d->all[d->n++] = describe(d, rss->v[i]);
	qsort(d->all, d->n, sizeof(*d->all), by_age);
	/* The oldest of several with the same template, so that all replicas of us agree. */
	for (size_t i = 0; i < d->n && !d->current; i++)
		if (same_template(d->v->arena, json_at(d->all[i]->was, "spec", "template"),
				  template))
			d->current = d->all[i];
}

static int64_t newest_revision(const struct dep *d)
{
	int64_t newest = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->all[i] != d->current)
			newest = MAX(newest, d->all[i]->revision);
	return newest;
}

static bool annotation_is_ours(struct str key)
{
	return str_is(key, "kubectl.kubernetes.io/last-applied-configuration") ||
	       str_is(key, ANNOTATION_REVISION) || str_is(key, ANNOTATION_HISTORY) ||
	       str_is(key, ANNOTATION_DESIRED) || str_is(key, ANNOTATION_MAX) ||
	       str_is(key, "deprecated.deployment.rollback.to");
}

static void copy_annotations(struct dep *d, struct dep_rs *rs)
{
	const struct json *from = json_at(d->was, "metadata", "annotations");
	const struct json_member *m = json_members(from);
	struct json *to = meta_set_object(d->v->arena, rs->new, "annotations");

	for (size_t i = 0; i < json_len(from); i++) {
		if (annotation_is_ours(m[i].key) || json_equal(json_get(to, m[i].key), &m[i].value))
			continue;
		json_set(d->v->arena, to, m[i].key, &m[i].value);
		rs->dirty = true;
	}
}

/* A template that comes back gets the newest number; what it was called before is history. */
static void number(struct dep *d, struct dep_rs *rs)
{
	int64_t revision = newest_revision(d) + 1;
	struct json *to = meta_set_object(d->v->arena, rs->new, "annotations");
	struct str history = meta_annotation(rs->new, ANNOTATION_HISTORY);

	if (rs->revision >= revision)
		return;
	if (rs->revision)
		json_set_str(d->v->arena, to, ANNOTATION_HISTORY,
			     arena_strf(d->v->arena, "%.*s%s%lld", STR_ARG(history),
					history.n ? "," : "", (long long)rs->revision));
	json_set_str(d->v->arena, to, ANNOTATION_REVISION,
		     arena_strf(d->v->arena, "%lld", (long long)revision));
	rs->revision = revision;
	rs->dirty = true;
}

static void build_spec(struct dep *d, struct json *rs, struct str hash)
{
	struct arena *a = d->v->arena;
	const struct json *from = json_at(d->was, "spec");
	struct json *spec = json_set_object(a, rs, "spec"), *template;

	json_set_int(a, spec, "replicas", 0);
	if (json_at(from, "minReadySeconds"))
		json_set(a, spec, STR("minReadySeconds"), json_at(from, "minReadySeconds"));
	json_set(a, spec, STR("selector"), json_copy(a, json_at(from, "selector")));
	json_set_str(a, json_set_object(a, json_at(spec, "selector"), "matchLabels"), LABEL_HASH,
		     hash);
	template = json_copy(a, json_at(from, "template"));
	json_set_str(a, meta_set_object(a, template, "labels"), LABEL_HASH, hash);
	json_set(a, spec, STR("template"), template);
}

/* A name that nobody has; a clash of hashes counts up status.collisionCount. */
static struct str free_name(struct dep *d, struct str *ret_hash)
{
	struct str base = meta_name(d->was);

	for (;; d->collisions++) {
		struct str name;

		*ret_hash = dep_template_hash(d->v->arena, json_at(d->was, "spec", "template"),
					      d->collisions);
		name = arena_strf(d->v->arena, "%.*s-%.*s", STR_ARG(base), STR_ARG(*ret_hash));
		if (!view_get(d->v, &res_replicasets, meta_namespace(d->was), name))
			return name;
	}
}

static void create_current(struct dep *d)
{
	struct arena *a = d->v->arena;
	struct dep_rs *rs = arena_alloc(a, sizeof(*rs));
	const struct json *labels = json_at(d->was, "spec", "template", "metadata", "labels");
	struct str hash, name = free_name(d, &hash);

	rs->name = name;
	rs->new = object_new(a, &res_replicasets, meta_namespace(d->was), name);
	rs->created_ns = d->v->now_ns;
	if (labels)
		json_set(a, json_set_object(a, rs->new, "metadata"), STR("labels"),
			 json_copy(a, labels));
	json_set_str(a, meta_set_object(a, rs->new, "labels"), LABEL_HASH, hash);
	json_append(a,
		    json_set_array(a, json_set_object(a, rs->new, "metadata"), "ownerReferences"),
		    meta_owner_ref(a, d->was, true));
	build_spec(d, rs->new, hash);
	d->all[d->n++] = rs;
	d->current = rs;
	d->created = true;
}

void dep_sync_current(struct dep *d)
{
	const struct json *min_ready = json_at(d->was, "spec", "minReadySeconds");

	if (!d->current)
		create_current(d);
	copy_annotations(d, d->current);
	number(d, d->current);
	if (json_int(min_ready, 0) !=
	    json_int(json_at(d->current->new, "spec", "minReadySeconds"), 0)) {
		json_set_int(d->v->arena, json_set_object(d->v->arena, d->current->new, "spec"),
			     "minReadySeconds", json_int(min_ready, 0));
		d->current->dirty = true;
	}
}
