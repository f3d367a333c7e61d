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

static void check_backend(struct kind_ctx *c, const struct spath *at, const struct json *v)
{
	static const char *const names[] = {"service", "resource", NULL};
	const struct json *service = json_get(v, STR("service"));
	struct spath here = SPATH_FIELD(at, "service");

	rule_one_of(c, at, v, names, "must specify a service or a resource",
		    "cannot set both resource and service backends");
	if (service && !json_str(json_get(service, STR("name"))).n)
		rule_required(c, &here, "name", NULL);
	if (service && !json_get(json_get(service, STR("port")), STR("name")) &&
	    !json_int(json_at(service, "port", "number"), 0))
		rule_required(c, &here, "port", "port name or number is required");
}

static void check_paths(struct kind_ctx *c, const struct spath *at, const struct json *http)
{
	const struct json *paths = json_get(http, STR("paths"));
	struct spath in = SPATH_FIELD(at, "http"), all = SPATH_FIELD(&in, "paths");

	for (size_t i = 0; i < json_len(paths); i++) {
		const struct json *p = json_item(paths, i), *path = json_get(p, STR("path"));
		struct spath here = SPATH_INDEX(&all, i), backend = SPATH_FIELD(&here, "backend");
		if (!json_str(json_get(p, STR("pathType"))).n)
			rule_required(c, &here, "pathType", "pathType must be specified");
		if (json_str(path).n && !str_starts(json_str(path), STR("/")))
			rule_invalid(c, &here, "path", path, "must be an absolute path");
		check_backend(c, &backend, json_get(p, STR("backend")));
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

	if (!json_str(controller).n && !live)
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
