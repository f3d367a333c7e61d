/*
 * Extension API servers: each APIService with a Service is probed, told to discovery, and proxied.
 * Must never pass on the caller's own credentials, nor a header of theirs that says who somebody
 * is: that is what our certificate vouches for. The core's thread; the bytes of requests pass on
 * their connection's own (kubeletproxy.c).
 */
#include "apiserver/aggregate.h"

#include <stdlib.h>
#include <string.h>

#include "apiserver/aggregate-internal.h"
#include "apiserver/discovery.h"
#include "apiserver/extra.h"
#include "apiserver/kubeletproxy-internal.h"
#include "apiserver/resolve.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"

#define EXTENSIONS_MAX 256
#define PROBE_EVERY (15 * NS_PER_S)
#define PROBE_AGAIN (1 * NS_PER_S) /* one that doesn't answer yet */

/* ---- what discovery is told ---- */

static void tell_discovery(struct aggregate *g)
{
	AUTO(arena) struct arena a = {0};
	struct json *list = json_new(&a, JSON_ARRAY);

	LIST_FOREACH (it, &g->extensions) {
		const struct extension *e = CONTAINER_OF(it, struct extension, all);
		struct json *v;

		if (aggregate_is_local(g->f->o.core, str_c(e->group), str_c(e->version)))
			continue;
		v = json_append_object(&a, list);
		json_set_str(&a, v, "group", str_c(e->group));
		json_set_str(&a, v, "version", str_c(e->version));
		json_set_bool(&a, v, "up", e->up);
		json_set(&a, v, STR("document"),
			 json_parse(&a, buf_view(&e->resources), NULL, NULL));
	}
	discovery_set_external(g->f->discovery, list);
}

/* ---- availability ---- */

static void write_status(struct extension *e, bool up, const char *reason, const char *message)
{
	AUTO(arena) struct arena a = {0};
	struct core *c = e->g->f->o.core;
	const struct kind *k =
		core_kind_find(c, STR("apiregistration.k8s.io"), STR("v1"), STR("apiservices"));
	const struct obj *o = k ? core_get(c, k, STR_NONE, str_c(e->name)) : NULL;
	struct json *tree;

	if (!o)
		return;
	tree = json_copy(&a, obj_tree(o, &a));
	if (!condition_set(&a, tree, "Available", up ? "True" : "False", reason, str_c(message),
			   loop_wall(e->g->f->o.loop)))
		return;
	aggregate_write(c, CORE_PATCH, o->name, "status",
			json_build(&a, "{s:o}", "status", json_get(tree, STR("status"))));
	front_turn(e->g->f);
}

static void probe(struct loop *l, struct loop_timer *t);

static void judge(struct extension *e, bool up, const char *reason, const char *message)
{
	bool changed = e->up != up || !e->asked;

	e->up = up;
	e->asked = true;
	if (changed)
		log_info(up ? "an extension API is available" : "an extension API is not available",
			 "apiservice", e->name, "reason", reason, "message", message);
	if (changed)
		tell_discovery(e->g);
	loop_timer_set(e->g->f->o.loop, &e->timer, up ? PROBE_EVERY : PROBE_AGAIN, probe);
	write_status(e, up, reason, message);
}

static void on_probe(void *arg, const struct http_answer *a)
{
	struct extension *e = arg;
	char message[1200];

	if (e->dying)
		return;
	if (a->status && a->status / 100 != 2) {
		snprintf(message, sizeof(message),
			 "failing or missing response from https://%s.%s.svc:%d/apis/%s/%s: bad "
			 "status from https://%s.%s.svc:%d/apis/%s/%s: %d",
			 e->service, e->namespace, e->port, e->group, e->version, e->service,
			 e->namespace, e->port, e->group, e->version, a->status);
		judge(e, false, "FailedDiscoveryCheck", message);
		return;
	}
	if (!a->status) {
		snprintf(message, sizeof(message),
			 "failing or missing response from https://%s.%s.svc:%d/apis/%s/%s: %s",
			 e->service, e->namespace, e->port, e->group, e->version,
			 a->err ? a->err->msg : "no answer");
		judge(e, false, "FailedDiscoveryCheck", message);
		return;
	}
	if (!str_eq(buf_view(&e->resources), a->body)) {
		buf_reset(&e->resources);
		buf_str(&e->resources, a->body);
		e->asked = false;
	}
	judge(e, true, "Passed", "all checks passed");
	aggregate_fetch(e);
}

