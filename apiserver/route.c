/*
 * From method and path to what is asked for. Pure: it does not know which resources exist.
 * Specification: k8s.io/apiserver/pkg/endpoints/request (RequestInfo).
 */
#include "apiserver/core.h"

#include "lib/base/pure.h"

#define PARTS_MAX 12

const char *core_verb_name(enum core_verb v)
{
	static const char *const names[] = {
		[CORE_GET] = "get",       [CORE_LIST] = "list",
		[CORE_WATCH] = "watch",   [CORE_CREATE] = "create",
		[CORE_UPDATE] = "update", [CORE_PATCH] = "patch",
		[CORE_DELETE] = "delete", [CORE_DELETE_COLLECTION] = "deletecollection"};

	return names[v];
}

static size_t split(struct str path, struct str parts[PARTS_MAX])
{
	struct str rest = str_sub(path, 1, path.n), part;
	size_t n = 0;

	if (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	while (n < PARTS_MAX && rest.p && str_next(&rest, '/', &part))
		parts[n++] = part;
	return n;
}

static bool verb_of(struct str method, bool named, bool watch, enum core_verb *ret)
{
	static const struct {
		const char *method;
		enum core_verb named, collection;
		bool on_named, on_collection;
	} rows[] = {{"GET", CORE_GET, CORE_LIST, true, true},
		    {"HEAD", CORE_GET, CORE_LIST, true, true},
		    {"OPTIONS", CORE_GET, CORE_GET, true, false},
		    {"POST", CORE_CREATE, CORE_CREATE, true, true},
		    {"PUT", CORE_UPDATE, CORE_UPDATE, true, false},
		    {"PATCH", CORE_PATCH, CORE_PATCH, true, false},
		    {"DELETE", CORE_DELETE, CORE_DELETE_COLLECTION, true, true}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!str_is(method, rows[i].method))
			continue;
		*ret = named ? rows[i].named : rows[i].collection;
		if (watch && *ret == CORE_LIST)
			*ret = CORE_WATCH;
		return named ? rows[i].on_named : rows[i].on_collection;
	}
	return false;
}

/* namespaces/x/pods/y/log, or nodes/y/status; namespaces themselves are a resource. */
static bool resource_parts(const struct str *p, size_t n, struct core_req *r)
{
	size_t at = 0;

	if (n >= 3 && str_is(p[0], "namespaces") && !str_is(p[2], "status") &&
	    !str_is(p[2], "finalize")) {
		r->namespace = p[1];
		at = 2;
	}
	if (at == n || !p[at].n || (at && !r->namespace.n))
		return false; /* an empty name never stands for all */
	r->resource = p[at++];
	r->name = at < n ? p[at++] : STR_NONE;
	r->subresource = at < n ? p[at++] : STR_NONE;
	if (!at || (r->name.p && !r->name.n))
		return false;
	return at == n || str_is(r->subresource, "proxy");
}

/* metadata.name=x turns a watch of a collection into one of an object, for authorization too. */
bool core_route(struct str method, struct str path, struct str query, struct core_req *r)
{
	struct str parts[PARTS_MAX];
	size_t n = path.n && path.p[0] == '/' ? split(path, parts) : 0, at;
	bool watch = false;

	r->group = r->version = r->namespace = r->name = r->resource = r->subresource = STR_NONE;
	if (n >= 3 && str_is(parts[0], "api")) {
		r->group = STR("");
		r->version = parts[1];
		at = 2;
	} else if (n >= 4 && str_is(parts[0], "apis")) {
		r->group = parts[1];
		r->version = parts[2];
		at = 3;
	} else {
		return false;
	}
	if (str_is(parts[at], "watch") && at + 1 < n) {
		watch = true;
		at++;
	}
	if (!resource_parts(parts + at, n - at, r))
		return false;
	r->query = query;
	watch = watch || http_query_flag(r->arena, query, "watch");
	if (watch && r->name.p && !r->subresource.p && str_is(method, "GET")) {
		r->verb = CORE_WATCH;
		return true;
	}
	return verb_of(method, r->name.p != NULL, watch, &r->verb);
}
