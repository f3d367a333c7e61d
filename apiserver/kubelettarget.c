/*
 * Where a call to a kubelet, pod or service goes: address, port and path, from the objects that
 * name them. Must never name an address that no Node, Pod or EndpointSlice has. The core's thread.
 */
#include "apiserver/kubeletproxy-internal.h"
#include "lib/base/codec.h"
#include "lib/kube/nodename.h"

#define KUBELET_PORT 10250

static const struct obj *find(struct front_req *r, const char *plural, struct str namespace,
			      struct str name)
{
	const struct core *c = r->f->o.core;
	const struct kind *k = core_kind_find(c, STR(""), STR("v1"), str_c(plural));

	return k ? core_get(c, k, namespace, name) : NULL;
}

static int node_address(struct front_req *r, struct str node, struct kubelet_call *k,
			struct err *err)
{
	static const char *const types[] = {"InternalIP", "ExternalIP", "Hostname"};
	struct arena *a = &r->http->arena;
	const struct obj *o = find(r, "nodes", STR_NONE, node);

	if (!o)
		return err_set(err, ERR_NOT_FOUND, "nodes \"%.*s\" not found", STR_ARG(node));
	const struct json *status = json_at(obj_tree(o, a), "status");
	const struct json *addresses = json_at(status, "addresses");
	k->port = (int)json_int(json_at(status, "daemonEndpoints", "kubeletEndpoint", "Port"),
				KUBELET_PORT);
	k->tls = r->f->o.kubelet_tls;
	for (size_t t = 0; t < ARRAY_LEN(types); t++) {
		for (size_t i = 0; i < json_len(addresses); i++) {
			const struct json *at = json_item(addresses, i);
			if (!str_is(json_str(json_at(at, "type")), types[t]))
				continue;
			k->connect_to = arena_cstr(a, json_str(json_at(at, "address")));
			k->host = arena_printf(a, "%.*s" KUBELET_NAME_END, STR_ARG(node));
			return 0;
		}
	}
	return err_set(err, ERR_UNAVAILABLE, "node %.*s has no address yet", STR_ARG(node));
}

/* The container asked for, or the only one there is. */
static int pick_container(struct front_req *r, const struct json *pod, struct str *ret,
			  struct err *err)
{
	static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
	struct str want = http_query(&r->http->arena, r->core.query, "container");
	const struct json *spec = json_at(pod, "spec"), *first = json_at(spec, "containers");

	if (!want.n)
		want = meta_annotation(pod, "kubectl.kubernetes.io/default-container");
	if (!want.n && json_len(first) == 1)
		want = json_str(json_at(json_item(first, 0), "name"));
	if (!want.n)
		return err_set(err, ERR_BAD_REQUEST,
			       "a container name must be specified for pod %.*s",
			       STR_ARG(r->core.name));
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		const struct json *v = json_get(spec, str_c(lists[l]));
		for (size_t i = 0; i < json_len(v); i++) {
			*ret = json_str(json_at(json_item(v, i), "name"));
			if (str_eq(*ret, want))
				return 0;
		}
	}
	return err_set(err, ERR_BAD_REQUEST, "container %.*s is not valid for pod %.*s",
		       STR_ARG(want), STR_ARG(r->core.name));
}

struct str kubelet_proxy_prefix(const struct front_req *r)
{
	struct str p = r->http->raw_path;
	/* /api/v1/namespaces/NS/pods/NAME/proxy, /api/v1/nodes/NAME/proxy */
	unsigned slashes = r->core.namespace.n ? 8 : 6;

	for (size_t i = 0; i < p.n; i++)
		if (p.p[i] == '/' && --slashes == 0)
			return str_sub(p, 0, i);
	return p;
}

/* What stands behind it, with its slash; still escaped. */
static struct str proxy_rest(struct front_req *r)
{
	struct str p = r->http->raw_path, rest = str_sub(p, kubelet_proxy_prefix(r).n, p.n);

	return rest.n ? rest : STR("/");
}

static void with_query(struct buf *path, struct str query)
{
	if (!query.n)
		return;
	buf_putc(path, '?');
	buf_str(path, query);
}

/* "NAME", "NAME:PORT", "SCHEME:NAME:PORT", as proxy paths name pods and services. */
struct proxied {
	struct str name, port; /* port: a number, a name, or empty */
	bool tls;
};

static struct proxied split_name(struct str s)
{
	struct proxied p = {0};
	struct str head, rest;

	if (str_cut(s, ':', &head, &rest) && (str_is(head, "https") || str_is(head, "http"))) {
		p.tls = str_is(head, "https");
		s = rest;
	}
	str_cut(s, ':', &p.name, &p.port);
	return p;
}

static int straight_to(struct front_req *r, struct kubelet_call *k, struct str ip, int64_t port,
		       struct err *err)
{
	AUTO(buf) struct buf path = {0};

	if (!ip.n || port < 1 || port > 65535)
		return err_set(err, ERR_UNAVAILABLE, "no address to connect to");
	k->host = arena_cstr(&r->http->arena, ip);
	k->port = (int)port;
	buf_str(&path, proxy_rest(r));
	with_query(&path, r->core.query);
	k->path = arena_str(&r->http->arena, buf_view(&path));
	return 0;
}

