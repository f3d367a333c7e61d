/*
 * Repositories that Applications name by address: each becomes a source like those of
 * GitRepositories, shared by all Applications of a namespace that follow the same revision, and
 * gone with the last of them. Credentials come from the Secrets that Argo CD keeps them in, of
 * the Application's own namespace only. On the role's loop.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/forge_call.h"
#include "reconciler/goodbye.h"
#include "reconciler/prplan.h"

static struct str secret_text(const struct json *secret, const char *key, struct buf *out)
{
	buf_reset(out);
	if (base64_decode(json_str(json_at(secret, "data", key)), out))
		return STR_NONE;
	return buf_view(out);
}

/* A slash or ".git" behind it makes no other repository. */
static struct str plain(struct str url)
{
	if (str_ends(url, STR("/")))
		url.n--;
	if (str_ends(url, STR(".git")))
		url.n -= 4;
	return url;
}

struct search {
	struct str url, best;
	size_t score;
	struct arena *a;
};

/* A repository's own Secret beats one that is for all below an address; the longest wins. */
static void consider(struct search *f, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	bool whole = str_is(obj_label(o, STR(ARGO_SECRET_TYPE)), "repository");
	struct str url = secret_text(obj_tree(o, &a), "url", &text);
	size_t score;

	if (!url.n)
		return;
	if (whole ? !str_eq(plain(url), plain(f->url)) : !str_starts(f->url, url))
		return;
	score = whole ? SIZE_MAX : url.n;
	if (score < f->score || !score)
		return;
	f->score = score;
	f->best = arena_str(f->a, o->name);
}

static struct str secret_for(struct unit *u, struct str url, struct arena *a)
{
	struct search f = {.url = url, .a = a};
	struct obj_set all = informer_list_ns(u->r->repo_secrets, u->o->namespace, a);

	for (size_t i = 0; i < all.n; i++)
		consider(&f, all.v[i]);
	return f.best;
}

/* Another Application's word about the source that they share; the first by name, so that no order
 * of events makes a difference. */
static struct str said_by_others(const struct unit *u, const char *name, const char *key,
				 struct arena *a)
{
	struct map_iter it = {0};
	const char *best = NULL;
	struct str word = STR_NONE;

	while (map_next(&u->r->units, &it)) {
		const struct unit *v = it.value;
		const struct json *t =
			v->argo && v != u && !v->argo->problem ? unit_tree(v, a) : NULL;
		struct str says = t ? meta_annotation(t, key) : STR_NONE;

		if (!says.n || !str_eq(v->o->namespace, u->o->namespace) ||
		    !str_is(json_str(json_at(t, "spec", "sourceRef", "name")), name) ||
		    (best && strcmp(best, v->key) < 0))
			continue;
		best = v->key;
		word = says;
	}
	return word;
}

/*
 * The repository's forge is said on the Application, as no GitRepository is there to say it on. Of
 * several that share one, whoever says it last says it for all; who no longer says it leaves it to
 * the others.
 */
static bool put_forge(const struct unit *u, struct arena *a, const struct json *have,
		      struct json *meta)
{
	static const char *const keys[] = {FORGE, FORGE_REPOSITORY, PULL_PLANS};
	const char *name = arena_cstr(a, json_str(json_get(meta, STR("name"))));
	const struct json *t = unit_tree(u, a);
	bool news = false;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct str was = have ? meta_annotation(have, keys[i]) : STR_NONE,
			   now = meta_annotation(t, keys[i]);

		/* Nobody's, unless it is known already: then it is to be asked who says so. */
		if (!now.n && was.n)
			now = said_by_others(u, name, keys[i], a);
		if (now.n)
			json_set_str(a, json_set_object(a, meta, "annotations"), keys[i], now);
		news |= !str_eq(now, was);
	}
	return news;
}

void argo_source_use(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct json *t = unit_tree(u, &a);
	struct json *repo, *meta;
	struct source *have;
	struct err err = {0};
	struct str secret;
	struct obj *o;
	bool news;

	if (u->argo->problem)
		return;
	repo = application_repository(&a, t);
	secret = secret_for(u, json_str(json_at(repo, "spec", "url")), &a);
	if (secret.n)
		json_set(&a, json_get(repo, STR("spec")), STR("secretRef"),
			 json_build(&a, "{s:S}", "name", secret));
	meta = json_get(repo, STR("metadata"));
	have = source_find(u->r, meta_namespace(repo), meta_name(repo));
	news = put_forge(u, &a, have ? obj_tree(have->o, &a) : NULL, meta);
	if (have) {
		const struct json *now = obj_tree(have->o, &a);

		if (!news && json_equal(json_get(now, STR("spec")), json_get(repo, STR("spec")))) {
			if (u->argo->refresh)
				source_poll(have);
			return;
		}
		json_set_int(&a, meta, "generation", have->o->generation + 1);
	}
	o = obj_from_json(repo, &err);
	if (!o) {
		log_warn("cannot follow an Application's repository", "unit", u->key, "error",
			 err.msg);
		return;
	}
	source_changed(u->r, NULL, o);
	obj_unref(o);
}

static bool is_used(struct reconciler *r, const struct source *s)
{
	struct map_iter it = {0};

	if (goodbye_needs(s))
		return true;
	while (map_next(&r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		struct unit *u = it.value;

		if (u->argo && unit_source(u, json_get(unit_tree(u, &a), STR("spec"))) == s)
			return true;
	}
	return false;
}

/* What the one that is gone said of its source's forge is forgotten with it. */
static void hear_others(struct source *s)
{
	struct map_iter it = {0};

	while (map_next(&s->r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		struct unit *u = it.value;

		if (u->argo && u->o && !u->o->deleted_ns &&
		    unit_source(u, json_get(unit_tree(u, &a), STR("spec"))) == s) {
			argo_source_use(u);
			return;
		}
	}
}

void argo_sources_sweep(struct reconciler *r)
{
	struct map_iter it = {0};

	while (map_next(&r->sources, &it)) {
		AUTO(arena) struct arena a = {0};
		struct source *s = it.value;

		if (!source_is_internal(s))
			continue;
		if (!is_used(r, s))
			source_free(s);
		else if (json_len(json_at(obj_tree(s->o, &a), "metadata", "annotations")))
			hear_others(s);
	}
}

void argo_on_secret(void *arg, const struct obj *old, const struct obj *new)
{
	struct reconciler *r = arg;
	struct map_iter it = {0};

	(void)old;
	(void)new;
	while (map_next(&r->units, &it)) {
		struct unit *u = it.value;

		if (u->argo && u->o && !u->o->deleted_ns)
			argo_source_use(u);
	}
}
