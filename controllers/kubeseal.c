/*
 * bitnami.com/v1alpha1 SealedSecret → Secret, so that repositories sealed with kubeseal work as
 * they are. Private keys are Secrets with the label sealedsecrets.bitnami.com/sealed-secrets-key:
 * those in kube-system, "active" or without a value; a compromised one has another. The first is
 * made by kubesealkey_run.c, and keys of a cluster that is left behind are simply applied.
 *
 * Does nothing where sealed-secrets itself runs: its Service then selects pods. Must never put
 * plain text into a condition, an event or an error. Pure.
 */
#include "controllers/kubeseal.h"
#include "controllers/common.h"
#include "controllers/unsealed.h"
#include "secrets/kubeseal.h"

#include "lib/base/codec.h"

#include "lib/base/pure.h"

#define INDEX_KEYS "kubeseal-keys"

static const struct str key_namespace = {"kube-system", 11};
const struct resource res_kubesealed = {"bitnami.com", "v1alpha1", "sealedsecrets", "SealedSecret",
					true};

static bool is_key(struct str label)
{
	return str_is(label, "active") || (label.p && !label.n);
}

static void add_key(struct kubeseal_keys *keys, const struct json *secret)
{
	struct buf pem = {0};
	struct err ignored = {0};

	/* One that somebody spoiled must not keep the others from opening. */
	if (base64_decode(json_str(json_at(secret, "data", "tls.key")), &pem) == 0 &&
	    kubeseal_keys_add(keys, buf_view(&pem), &ignored) != 0)
		ignored.code = ERR_NONE;
	buf_wipe(&pem);
}

static struct kubeseal_keys *load_keys(const struct view *v)
{
	struct json_set_view all = view_by_index(v, &res_secrets, INDEX_KEYS, STR("yes"));
	struct kubeseal_keys *keys = kubeseal_keys_new();

	for (size_t i = 0; i < all.n; i++)
		if (is_key(meta_label(all.v[i], KUBESEAL_KEY)) && !meta_deleting(all.v[i]))
			add_key(keys, all.v[i]);
	return keys;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *theirs =
		view_get(v, &res_services, key_namespace, STR(KUBESEAL_SERVICE));
	const struct json *ss = view_get(v, &res_kubesealed, namespace, name);
	struct unsealed u = {.resource = &res_kubesealed};
	struct kubeseal_keys *keys;
	struct err why = {0};
	struct json *wanted;

	if (!ss || meta_deleting(ss) || json_len(json_at(theirs, "spec", "selector")))
		return 0;
	keys = load_keys(v);
	wanted = kubeseal_object(v->arena, ss, keys, &why);
	kubeseal_keys_free(keys);
	if (wanted) {
		unsealed_finish(v, ss, wanted, &u, p);
		return 0;
	}
	u.reason = unsealed_reason(why.code);
	u.message = str_c(why.msg);
	unsealed_tell(v, ss, &u, p);
	return 0;
}

/* ---- what concerns whom ---- */

static void put_all(const struct view *v, void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all = view_list(v, &res_kubesealed, STR_NONE);

	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(all.v[i]), meta_name(all.v[i])));
}

static void map_secret(const struct view *v, const struct obj *o,
		       void (*put)(void *ctx, struct str key), void *ctx)
{
	if (str_eq(o->namespace, key_namespace) && obj_label(o, STR(KUBESEAL_KEY)).p)
		put_all(v, put, ctx);
	else
		put(ctx, obj_key(v->arena, o->namespace, o->name));
}

static void map_service(const struct view *v, const struct obj *o,
			void (*put)(void *ctx, struct str key), void *ctx)
{
	if (str_eq(o->namespace, key_namespace) && str_is(o->name, KUBESEAL_SERVICE))
		put_all(v, put, ctx);
}

static void index_keys(const struct obj *o, struct arena *a UNUSED,
		       void (*put)(void *ctx, struct str value), void *ctx)
{
	if (str_eq(o->namespace, key_namespace) && obj_label(o, STR(KUBESEAL_KEY)).p)
		put(ctx, STR("yes"));
}

static const struct controller_watch watches[] = {
	{&res_kubesealed, NULL, NULL, NULL},
	{&res_secrets, NULL, NULL, map_secret},
	{&res_services, NULL, NULL, map_service},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_secrets, INDEX_KEYS, index_keys},
	{0},
};

const struct controller controller_kubeseal = {
	.name = "kubeseal",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
