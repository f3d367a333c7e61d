/*
 * serviceaccounts/NAME/token: a token for a ServiceAccount, for a while, optionally bound to a
 * Pod, Secret or Node so that it dies with it. Must never put a token anywhere but into the
 * answer. The core's thread.
 */
#include "apiserver/front-internal.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"

#define LIFETIME_DEFAULT 3600
#define LIFETIME_MIN 600
#define LIFETIME_MAX (INT64_C(365) * 24 * 3600)
#define KEPT_MAX UINT32_MAX
#define AUDIENCES_MAX 32

static const struct obj *find(struct front_req *r, const char *plural, struct str namespace,
			      struct str name)
{
	const struct core *c = r->f->o.core;
	const struct kind *k = core_kind_find(c, STR(""), STR("v1"), str_c(plural));

	return k ? core_get(c, k, namespace, name) : NULL;
}

static int not_found(struct err *err, const char *plural, struct str name)
{
	return err_set(err, ERR_NOT_FOUND, "%s \"%.*s\" not found", plural, STR_ARG(name));
}

/* The node that a bound pod runs on goes into the token, too. */
static int bind_pod(struct front_req *r, const struct obj *pod, struct token_claims *c,
		    struct err *err)
{
	struct arena *a = &r->http->arena;
	const struct json *spec = json_at(obj_tree(pod, a), "spec");
	struct str account = json_str_or(json_at(spec, "serviceAccountName"), STR("default"));

	if (!str_eq(account, c->account))
		return err_set(err, ERR_BAD_REQUEST,
			       "cannot bind token for serviceaccount \"%.*s\" to pod running with "
			       "different serviceaccount name",
			       STR_ARG(c->account));
	c->node_name = json_str(json_at(spec, "nodeName"));
	const struct obj *node = c->node_name.n ? find(r, "nodes", STR_NONE, c->node_name) : NULL;
	if (node)
		c->node_uid = node->uid;
	return 0;
}

static int bind(struct front_req *r, const struct json *ref, struct token_claims *c,
		struct err *err)
{
	static const char *const kinds[][3] = {
		{"Pod", "pods", "pod"}, {"Secret", "secrets", "secret"}, {"Node", "nodes", "node"}};
	struct str kind = json_str(json_at(ref, "kind")), name = json_str(json_at(ref, "name"));
	struct str uid = json_str(json_at(ref, "uid"));

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!str_is(kind, kinds[i][0]))
			continue;
		const struct obj *o = find(r, kinds[i][1], i == 2 ? STR_NONE : c->namespace, name);
		if (!o)
			return not_found(err, kinds[i][1], name);
		if (uid.n && !str_eq(uid, o->uid))
			return err_set(
				err, ERR_CONFLICT,
				"the UID in the bound object reference (%.*s) does not match "
				"the UID in record",
				STR_ARG(uid));
		c->bound_kind = str_c(kinds[i][2]);
		c->bound_name = arena_str(&r->http->arena, o->name);
		c->bound_uid = arena_str(&r->http->arena, o->uid);
		return i == 0 ? bind_pod(r, o, c, err) : 0;
	}
	return err_set(err, ERR_INVALID, "spec.boundObjectRef.kind: must be Pod, Secret or Node");
}

/* A Secret that is there to keep a token of this very account: the token lives as long as it. */
static bool kept_by_secret(struct front_req *r, const struct token_claims *c)
{
	struct arena *a = &r->http->arena;
	const struct obj *o = str_is(c->bound_kind, "secret")
				      ? find(r, "secrets", c->namespace, c->bound_name)
				      : NULL;
	const struct json *secret = o ? obj_tree(o, a) : NULL;

	return str_is(json_str(json_at(secret, "type")), "kubernetes.io/service-account-token") &&
	       str_eq(meta_annotation(secret, "kubernetes.io/service-account.name"), c->account);
}

static int fill(struct front_req *r, const struct json *spec, struct token_claims *c,
		struct err *err)
{
	struct arena *a = &r->http->arena;
	const struct json *aud = json_at(spec, "audiences"), *ref = json_at(spec, "boundObjectRef");
	int64_t life = json_int(json_at(spec, "expirationSeconds"), LIFETIME_DEFAULT);
	const struct obj *sa = find(r, "serviceaccounts", r->core.namespace, r->core.name);
	char *id = arena_alloc(a, UUID_TEXT_MAX);

