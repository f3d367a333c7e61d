/*
 * Authentication. Must never let a request through without an identity, nor take what was shown
 * and is no good for nothing shown: a bad token is no anonymous user's. Tokens and keys never get
 * into messages. Runs on whatever thread has the request.
 */
#include "apiserver/authn.h"

#include <string.h>

#include "apiserver/extra.h"
#include "apiserver/oidc.h"

#define GROUPS_MAX 64

static int from_certificate(struct http_req *r, struct identity *ret)
{
	struct str *groups = arena_array(&r->arena, GROUPS_MAX + 1, sizeof(*groups));
	size_t n = 0;

	for (const char *const *o = r->peer_orgs; o && *o && n < GROUPS_MAX; o++)
		groups[n++] = arena_str(&r->arena, str_c(*o));
	groups[n++] = STR("system:authenticated");
	ret->user.name = arena_str(&r->arena, str_c(r->peer_cn));
	ret->user.groups = groups;
	ret->user.ngroups = n;
	if (r->peer_sha256)
		user_extra_credential(&r->arena,
				      arena_strf(&r->arena, "X509SHA256=%s", r->peer_sha256),
				      &ret->user);
	return 0;
}

static void add_extra(struct user_extra *v, size_t *n, const char *key, struct str value)
{
	if (value.n)
		v[(*n)++] = (struct user_extra){str_c(key), value};
}

/* In the order of their keys. */
static void token_extra(struct arena *a, const struct token_claims *c, struct admission_user *u)
{
	struct user_extra *v = arena_array(a, 5, sizeof(*v));
	bool pod = str_is(c->bound_kind, "pod") && c->bound_name.n && c->bound_uid.n;

	if (c->id.n)
		add_extra(v, &u->nextra, EXTRA_CREDENTIAL,
			  arena_strf(a, "JTI=%.*s", STR_ARG(c->id)));
	if (c->node_name.n) {
		add_extra(v, &u->nextra, EXTRA_NODE_NAME, c->node_name);
		add_extra(v, &u->nextra, EXTRA_NODE_UID, c->node_uid);
	}
	if (pod) {
		add_extra(v, &u->nextra, EXTRA_POD_NAME, c->bound_name);
		add_extra(v, &u->nextra, EXTRA_POD_UID, c->bound_uid);
	}
	u->extra = v;
}

static int service_account(struct tokens *t, struct arena *a, struct str jwt, int64_t now_s,
			   struct identity *ret, struct err *err)
{
	struct token_claims *c = &ret->claims;

	if (token_verify(t, a, jwt, now_s, c, err))
		return -1;
	struct str *groups = arena_array(a, 3, sizeof(*groups));
	groups[0] = STR("system:serviceaccounts");
	groups[1] = arena_strf(a, "system:serviceaccounts:%.*s", STR_ARG(c->namespace));
	groups[2] = STR("system:authenticated");
	ret->token = true;
	ret->user = (struct admission_user){
		.name = arena_strf(a, "system:serviceaccount:%.*s:%.*s", STR_ARG(c->namespace),
				   STR_ARG(c->account)),
		.uid = c->account_uid,
		.groups = groups,
		.ngroups = 3,
	};
	token_extra(a, c, &ret->user);
	return 0;
}

int authn_token(const struct authn *x, struct arena *a, struct str token, int64_t now_s,
		struct identity *ret, struct err *err)
{
	ret->token = false;
	if (static_tokens_find(x->file, token, &ret->user))
		return 0;
	if (x->boot && bootstrap_token_looks_like_one(token)) {
		if (bootstrap_tokens_find(x->boot, a, token, now_s, &ret->user))
			return 0;
		return err_set(err, ERR_UNAUTHORIZED, "unknown or expired bootstrap token");
	}
	if (x->oidc && oidc_is_from(x->oidc, token))
		return oidc_verify(x->oidc, a, token, now_s, &ret->user, err);
	if (!x->tokens)
		return err_set(err, ERR_UNAUTHORIZED, "Unauthorized");
	return service_account(x->tokens, a, token, now_s, ret, err);
}

static struct str first_header(const struct http_req *r, const char *const *names, size_t n)
{
	struct str s = STR_NONE;

	for (size_t i = 0; i < n && !s.n; i++)
		s = http_header(&r->headers, names[i]);
	return s;
}

static bool is_one_of(struct str name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq(name, str_c(names[i])))
			return true;
	return false;
}

/* A proxy names somebody else; itself it is nobody. */
static int from_proxy(const struct authn *x, struct http_req *r, struct identity *ret,
		      struct err *err)
{
	struct str name = first_header(r, x->proxy_user, x->nproxy_user);
	struct str *groups;
	size_t n = 0;

