/*
 * SealedSecret → Secret, and the sealing keys. Private keys are Secrets in kube-system with the
 * label plumb.dev/sealing-key: "active" ones open and the newest of them seals, "retired" ones
 * only open, any other value (a compromised key) does neither. One is made when there is no
 * active one. The public half is published as ConfigMap kube-public/plumb-sealing-key.
 *
 * The Secret is owned by its SealedSecret, so it goes with it. What doesn't open leaves the last
 * good Secret as it is and says why in condition Synced. Must never put plain text into a
 * condition, an event or an error. Pure but for the dice that secrets/ throws for a new key.
 */
#include "controllers/common.h"
#include "controllers/unsealed.h"
#include "secrets/seal.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define LABEL "plumb.dev/sealing-key"
#define PREFIX "plumb-sealing-key-"
#define MADE "plumb.dev/sealing-key-made" /* to the microsecond: two may be made in one second */
#define PUBLISHED "plumb-sealing-key"
#define INDEX_KEYS "sealing-keys"
#define INTERVAL_MIN (10 * NS_PER_S) /* a new key has every value of a repository sealed anew */
/* No object can have this name: the key under which the sealing keys are looked after. */
#define KEYS_NAME ".sealing-keys"

static const struct str key_namespace = {"kube-system", 11};
static const struct str public_namespace = {"kube-public", 11};

static bool key_active(const struct json *secret)
{
	return str_is(meta_label(secret, LABEL), "active");
}

/* ---- the keys ---- */

static struct json_set_view key_secrets(const struct view *v)
{
	return view_by_index(v, &res_secrets, INDEX_KEYS, STR("yes"));
}

static int add_key(struct seal_keys *keys, const struct json *secret, struct err *err)
{
	struct buf raw = {0};
	int rc = base64_decode(json_str(json_at(secret, "data", "private")), &raw);

	if (rc != 0)
		err_set(err, ERR_PARSE, "not base64");
	else
		rc = seal_keys_add(keys, buf_view(&raw), err);
	buf_wipe(&raw);
	return rc;
}

/* A key Secret that somebody spoiled must not keep the others from opening. */
static struct seal_keys *load_keys(const struct view *v)
{
	struct json_set_view all = key_secrets(v);
	struct seal_keys *keys = seal_keys_new();
	struct err ignored = {0};

	for (size_t i = 0; i < all.n; i++)
		if (key_active(all.v[i]) || str_is(meta_label(all.v[i], LABEL), "retired"))
			if (add_key(keys, all.v[i], &ignored) != 0)
				continue;
	return keys;
}

static struct str made_at(const struct json *secret)
{
	return json_str_or(json_get(json_at(secret, "metadata", "annotations"), STR(MADE)),
			   json_str(json_at(secret, "metadata", "creationTimestamp")));
}

static bool newer(const struct json *a, const struct json *b)
{
	int c = str_cmp(made_at(a), made_at(b));

	return c ? c > 0 : str_cmp(meta_name(a), meta_name(b)) > 0;
}

/* The key that seals: the newest active one whose private part is whole. */
static const struct json *current_key(const struct view *v, struct seal_pub *ret)
{
	struct json_set_view all = key_secrets(v);
	const struct json *best = NULL;

	for (size_t i = 0; i < all.n; i++) {
		struct buf raw = {0};
		struct seal_pub pub;

		if (key_active(all.v[i]) && !meta_deleting(all.v[i]) &&
		    base64_decode(json_str(json_at(all.v[i], "data", "private")), &raw) == 0 &&
		    seal_pub_of(buf_view(&raw), &pub, NULL) == 0 &&
		    (!best || newer(all.v[i], best))) {
			best = all.v[i];
			*ret = pub;
		}
		buf_wipe(&raw);
	}
	return best;
}

static void set_base64(struct arena *a, struct json *to, const char *field, struct str bytes)
{
	struct buf text = {0};

	base64_encode(bytes, &text);
	json_set_str(a, to, field, buf_view(&text));
	buf_wipe(&text);
}

static void plan_key(const struct view *v, struct plan *p)
{
	struct buf private = {0}, public = {0};
	char id[SEAL_ID_TEXT];
	char now[TIME_TEXT_MAX];
	struct seal_pub pub;
	struct json *o, *data;

	seal_key_generate(&private, &pub);
	seal_pub_write(&pub, &public);
	o = object_new(v->arena, &res_secrets, key_namespace,
		       arena_strf(v->arena, PREFIX "%s", seal_id_text(pub.id, id)));
	json_set_str(v->arena, meta_set_object(v->arena, o, "labels"), LABEL, STR("active"));
	json_set_str(v->arena, meta_set_object(v->arena, o, "annotations"), MADE,
		     time_format_micro(v->now_ns, now));
	json_set_str(v->arena, o, "type", STR("plumb.dev/sealing-key"));
	data = json_set_object(v->arena, o, "data");
	set_base64(v->arena, data, "private", buf_view(&private));
	set_base64(v->arena, data, "public", buf_view(&public));
	buf_wipe(&private);
	buf_release(&public);
	plan_create(p, &res_secrets, o);
}

static void plan_published(const struct view *v, const struct seal_pub *pub, struct plan *p)
{
	const struct json *was = view_get(v, &res_configmaps, public_namespace, STR(PUBLISHED));
	const struct json *ns = view_get(v, &res_namespaces, STR_NONE, public_namespace);
	AUTO(buf) struct buf text = {0};
	struct json *new;

	seal_pub_write(pub, &text);
	if (!ns || meta_deleting(ns) ||
	    str_eq(json_str(json_at(was, "data", "cluster.pub")), buf_view(&text)))
		return;
	new = was ? json_copy(v->arena, was)
		  : object_new(v->arena, &res_configmaps, public_namespace, STR(PUBLISHED));
	json_set_str(v->arena, json_set_object(v->arena, new, "data"), "cluster.pub",
		     buf_view(&text));
	if (was)
		plan_update(p, &res_configmaps, new);
	else
		plan_create(p, &res_configmaps, new);
	p->last->ignore_exists = true;
	p->last->ignore_not_found = true;
}

