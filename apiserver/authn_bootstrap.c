/*
 * Bootstrap tokens: what a new node shows until it has a certificate. They are Secrets of type
 * bootstrap.kubernetes.io/token in kube-system; the core's thread tells of their changes, and the
 * connections' threads look them up, so there is a lock around the table. Must never hold a secret
 * longer than its Secret is there. Specification: Kubernetes' "Authenticating with Bootstrap
 * Tokens".
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "apiserver/authn.h"
#include "lib/base/codec.h"
#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"

#define TYPE "bootstrap.kubernetes.io/token"
#define NAME_PREFIX "bootstrap-token-"
#define GROUP_PREFIX "system:bootstrappers:"
#define ID_LEN 6
#define SECRET_LEN 16
#define GROUPS_MAX 32

struct boot_token {
	struct sha256 secret;
	int64_t expires_ns; /* 0 = never */
	struct arena arena;
	struct str groups[GROUPS_MAX];
	size_t ngroups;
};

struct bootstrap_tokens {
	pthread_mutex_t lock;
	struct map by_id;
};

struct bootstrap_tokens *bootstrap_tokens_new(void)
{
	struct bootstrap_tokens *t = xalloc(sizeof(*t));

	pthread_mutex_init(&t->lock, NULL);
	return t;
}

static void token_free(struct boot_token *b)
{
	if (!b)
		return;
	arena_release(&b->arena);
	free(b);
}

void bootstrap_tokens_free(struct bootstrap_tokens *t)
{
	struct map_iter it = {0};

	if (!t)
		return;
	while (map_next(&t->by_id, &it))
		token_free(it.value);
	map_release(&t->by_id);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static bool is_text(struct str s, const char *more)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr(more, c)))
			return false;
	}
	return s.n > 0;
}

/* ---- from Secrets ---- */

static struct str datum(struct arena *a, const struct json *o, const char *key)
{
	AUTO(buf) struct buf text = {0};

	if (base64_decode_lines(json_str(json_at(o, "data", key)), &text))
		return STR_NONE;
	return arena_str(a, buf_view(&text));
}

static bool is_group(struct str g)
{
	struct str rest = str_sub(g, sizeof(GROUP_PREFIX) - 1, g.n);

	return str_starts(g, STR(GROUP_PREFIX)) && rest.n <= 256 && is_text(rest, ":-") &&
	       rest.p[rest.n - 1] != ':' && rest.p[rest.n - 1] != '-';
}

/* A group of another kind spoils the whole token, as Kubernetes has it. */
static int read_groups(struct boot_token *b, struct str list)
{
	struct str one;

	b->groups[b->ngroups++] = STR("system:bootstrappers");
	while (list.n && list.p && str_next(&list, ',', &one)) {
		one = str_trim(one);
		if (!one.n)
			continue;
		if (!is_group(one) || b->ngroups >= GROUPS_MAX - 1)
			return -1;
		b->groups[b->ngroups++] = arena_str(&b->arena, one);
	}
	b->groups[b->ngroups++] = STR("system:authenticated");
	return 0;
}

static struct boot_token *read_token(const struct json *o, struct str id)
{
	AUTO(arena) struct arena a = {0};
	struct str secret = datum(&a, o, "token-secret"), end = datum(&a, o, "expiration");

	if (!str_is(json_str(json_get(o, STR("type"))), TYPE) ||
	    !str_eq(datum(&a, o, "token-id"), id) || secret.n != SECRET_LEN ||
	    !is_text(secret, "") || !str_is(datum(&a, o, "usage-bootstrap-authentication"), "true"))
		return NULL;
	struct boot_token *b = xalloc(sizeof(*b));
	sha256_of(secret, &b->secret);
	if ((end.n && time_parse(end, &b->expires_ns)) ||
	    read_groups(b, datum(&a, o, "auth-extra-groups"))) {
		token_free(b);
		return NULL;
	}
	return b;
}

void bootstrap_tokens_change(struct bootstrap_tokens *t, const struct obj *o, bool gone)
{
	AUTO(arena) struct arena a = {0};
	struct str id = str_sub(o->name, sizeof(NAME_PREFIX) - 1, o->name.n);
	struct boot_token *b = NULL;

	if (!str_is(o->namespace, "kube-system") || !str_starts(o->name, STR(NAME_PREFIX)) ||
	    id.n != ID_LEN || !is_text(id, ""))
		return;
	if (!gone && !o->deleted_ns)
		b = read_token(obj_tree(o, &a), id);
	pthread_mutex_lock(&t->lock);
	struct boot_token *old = b ? map_set(&t->by_id, id, b) : map_del(&t->by_id, id);
	pthread_mutex_unlock(&t->lock);
	token_free(old);
}

/* ---- for requests ---- */

bool bootstrap_token_looks_like_one(struct str token)
{
	struct str id, secret;

	return str_cut(token, '.', &id, &secret) && id.n == ID_LEN && secret.n == SECRET_LEN &&
	       is_text(id, "") && is_text(secret, "");
}

static void copy_user(struct arena *a, struct str id, const struct boot_token *b,
		      struct admission_user *ret)
{
	struct str *groups = arena_array(a, b->ngroups, sizeof(*groups));

	for (size_t i = 0; i < b->ngroups; i++)
		groups[i] = arena_str(a, b->groups[i]);
	*ret = (struct admission_user){.name = arena_strf(a, "system:bootstrap:%.*s", STR_ARG(id)),
				       .groups = groups,
				       .ngroups = b->ngroups};
}

bool bootstrap_tokens_find(struct bootstrap_tokens *t, struct arena *a, struct str token,
			   int64_t now_s, struct admission_user *ret)
{
	struct str id, secret;
	struct sha256 hash;
	bool good;

	if (!t || !bootstrap_token_looks_like_one(token))
		return false;
	str_cut(token, '.', &id, &secret);
	sha256_of(secret, &hash);
	pthread_mutex_lock(&t->lock);
	const struct boot_token *b = map_get(&t->by_id, id);
	good = b && !memcmp(&b->secret, &hash, sizeof(hash)) &&
	       (!b->expires_ns || now_s < b->expires_ns / NS_PER_S);
	if (good)
		copy_user(a, id, b, ret);
	pthread_mutex_unlock(&t->lock);
	return good;
}