	bool allowed = x->nproxy_names == 0;
	for (size_t i = 0; i < x->nproxy_names; i++)
		allowed |= strcmp(x->proxy_names[i], r->peer_cn) == 0;
	if (!allowed || !name.n)
		return err_set(err, ERR_UNAUTHORIZED, "Unauthorized");
	groups = arena_array(&r->arena, r->headers.n + 1, sizeof(*groups));
	for (size_t i = 0; i < r->headers.n; i++)
		if (is_one_of(r->headers.v[i].name, x->proxy_group, x->nproxy_group))
			groups[n++] = r->headers.v[i].value;
	groups[n++] = STR("system:authenticated");
	ret->user = (struct admission_user){.name = name, .groups = groups, .ngroups = n};
	for (size_t i = 0; i < x->nproxy_extra; i++)
		if (user_extra_read(&r->arena, &r->headers, str_c(x->proxy_extra[i]), &ret->user,
				    err))
			return -1;
	return 0;
}

static void nobody(struct identity *ret)
{
	static const struct str groups[] = {{"system:unauthenticated", 22}};

	ret->user = (struct admission_user){
		.name = STR("system:anonymous"), .groups = groups, .ngroups = 1};
}

int authn_request(const struct authn *x, struct http_req *r, int64_t now_s, struct identity *ret,
		  struct err *err)
{
	struct str h = http_header(&r->headers, "Authorization");

	*ret = (struct identity){0};
	if (r->peer_cn && r->peer_cn[0] && r->peer_is_proxy)
		return from_proxy(x, r, ret, err);
	if (r->peer_cn && r->peer_cn[0])
		return from_certificate(r, ret);
	if (!h.p && x->anonymous) {
		nobody(ret);
		return 0;
	}
	if (h.n <= 7 || !str_ieq(str_sub(h, 0, 7), STR("Bearer ")))
		return err_set(err, ERR_UNAUTHORIZED, "Unauthorized");
	if (authn_token(x, &r->arena, str_trim(str_sub(h, 7, h.n - 7)), now_s, ret, err))
		return -1;
	if (ret->token && !token_for(&ret->claims, STR(TOKEN_ISSUER)))
		return err_set(err, ERR_UNAUTHORIZED, "token is for another audience");
	return 0;
}

int authn_impersonation(struct http_req *r, struct impersonation *ret, struct err *err)
{
	struct admission_user said = {0};

	*ret = (struct impersonation){.user = http_header(&r->headers, "Impersonate-User"),
				      .uid = http_header(&r->headers, "Impersonate-Uid")};
	if (user_extra_read(&r->arena, &r->headers, STR("Impersonate-Extra-"), &said, err))
		return -1;
	ret->extra = said.extra;
	ret->nextra = said.nextra;
	ret->groups = arena_array(&r->arena, r->headers.n, sizeof(*ret->groups));
	for (size_t i = 0; i < r->headers.n; i++) {
		const struct http_header *h = &r->headers.v[i];
		if (str_ieq(h->name, STR("Impersonate-Group")))
			ret->groups[ret->ngroups++] = h->value;
	}
	if (ret->user.n)
		return 1;
	if (!ret->uid.n && !ret->ngroups && !ret->nextra)
		return 0;
	return err_set(err, ERR_BAD_REQUEST,
		       "requested impersonation of groups, uid or extra without a user");
}

static bool has_group(const struct str *groups, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(groups[i], name))
			return true;
	return false;
}

void authn_impersonated(struct arena *a, const struct impersonation *i, struct admission_user *ret)
{
	static const char prefix[] = "system:serviceaccount:";
	struct str *groups = arena_array(a, i->ngroups + 3, sizeof(*groups));
	struct str ns, name;
	size_t n = 0;

	for (; n < i->ngroups; n++)
		groups[n] = i->groups[n];
	if (!n && str_starts(i->user, str_c(prefix)) &&
	    str_cut(str_sub(i->user, sizeof(prefix) - 1, i->user.n), ':', &ns, &name)) {
		groups[n++] = STR("system:serviceaccounts");
		groups[n++] = arena_strf(a, "system:serviceaccounts:%.*s", STR_ARG(ns));
	}
	bool known = !str_is(i->user, "system:anonymous");
	if (!has_group(groups, n, "system:unauthenticated") &&
	    !(known && has_group(groups, n, "system:authenticated")))
		groups[n++] = known ? STR("system:authenticated") : STR("system:unauthenticated");
	*ret = (struct admission_user){
		.name = i->user,
		.uid = i->uid,
		.groups = groups,
		.ngroups = n,
		.extra = i->extra,
		.nextra = i->nextra,
	};
}
