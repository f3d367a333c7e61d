/* Ingresses and their classes. Pure. */
#include "apiserver/kinds/rules_net.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

static const struct kind_column columns[] = {
	COL_NAME,
	COL("Class", "string", "Who serves it."),
	COL("Hosts", "string", "The names it answers to."),
	COL("Address", "string", "Where it is reached."),
	COL("Ports", "string", "On which ports."),
	COL_AGE,
	{0},
};

static void cell_hosts(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *rules = json_at(o, "spec", "rules");
	AUTO(buf) struct buf b = {0};
	size_t n = 0;

	for (size_t i = 0; i < json_len(rules); i++) {
		struct str host = json_str(json_get(json_item(rules, i), STR("host")));
		if (host.n && n++ < 3)
			buf_printf(&b, "%s%.*s", b.n ? "," : "", STR_ARG(host));
	}
	if (n > 3)
		buf_printf(&b, " + %zu more...", n - 3);
	cell_str(c, cells, b.n ? buf_view(&b) : STR("*"));
}

static void row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *at = json_at(o, "status", "loadBalancer", "ingress");
	struct str class = json_str(json_at(o, "spec", "ingressClassName"));
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(at); i++) {
		struct str ip = json_str(json_get(json_item(at, i), STR("ip")));
		if (!ip.n)
			ip = json_str(json_get(json_item(at, i), STR("hostname")));
		buf_printf(&b, "%s%.*s", b.n ? "," : "", STR_ARG(ip));
	}
	cell_name(c, cells, o);
	cell_str(c, cells, class.n ? class : STR("<none>"));
	cell_hosts(c, o, cells);
	cell_str(c, cells, buf_view(&b));
	cell_str(c, cells, json_len(json_at(o, "spec", "tls")) ? STR("80, 443") : STR("80"));
	cell_age(c, cells, o);
}

static void check_port(struct kind_ctx *c, const struct spath *at, const struct json *port)
{
	const struct json *name = json_get(port, STR("name")),
			  *number = json_get(port, STR("number"));
	struct spath service = SPATH_FIELD(at, "service"), here = SPATH_FIELD(&service, "port");

	if (json_str(name).n && json_int(number, 0))
		rule_invalid(c, at, NULL, NULL, "cannot set both port name & port number");
	else if (json_str(name).n)
		rule_port_or_name(c, &here, "name", name);
	else if (json_int(number, 0))
		rule_port(c, &here, "number", number);
	else
		rule_required(c, at, NULL, "port name or number is required");
}

static void check_resource(struct kind_ctx *c, const struct spath *backend, const struct json *v)
{
	struct spath at = SPATH_FIELD(backend, "resource");
	static const char *const named[] = {"kind", "name"};

	rule_name(c, &at, "apiGroup", json_get(v, STR("apiGroup")), name_check_dns1123_subdomain);
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		const struct json *text = json_get(v, str_c(named[i]));

		if (!json_str(text).n)
			rule_required(c, &at, named[i],
				      arena_printf(c->a, "%s is required", named[i]));
		else
			rule_name(c, &at, named[i], text, name_check_path_segment);
	}
}

static void check_backend(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	const struct json *service = json_get(v, STR("service")),
			  *resource = json_get(v, STR("resource"));
	struct spath here = SPATH_FIELD(at, "service");

	if (service && resource) {
		rule_invalid(c, at, NULL, NULL, "cannot set both resource and service backends");
	} else if (resource) {
		check_resource(c, at, resource);
	} else if (service) {
		if (!json_str(json_get(service, STR("name"))).n)
			rule_required(c, &here, "name", NULL);
		else
			rule_name(c, &here, "name", json_get(service, STR("name")),
				  name_check_dns1035_label);
		check_port(c, at, json_get(service, STR("port")));
	} else {
		rule_invalid(c, at, NULL, NULL, "resource or service backend is required");
	}
}

