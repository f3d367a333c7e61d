/*
 * The reviews: who am I, may I, may they, what may I, whose token is this. Each is a POST of an
 * object that is answered with the same object and a status; nothing is stored. Must never tell
 * one user about another without the right to create the review, which was checked before. The
 * core's thread.
 */
#include "apiserver/extra.h"
#include "apiserver/front-internal.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"

#define AUTHN "authentication.k8s.io"
#define AUTHZ "authorization.k8s.io"

/* ---- who ---- */

static void write_user(struct arena *a, struct json *to, const struct admission_user *u)
{
	json_set_str(a, to, "username", u->name);
	if (u->uid.n)
		json_set_str(a, to, "uid", u->uid);
	struct json *groups = json_set_array(a, to, "groups");
	for (size_t n = 0; n < u->ngroups; n++)
		json_append_str(a, groups, u->groups[n]);
	user_extra_put(a, u, to);
}

/* The answer; what the asker says of it doesn't count. */
static struct json *new_status(struct arena *a, struct json *o)
{
	json_del(o, STR("status"));
	return json_set_object(a, o, "status");
}

static int self_subject(struct front_req *r, struct json *o, struct err *err)
{
	struct arena *a = &r->http->arena;

	(void)err;
	write_user(a, json_set_object(a, new_status(a, o), "userInfo"), &r->who.user);
	return 0;
}

/* The audiences asked for that the token has too; none asked = ours. */
static void common_audiences(struct arena *a, const struct json *asked, struct json *to,
			     const struct identity *who)
{
	static const struct str own[] = {{TOKEN_ISSUER, sizeof(TOKEN_ISSUER) - 1}};
	/* What says nothing about audiences is for this server. */
	struct token_claims server = {.audiences = own, .naudiences = 1};
	const struct token_claims *c = who->token ? &who->claims : &server;

	for (size_t i = 0; i < json_len(asked); i++) {
		struct str s = json_str(json_item(asked, i));
		if (token_for(c, s))
			json_append_str(a, to, s);
	}
	if (!json_len(asked) && token_for(c, STR(TOKEN_ISSUER)))
		json_append_str(a, to, STR(TOKEN_ISSUER));
}

static int token_review(struct front_req *r, struct json *o, struct err *err)
{
	struct arena *a = &r->http->arena;
	struct json *status = new_status(a, o), *spec;
	struct identity who = {0};
	struct err why = {0};

	(void)err;
	spec = json_at(o, "spec");
	if (authn_token(&r->f->authn, a, json_str(json_at(spec, "token")),
			loop_wall(r->f->o.loop) / NS_PER_S, &who, &why) ||
	    (who.token && authn_still_exists(r->f->o.core, &who.claims, &why))) {
		json_set_str(a, json_set_object(a, status, "user"), "username", STR(""));
		json_set_str(a, status, "error", str_c(why.msg));
		return 0;
	}
	struct json *audiences = json_new(a, JSON_ARRAY);
	common_audiences(a, json_at(spec, "audiences"), audiences, &who);
	if (!json_len(audiences)) {
		json_set_str(a, status, "error", STR("the token is for other audiences"));
		return 0;
	}
	json_set_bool(a, status, "authenticated", true);
	write_user(a, json_set_object(a, status, "user"), &who.user);
	json_set(a, status, STR("audiences"), audiences);
	return 0;
}

/* ---- may ---- */

