/*
 * Services as the API server itself calls them: straight to an endpoint, so that it works before
 * and without the proxy. Must never name an address that no Service or EndpointSlice has. The
 * core's thread; memory is the caller's arena.
 */
#include "apiserver/resolve.h"

#define CANDIDATES_MAX 64

struct search {
	struct arena *a;
	struct str namespace, service, port_name;
	struct endpoint v[CANDIDATES_MAX];
	size_t n;
};

static int port_of(const struct json *slice, struct str name)
{
	const struct json *ports = json_get(slice, STR("ports"));

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);

		if (str_eq(json_str_or(json_get(p, STR("name")), STR("")), name))
			return (int)json_int(json_get(p, STR("port")), 0);
	}
	return 0;
}

static void look_at(void *arg, const struct obj *o)
{
	struct search *s = arg;

	if (!str_eq(o->namespace, s->namespace) ||
	    !str_eq(obj_label(o, STR("kubernetes.io/service-name")), s->service))
		return;
	const struct json *slice = obj_tree(o, s->a), *list = json_get(slice, STR("endpoints"));
	int port = port_of(slice, s->port_name);
	for (size_t i = 0; port > 0 && i < json_len(list) && s->n < CANDIDATES_MAX; i++) {
		const struct json *e = json_item(list, i);
		struct str ip = json_str(json_item(json_get(e, STR("addresses")), 0));

		if (ip.n && json_bool(json_at(e, "conditions", "ready"), true))
			s->v[s->n++] = (struct endpoint){arena_cstr(s->a, ip), port};
	}
}

static const struct json *find_port(const struct json *spec, int port)
{
	const struct json *ports = json_get(spec, STR("ports"));

	for (size_t i = 0; i < json_len(ports); i++)
		if (json_int(json_get(json_item(ports, i), STR("port")), 0) == port)
			return json_item(ports, i);
	return NULL;
}

int resolve_service(const struct core *c, struct str namespace, struct str name, int port,
		    unsigned turn, struct arena *a, struct endpoint *ret, struct err *err)
{
	const struct kind *services = core_kind_find(c, STR(""), STR("v1"), STR("services")),
			  *slices = core_kind_find(c, STR("discovery.k8s.io"), STR("v1"),
						   STR("endpointslices"));
	const struct obj *o = services ? core_get(c, services, namespace, name) : NULL;
	struct search s = {.a = a, .namespace = namespace, .service = name};

	if (!o || !slices)
		return err_set(err, ERR_NOT_FOUND, "service \"%.*s\" not found",
			       (int)MIN(name.n, 100), name.p);
	const struct json *spec = json_get(obj_tree(o, a), STR("spec"));
	struct str external = json_str(json_get(spec, STR("externalName")));
	if (str_is(json_str(json_get(spec, STR("type"))), "ExternalName") && external.n) {
		*ret = (struct endpoint){arena_cstr(a, external), port};
		return 0;
	}
	const struct json *found = find_port(spec, port);
	if (!found)
		return err_set(err, ERR_UNAVAILABLE,
			       "no service port %d found for service \"%.*s\"", port,
			       (int)MIN(name.n, 100), name.p);
	s.port_name = json_str_or(json_get(found, STR("name")), STR(""));
	core_each(c, slices, look_at, &s);
	if (!s.n)
		return err_set(err, ERR_UNAVAILABLE, "no endpoints available for service \"%.*s\"",
			       (int)MIN(name.n, 100), name.p);
	*ret = s.v[turn % s.n];
	return 0;
}
