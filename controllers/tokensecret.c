/*
 * Secrets that keep a ServiceAccount's token (type kubernetes.io/service-account-token): who made
 * one gets the token, the cluster's authority and the namespace put into it, and it goes when the
 * account goes. Must never see a token (the runtime asks for it), nor delete what may only have
 * come before its account. Pure; memory is the plan's. Specification: Kubernetes' "Managing Service
 * Accounts" (Token controller; long-lived API tokens).
 */
#include "controllers/common.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define TYPE "kubernetes.io/service-account-token"
#define WHOSE "kubernetes.io/service-account.name"
#define WHOSE_UID "kubernetes.io/service-account.uid"
#define INDEX_ACCOUNT "account"
#define PATIENCE (10 * NS_PER_S)

static bool is_one(const struct json *secret)
{
	return secret && !meta_deleting(secret) &&
	       str_is(json_str(json_get(secret, STR("type"))), TYPE) &&
	       meta_annotation(secret, WHOSE).n;
}

/* Its account is gone, or is another one under the old name. */
static void let_go(const struct view *v, const struct json *secret, struct plan *p)
{
	int64_t made = meta_time_ns(json_at(secret, "metadata", "creationTimestamp"));

	if (v->now_ns - made < PATIENCE)
		plan_requeue(p, made + PATIENCE - v->now_ns);
	else
		plan_delete(p, &res_secrets, secret)->revision =
			json_str(json_at(secret, "metadata", "resourceVersion"));
}

static void want(const struct view *v, const struct json *have, struct json *patch, const char *key,
		 struct str text)
{
	AUTO(buf) struct buf coded = {0};

	base64_encode(text, &coded);
	if (!str_eq(json_str(json_at(have, key)), buf_view(&coded)))
		json_set_str(v->arena, json_set_object(v->arena, patch, "data"), key,
			     buf_view(&coded));
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct controllers_config *config = v->config;
	const struct json *secret = view_get(v, &res_secrets, namespace, name);
	const struct json *data = json_get(secret, STR("data")), *account;
	struct json *patch = json_new(v->arena, JSON_OBJECT);
	struct str uid;

	if (!is_one(secret))
		return 0;
	account = view_get(v, &res_serviceaccounts, namespace, meta_annotation(secret, WHOSE));
	uid = meta_annotation(secret, WHOSE_UID);
	if (!account || (uid.n && !str_eq(uid, meta_uid(account)))) {
		let_go(v, secret, p);
		return 0;
	}
	if (!uid.n)
		json_set_str(v->arena, meta_set_object(v->arena, patch, "annotations"), WHOSE_UID,
			     meta_uid(account));
	if (config && config->root_ca.n)
		want(v, data, patch, "ca.crt", config->root_ca);
	want(v, data, patch, "namespace", namespace);
	if (!json_str(json_at(data, "token")).n)
		plan_token(p, secret, meta_name(account), patch);
	else if (json_len(patch))
		plan_patch(p, &res_secrets, secret, NULL, patch);
	return 0;
}

/* Others' Secrets are not even parsed. */
static bool concerns(const struct obj *o)
{
	return str_find(o->bytes, STR(TYPE)) >= 0;
}

static void map_secret(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		       void *ctx)
{
	if (concerns(o))
		put(ctx, obj_key(a, o->namespace, o->name));
}

static void map_account(const struct view *v, const struct obj *o,
			void (*put)(void *ctx, struct str key), void *ctx)
{
	struct str key = obj_key(v->arena, o->namespace, o->name);
	struct json_set_view all = view_by_index(v, &res_secrets, INDEX_ACCOUNT, key);

	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(all.v[i]), meta_name(all.v[i])));
}

static void index_account(const struct obj *o, struct arena *a,
			  void (*put)(void *ctx, struct str value), void *ctx)
{
	if (concerns(o))
		put(ctx, obj_key(a, o->namespace, meta_annotation(obj_tree(o, a), WHOSE)));
}

static const struct controller_watch watches[] = {
	{&res_secrets, map_secret, NULL, NULL},
	{&res_serviceaccounts, NULL, NULL, map_account},
	{0},
};

static const struct controller_index indexes[] = {
	{&res_secrets, INDEX_ACCOUNT, index_account},
	{0},
};

const struct controller controller_tokensecret = {
	.name = "tokensecret",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