static void probe_service(struct extension *e, const struct endpoint *at)
{
	AUTO(arena) struct arena a = {0};
	struct loop *l = e->g->f->o.loop;
	struct http_header accept = {STR("Accept"), STR("application/json")};
	struct err err = {0};

	http_client_free(e->probe);
	e->probe = http_client_new(
		l,
		&(struct http_client_opts){
			.host = arena_printf(&a, "%s.%s.svc", e->service, e->namespace),
			.connect_to = at->host,
			.lookup_apart = true,
			.port = at->port,
			.tls = e->tls},
		&err);
	if (!e->probe) {
		judge(e, false, "FailedDiscoveryCheck", err.msg);
		return;
	}
	http_client_call(e->probe, &(struct http_call){.method = "GET",
						       .path = arena_strf(&a, "/apis/%s/%s",
									  e->group, e->version),
						       .headers = &accept,
						       .nheaders = 1,
						       .timeout_ns = PROBE_TIMEOUT,
						       .max_body = DOCUMENT_MAX,
						       .done = on_probe,
						       .arg = e});
}

static struct str port_name(const struct json *service, int port)
{
	const struct json *ports = json_at(service, "spec", "ports");

	for (size_t i = 0; i < json_len(ports); i++) {
		const struct json *p = json_item(ports, i);
		if (json_int(json_get(p, STR("port")), 0) == port)
			return json_str(json_get(p, STR("name")));
	}
	return STR_NONE;
}

static const struct obj *find_named(const struct extension *e, const char *plural)
{
	const struct core *c = e->g->f->o.core;
	const struct kind *k = core_kind_find(c, STR(""), STR("v1"), str_c(plural));

	return k ? core_get(c, k, str_c(e->namespace), str_c(e->service)) : NULL;
}

/* There is a Service with that port, and nobody behind it. */
static void judge_absent(struct extension *e)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *service = find_named(e, "services");
	struct str name = service ? port_name(obj_tree(service, &a), e->port) : STR_NONE;

	if (!find_named(e, "endpoints"))
		judge(e, false, "EndpointsNotFound",
		      arena_printf(&a, "cannot find endpoints for service/%s in \"%s\"", e->service,
				   e->namespace));
	else
		judge(e, false, "MissingEndpoints",
		      arena_printf(&a,
				   "endpoints for service/%s in \"%s\" have no addresses with "
				   "port name \"%.*s\"",
				   e->service, e->namespace, STR_ARG(name)));
}

static void probe(struct loop *l, struct loop_timer *t)
{
	struct extension *e = CONTAINER_OF(t, struct extension, timer);
	AUTO(arena) struct arena a = {0};
	struct endpoint at;
	struct err err = {0};

	(void)l;
	if (!e->tls)
		judge(e, false, "FailedDiscoveryCheck", "caBundle holds no certificate");
	else if (!resolve_service(e->g->f->o.core, str_c(e->namespace), str_c(e->service), e->port,
				  e->turn++, &a, &at, &err))
		probe_service(e, &at);
	else if (err.code == ERR_NOT_FOUND)
		judge(e, false, "ServiceNotFound",
		      arena_printf(&a, "service/%s in \"%s\" is not present", e->service,
				   e->namespace));
	else if (str_starts(str_c(err.msg), STR("no service port")))
		judge(e, false, "ServicePortError",
		      arena_printf(&a, "service/%s in \"%s\" is not listening on port %d",
				   e->service, e->namespace, e->port));
	else
		judge_absent(e);
}

/* ---- coming and going ---- */

static void extension_free(struct extension *e)
{
	e->dying = true;
	list_remove(&e->all);
	e->g->n--;
	loop_timer_cancel(e->g->f->o.loop, &e->timer);
	http_client_free(e->probe);
	tls_unref(&e->tls);
	aggregate_forget(e);
	buf_release(&e->resources);
	free(e->name);
	free(e->group);
	free(e->version);
	free(e->namespace);
	free(e->service);
	free(e);
}

static struct extension *find_name(struct aggregate *g, struct str name)
{
	LIST_FOREACH (it, &g->extensions) {
		struct extension *e = CONTAINER_OF(it, struct extension, all);

		if (str_is(name, e->name))
			return e;
	}
	return NULL;
}

