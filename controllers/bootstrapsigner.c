/*
 * Vouches for kube-public/cluster-info: beside the kubeconfig that it holds stands a signature of
 * it for every bootstrap token that may be used so. Who knows nothing of a cluster but a token can
 * tell by its own that what an unknown server shows is what this cluster says (`kubeadm join`
 * does). Must never let a token's secret into anything but the digest, nor touch what else stands
 * in the ConfigMap. Pure; memory is the plan's. Specification: Kubernetes' "Authenticating with
 * Bootstrap Tokens" (ConfigMap Signing); RFC 7515, appendix F (detached content).
 */
#include "controllers/bootstraptoken.h"

#include "lib/base/codec.h"
#include "lib/base/hmac.h"

#include "lib/base/pure.h"

#define NAMESPACE "kube-public"
#define NAME "cluster-info"
#define MARK "jws-kubeconfig-"
#define INDEX_TOKENS "bootstrap-tokens"
#define ID_LENGTH 6

/* The part of the Secret's name that says which token it is, if the Secret itself says the same. */
static struct str token_id(const struct json *secret)
{
	AUTO(buf) struct buf says = {0};
	struct str name = meta_name(secret), prefix = STR(BOOTSTRAP_TOKEN_PREFIX);
	struct str id = str_sub(name, prefix.n, name.n);

	if (!str_starts(name, prefix) || id.n != ID_LENGTH ||
	    !bootstrap_token_get(secret, "token-id", &says) || !str_eq(buf_view(&says), id))
		return STR_NONE;
	for (size_t i = 0; i < id.n; i++)
		if (!(id.p[i] >= 'a' && id.p[i] <= 'z') && !(id.p[i] >= '0' && id.p[i] <= '9'))
			return STR_NONE;
	return id;
}

static bool may_sign(const struct json *secret)
{
	AUTO(buf) struct buf says = {0};

	return bootstrap_token_is(secret) && token_id(secret).n &&
	       bootstrap_token_get(secret, "usage-bootstrap-signing", &says) &&
	       str_is(buf_view(&says), "true");
}

/* A JSON web signature that leaves out what it is of. */
static void sign(struct str id, struct str secret, struct str content, struct buf *ret)
{
	AUTO(buf) struct buf header = {0}, signed_text = {0}, digest = {0};
	char hex[HMAC_HEX_MAX];

	buf_printf(&header, "{\"alg\":\"HS256\",\"kid\":\"%.*s\"}", STR_ARG(id));
	base64url_encode(buf_view(&header), ret);
	buf_str(&signed_text, buf_view(ret));
	buf_puts(&signed_text, ".");
	base64url_encode(content, &signed_text);
	hmac_hex(HMAC_SHA256, secret, buf_view(&signed_text), hex);
	if (hex_decode(str_c(hex), &digest) != 0)
		return;
	buf_puts(ret, "..");
	base64url_encode(buf_view(&digest), ret);
}

/* What should stand there for this token; nothing once its time is over. */
static void want(const struct view *v, const struct json *secret, struct str content,
		 struct json *wanted, struct plan *p)
{
	int64_t ends = bootstrap_token_ends_ns(secret);
	AUTO(buf) struct buf text = {0};
	struct buf key = {0};
	struct str id;

	if (!may_sign(secret) || ends < 0 || (ends && ends <= v->now_ns))
		return;
	if (ends)
		plan_requeue(p, ends - v->now_ns);
	id = token_id(secret);
	if (bootstrap_token_get(secret, "token-secret", &key) && key.n) {
		sign(id, buf_view(&key), content, &text);
		json_set_str(v->arena, wanted, arena_printf(v->arena, MARK "%.*s", STR_ARG(id)),
			     buf_view(&text));
	}
	buf_wipe(&key);
}

/* What of `data` has to change: signatures that are missing or others, and those of nobody. */
static struct json *difference(struct arena *a, const struct json *data, const struct json *wanted)
{
	struct json *diff = json_new(a, JSON_OBJECT);

	for (size_t i = 0; i < json_len(wanted); i++) {
		const struct json_member *m = &json_members(wanted)[i];
		if (!json_equal(json_get(data, m->key), &m->value))
			json_set(a, diff, m->key, &m->value);
	}
	for (size_t i = 0; i < json_len(data); i++) {
		struct str key = json_members(data)[i].key;
		if (str_starts(key, STR(MARK)) && !json_get(wanted, key))
			json_set(a, diff, key, NULL);
	}
	return diff;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *info = view_get(v, &res_configmaps, namespace, name);
	const struct json *data = json_get(info, STR("data"));
	struct str content = json_str(json_get(data, STR("kubeconfig")));
	struct json *wanted = json_new(v->arena, JSON_OBJECT), *diff;
	struct json_set_view all;

	(void)err;
	if (!info || meta_deleting(info) || !content.n)
		return 0;
	all = view_by_index(v, &res_secrets, INDEX_TOKENS, STR("yes"));
	for (size_t i = 0; i < all.n; i++)
		want(v, all.v[i], content, wanted, p);
	diff = difference(v->arena, data, wanted);
	if (json_len(diff))
		plan_patch(p, &res_configmaps, info, NULL,
			   json_build(v->arena, "{s:o}", "data", diff));
	return 0;
}

static void map_info(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		     void *ctx)
{
	if (str_is(o->namespace, NAMESPACE) && str_is(o->name, NAME))
		put(ctx, obj_key(a, o->namespace, o->name));
}

static void map_token(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str key),
		      void *ctx)
{
	if (bootstrap_token_concerns(o))
		put(ctx, obj_key(a, STR(NAMESPACE), STR(NAME)));
}

static void index_tokens(const struct obj *o, struct arena *a UNUSED,
			 void (*put)(void *ctx, struct str value), void *ctx)
{
	if (bootstrap_token_concerns(o))
		put(ctx, STR("yes"));
}

static const struct controller_watch watches[] = {
	{&res_configmaps, map_info, "metadata.name=" NAME, NULL},
	{&res_secrets, map_token, NULL, NULL},
	{0},
};

static const struct controller_index indexes[] = {
	{&res_secrets, INDEX_TOKENS, index_tokens},
	{0},
};

const struct controller controller_bootstrapsigner = {
	.name = "bootstrapsigner",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
