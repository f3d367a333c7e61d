/*
 * Bootstrap tokens that nobody may use any more are deleted when their time is over. Must never
 * touch a Secret of another type. Pure. Specification: Kubernetes'
 * "Authenticating with Bootstrap Tokens" (expired tokens).
 */
#include "controllers/common.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define TYPE "bootstrap.kubernetes.io/token"

static int64_t expires_ns(const struct json *secret)
{
	AUTO(buf) struct buf text = {0};
	int64_t ns;

	if (base64_decode(json_str_or(json_at(secret, "data", "expiration"), STR("")), &text) ||
	    time_parse(buf_view(&text), &ns))
		return 0;
	return MAX(ns, 1);
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *secret = view_get(v, &res_secrets, namespace, name);
	int64_t ends = expires_ns(secret);

	(void)err;
	if (!secret || meta_deleting(secret) || !ends ||
	    !str_is(json_str(json_get(secret, STR("type"))), TYPE) ||
	    !str_is(namespace, "kube-system"))
		return 0;
	if (ends > v->now_ns)
		plan_requeue(p, ends - v->now_ns);
	else
		plan_delete(p, &res_secrets, secret)->ignore_not_found = true;
	return 0;
}

/* Others' Secrets are not even parsed. */
static void map_token(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		      void *ctx)
{
	if (str_is(o->namespace, "kube-system") && str_find(o->bytes, STR(TYPE)) >= 0)
		put(ctx, obj_key(a, o->namespace, o->name));
}

static const struct controller_watch watches[] = {
	{&res_secrets, map_token, NULL, NULL},
	{0},
};

const struct controller controller_tokencleaner = {
	.name = "tokencleaner",
	.watches = watches,
	.reconcile = reconcile,
};