static struct tls_ctx *trust(struct aggregate *g, const struct json *spec)
{
	AUTO(buf) struct buf ca = {0};
	struct err err = {0};
	struct tls_files files = g->f->o.proxy;

	if (base64_decode(json_str_or(json_get(spec, STR("caBundle")), STR("")), &ca))
		return NULL;
	files.ca = NULL;
	files.ca_pem = buf_view(&ca);
	files.insecure = json_bool(json_get(spec, STR("insecureSkipTLSVerify")), false);
	return tls_client_new(&files, &err);
}

static char *text_of(const struct json *o, const char *key)
{
	return xasprintf("%.*s", STR_ARG(json_str(json_get(o, str_c(key)))));
}

static void extension_add(struct aggregate *g, const struct obj *o, const struct json *spec)
{
	const struct json *service = json_get(spec, STR("service"));
	struct extension *e;

	if (g->n >= EXTENSIONS_MAX)
		return;
	e = xalloc(sizeof(*e));
	e->g = g;
	e->name = xasprintf("%.*s", STR_ARG(o->name));
	e->group = text_of(spec, "group");
	e->version = text_of(spec, "version");
	e->namespace = text_of(service, "namespace");
	e->service = text_of(service, "name");
	e->port = (int)json_int(json_get(service, STR("port")), 443);
	e->tls = trust(g, spec);
	list_init(&e->all);
	list_append(&g->extensions, &e->all);
	g->n++;
	loop_timer_set(g->f->o.loop, &e->timer, 0, probe);
}

static bool same_spec(const struct obj *x, const struct obj *y)
{
	AUTO(arena) struct arena a = {0};

	return json_equal(json_get(obj_tree(x, &a), STR("spec")),
			  json_get(obj_tree(y, &a), STR("spec")));
}

static void service_changed(struct aggregate *g, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	const struct obj *any = new ? new : old;
	const struct json *spec;
	struct extension *e;

	if (!any)
		return;
	e = find_name(g, any->name);
	if (e && old && new &&same_spec(old, new))
		return;
	if (e)
		extension_free(e);
	spec = new ? json_get(obj_tree(new, &a), STR("spec")) : NULL;
	if (json_is(json_get(spec, STR("service")), JSON_OBJECT))
		extension_add(g, new, spec);
	if (e || spec)
		tell_discovery(g);
}

static void look_again(struct aggregate *g, struct str namespace, struct str service)
{
	LIST_FOREACH (it, &g->extensions) {
		struct extension *e = CONTAINER_OF(it, struct extension, all);

		if (str_is(namespace, e->namespace) && str_is(service, e->service))
			loop_timer_set(g->f->o.loop, &e->timer, 0, probe);
	}
}

static void look_over_local(struct loop *l, struct loop_timer *t)
{
	struct aggregate *g = CONTAINER_OF(t, struct aggregate, local);

	(void)l;
	aggregate_local(g->f->o.core);
	if (g->n)
		tell_discovery(g);
	front_turn(g->f);
}

void aggregate_change(struct aggregate *g, const struct kind *k, const struct obj *old,
		      const struct obj *new)
{
	const struct obj *o = new ? new : old;

	if (!strcmp(k->plural, "apiservices") && !strcmp(k->group, "apiregistration.k8s.io")) {
		service_changed(g, old, new);
		if (!new) /* a local one comes back */
			loop_timer_set(g->f->o.loop, &g->local, 0, look_over_local);
	} else if (!strcmp(k->plural, "customresourcedefinitions")) {
		loop_timer_set(g->f->o.loop, &g->local, 0, look_over_local);
	} else if (g->n && !strcmp(k->plural, "endpointslices")) {
		look_again(g, o->namespace, obj_label(o, STR("kubernetes.io/service-name")));
	} else if (g->n && !k->group[0] && !strcmp(k->plural, "services")) {
		look_again(g, o->namespace, o->name);
	}
}

static void load_one(void *arg, const struct obj *o)
{
	service_changed(arg, NULL, o);
}

void aggregate_start(struct aggregate *g)
{
	const struct kind *k = core_kind_find(g->f->o.core, STR("apiregistration.k8s.io"),
					      STR("v1"), STR("apiservices"));

	aggregate_local(g->f->o.core);
	if (k)
		core_each(g->f->o.core, k, load_one, g);
}

