/*
 * Discovery documents. Groups stand in the order in which clients resolve ambiguous names: core,
 * the built-in ones by age, then others by name; versions from the most stable to the least. Must
 * never answer from kinds that are gone: a change of a CustomResourceDefinition forgets all
 * documents. The core's thread.
 */
#include "apiserver/discovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/map.h"
#include "lib/json/json.h"

#define KINDS_MAX 4096
#define V2(version) "application/json;g=apidiscovery.k8s.io;v=" version ";as=APIGroupDiscoveryList"

struct document {
	struct block *block;
	char etag[70];
};

struct discovery {
	const struct core *core;
	char *address;        /* of the server, for clients that ask */
	struct map documents; /* "FORM path" → struct document */
	const struct kind *kinds[KINDS_MAX];
	size_t nkinds;         /* 0 = not looked at yet */
	struct json *external; /* in its arena */
	struct arena external_arena;
};

struct discovery *discovery_new(const struct core *c, const char *address)
{
	struct discovery *d = xalloc(sizeof(*d));

	d->core = c;
	d->address = xstrdup(address ? address : "");
	return d;
}

static void forget(struct discovery *d)
{
	struct map_iter it = {0};

	while (map_next(&d->documents, &it)) {
		struct document *doc = it.value;
		block_unref(doc->block);
		free(doc);
	}
	map_release(&d->documents);
	d->nkinds = 0;
}

void discovery_free(struct discovery *d)
{
	if (!d)
		return;
	forget(d);
	arena_release(&d->external_arena);
	free(d->address);
	free(d);
}

void discovery_change(struct discovery *d, const struct kind *k)
{
	if (!strcmp(k->plural, "customresourcedefinitions"))
		forget(d);
}

void discovery_set_external(struct discovery *d, const struct json *list)
{
	if (json_equal(d->external, list) || (!d->external && !json_len(list)))
		return;
	arena_release(&d->external_arena);
	d->external_arena = (struct arena){0};
	d->external = json_copy(&d->external_arena, list);
	forget(d);
}

/* ---- order ---- */

static int group_rank(const char *group)
{
	static const char *const order[] = {
		"", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
		"autoscaling", "batch", "certificates.k8s.io", "networking.k8s.io", "policy",
		"rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io",
		"apiextensions.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io",
		"discovery.k8s.io",
		/* Its SealedSecret before others'. */
		"plumb.dev"};

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (!strcmp(order[i], group))
			return (int)i;
	}
	return ARRAY_LEN(order);
}

/* v2 > v1 > v1beta2 > v1alpha1 > anything else. */
static int64_t version_rank(const char *version)
{
	const char *p = version;
	int64_t major = 0, minor = 0, stage = 3;

	if (*p++ != 'v' || *p < '0' || *p > '9')
		return 0;
	while (*p >= '0' && *p <= '9' && major < 1000)
		major = major * 10 + *p++ - '0';
	if (!strncmp(p, "beta", 4)) {
		stage = 2;
		p += 4;
	} else if (!strncmp(p, "alpha", 5)) {
		stage = 1;
		p += 5;
	}
	while (*p >= '0' && *p <= '9' && minor < 1000)
		minor = minor * 10 + *p++ - '0';
	return *p ? 0 : stage * 100000000 + major * 10000 + minor + 1;
}

static int by_place(const void *x, const void *y)
{
	const struct kind *a = *(const struct kind *const *)x, *b = *(const struct kind *const *)y;
	int r = group_rank(a->group) - group_rank(b->group);
	int64_t va = version_rank(a->version), vb = version_rank(b->version);

	if (r == 0)
		r = strcmp(a->group, b->group);
	if (r == 0 && va != vb)
		r = va < vb ? 1 : -1;
	if (r == 0)
		r = strcmp(a->version, b->version);
	return r ? r : strcmp(a->plural, b->plural);
}

static void look(struct discovery *d)
{
	const struct kind *k;

	if (d->nkinds)
		return;
	for (size_t i = 0; (k = core_kind_at(d->core, i)) && d->nkinds < KINDS_MAX; i++) {
		if (!strchr(k->plural, '/'))
			d->kinds[d->nkinds++] = k;
	}
	qsort(d->kinds, d->nkinds, sizeof(*d->kinds), by_place);
}

/* ---- one resource ---- */

/* What can be done with a subresource, and the kind that it speaks. */
struct sub {
	const char *name, *group, *version, *kind, *verbs;
};