/* Rights by RBAC ask for no selectors; who sends one is told when it is none. */
static int check_selector(const struct json *attributes, const char *field, struct err *err)
{
	const struct json *o = json_get(attributes, str_c(field)),
			  *list = json_get(o, STR("requirements"));
	bool raw = json_str(json_get(o, STR("rawSelector"))).n > 0;

	if (raw && json_len(list))
		return err_set(err, ERR_INVALID,
			       "spec.resourceAttributes.%s.rawSelector: Invalid value: may not "
			       "specified at the same time as requirements",
			       field);
	if (o && !raw && !json_len(list))
		return err_set(
			err, ERR_INVALID,
			"spec.resourceAttributes.%s.requirements: Required value: when %s is "
			"specified, requirements or rawSelector is required",
			field, field);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *one = json_item(list, i);
		struct str op = json_str(json_get(one, STR("operator")));
		bool compares = str_is(op, "In") || str_is(op, "NotIn"),
		     asks = str_is(op, "Exists") || str_is(op, "DoesNotExist"),
		     values = json_len(json_get(one, STR("values"))) > 0;

		if (!json_str(json_get(one, STR("key"))).n || !(compares || asks) ||
		    compares != values)
			return err_set(err, ERR_INVALID,
				       "spec.resourceAttributes.%s.requirements[%zu]: Invalid "
				       "value: a key, and values with In and NotIn alone",
				       field, i);
	}
	return 0;
}

static int answer_access(struct front_req *r, struct json *o, const struct admission_user *u,
			 struct err *err)
{
	struct arena *a = &r->http->arena;
	AUTO(buf) struct buf why = {0};
	const struct json *spec = json_at(o, "spec"), *res = json_at(spec, "resourceAttributes");
	const struct json *path = json_at(spec, "nonResourceAttributes");
	const struct json *from = res ? res : path;

	if (!res == !path)
		return err_set(err, ERR_INVALID,
			       "spec.resourceAttributes: Invalid value: \"null\": exactly one of "
			       "nonResourceAttributes or resourceAttributes must be specified");
	if (check_selector(res, "fieldSelector", err) || check_selector(res, "labelSelector", err))
		return -1;
	struct authz_ask q = {
		.user = u,
		.verb = json_str(json_at(from, "verb")),
		.group = json_str(json_at(res, "group")),
		.resource = json_str(json_at(res, "resource")),
		.subresource = json_str(json_at(res, "subresource")),
		.namespace = json_str(json_at(res, "namespace")),
		.name = json_str(json_at(res, "name")),
		.path = path ? json_str_or(json_at(path, "path"), STR("")) : STR_NONE,
	};
	if (path && !q.path.n)
		q.path = STR("/");
	bool may = front_may(r, &q, &why);
	struct json *status = new_status(a, o);
	json_set_bool(a, status, "allowed", may);
	if (why.n)
		json_set_str(a, status, "reason", buf_view(&why));
	return 0;
}

static int self_access(struct front_req *r, struct json *o, struct err *err)
{
	return answer_access(r, o, &r->who.user, err);
}

static int subject_access(struct front_req *r, struct json *o, struct err *err)
{
	struct arena *a = &r->http->arena;
	const struct json *spec = json_at(o, "spec"), *groups = json_at(spec, "groups");
	size_t n = json_is(groups, JSON_ARRAY) ? json_len(groups) : 0;
	struct str *v = arena_array(a, n, sizeof(*v));
	struct admission_user u = {.name = json_str(json_at(spec, "user")),
				   .uid = json_str(json_at(spec, "uid")),
				   .groups = v,
				   .ngroups = n};

	for (size_t i = 0; i < n; i++)
		v[i] = json_str(json_item(groups, i));
	if (!u.name.n && !n)
		return err_set(err, ERR_INVALID,
			       "spec.user: at least one of user or group must be "
			       "specified");
	return answer_access(r, o, &u, err);
}

static int local_access(struct front_req *r, struct json *o, struct err *err)
{
	struct str ns = json_str(json_at(o, "spec", "resourceAttributes", "namespace"));

	if (!str_eq(ns, r->core.namespace))
		return err_set(err, ERR_INVALID,
			       "spec.resourceAttributes.namespace: must match metadata.namespace");
	return subject_access(r, o, err);
}

struct rules_out {
	struct arena *a;
	struct json *resources, *paths;
};