static void renew_one(void *arg, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct extension *e = find_name(arg, o->name);
	struct tls_ctx *old;

	if (!e)
		return;
	old = e->tls;
	e->tls = trust(e->g, json_get(obj_tree(o, &a), STR("spec")));
	tls_unref(&old);
}

void aggregate_renew(struct aggregate *g)
{
	const struct kind *k = core_kind_find(g->f->o.core, STR("apiregistration.k8s.io"),
					      STR("v1"), STR("apiservices"));

	if (k)
		core_each(g->f->o.core, k, renew_one, g);
}

struct aggregate *aggregate_new(struct front *f)
{
	struct aggregate *g = xalloc(sizeof(*g));

	g->f = f;
	list_init(&g->extensions);
	return g;
}

void aggregate_free(struct aggregate *g)
{
	if (!g)
		return;
	LIST_FOREACH (it, &g->extensions)
		extension_free(CONTAINER_OF(it, struct extension, all));
	loop_timer_cancel(g->f->o.loop, &g->local);
	free(g);
}

/* ---- requests ---- */

/* What is served here isn't given away, but for metrics: there is a better source to be had. */
static bool is_kept(const struct aggregate *g, struct str group, struct str version)
{
	return !str_is(group, "metrics.k8s.io") && aggregate_is_local(g->f->o.core, group, version);
}

static struct extension *find_path(struct aggregate *g, struct str path)
{
	struct str group, rest, version, tail;

	if (str_starts(path, STR("/openapi/v3/apis/")))
		path = str_sub(path, strlen("/openapi/v3"), path.n);
	if (!g->n || !str_starts(path, STR("/apis/")))
		return NULL;
	if (!str_cut(str_sub(path, 6, path.n), '/', &group, &rest) || !rest.n)
		return NULL;
	str_cut(rest, '/', &version, &tail);
	LIST_FOREACH (it, &g->extensions) {
		struct extension *e = CONTAINER_OF(it, struct extension, all);

		if (str_is(group, e->group) && str_is(version, e->version))
			return is_kept(g, group, version) ? NULL : e;
	}
	return NULL;
}

/* Who asks, as the extension may believe it of us. */
static void name_caller(struct front_req *r, struct kubelet_call *k)
{
	const struct admission_user *u = &r->who.user;
	struct arena *a = &r->http->arena;
	struct http_header *v = arena_array(a, u->ngroups + u->nextra + 2, sizeof(*v));

	k->heads = v;
	v[k->nheads++] = (struct http_header){STR("X-Remote-User"), u->name};
	for (size_t i = 0; i < u->ngroups; i++)
		v[k->nheads++] = (struct http_header){STR("X-Remote-Group"), u->groups[i]};
	if (u->uid.n)
		v[k->nheads++] = (struct http_header){STR("X-Remote-Uid"), u->uid};
	for (size_t i = 0; i < u->nextra; i++) {
		struct str key = user_extra_escape(a, u->extra[i].key);
		v[k->nheads++] = (struct http_header){
			arena_strf(a, "X-Remote-Extra-%.*s", STR_ARG(key)), u->extra[i].value};
	}
}

bool aggregate_serve(struct front_req *r)
{
	struct arena *a = &r->http->arena;
	struct extension *e = find_path(r->f->aggregate, r->http->path);
	struct kubelet_call *k;
	struct endpoint at;
	struct err err = {0};

	if (!e)
		return false;
	if (!e->up)
		err_set(&err, ERR_UNAVAILABLE,
			"the server is currently unable to handle the request");
	if (err.code || resolve_service(r->f->o.core, str_c(e->namespace), str_c(e->service),
					e->port, e->turn++, a, &at, &err)) {
		err.code = ERR_UNAVAILABLE;
		front_fail(r, &err);
		return true;
	}
	k = arena_alloc(a, sizeof(*k));
	k->r = r;
	k->as_it_is = true;
	k->host = arena_printf(a, "%s.%s.svc", e->service, e->namespace);
	k->connect_to = at.host;
	k->port = at.port;
	k->tls = k->owned = tls_ref(e->tls);
	k->path = r->http->query.n ? arena_strf(a, "%.*s?%.*s", STR_ARG(r->http->raw_path),
						STR_ARG(r->http->query))
				   : r->http->raw_path;
	name_caller(r, k);
	kubelet_go(r, k);
	return true;
}
