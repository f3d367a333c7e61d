/*
 * The REST mapper: from apiVersion and kind to resource, out of the server's aggregated discovery.
 * Where the client has no discovery (the simulation) only the built-in table answers. Entries are
 * never taken away, and one whose definition was made anew is replaced, not changed: pointers stay
 * valid for the map's life. One loop.
 */
#include "lib/kube/restmap.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/kube/resources.h"

#define ACCEPT "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

struct waiter {
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

struct restmap {
	struct client *client;
	struct map by_kind;         /* "group/version/Kind" → struct resource */
	struct map served, reading; /* keys of the last discovery, and of the one under way */
	const struct resource **all, **retired;
	size_t n, nretired;
	struct waiter *waiters;
	size_t nwaiters;
	struct waiter *telling; /* whom tell() is about to call; cancelled ones have no done */
	size_t ntelling;
	struct client_call *call;
	struct loop_timer soon; /* where the answer is known at once */
	bool core_read, ready;
};

static struct str entry_key(struct arena *a, struct str group, struct str version, struct str kind)
{
	return arena_strf(a, "%.*s/%.*s/%.*s", STR_ARG(group), STR_ARG(version), STR_ARG(kind));
}

static struct resource *entry_new(struct str group, struct str version, const struct json *res)
{
	struct str kind = json_str(json_at(res, "responseKind", "kind")),
		   plural = json_str(json_get(res, STR("resource")));
	struct resource *r = xalloc(sizeof(*r));

	*r = (struct resource){.group = xstrndup(group.p ? group.p : "", group.n),
			       .version = xstrndup(version.p ? version.p : "", version.n),
			       .plural = xstrndup(plural.p, plural.n),
			       .kind = xstrndup(kind.p, kind.n),
			       .namespaced =
				       str_is(json_str(json_get(res, STR("scope"))), "Namespaced")};
	return r;
}

static void entry_free(const struct resource *r)
{
	free((char *)(uintptr_t)r->group);
	free((char *)(uintptr_t)r->version);
	free((char *)(uintptr_t)r->plural);
	free((char *)(uintptr_t)r->kind);
	free((void *)(uintptr_t)r);
}

/* A definition that was deleted and made again may have another name or scope. */
static void entry_replace(struct restmap *m, const struct resource *old, const struct resource *r)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->all[i] == old)
			m->all[i] = r;
	m->retired = xreallocarray(m->retired, m->nretired + 1, sizeof(*m->retired));
	m->retired[m->nretired++] = old;
}

static void entry_add(struct restmap *m, struct str group, struct str version,
		      const struct json *res, struct map *seen)
{
	AUTO(arena) struct arena a = {0};
	struct str kind = json_str(json_at(res, "responseKind", "kind")),
		   plural = json_str(json_get(res, STR("resource")));
	struct str key = entry_key(&a, group, version, kind);
	const struct resource *old = map_get(&m->by_kind, key);
	struct resource *r;

	if (!kind.n || !plural.n || map_has(seen, key)) /* the first of one list counts */
		return;
	map_set(seen, key, m);
	map_set(&m->reading, key, m);
	r = entry_new(group, version, res);
	if (old && !strcmp(old->plural, r->plural) && old->namespaced == r->namespaced) {
		entry_free(r);
		return;
	}
	map_set(&m->by_kind, key, r);
	if (old) {
		entry_replace(m, old, r);
		return;
	}
	m->all = xreallocarray(m->all, m->n + 1, sizeof(*m->all));
	m->all[m->n++] = r;
}

static void groups_add(struct restmap *m, const struct json *list)
{
	const struct json *groups = json_get(list, STR("items"));
	AUTO(map) struct map seen = {0};

	for (size_t g = 0; g < json_len(groups); g++) {
		const struct json *group = json_item(groups, g),
				  *versions = json_get(group, STR("versions"));

		for (size_t v = 0; v < json_len(versions); v++) {
			const struct json *version = json_item(versions, v),
					  *rs = json_get(version, STR("resources"));

			for (size_t r = 0; r < json_len(rs); r++)
				entry_add(m, meta_name(group),
					  json_str(json_get(version, STR("version"))),
					  json_item(rs, r), &seen);
		}
	}
}

/* Any of them may cancel another that is still to be told. */
static void tell(struct restmap *m, const struct err *err)
{
	m->telling = m->waiters;
	m->ntelling = m->nwaiters;
	m->waiters = NULL;
	m->nwaiters = 0;
	for (size_t i = 0; i < m->ntelling; i++)
		if (m->telling[i].done)
			m->telling[i].done(m->telling[i].arg, err);
	free(m->telling);
	m->telling = NULL;
	m->ntelling = 0;
}

static void served_now(struct restmap *m)
{
	map_release(&m->served);
	m->served = m->reading;
	m->reading = (struct map){0};
	m->ready = true;
}

