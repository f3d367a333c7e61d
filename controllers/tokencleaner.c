/*
 * Bootstrap tokens that nobody may use any more are deleted when their time is over. Must never
 * touch a Secret of another type. Pure. Specification: Kubernetes'
 * "Authenticating with Bootstrap Tokens" (expired tokens).
 */
#include "controllers/bootstraptoken.h"

#include "lib/base/pure.h"

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *secret = view_get(v, &res_secrets, namespace, name);
	int64_t ends = bootstrap_token_ends_ns(secret);

	(void)err;
	if (!bootstrap_token_is(secret) || ends <= 0)
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
	if (bootstrap_token_concerns(o))
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