static const struct sub subs[] = {
	{"status", NULL, NULL, NULL, "get patch update"},
	{"scale", "autoscaling", "v1", "Scale", "get patch update"},
	{"log", NULL, NULL, NULL, "get"},
	{"exec", "", "v1", "PodExecOptions", "create get"},
	{"attach", "", "v1", "PodAttachOptions", "create get"},
	{"portforward", "", "v1", "PodPortForwardOptions", "create get"},
	{"proxy", NULL, NULL, NULL, "create delete get patch update"},
	{"binding", "", "v1", "Binding", "create"},
	{"eviction", "policy", "v1", "Eviction", "create"},
	{"ephemeralcontainers", NULL, NULL, NULL, "get patch update"},
	{"resize", NULL, NULL, NULL, "get patch update"},
	{"token", "authentication.k8s.io", "v1", "TokenRequest", "create"},
	{"approval", NULL, NULL, NULL, "get patch update"},
	{"finalize", NULL, NULL, NULL, "update"},
};

static const struct sub *sub_find(const char *name)
{
	static const struct sub other = {NULL, NULL, NULL, NULL, "get patch update"};

	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		if (!strcmp(subs[i].name, name))
			return &subs[i];
	}
	return &other;
}

/* What is asked of a proxied object are options that bear its kind's name. */
static struct str sub_kind(struct arena *a, const struct kind *k, const struct sub *s)
{
	if (s->name && !strcmp(s->name, "proxy"))
		return arena_strf(a, "%sProxyOptions", k->kind);
	return str_c(s->kind ? s->kind : k->kind);
}

static void add_words(struct arena *a, struct json *array, const char *words)
{
	struct str rest = str_c(words), w;

	while (str_next(&rest, ' ', &w))
		json_append_str(a, array, w);
}

static void add_texts(struct arena *a, struct json *o, const char *key, const char *const *v)
{
	if (!v || !*v)
		return;
	struct json *array = json_set_array(a, o, key);
	for (; *v; v++)
		json_append_str(a, array, str_c(*v));
}

static const char *kind_verbs(const struct kind *k)
{
	if (k->flags & KIND_READ_ONLY)
		return "get list";
	if (k->flags & KIND_ONE_BY_ONE)
		return "create delete get list patch update watch";
	return k->flags & KIND_NO_STORE
		       ? "create"
		       : "create delete deletecollection get list patch update watch";
}

static struct str singular(struct arena *a, const struct kind *k)
{
	if (k->singular)
		return str_c(k->singular);
	struct str s = arena_str(a, str_c(k->kind));
	char *p = (char *)(uintptr_t)s.p;
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] + 32 : p[i]);
	return s;
}

/* Calls fn for status, scale and the kind's own subresources. */
static void each_sub(struct arena *a, const struct kind *k, struct json *to,
		     void (*fn)(struct arena *a, const struct kind *k, const char *name,
				struct json *to))
{
	if (k->flags & KIND_STATUS)
		fn(a, k, "status", to);
	if (k->flags & KIND_SCALE)
		fn(a, k, "scale", to);
	for (const char *const *s = k->subresources; s && *s; s++) {
		if (strcmp(*s, "status") && strcmp(*s, "scale"))
			fn(a, k, *s, to);
	}
}

/* ---- the old form ---- */

static void old_sub(struct arena *a, const struct kind *k, const char *name, struct json *list)
{
	const struct sub *s = sub_find(name);
	struct json *r = json_append_object(a, list);

	json_set_str(a, r, "name", arena_strf(a, "%s/%s", k->plural, name));
	json_set_str(a, r, "singularName", STR(""));
	json_set_bool(a, r, "namespaced", k->flags & KIND_NAMESPACED);
	/* Said where it is another than the list's. */
	if (s->kind && (strcmp(s->group, k->group) || strcmp(s->version, k->version))) {
		json_set_str(a, r, "group", str_c(s->group));
		json_set_str(a, r, "version", str_c(s->version));
	}
	json_set_str(a, r, "kind", sub_kind(a, k, s));
	add_words(a, json_set_array(a, r, "verbs"), s->verbs);
}

/* Tells clients when objects come to be stored in another version. */
static struct str storage_hash(struct arena *a, const struct kind *k)
{
	AUTO(buf) struct buf text = {0};
	struct str gvk = arena_strf(a, "%s/%s/%s", k->group, k->version, k->kind);
	struct sha256 sum;

	sha256_of(gvk, &sum);
	base64_encode((struct str){(const char *)sum.bytes, 8}, &text);
	return arena_str(a, buf_view(&text));
}