/* What a client would resolve before it asks can't be matched. */
static void check_absolute(struct kind_ctx *c, const struct spath *at, const struct json *path)
{
	static const char *const within[] = {"//", "/./", "/../", "%2f", "%2F"}, *const last[] = {
											 "/..",
											 "/."};
	struct str s = json_str(path);

	if (!str_starts(s, STR("/")))
		rule_invalid(c, at, "path", path, "must be an absolute path");
	for (size_t i = 0; i < ARRAY_LEN(within); i++)
		if (s.n && str_find(s, str_c(within[i])) >= 0)
			rule_invalid(c, at, "path", path,
				     arena_printf(c->a, "must not contain '%s'", within[i]));
	for (size_t i = 0; i < ARRAY_LEN(last); i++)
		if (str_ends(s, str_c(last[i])))
			rule_invalid(c, at, "path", path,
				     arena_printf(c->a, "cannot end with '%s'", last[i]));
}

static void check_http_path(struct kind_ctx *c, const struct spath *at, const struct json *p)
{
	static const char *const types[] = {"Exact", "ImplementationSpecific", "Prefix", NULL};
	const struct json *path = json_get(p, STR("path")), *type = json_get(p, STR("pathType"));
	struct spath backend = SPATH_FIELD(at, "backend");

	if (!type || type->type == JSON_NULL) {
		rule_required(c, at, "pathType", "pathType must be specified");
		return;
	}
	if (str_is(json_str(type), "Exact") || str_is(json_str(type), "Prefix"))
		check_absolute(c, at, path);
	else if (!str_is(json_str(type), "ImplementationSpecific"))
		rule_unsupported(c, at, "pathType", type, types);
	else if (json_str(path).n && !str_starts(json_str(path), STR("/")))
		rule_invalid(c, at, "path", path, "must be an absolute path");
	check_backend(c, &backend, json_get(p, STR("backend")));
}

static void check_paths(struct kind_ctx *c, const struct spath *at, const struct json *http)
{
	const struct json *paths = json_get(http, STR("paths"));
	struct spath in = SPATH_FIELD(at, "http"), all = SPATH_FIELD(&in, "paths");

	if (http && !json_len(paths))
		rule_required(c, &in, "paths", NULL);
	for (size_t i = 0; i < json_len(paths); i++) {
		struct spath here = SPATH_INDEX(&all, i);

		check_http_path(c, &here, json_item(paths, i));
	}
}

/* A certificate may be for a name, or for all directly below one. */
static void check_tls(struct kind_ctx *c, const struct spath *spec, const struct json *tls)
{
	struct spath all = SPATH_FIELD(spec, "tls");

	for (size_t i = 0; i < json_len(tls); i++) {
		const struct json *hosts = json_get(json_item(tls, i), STR("hosts")),
				  *secret = json_get(json_item(tls, i), STR("secretName"));
		struct spath one = SPATH_INDEX(&all, i), list = SPATH_FIELD(&one, "hosts");

		for (size_t k = 0; k < json_len(hosts); k++) {
			struct spath here = SPATH_INDEX(&list, k);
			struct str host = json_str(json_item(hosts, k));
			const char *why;

			if (str_starts(host, STR("*.")))
				host = str_sub(host, 2, host.n);
			why = name_check_dns1123_subdomain(host);
			if (why)
				rule_invalid(c, &here, NULL, json_item(hosts, k), why);
		}
		if (json_str(secret).n)
			rule_name(c, &one, "secretName", secret, name_check_dns1123_subdomain);
	}
}

/* A name, or one below a wildcard; never an address. */
static void check_host(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	struct str host = json_str(v);
	const char *why;

	if (!host.n)
		return;
	if (ip_family(host)) {
		rule_invalid(c, at, "host", v, "must be a DNS name, not an IP address");
		return;
	}
	why = name_check_dns1123_subdomain(str_starts(host, STR("*.")) ? str_sub(host, 2, host.n)
								       : host);
	if (why)
		rule_invalid(c, at, "host", v, why);
}

static void validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec"), all = SPATH_FIELD(&at, "rules");
	struct spath backend = SPATH_FIELD(&at, "defaultBackend");
	const struct json *spec = json_get(next, STR("spec")),
			  *rules = json_get(spec, STR("rules"));

	(void)live;
	if (c->subresource)
		return;
	if (!json_len(rules) && !json_get(spec, STR("defaultBackend")))
		rule_invalid(c, &at, NULL, rules,
			     "either `defaultBackend` or `rules` must be "
			     "specified");
	if (json_get(spec, STR("defaultBackend")))
		check_backend(c, &backend, json_get(spec, STR("defaultBackend")));
	for (size_t i = 0; i < json_len(rules); i++) {
		struct spath here = SPATH_INDEX(&all, i);
		check_host(c, &here, json_get(json_item(rules, i), STR("host")));
		check_paths(c, &here, json_get(json_item(rules, i), STR("http")));
	}
	check_tls(c, &at, json_get(spec, STR("tls")));
	if (json_get(spec, STR("ingressClassName")))
		rule_name(c, &at, "ingressClassName", json_get(spec, STR("ingressClassName")),
			  name_check_dns1123_subdomain);
}