static void on_discovered(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct restmap *m = arg;
	struct err err = answer->err;
	const struct json *list =
		err.code == ERR_NONE ? json_parse(&a, answer->body, NULL, &err) : NULL;

	m->call = NULL;
	if (!list) {
		tell(m, &err);
		return;
	}
	groups_add(m, list);
	if (!m->core_read) {
		m->core_read = true;
		m->call = client_raw(m->client, "/apis", ACCEPT, on_discovered, m);
		return;
	}
	served_now(m);
	tell(m, &err);
}

/* Without discovery, what is built in is all there is. */
static void builtin_add(struct restmap *m, const struct resource *known)
{
	AUTO(arena) struct arena a = {0};
	AUTO(map) struct map seen = {0};

	entry_add(m, str_c(known->group), str_c(known->version),
		  json_build(&a, "{s:{s:s}, s:s, s:s}", "responseKind", "kind", known->kind,
			     "resource", known->plural, "scope",
			     known->namespaced ? "Namespaced" : "Cluster"),
		  &seen);
}

static void on_soon(struct loop *l, struct loop_timer *t)
{
	static const struct err none;
	struct restmap *m = CONTAINER_OF(t, struct restmap, soon);

	(void)l;
#define X(name, ...) builtin_add(m, &res_##name);
	RESOURCES(X)
#undef X
	served_now(m);
	tell(m, &none);
}

void restmap_refresh(struct restmap *m, void (*done)(void *arg, const struct err *err), void *arg)
{
	m->waiters = xreallocarray(m->waiters, m->nwaiters + 1, sizeof(*m->waiters));
	m->waiters[m->nwaiters++] = (struct waiter){done, arg};
	if (m->call)
		return;
	m->core_read = false;
	map_release(&m->reading);
	m->reading = (struct map){0};
	m->call = client_raw(m->client, "/api", ACCEPT, on_discovered, m);
	if (!m->call)
		loop_timer_set(m->client->loop, &m->soon, 0, on_soon);
}

void restmap_cancel(struct restmap *m, const void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nwaiters; i++)
		if (m->waiters[i].arg != arg)
			m->waiters[n++] = m->waiters[i];
	m->nwaiters = n;
	for (size_t i = 0; i < m->ntelling; i++)
		if (m->telling[i].arg == arg)
			m->telling[i].done = NULL;
}

struct restmap *restmap_new(struct client *c)
{
	struct restmap *m = xalloc(sizeof(*m));

	m->client = c;
	return m;
}

void restmap_free(struct restmap *m)
{
	if (!m)
		return;
	client_call_cancel(m->client, m->call);
	loop_timer_cancel(m->client->loop, &m->soon);
	for (size_t i = 0; i < m->n; i++)
		entry_free(m->all[i]);
	for (size_t i = 0; i < m->nretired; i++)
		entry_free(m->retired[i]);
	free(m->retired);
	free(m->all);
	free(m->waiters);
	map_release(&m->by_kind);
	map_release(&m->served);
	map_release(&m->reading);
	free(m);
}

const struct resource *restmap_find(struct restmap *m, struct str api_version, struct str kind)
{
	AUTO(arena) struct arena a = {0};
	const struct resource *known = resource_known(api_version, kind);
	struct str group, version;

	if (known) /* one pointer for one resource, so that caches are shared */
		return known;
	api_version_split(api_version, &group, &version);
	return map_get(&m->by_kind, entry_key(&a, group, version, kind));
}

bool restmap_served(const struct restmap *m, const struct resource *r)
{
	AUTO(arena) struct arena a = {0};
	struct str key = entry_key(&a, str_c(r->group), str_c(r->version), str_c(r->kind));
	const struct resource *now = map_get(&m->by_kind, key);

	/* The kind may be another definition's by now. */
	return map_has(&m->served, key) && now && !strcmp(now->plural, r->plural) &&
	       now->namespaced == r->namespaced;
}

const struct resource *restmap_find_group(const struct restmap *m, struct str group,
					  struct str kind)
{
	const struct resource *r, *found = NULL;

	for (size_t i = 0; (r = restmap_at(m, i)); i++) {
		if (!str_is(group, r->group) || !str_is(kind, r->kind))
			continue;
		if (restmap_served(m, r))
			return r;
		found = found ?: r;
	}
	return found;
}

bool restmap_ready(const struct restmap *m)
{
	return m->ready;
}

const struct resource *restmap_at(const struct restmap *m, size_t i)
{
	const struct resource *r = i < m->n ? m->all[i] : NULL;
	AUTO(arena) struct arena a = {0};
	const struct resource *known;

	if (!r)
		return NULL;
	known = resource_known(r->group[0] ? arena_strf(&a, "%s/%s", r->group, r->version)
					   : str_c(r->version),
			       str_c(r->kind));
	return known ? known : r;
}