static void put_list(struct arena *a, struct json *o, const char *key, const struct str_list *l)
{
	if (!l->n)
		return;
	struct json *v = json_set_array(a, o, key);
	for (size_t i = 0; i < l->n; i++)
		json_append_str(a, v, l->v[i]);
}

static void put_rule(void *arg, const struct authz_rule *rule)
{
	struct rules_out *out = arg;
	struct json *o;

	if (rule->paths.n) {
		o = json_append_object(out->a, out->paths);
		put_list(out->a, o, "verbs", &rule->verbs);
		put_list(out->a, o, "nonResourceURLs", &rule->paths);
	}
	if (!rule->resources.n)
		return;
	o = json_append_object(out->a, out->resources);
	put_list(out->a, o, "verbs", &rule->verbs);
	put_list(out->a, o, "apiGroups", &rule->groups);
	put_list(out->a, o, "resources", &rule->resources);
	put_list(out->a, o, "resourceNames", &rule->names);
}

static int self_rules(struct front_req *r, struct json *o, struct err *err)
{
	struct arena *a = &r->http->arena;
	struct str ns = json_str(json_at(o, "spec", "namespace"));
	struct rules_out out = {a, json_new(a, JSON_ARRAY), json_new(a, JSON_ARRAY)};

	if (!ns.n)
		return err_set(err, ERR_BAD_REQUEST, "no namespace on request");
	authz_each_rule(rights_rbac(r->f->rights), &r->who.user, ns, put_rule, &out);
	struct json *status = new_status(a, o);
	json_set(a, status, STR("resourceRules"), out.resources);
	json_set(a, status, STR("nonResourceRules"), out.paths);
	json_set_bool(a, status, "incomplete", false);
	return 0;
}

/* ---- which ---- */

struct review {
	const char *group, *resource, *kind;
	int (*answer)(struct front_req *r, struct json *o, struct err *err);
};

static const struct review reviews[] = {
	{AUTHN, "selfsubjectreviews", "SelfSubjectReview", self_subject},
	{AUTHN, "tokenreviews", "TokenReview", token_review},
	{AUTHZ, "selfsubjectaccessreviews", "SelfSubjectAccessReview", self_access},
	{AUTHZ, "subjectaccessreviews", "SubjectAccessReview", subject_access},
	{AUTHZ, "localsubjectaccessreviews", "LocalSubjectAccessReview", local_access},
	{AUTHZ, "selfsubjectrulesreviews", "SelfSubjectRulesReview", self_rules},
};

static const struct review *find(const struct front_req *r)
{
	const struct core_req *c = &r->core;

	for (size_t i = 0; i < ARRAY_LEN(reviews); i++) {
		if (str_is(c->group, reviews[i].group) && str_is(c->resource, reviews[i].resource))
			return &reviews[i];
	}
	return NULL;
}

static void serve(struct front_req *r)
{
	const struct review *v = find(r);
	struct arena *a = &r->http->arena;
	struct err err = {0};

	struct json *o = front_body(r, v->kind, &err);
	if (!o || v->answer(r, o, &err)) {
		front_fail(r, &err);
		return;
	}
	json_set_str(a, o, "kind", str_c(v->kind));
	json_set_str(a, o, "apiVersion",
		     arena_strf(a, "%s/%.*s", v->group, STR_ARG(r->core.version)));
	struct json *meta = json_set_object(a, o, "metadata");
	if (!json_get(meta, STR("creationTimestamp")))
		json_set(a, meta, STR("creationTimestamp"), NULL);
	front_json(r, 201, o);
}

bool reviews_serve(struct front_req *r)
{
	const struct core_req *c = &r->core;

	if (c->verb != CORE_CREATE || c->subresource.n || !find(r) ||
	    !core_kind_find(r->f->o.core, c->group, c->version, c->resource))
		return false;
	front_ask(r, ADMIT_CREATE, serve);
	return true;
}
