/*
 * One pull: which version is meant, its manifest, its layer, its files into the mirror. Nothing is
 * believed but digests: what arrives is hashed before it is looked at. Helper process only;
 * blocking; memory is the caller's arena.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/schema/pattern.h"
#include "reconciler/gitunpack.h"
#include "reconciler/oci.h"
#include "reconciler/semver.h"

struct pull {
	struct arena *a;
	const struct json *request;
	struct oci_name name;
	struct oci_http *http;
	const char *label; /* the tag, as revisions call it; NULL for a digest */
	struct str digest; /* asked for, or found */
	const struct json *manifest;
	const struct json *verified; /* how it is signed, for the answer; or NULL */
};

static struct str ref_of(const struct pull *p, const char *key)
{
	return json_str(json_at(p->request, "ref", key));
}

/* ---- semver ---- */

struct search {
	struct semver_range range;
	const char *filter;
	struct semver best;
	char *found;
};

static int consider(struct pull *p, struct search *s, struct str tag, struct err *err)
{
	struct semver v;
	int fits;

	if (!oci_tag_valid(tag))
		return 0;
	fits = s->filter ? pattern_search(s->filter, tag) : 1;
	if (fits < 0)
		return err_set(err, ERR_INVALID, "spec.ref.semverFilter is not understood");
	if (!fits || semver_parse(tag, &v) || !semver_fits(&s->range, &v) ||
	    (s->found && semver_cmp(&v, &s->best) <= 0))
		return 0;
	s->found = arena_cstr(p->a, tag);
	/* The texts in it must stay. */
	return semver_parse(str_c(s->found), &s->best);
}

static int page(struct pull *p, struct search *s, const char *what, char **ret_next,
		struct err *err)
{
	AUTO(buf) struct buf body = {0};
	char *prefix = arena_printf(p->a, "/v2/%s/", p->name.path);
	const struct json *list;
	struct str link, next;
	ptrdiff_t at;

	*ret_next = NULL;
	if (oci_http_get(p->http, what, OCI_MANIFEST_MAX, &body, &link, err))
		return -1;
	list = json_parse(p->a, arena_str(p->a, buf_view(&body)), NULL, err);
	if (!list)
		return err_wrap(err, "the list of tags");
	list = json_get(list, STR("tags"));
	for (size_t i = 0; i < json_len(list); i++) {
		if (consider(p, s, json_str(json_item(list, i)), err))
			return -1;
	}
	/* Wherever it says the next page is: only its path below this repository is taken. */
	next = oci_link_next(link);
	at = next.n ? str_find(next, str_c(prefix)) : -1;
	if (at >= 0)
		*ret_next = arena_cstr(p->a, str_sub(next, (size_t)at + strlen(prefix), next.n));
	return 0;
}

static int choose_tag(struct pull *p, struct str range, struct err *err)
{
	struct str filter = ref_of(p, "semverFilter");
	struct search s = {.filter = filter.n ? arena_cstr(p->a, filter) : NULL};
	char *what = arena_cstr(p->a, STR("tags/list?n=1000"));

	if (semver_range_parse(p->a, range, &s.range, err))
		return err_wrap(err, "spec.ref.semver");
	for (int i = 0; what && i < OCI_TAGS_PAGES_MAX; i++) {
		if (page(p, &s, what, &what, err))
			return -1;
	}
	if (!s.found)
		return err_set(err, ERR_NOT_FOUND, "%s/%s: no tag fits '%.*s'", p->name.host,
			       p->name.path, STR_ARG(range));
	p->label = s.found;
	return 0;
}

static int choose(struct pull *p, struct err *err)
{
	struct str digest = ref_of(p, "digest"), range = ref_of(p, "semver"),
		   tag = json_str_or(json_at(p->request, "ref", "tag"), STR("latest"));

	if (digest.n) {
		p->digest = digest;
		return oci_digest_valid(digest)
			       ? 0
			       : err_set(err, ERR_INVALID,
					 "spec.ref.digest: only sha256:… is understood");
	}
	if (range.n)
		return choose_tag(p, range, err);
	if (!oci_tag_valid(tag))
		return err_set(err, ERR_INVALID, "spec.ref.tag is not a tag");
	p->label = arena_cstr(p->a, tag);
	return 0;
}

/* ---- manifest and layer ---- */

static int manifest(struct pull *p, const char *what, struct str want, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	char digest[OCI_DIGEST_TEXT];

	if (oci_http_get(p->http, arena_printf(p->a, "manifests/%s", what), OCI_MANIFEST_MAX, &body,
			 NULL, err))
		return -1;
	oci_digest(buf_view(&body), digest);
	if (want.n && !str_is(want, digest))
		return err_set(err, ERR_CORRUPT, "the manifest is not the one of %.*s",
			       STR_ARG(want));
	if (!p->digest.n)
		p->digest = arena_str(p->a, str_c(digest));
	p->manifest = json_parse(p->a, arena_str(p->a, buf_view(&body)), NULL, err);
	return p->manifest ? 0 : err_wrap(err, "the manifest");
}