	if (!sa)
		return not_found(err, "serviceaccounts", r->core.name);
	if (life < LIFETIME_MIN)
		return err_set(err, ERR_INVALID,
			       "TokenRequest.authentication.k8s.io \"\" is invalid: "
			       "spec.expirationSeconds: Invalid value: %lld: may not specify a "
			       "duration less than 10 minutes",
			       (long long)life);
	if (json_len(aud) > AUDIENCES_MAX)
		return err_set(err, ERR_INVALID, "spec.audiences: must have at most %d items",
			       AUDIENCES_MAX);
	size_t n = json_is(aud, JSON_ARRAY) ? json_len(aud) : 0;
	struct str *v = arena_array(a, MAX(n, 1), sizeof(*v));
	v[0] = STR(TOKEN_ISSUER);
	for (size_t i = 0; i < n; i++)
		v[i] = json_str(json_item(aud, i));
	uuid_v4(id);
	*c = (struct token_claims){
		.namespace = arena_str(a, sa->namespace),
		.account = arena_str(a, sa->name),
		.account_uid = arena_str(a, sa->uid),
		.audiences = v,
		.naudiences = MAX(n, 1),
		.id = str_c(id),
		.issued_s = loop_wall(r->f->o.loop) / NS_PER_S,
	};
	if (json_is(ref, JSON_OBJECT) && bind(r, ref, c, err))
		return -1;
	c->expires_s = c->issued_s + MIN(life, kept_by_secret(r, c) ? KEPT_MAX : LIFETIME_MAX);
	return 0;
}

static void answer(struct front_req *r, struct json *o, const struct token_claims *c,
		   struct str token)
{
	struct arena *a = &r->http->arena;
	char text[TIME_TEXT_MAX];

	json_set_str(a, o, "kind", STR("TokenRequest"));
	json_set_str(a, o, "apiVersion", STR("authentication.k8s.io/v1"));
	struct json *meta = json_set_object(a, o, "metadata");
	json_set_str(a, meta, "name", c->account);
	json_set_str(a, meta, "namespace", c->namespace);
	json_set_str(a, meta, "creationTimestamp", time_format(c->issued_s * NS_PER_S, text));
	struct json *spec = json_set_object(a, o, "spec");
	struct json *aud = json_new(a, JSON_ARRAY);
	for (size_t i = 0; i < c->naudiences; i++)
		json_append_str(a, aud, c->audiences[i]);
	json_set(a, spec, STR("audiences"), aud);
	json_set_int(a, spec, "expirationSeconds", c->expires_s - c->issued_s);
	if (!json_get(spec, STR("boundObjectRef")))
		json_set(a, spec, STR("boundObjectRef"), NULL);
	struct json *status = json_set_object(a, o, "status");
	json_set_str(a, status, "token", token);
	json_set_str(a, status, "expirationTimestamp", time_format(c->expires_s * NS_PER_S, text));
	front_json(r, 201, o);
}

/* A node gets tokens for the pods that run on it, which it must name, and for nothing else. */
static int check_node(struct front_req *r, const struct json *spec, const struct token_claims *c,
		      struct err *err)
{
	static const char prefix[] = "system:node:";
	const struct admission_user *u = &r->core.user;
	const struct json *ref = json_at(spec, "boundObjectRef");
	const char *why = NULL;

	if (!str_starts(u->name, STR("system:node:")) || !user_in_group(u, "system:nodes") ||
	    user_in_group(u, "system:masters"))
		return 0;
	if (!str_is(json_str(json_at(ref, "kind")), "Pod"))
		why = "node requested token not bound to a pod";
	else if (!json_str(json_at(ref, "uid")).n)
		why = "node requested token with a pod binding without a uid";
	else if (!str_eq(c->node_name, str_sub(u->name, sizeof(prefix) - 1, u->name.n)))
		why = "node requested token bound to a pod scheduled on a different node";
	if (!why)
		return 0;
	return err_set(err, ERR_FORBIDDEN, "serviceaccounts \"%.*s\" is forbidden: %s",
		       STR_ARG(c->account), why);
}

static int sign(struct front_req *r, struct buf *token, struct err *err)
{
	struct token_claims c;
	struct json *o = front_body(r, "TokenRequest", err);

	if (!o || fill(r, json_at(o, "spec"), &c, err) ||
	    check_node(r, json_at(o, "spec"), &c, err) ||
	    token_sign(r->f->o.tokens, &c, token, err))
		return -1;
	answer(r, o, &c, buf_view(token));
	return 0;
}

static void serve(struct front_req *r)
{
	struct buf token = {0};
	struct err err = {0};

	if (sign(r, &token, &err))
		front_fail(r, &err);
	buf_wipe(&token);
}

bool token_request_serve(struct front_req *r)
{
	const struct core_req *c = &r->core;

	if (c->verb != CORE_CREATE || c->group.n || !str_is(c->resource, "serviceaccounts") ||
	    !str_is(c->subresource, "token"))
		return false;
	front_ask(r, ADMIT_CREATE, serve);
	return true;
}