static const char *const short_names[] = {"ing", NULL};

const struct kind kind_ingress = {
	.group = "networking.k8s.io",
	.version = "v1",
	.kind = "Ingress",
	.plural = "ingresses",
	.short_names = short_names,
	.flags = KIND_NAMESPACED | KIND_STATUS | KIND_STATUS_META | KIND_GENERATION |
		 KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.networking.v1.Ingress",
	.columns = columns,
	.row = row,
	.validate = validate,
};

static const struct kind_column class_columns[] = {
	COL_NAME,
	COL("Controller", "string", "Who serves it."),
	COL("Parameters", "string", "What more its controller is told."),
	COL_AGE,
	{0},
};

static void class_row(struct kind_ctx *c, const struct json *o, struct json *cells)
{
	const struct json *more = json_at(o, "spec", "parameters");
	struct str group = json_str_or(json_get(more, STR("apiGroup")), STR(""));

	cell_name(c, cells, o);
	cell_str(c, cells, json_str_or(json_at(o, "spec", "controller"), STR("")));
	if (more)
		cell_text(c, cells, "%.*s%s%.*s/%.*s",
			  STR_ARG(json_str(json_get(more, STR("kind")))), group.n ? "." : "",
			  STR_ARG(group), STR_ARG(json_str(json_get(more, STR("name")))));
	else
		cell_str(c, cells, STR("<none>"));
	cell_age(c, cells, o);
}

static void check_parameters(struct kind_ctx *c, const struct spath *spec_at, const struct json *p)
{
	struct spath at = SPATH_FIELD(spec_at, "parameters");
	struct str scope = json_str_or(json_get(p, STR("scope")), STR("Cluster"));
	const struct json *namespace = json_get(p, STR("namespace"));

	if (!json_is(p, JSON_OBJECT))
		return;
	rule_name(c, &at, "apiGroup", json_get(p, STR("apiGroup")), name_check_dns1123_subdomain);
	if (!json_str(json_get(p, STR("kind"))).n)
		rule_required(c, &at, "kind", "kind is required");
	if (!json_str(json_get(p, STR("name"))).n)
		rule_required(c, &at, "name", "name is required");
	if (str_is(scope, "Namespace") && !json_str(namespace).n)
		rule_required(c, &at, "namespace", "`parameters.scope` is set to 'Namespace'");
	if (str_is(scope, "Cluster") && namespace)
		rule_forbidden(c, &at, "namespace", "`parameters.scope` is set to 'Cluster'");
}

static void class_validate(struct kind_ctx *c, const struct json *next, const struct json *live)
{
	struct spath at = SPATH_FIELD(NULL, "spec");
	const struct json *spec = json_get(next, STR("spec"));
	const struct json *controller = json_get(spec, STR("controller"));
	struct str domain, path;

	if (!json_str(controller).n)
		rule_required(c, &at, "controller", NULL);
	else if (json_str(controller).n > 250)
		rule_too_long(c, &at, "controller", 250);
	else if (json_str(controller).n && (!str_cut(json_str(controller), '/', &domain, &path) ||
					    !path.n || name_check_dns1123_subdomain(domain)))
		rule_invalid(c, &at, "controller", controller,
			     "must be a domain-prefixed path (such as \"acme.io/foo\")");
	if (live)
		rule_immutable(c, &at, spec, json_get(live, STR("spec")), "controller");
	check_parameters(c, &at, json_get(spec, STR("parameters")));
}

const struct kind kind_ingressclass = {
	.group = "networking.k8s.io",
	.version = "v1",
	.kind = "IngressClass",
	.plural = "ingressclasses",
	.flags = KIND_GENERATION | KIND_UNCONDITIONAL_UPDATE,
	.schema_name = "io.k8s.api.networking.v1.IngressClass",
	.validate = class_validate,
	.columns = class_columns,
	.row = class_row,
};