static int find(struct pull *p, struct err *err)
{
	struct str inner;

	if (choose(p, err) || manifest(p, p->label ?: arena_cstr(p->a, p->digest), p->digest, err))
		return -1;
	inner = oci_index_choose(p->manifest);
	return inner.n ? manifest(p, arena_cstr(p->a, inner), inner, err) : 0;
}

static int layer(struct pull *p, char ret_commit[GIT_OID_TEXT], struct err *err)
{
	const char *mirror = arena_cstr(p->a, json_str(json_get(p->request, STR("mirror"))));
	AUTO(buf) struct buf body = {0};
	char digest[OCI_DIGEST_TEXT];
	struct oci_layer l;

	if (oci_layer_choose(p->manifest, json_get(p->request, STR("layer")), &l, err) ||
	    oci_http_get(p->http, arena_printf(p->a, "blobs/%.*s", STR_ARG(l.digest)),
			 (size_t)l.size, &body, NULL, err))
		return -1;
	oci_digest(buf_view(&body), digest);
	if (!str_is(l.digest, digest))
		return err_set(err, ERR_CORRUPT,
			       "the layer is not the one that the manifest names");
	return gitunpack(mirror, buf_view(&body), ret_commit, err);
}

static struct json *answer_of(struct pull *p, const char *commit, bool fetched)
{
	const struct json *notes = json_get(p->manifest, STR("annotations"));
	const char *revision = p->label
				       ? arena_printf(p->a, "%s@%.*s", p->label, STR_ARG(p->digest))
				       : arena_cstr(p->a, p->digest);
	struct json *answer = json_build(p->a, "{s:s,s:s,s:S,s:b}", "revision", revision, "commit",
					 commit, "digest", p->digest, "fetched", (int)fetched);

	if (p->verified)
		json_set(p->a, answer, STR("verified"), p->verified);
	if (json_is(notes, JSON_OBJECT) && json_len(notes) <= 64)
		json_set(p->a, answer, STR("metadata"), notes);
	return answer;
}

/* Once for each artifact and set of keys. *ret_problem: it isn't signed by any of them. */
static int verify(struct pull *p, struct json **ret_problem, struct err *err)
{
	const struct json *v = json_get(p->request, STR("verify"));
	struct cosign c = {.digest = p->digest, .keys = json_get(v, STR("keys"))};
	AUTO(buf) struct buf text = {0};
	struct str who = STR_NONE;
	const char *message = "";
	char key[65];

	if (!v)
		return 0;
	buf_str(&text, p->digest);
	json_write_sorted(c.keys, &text);
	sha256_hex(buf_view(&text), key);
	if (!str_is(json_str(json_get(v, STR("verified"))), key)) {
		if (!cosign_verify(p->a, p->http, &c, &who, err)) {
			message = arena_printf(p->a, "verified signature of %.*s by %.*s",
					       STR_ARG(p->digest), STR_ARG(who));
		} else if (err->code == ERR_FORBIDDEN || err->code == ERR_INVALID ||
			   err->code == ERR_UNSUPPORTED || err->code == ERR_CORRUPT) {
			*ret_problem = json_build(
				p->a, "{s:{s:s}}", "problem", "message",
				arena_printf(p->a, "%.*s: %s", STR_ARG(p->digest), err->msg));
			return 0;
		} else {
			return err_wrap(err, "signature of %.*s", STR_ARG(p->digest));
		}
	}
	p->verified = json_build(p->a, "{s:s,s:s}", "key", key, "message", message);
	return 0;
}

static struct json *pull(struct pull *p, struct err *err)
{
	struct json *problem = NULL;
	struct str known = json_str(json_get(p->request, STR("known"))),
		   have = json_str(json_get(p->request, STR("commit")));
	char commit[GIT_OID_TEXT];

	if (oci_name_parse(p->a, json_str(json_get(p->request, STR("url"))), &p->name, err) ||
	    oci_http_new(p->a, p->request, &p->name, &p->http, err) || find(p, err) ||
	    verify(p, &problem, err))
		return NULL;
	if (problem)
		return problem;
	/* The layer selector is part of the spec: when that changes, nothing is known. */
	if (known.n && have.n == GIT_OID_TEXT - 1 && str_eq(known, p->digest))
		return answer_of(p, arena_cstr(p->a, have), false);
	if (layer(p, commit, err))
		return NULL;
	return answer_of(p, commit, true);
}

struct json *oci_pull(struct arena *a, const struct json *request, struct err *err)
{
	struct pull p = {.a = a, .request = request};
	struct json *answer = pull(&p, err);

	oci_http_free(p.http);
	return answer;
}