static void old_resource(struct arena *a, const struct kind *k, struct json *list)
{
	struct json *r = json_append_object(a, list);

	json_set_str(a, r, "name", str_c(k->plural));
	json_set_str(a, r, "singularName", singular(a, k));
	json_set_bool(a, r, "namespaced", k->flags & KIND_NAMESPACED);
	json_set_str(a, r, "kind", str_c(k->kind));
	add_words(a, json_set_array(a, r, "verbs"), kind_verbs(k));
	add_texts(a, r, "shortNames", k->short_names);
	add_texts(a, r, "categories", k->categories);
	if (!(k->flags & (KIND_NO_STORE | KIND_READ_ONLY)))
		json_set_str(a, r, "storageVersionHash",
			     storage_hash(a, k->stored ? k->stored : k));
	each_sub(a, k, list, old_sub);
}

static struct str group_version(struct arena *a, const char *group, const char *version)
{
	return arena_strf(a, "%s%s%s", group, *group ? "/" : "", version);
}

static struct json *resource_list(struct discovery *d, struct arena *a, struct str group,
				  struct str version)
{
	struct json *o = json_build(a, "{s:s,s:s}", "kind", "APIResourceList", "apiVersion", "v1");
	char *g = arena_cstr(a, group), *v = arena_cstr(a, version);

	json_set_str(a, o, "groupVersion", group_version(a, g, v));
	struct json *list = json_set_array(a, o, "resources");
	for (size_t i = 0; i < d->nkinds; i++) {
		if (!strcmp(d->kinds[i]->group, g) && !strcmp(d->kinds[i]->version, v))
			old_resource(a, d->kinds[i], list);
	}
	return json_len(list) ? o : NULL;
}

/* The group whose first kind stands at `at`; returns where the next group begins. */
static size_t old_group(struct discovery *d, struct arena *a, size_t at, struct json *g)
{
	const char *name = d->kinds[at]->group, *last = NULL;

	json_set_str(a, g, "name", str_c(name));
	struct json *versions = json_set_array(a, g, "versions");
	for (; at < d->nkinds && !strcmp(d->kinds[at]->group, name); at++) {
		const char *v = d->kinds[at]->version;
		if (last && !strcmp(last, v))
			continue;
		last = v;
		struct json *x = json_append_object(a, versions);
		json_set_str(a, x, "groupVersion", group_version(a, name, v));
		json_set_str(a, x, "version", str_c(v));
	}
	struct json first = *json_item(versions, 0);
	json_set(a, g, STR("preferredVersion"), &first);
	return at;
}

static struct json *group_list(struct discovery *d, struct arena *a)
{
	struct json *o = json_build(a, "{s:s,s:s}", "kind", "APIGroupList", "apiVersion", "v1");
	struct json *groups = json_set_array(a, o, "groups");
	size_t i = 0;

	while (i < d->nkinds) {
		if (!*d->kinds[i]->group)
			i++;
		else
			i = old_group(d, a, i, json_append_object(a, groups));
	}
	external_groups(a, d->external, groups);
	return o;
}

static struct json *one_group(struct discovery *d, struct arena *a, struct str group)
{
	const struct json *groups = json_get(group_list(d, a), STR("groups"));

	for (size_t i = 0; i < json_len(groups); i++) {
		struct json *g = json_item(groups, i),
			    *o = json_build(a, "{s:s,s:s}", "kind", "APIGroup", "apiVersion", "v1");

		if (!str_eq(json_str(json_get(g, STR("name"))), group))
			continue;
		for (size_t n = 0; n < json_len(g); n++)
			json_set(a, o, g->members[n].key, &g->members[n].value);
		return o;
	}
	return NULL;
}

static struct json *core_versions(struct discovery *d, struct arena *a)
{
	return json_build(a, "{s:s,s:[s],s:[{s:s,s:s}]}", "kind", "APIVersions", "versions", "v1",
			  "serverAddressByClientCIDRs", "clientCIDR", "0.0.0.0/0", "serverAddress",
			  d->address);
}

/* ---- the aggregated form ---- */

static void set_kind(struct arena *a, struct json *o, const struct kind *k, const struct sub *s)
{
	struct json *r = json_set_object(a, o, "responseKind");

	json_set_str(a, r, "group", str_c(s && s->kind ? s->group : k->group));
	json_set_str(a, r, "version", str_c(s && s->kind ? s->version : k->version));
	json_set_str(a, r, "kind", s ? sub_kind(a, k, s) : str_c(k->kind));
}

static void new_sub(struct arena *a, const struct kind *k, const char *name, struct json *resource)
{
	const struct sub *s = sub_find(name);
	struct json *o = json_append_object(a, json_set_array(a, resource, "subresources"));

	json_set_str(a, o, "subresource", str_c(name));
	set_kind(a, o, k, s);
	add_words(a, json_set_array(a, o, "verbs"), s->verbs);
}