static int pod_proxy(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	struct proxied p = split_name(r->core.name);
	const struct obj *o = find(r, "pods", r->core.namespace, p.name);
	int64_t port = 80;

	if (!o)
		return err_set(err, ERR_NOT_FOUND, "pods \"%.*s\" not found", STR_ARG(p.name));
	const struct json *pod = obj_tree(o, &r->http->arena);
	const struct json *first = json_item(json_at(pod, "spec", "containers"), 0);
	const struct json *ports = json_at(first, "ports");
	if (p.port.n && str_to_i64(p.port, &port))
		return err_set(err, ERR_BAD_REQUEST, "port \"%.*s\" is not a number",
			       STR_ARG(p.port));
	if (!p.port.n && json_len(ports))
		port = json_int(json_at(json_item(ports, 0), "containerPort"), 80);
	k->tls = p.tls ? r->f->any_tls : NULL;
	return straight_to(r, k, json_str(json_at(pod, "status", "podIP")), port, err);
}

/* ---- services: the first ready endpoint ---- */

struct endpoint {
	struct front_req *r;
	struct str service, port_name;
	struct str ip;
	int64_t port;
};

static void look_at_slice(void *arg, const struct obj *o)
{
	struct endpoint *e = arg;
	struct arena *a = &e->r->http->arena;

	if (e->ip.n || !str_eq(o->namespace, e->r->core.namespace) ||
	    !str_eq(obj_label(o, STR("kubernetes.io/service-name")), e->service))
		return;
	const struct json *v = obj_tree(o, a), *ports = json_at(v, "ports");
	const struct json *list = json_at(v, "endpoints");
	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);
		if (str_eq(json_str_or(json_at(p, "name"), STR("")), e->port_name))
			e->port = json_int(json_at(p, "port"), 0);
	}
	for (size_t i = 0; e->port && i < json_len(list); i++) {
		const struct json *at = json_item(list, i);
		if (!json_bool(json_at(at, "conditions", "ready"), true))
			continue;
		e->ip = json_str(json_item(json_at(at, "addresses"), 0));
		return;
	}
}

static int service_proxy(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	struct proxied p = split_name(r->core.name);
	const struct obj *o = find(r, "services", r->core.namespace, p.name);
	const struct kind *slices = core_kind_find(r->f->o.core, STR("discovery.k8s.io"), STR("v1"),
						   STR("endpointslices"));
	struct endpoint e = {.r = r, .service = p.name};
	bool found = false;
	int64_t n;

	if (!o || !slices)
		return err_set(err, ERR_NOT_FOUND, "services \"%.*s\" not found", STR_ARG(p.name));
	const struct json *ports = json_at(obj_tree(o, &r->http->arena), "spec", "ports");
	for (size_t i = 0; i < json_len(ports) && !found; i++) {
		const struct json *port = json_item(ports, i);
		e.port_name = json_str_or(json_at(port, "name"), STR(""));
		found = !p.port.n || str_eq(p.port, e.port_name) ||
			(!str_to_i64(p.port, &n) && n == json_int(json_at(port, "port"), 0));
	}
	if (found)
		core_each(r->f->o.core, slices, look_at_slice, &e);
	if (!e.ip.n)
		return err_set(err, ERR_UNAVAILABLE, "no endpoints available for service \"%.*s\"",
			       STR_ARG(r->core.name));
	k->tls = p.tls ? r->f->any_tls : NULL;
	return straight_to(r, k, e.ip, e.port, err);
}

/* The kubelet by default; another port of the node is called without our certificate. */
static int node_proxy(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	AUTO(buf) struct buf path = {0};
	struct proxied p = split_name(r->core.name);
	int64_t port;

	if (node_address(r, p.name, k, err))
		return -1;
	if (p.port.n && (str_to_i64(p.port, &port) || port < 1 || port > 65535))
		return err_set(err, ERR_BAD_REQUEST, "port \"%.*s\" is not a number",
			       (int)MIN(p.port.n, 50), p.port.p);
	if (p.port.n && port != k->port) {
		k->port = (int)port;
		k->tls = p.tls ? r->f->any_tls : NULL;
	}
	buf_str(&path, proxy_rest(r));
	with_query(&path, r->core.query);
	k->path = arena_str(&r->http->arena, buf_view(&path));
	return 0;
}

/* The kubelet's own paths: /containerLogs/NS/POD/C, /exec/NS/POD/C, /portForward/NS/POD. */
static int pod_call(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	static const char *const verbs[][2] = {{"log", "containerLogs"},
					       {"exec", "exec"},
					       {"attach", "attach"},
					       {"portforward", "portForward"}};
	struct arena *a = &r->http->arena;
	AUTO(buf) struct buf path = {0};
	struct str container;
	const struct obj *o = find(r, "pods", r->core.namespace, r->core.name);

	if (!o)
		return err_set(err, ERR_NOT_FOUND, "pods \"%.*s\" not found",
			       STR_ARG(r->core.name));
	const struct json *pod = obj_tree(o, a);
	struct str node = json_str(json_at(pod, "spec", "nodeName"));
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (str_is(r->core.subresource, verbs[i][0]))
			buf_printf(&path, "/%s/%.*s/%.*s", verbs[i][1], STR_ARG(o->namespace),
				   STR_ARG(o->name));
	}
	if (!str_is(r->core.subresource, "portforward")) {
		if (pick_container(r, pod, &container, err))
			return -1;
		buf_putc(&path, '/');
		url_escape(container, &path);
	}
	if (!node.n)
		return err_set(err, ERR_BAD_REQUEST, "pod %.*s does not have a host assigned",
			       STR_ARG(o->name));
	with_query(&path, r->core.query);
	k->path = arena_str(a, buf_view(&path));
	return node_address(r, node, k, err);
}

int kubelet_target(struct front_req *r, struct kubelet_call *k, struct err *err)
{
	if (!str_is(r->core.subresource, "proxy"))
		return pod_call(r, k, err);
	if (str_is(r->core.resource, "nodes"))
		return node_proxy(r, k, err);
	return str_is(r->core.resource, "pods") ? pod_proxy(r, k, err) : service_proxy(r, k, err);
}
