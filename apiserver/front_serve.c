/*
 * One request on the core's thread: is the token's account still there, whom does the caller act
 * as, may they do it, and who answers: the core, or one of the front's own services. Must never
 * reach the core or a service before authorization. The core's thread.
 */
#include <string.h>

#include "apiserver/admin.h"
#include "apiserver/aggregate.h"
#include "apiserver/discovery.h"
#include "apiserver/front-internal.h"
#include "apiserver/resmetrics.h"
#include "lib/base/log.h"
#include "lib/json/yaml.h"
#include "lib/kube/pvnames.h"
#include "lib/schema/proto.h"

bool front_may(struct front_req *r, const struct authz_ask *q, struct buf *why)
{
	return rights_allow(r->f->rights, q, why);
}

/* ---- impersonation ---- */

static int may_impersonate(struct front_req *r, const struct authz_ask *q, struct err *err)
{
	if (front_may(r, q, NULL))
		return 0;
	return err_set(err, ERR_FORBIDDEN,
		       "%.*s \"%.*s\" is forbidden: User \"%.*s\" cannot impersonate resource "
		       "\"%.*s%s%.*s\" in API group \"%.*s\" at the cluster scope",
		       STR_ARG(q->resource), STR_ARG(q->name), STR_ARG(r->who.user.name),
		       STR_ARG(q->resource), q->subresource.n ? "/" : "", STR_ARG(q->subresource),
		       STR_ARG(q->group));
}

static int may_act_as(struct front_req *r, const char *group, const char *resource, struct str name,
		      struct err *err)
{
	struct authz_ask q = {.user = &r->who.user,
			      .verb = STR("impersonate"),
			      .group = str_c(group),
			      .resource = str_c(resource),
			      .name = name};
	struct str ns, account;
	static const char prefix[] = "system:serviceaccount:";

	if (!strcmp(resource, "users") && str_starts(name, str_c(prefix)) &&
	    str_cut(str_sub(name, sizeof(prefix) - 1, name.n), ':', &ns, &account)) {
		q.resource = STR("serviceaccounts");
		q.namespace = ns;
		q.name = account;
	}
	return may_impersonate(r, &q, err);
}

/* Each value by itself: the key is the subresource. */
static int may_say(struct front_req *r, const struct impersonation *i, struct err *err)
{
	struct authz_ask q = {.user = &r->who.user,
			      .verb = STR("impersonate"),
			      .group = STR("authentication.k8s.io"),
			      .resource = STR("userextras")};

	for (size_t n = 0; n < i->nextra; n++) {
		q.subresource = i->extra[n].key;
		q.name = i->extra[n].value;
		if (may_impersonate(r, &q, err))
			return -1;
	}
	return 0;
}

static int impersonate(struct front_req *r, struct err *err)
{
	struct impersonation i;
	int some = authn_impersonation(r->http, &i, err);

	if (some <= 0)
		return some;
	if (may_act_as(r, "", "users", i.user, err) || may_say(r, &i, err))
		return -1;
	if (i.uid.n && may_act_as(r, "authentication.k8s.io", "uids", i.uid, err))
		return -1;
	for (size_t n = 0; n < i.ngroups; n++) {
		if (may_act_as(r, "", "groups", i.groups[n], err))
			return -1;
	}
	authn_impersonated(&r->http->arena, &i, &r->who.user);
	r->who.token = false;
	return 0;
}

/* ---- authorization ---- */

/* What a list or watch is narrowed to in that field; STR_NONE when it isn't. */
static struct str selected_by(struct front_req *r, const char *how, const char *field)
{
	struct str rest = http_query(&r->http->arena, r->core.query, how), part;

	while (rest.n && str_next(&rest, ',', &part)) {
		struct str key, value;
		if (!str_cut(part, '=', &key, &value) || !str_is(key, field))
			continue;
		return value.n && value.p[0] == '=' ? str_sub(value, 1, value.n) : value;
	}
	return STR_NONE;
}

static struct str selected(struct front_req *r, const char *field)
{
	return selected_by(r, "fieldSelector", field);
}