/* Old enough for another one to take over; else it is looked at again when it is. */
static bool is_due(const struct view *v, const struct json *key, struct plan *p)
{
	const struct controllers_config *c = v->config;
	int64_t made, age;

	if (!c || c->seal_interval <= 0 || time_parse(made_at(key), &made) != 0)
		return false;
	age = v->now_ns - made;
	if (age >= MAX(c->seal_interval, INTERVAL_MIN))
		return true;
	plan_requeue(p, MAX(c->seal_interval, INTERVAL_MIN) - age);
	return false;
}

static int reconcile_keys(const struct view *v, struct plan *p)
{
	const struct json *ns = view_get(v, &res_namespaces, STR_NONE, key_namespace), *current;
	struct seal_pub pub;

	if (!ns || meta_deleting(ns))
		return 0;
	current = current_key(v, &pub);
	if (current && !is_due(v, current, p))
		plan_published(v, &pub, p);
	else
		plan_key(v, p);
	return 0;
}

/* ---- the Secrets ---- */

/* The first value that is under a key which is there but may not open: which, and how it is called.
 */
static void under_disabled(const struct view *v, const struct json *ss, struct unsealed *u)
{
	const struct json *values = json_at(ss, "spec", "encryptedData");
	const struct json_member *m = json_members(values);

	for (size_t i = 0; i < json_len(values); i++) {
		uint8_t id[SEAL_ID_BYTES];
		char text[SEAL_ID_TEXT];
		const struct json *key;

		if (seal_value_id(json_str(&m[i].value), id, NULL) != 0)
			continue;
		key = view_get(v, &res_secrets, key_namespace,
			       arena_strf(v->arena, PREFIX "%s", seal_id_text(id, text)));
		if (!key || key_active(key) || str_is(meta_label(key, LABEL), "retired"))
			continue;
		u->reason = "DisabledKey";
		u->message = arena_strf(v->arena,
					"%.*s: sealed under key %s, which is disabled: whoever has "
					"that key knows the value, so change it and seal it anew",
					STR_ARG(m[i].key), text);
		return;
	}
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err UNUSED)
{
	const struct json *ss;
	struct seal_keys *keys;
	char id[SEAL_ID_TEXT] = "";
	struct err why = {0};
	struct unsealed u = {.resource = &res_sealedsecrets};
	struct json *wanted;

	if (str_is(name, KEYS_NAME))
		return reconcile_keys(v, p);
	ss = view_get(v, &res_sealedsecrets, namespace, name);
	if (!ss || meta_deleting(ss))
		return 0;
	keys = load_keys(v);
	wanted = unseal_object(v->arena, ss, keys, id, &why);
	seal_keys_free(keys);
	if (!wanted) {
		u.reason = unsealed_reason(why.code);
		u.message = str_c(why.msg);
		if (why.code == ERR_NOT_FOUND)
			under_disabled(v, ss, &u);
		unsealed_tell(v, ss, &u, p);
	} else {
		u.id = id;
		unsealed_finish(v, ss, wanted, &u, p);
	}
	return 0;
}

/* ---- what concerns whom ---- */

static void put_keys(struct arena *a, void (*put)(void *ctx, struct str key), void *ctx)
{
	put(ctx, obj_key(a, key_namespace, STR(KEYS_NAME)));
}

/* A key concerns every SealedSecret; another Secret the SealedSecret of its name. */
static void map_secret(const struct view *v, const struct obj *o,
		       void (*put)(void *ctx, struct str key), void *ctx)
{
	struct json_set_view all;

	if (!str_eq(o->namespace, key_namespace) || !obj_label(o, STR(LABEL)).p) {
		put(ctx, obj_key(v->arena, o->namespace, o->name));
		return;
	}
	put_keys(v->arena, put, ctx);
	all = view_list(v, &res_sealedsecrets, STR_NONE);
	for (size_t i = 0; i < all.n; i++)
		put(ctx, obj_key(v->arena, meta_namespace(all.v[i]), meta_name(all.v[i])));
}

static void map_namespace(const struct obj *o, struct arena *a,
			  void (*put)(void *ctx, struct str key), void *ctx)
{
	if (str_eq(o->name, key_namespace) || str_eq(o->name, public_namespace))
		put_keys(a, put, ctx);
}

static void map_configmap(const struct obj *o UNUSED, struct arena *a,
			  void (*put)(void *ctx, struct str key), void *ctx)
{
	put_keys(a, put, ctx);
}

static void index_keys(const struct obj *o, struct arena *a UNUSED,
		       void (*put)(void *ctx, struct str value), void *ctx)
{
	if (str_eq(o->namespace, key_namespace) && obj_label(o, STR(LABEL)).p)
		put(ctx, STR("yes"));
}

static const struct controller_watch watches[] = {
	{&res_sealedsecrets, NULL, NULL, NULL},
	{&res_secrets, NULL, NULL, map_secret},
	{&res_namespaces, map_namespace, NULL, NULL},
	{&res_configmaps, map_configmap, "metadata.name=" PUBLISHED, NULL},
	{0},
};
static const struct controller_index indexes[] = {
	{&res_secrets, INDEX_KEYS, index_keys},
	{0},
};

const struct controller controller_sealedsecret = {
	.name = "sealedsecret",
	.watches = watches,
	.indexes = indexes,
	.reconcile = reconcile,
};