static void new_resource(struct arena *a, const struct kind *k, struct json *list)
{
	struct json *r = json_append_object(a, list);

	json_set_str(a, r, "resource", str_c(k->plural));
	set_kind(a, r, k, NULL);
	json_set_str(a, r, "scope",
		     k->flags & KIND_NAMESPACED ? STR("Namespaced") : STR("Cluster"));
	json_set_str(a, r, "singularResource", singular(a, k));
	add_words(a, json_set_array(a, r, "verbs"), kind_verbs(k));
	add_texts(a, r, "shortNames", k->short_names);
	add_texts(a, r, "categories", k->categories);
	each_sub(a, k, r, new_sub);
}

static struct json *aggregated(struct discovery *d, struct arena *a, bool core, bool v2)
{
	struct json *o = json_build(
		a, "{s:s,s:s,s:{}}", "kind", "APIGroupDiscoveryList", "apiVersion",
		v2 ? "apidiscovery.k8s.io/v2" : "apidiscovery.k8s.io/v2beta1", "metadata");
	struct json *items = json_set_array(a, o, "items"), *versions = NULL, *resources = NULL;
	const struct kind *last = NULL;

	for (size_t i = 0; i < d->nkinds; last = d->kinds[i++]) {
		const struct kind *k = d->kinds[i];
		if (!*k->group != core)
			continue;
		bool same = last && !strcmp(last->group, k->group);
		if (!same || !versions) {
			struct json *g = json_append_object(a, items);
			struct json *meta = json_set_object(a, g, "metadata");
			if (!core)
				json_set_str(a, meta, "name", str_c(k->group));
			json_set(a, meta, STR("creationTimestamp"), NULL);
			versions = json_set_array(a, g, "versions");
			resources = NULL;
		}
		if (!resources || strcmp(last->version, k->version)) {
			struct json *v = json_append_object(a, versions);
			json_set_str(a, v, "version", str_c(k->version));
			json_set_str(a, v, "freshness", STR("Current"));
			resources = json_set_array(a, v, "resources");
		}
		new_resource(a, k, resources);
	}
	if (!core)
		external_items(a, d->external, items);
	return o;
}

/* ---- documents ---- */

static struct json *make(struct discovery *d, struct arena *a, struct str path,
			 enum accept_discovery form)
{
	bool core = str_is(path, "/api"), both = form >= DISCOVERY_V2BETA1;
	struct str group, version;

	if (core || str_is(path, "/apis")) {
		if (both)
			return aggregated(d, a, core, form == DISCOVERY_V2);
		return core ? core_versions(d, a) : group_list(d, a);
	}
	if (str_starts(path, STR("/api/")))
		return resource_list(d, a, STR(""), str_sub(path, 5, path.n));
	if (!str_starts(path, STR("/apis/")))
		return NULL;
	if (str_cut(str_sub(path, 6, path.n), '/', &group, &version))
		return group.n ? resource_list(d, a, group, version) : NULL;
	return group.n ? one_group(d, a, group) : NULL;
}

static struct document *document_new(const struct json *v)
{
	AUTO(buf) struct buf text = {0};
	struct document *doc = xalloc(sizeof(*doc));
	char hash[65];

	json_write(v, &text);
	sha256_hex(buf_view(&text), hash);
	snprintf(doc->etag, sizeof(doc->etag), "\"%s\"", hash);
	doc->block = block_take(&text);
	return doc;
}

bool discovery_find(struct discovery *d, struct str path, enum accept_discovery form,
		    struct discovery_answer *ret)
{
	AUTO(arena) struct arena a = {0};

	if (path.n > 1 && path.p[path.n - 1] == '/')
		path.n--;
	if (!str_is(path, "/api") && !str_is(path, "/apis"))
		form = DISCOVERY_PLAIN;
	struct str key = arena_strf(&a, "%d %.*s", (int)form, STR_ARG(path));
	struct document *doc = map_get(&d->documents, key);
	if (!doc) {
		look(d);
		struct json *v = make(d, &a, path, form);
		if (!v)
			return false;
		doc = document_new(v);
		map_set(&d->documents, key, doc);
	}
	ret->block = doc->block;
	ret->etag = doc->etag;
	ret->content_type = form == DISCOVERY_V2        ? V2("v2")
			    : form == DISCOVERY_V2BETA1 ? V2("v2beta1")
							: "application/json";
	return true;
}