static void forbidden(struct front_req *r, const struct authz_ask *q, struct err *err)
{
	AUTO(buf) struct buf where = {0};
	struct str u = r->who.user.name;

	if (q->path.n) {
		err_set(err, ERR_FORBIDDEN, "forbidden: User \"%.*s\" cannot %.*s path \"%.*s\"",
			STR_ARG(u), STR_ARG(q->verb), STR_ARG(q->path));
		return;
	}
	if (q->namespace.n)
		buf_printf(&where, "in the namespace \"%.*s\"", STR_ARG(q->namespace));
	else
		buf_puts(&where, "at the cluster scope");
	err_set(err, ERR_FORBIDDEN,
		"%.*s%s%.*s%s is forbidden: User \"%.*s\" cannot %.*s resource \"%.*s%s%.*s\" in "
		"API "
		"group \"%.*s\" %s",
		STR_ARG(q->resource), q->name.n ? " \"" : "", STR_ARG(q->name),
		q->name.n ? "\"" : "", STR_ARG(u), STR_ARG(q->verb), STR_ARG(q->resource),
		q->subresource.n ? "/" : "", STR_ARG(q->subresource), STR_ARG(q->group),
		buf_cstr(&where));
}

static const char *method_verb(struct str method)
{
	static const char *const verbs[][2] = {{"POST", "create"},     {"PUT", "update"},
					       {"PATCH", "patch"},     {"DELETE", "delete"},
					       {"OPTIONS", "options"}, {"HEAD", "get"}};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (str_is(method, verbs[i][0]))
			return verbs[i][1];
	}
	return "get";
}

static bool is_connect(const struct core_req *c)
{
	static const char *const subs[] = {"log", "exec", "attach", "portforward", "proxy"};

	for (size_t i = 0; i < ARRAY_LEN(subs); i++) {
		if (str_is(c->subresource, subs[i]))
			return true;
	}
	return false;
}

struct str front_verb(const struct front_req *r)
{
	static const char *const methods[] = {"get",    "post", "put",    "patch",
					      "delete", "head", "options"};

	if (r->resource)
		return str_c(is_connect(&r->core) ? method_verb(r->http->method)
						  : core_verb_name(r->core.verb));
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		if (str_ieq(r->http->method, str_c(methods[i])))
			return str_c(methods[i]);
	}
	return STR("other");
}

static bool may(struct front_req *r, const struct authz_ask *q)
{
	AUTO(buf) struct buf why = {0};
	bool allowed = front_may(r, q, front_audited(r) ? &why : NULL);

	front_audit_decision(r, allowed, buf_view(&why));
	return allowed;
}

static int authorize(struct front_req *r, struct err *err)
{
	struct core_req *c = &r->core;
	struct authz_ask q = {.user = &r->who.user, .path = r->http->path};

	if (!r->resource) {
		q.verb = front_verb(r);
		if (may(r, &q))
			return 0;
		forbidden(r, &q, err);
		return -1;
	}
	q.path = STR_NONE;
	q.verb = front_verb(r);
	q.group = c->group;
	q.resource = c->resource;
	q.subresource = c->subresource;
	q.namespace = c->namespace;
	q.name = c->name;
	if (!q.name.n && (c->verb == CORE_LIST || c->verb == CORE_WATCH))
		q.name = selected(r, "metadata.name"); /* as rules with resourceNames mean it */
	if (may(r, &q))
		return 0;
	forbidden(r, &q, err);
	return -1;
}

int front_may_create(struct core_req *c, struct err *err)
{
	static const char prefix[] = "system:node:";
	struct front_req *r = CONTAINER_OF(c, struct front_req, core);
	struct str u = r->who.user.name, node = str_sub(u, sizeof(prefix) - 1, u.n);
	struct authz_ask q = {.user = &r->who.user,
			      .verb = STR("create"),
			      .group = c->group,
			      .resource = c->resource,
			      .namespace = c->namespace,
			      .name = c->name};
	bool fenced = (str_is(c->resource, "nodes") || str_is(c->resource, "leases")) &&
		      str_starts(u, str_c(prefix)) && user_in_group(&r->who.user, "system:nodes");

	if (front_may(r, &q, NULL) && (!fenced || str_eq(c->name, node)))
		return 0;
	forbidden(r, &q, err);
	return -1;
}

/* What the fence around nodes (rights.c) can't see in a request's attributes. */
static int check_node(struct front_req *r, struct err *err)
{
	static const char prefix[] = "system:node:";
	const struct core_req *c = &r->core;
	struct str node = str_sub(r->who.user.name, sizeof(prefix) - 1, r->who.user.name.n), name;
	bool reads = c->verb == CORE_LIST || c->verb == CORE_WATCH;

	if (!r->resource || c->subresource.n || !str_starts(r->who.user.name, str_c(prefix)) ||
	    !user_in_group(&r->who.user, "system:nodes"))
		return 0;
	if (str_is(c->resource, "pods") && reads && !c->name.n) {
		if (str_eq(selected(r, "spec.nodeName"), node))
			return 0;
		return err_set(
			err, ERR_FORBIDDEN,
			"pods is forbidden: can only list/watch pods with spec.nodeName field "
			"selector of its own node");
	}
	if (str_is(c->resource, "persistentvolumes") && reads && !c->name.n &&
	    !selected(r, "metadata.name").n) {
		if (str_eq(selected_by(r, "labelSelector", LOCAL_NODE), node))
			return 0;
		return err_set(err, ERR_FORBIDDEN,
			       "persistentvolumes is forbidden: can only list/watch those that the "
			       "node holds, by the label " LOCAL_NODE);
	}
	if (c->verb != CORE_CREATE ||
	    !(str_is(c->resource, "nodes") || str_is(c->resource, "leases")))
		return 0;
	const struct json *v = body_parse(&r->http->arena, c->content_type, c->body, err);
	if (!v)
		return -1;
	name = meta_name(v);
	if (str_eq(name, node))
		return 0;
	return err_set(err, ERR_FORBIDDEN,
		       "%.*s \"%.*s\" is forbidden: node \"%.*s\" may only create its own",
		       STR_ARG(c->resource), STR_ARG(name), STR_ARG(node));
}

/* ---- bodies of the front's own services ---- */

struct json *front_body(struct front_req *r, const char *kind, struct err *err)
{
	struct arena *a = &r->http->arena;
	struct json *v = body_parse(a, r->core.content_type, r->core.body, err);

	if (v && !json_is(v, JSON_OBJECT)) {
		err_set(err, ERR_BAD_REQUEST, "the body is not an object");
		return NULL;
	}
	struct str got = json_str(json_at(v, "kind"));
	if (v && got.n && !str_is(got, kind)) {
		err_set(err, ERR_BAD_REQUEST, "the body is a %.*s, not a %s", STR_ARG(got), kind);
		return NULL;
	}
	return v;
}

/* ---- who answers ---- */

static bool serve_discovery(struct front_req *r)
{
	struct discovery_answer d;
	struct http_req *h = r->http;
	enum accept_discovery form = r->accepts.discovery;
	AUTO(buf) struct buf lines = {0};

	if (!discovery_find(r->f->discovery, h->path, form ? form : DISCOVERY_PLAIN, &d))
		return false;
	struct http_header heads[] = {{STR("Cache-Control"), STR("public")},
				      {STR("Vary"), STR("Accept")},
				      {STR("ETag"), str_c(d.etag)}};
	struct http_reply reply = {.status = 200,
				   .content_type = d.content_type,
				   .headers = heads,
				   .nheaders = ARRAY_LEN(heads)};
	if (str_eq(http_header(&h->headers, "If-None-Match"), str_c(d.etag))) {
		reply.status = 304;
		reply.content_type = NULL;
		http_reply_bytes(h, &reply, STR_NONE);
	} else if (front_wants_lines(r)) {
		reply.nheaders = 2; /* the ETag is another text's */
		json_write_lines(d.block->data, 2, &lines);
		http_reply_bytes(h, &reply, buf_view(&lines));
	} else {
		http_reply_blocks(h, &reply, &d.block, 1);
	}
	front_done(r, reply.status);
	return true;
}

static bool serve_openid(struct front_req *r)
{
	AUTO(buf) struct buf text = {0};

	if (str_is(r->http->path, "/.well-known/openid-configuration"))
		tokens_openid_configuration(&text);
	else if (str_is(r->http->path, "/openid/v1/jwks"))
		tokens_jwks(r->f->o.tokens, &text);
	else
		return false;
	front_text(r, 200,
		   str_is(r->http->path, "/openid/v1/jwks") ? "application/jwk-set+json"
							    : "application/json",
		   buf_view(&text));
	return true;
}

/* What stands at "/": every path that can be asked. */
static bool serve_root(struct front_req *r)
{
	static const char *const paths[] = {"/.well-known/openid-configuration",
					    "/api",
					    "/api/v1",
					    "/apis",
					    "/healthz",
					    "/livez",
					    "/metrics",
					    "/metrics/slis",
					    "/openapi/v2",
					    "/openapi/v3",
					    "/openid/v1/jwks",
					    "/readyz",
					    "/version"};
	struct arena *a = &r->http->arena;

	if (!str_is(r->http->path, "/"))
		return false;
	struct json *o = json_new(a, JSON_OBJECT), *list = json_set_array(a, o, "paths");
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		json_append_str(a, list, str_c(paths[i]));
	front_json(r, 200, o);
	return true;
}

static void serve_path(struct front_req *r)
{
	struct err err = {0};

	if (admin_serve(r->f->o.admin, r))
		return;
	if (!str_is(r->http->method, "GET") && !str_is(r->http->method, "HEAD")) {
		err_set(&err, ERR_METHOD_NOT_ALLOWED,
			"the server does not allow this method on the requested resource");
		front_fail(r, &err);
		return;
	}
	if (health_serve(r) || serve_discovery(r) || openapi_serve(r) || serve_openid(r) ||
	    serve_root(r))
		return;
	err_set(&err, ERR_NOT_FOUND, "the server could not find the requested resource");
	front_fail(r, &err);
}

/* Kinds that aren't stored can't be read, either; others can be read only. */
static bool not_offered(const struct front_req *r)
{
	const struct core_req *c = &r->core;
	const struct kind *k = core_kind_find(r->f->o.core, c->group, c->version, c->resource);

	if (k && k->flags & KIND_READ_ONLY)
		return c->verb != CORE_GET && c->verb != CORE_LIST;
	if (k && k->flags & KIND_ONE_BY_ONE && c->verb == CORE_DELETE_COLLECTION)
		return true;
	return k && k->flags & KIND_NO_STORE && c->verb != CORE_CREATE;
}

/* A review is an answer, not an object: there is no table of such, nor metadata alone. */
static bool has_no_form(const struct front_req *r)
{
	const struct core_req *c = &r->core;
	const struct kind *k = core_kind_find(r->f->o.core, c->group, c->version, c->resource);

	return k && k->flags & KIND_NO_STORE && r->accepts.resource && !r->accepts.object;
}

/* Only types that were compiled in have field numbers. */
static bool lacks_proto(const struct front_req *r)
{
	const struct core_req *c = &r->core;
	const struct kind *k = core_kind_find(r->f->o.core, c->group, c->version, c->resource);

	return r->accepts.proto && k && c->form == CORE_FORM_OBJECT &&
	       (k->crd || !proto_has(k->schema));
}

static void not_acceptable(struct front_req *r)
{
	struct err err = {0};

	err_set(&err, ERR_NOT_ACCEPTABLE,
		"only the following media types are accepted: application/json, "
		"application/yaml, application/vnd.kubernetes.protobuf");
	front_fail(r, &err);
}

/* Where nothing is, or where a body is passed on as it came, nobody minds what is in it. */
static bool minds_bad_body(const struct front_req *r)
{
	const struct core_req *c = &r->core;

	return r->bad_body && !str_is(c->subresource, "proxy") &&
	       core_kind_find(r->f->o.core, c->group, c->version, c->resource);
}

static void serve_resource(struct front_req *r)
{
	struct err err = {0};

	if (minds_bad_body(r)) {
		err_set(&err, ERR_BAD_REQUEST, "%s", r->bad_body);
		front_fail(r, &err);
		return;
	}
	if (has_no_form(r)) {
		not_acceptable(r);
		return;
	}
	if (reviews_serve(r) || token_request_serve(r) || kubelet_serve(r))
		return;
	if (not_offered(r)) {
		err_set(&err, ERR_METHOD_NOT_ALLOWED,
			"the server does not allow this method on the requested resource");
		front_fail(r, &err);
		return;
	}
	if (!r->accepts.resource || lacks_proto(r)) {
		not_acceptable(r);
		return;
	}
	if (resmetrics_serve(r))
		return;
	r->state = FRONT_CORE;
	list_append(&r->f->in_core, &r->link);
	core_submit(r->f->o.core, &r->core);
}

void front_serve(struct front_req *r)
{
	struct err err = {0};

	if (r->f->stopping) {
		err_set(&err, ERR_UNAVAILABLE, "the server is stopping");
		err.retry_after_s = 1;
		front_fail(r, &err);
		return;
	}
	front_audit_begin(r);
	if (r->who.token && authn_still_exists(r->f->o.core, &r->who.claims, &err)) {
		log_debug("token refused", "user", arena_cstr(&r->http->arena, r->who.user.name),
			  "why", err.msg);
		err_set(&err, ERR_UNAUTHORIZED, "Unauthorized");
		r->resource = false;
		front_fail(r, &err);
		return;
	}
	if (front_deadline(r, &err) || impersonate(r, &err)) {
		front_fail(r, &err);
		return;
	}
	if (front_flow_enter(r))
		front_serve_seated(r);
}

void front_serve_seated(struct front_req *r)
{
	struct err err = {0};

	if (authorize(r, &err) || check_node(r, &err)) {
		front_fail(r, &err);
		return;
	}
	r->core.user = r->who.user;
	if (aggregate_serve(r))
		return;
	if (r->resource)
		serve_resource(r);
	else
		serve_path(r);
}
