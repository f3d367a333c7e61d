/*
 * What the helper is asked for one poll: the spec, the Secrets, and what is known already. Says no,
 * with the field's name, to what is not supported. On the role's loop; memory is the caller's.
 */
#include <string.h>

#include "lib/kube/resources.h"
#include "reconciler/engine.h"

#define INCLUDE_DEPTH_MAX 8

struct source *source_included(struct source *s, const struct json *include)
{
	return source_find(s->r, s->o->namespace, json_str(json_at(include, "repository", "name")));
}

bool source_includes(struct source *s, const struct source *other, unsigned depth)
{
	AUTO(arena) struct arena a = {0};
	const struct json *list = json_at(obj_tree(s->o, &a), "spec", "include");

	if (s->kind != SOURCE_GIT || depth > INCLUDE_DEPTH_MAX)
		return depth > INCLUDE_DEPTH_MAX;
	for (size_t i = 0; i < json_len(list); i++) {
		struct source *in = source_included(s, json_item(list, i));

		if (in && (in == other || source_includes(in, other, depth + 1)))
			return true;
	}
	return false;
}

/* Each with the commit that it stands at. */
static struct json *includes(struct source *s, struct arena *a, const struct json *list,
			     struct err *err)
{
	struct json *out = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *in = json_item(list, i);
		struct str name = json_str(json_at(in, "repository", "name"));
		struct source *other = source_included(s, in);

		if (other && (other == s || source_includes(other, s, 0))) {
			err_set(err, ERR_INVALID, "spec.include: '%.*s' includes this one, too",
				STR_ARG(name));
			return NULL;
		}
		if (!other || !other->commit[0]) {
			err_set(err, ERR_NOT_FOUND, "spec.include: '%.*s' %s", STR_ARG(name),
				other ? "has no artifact yet" : "does not exist");
			return NULL;
		}
		json_append(a, out,
			    json_build(a, "{s:s,s:s,s:S,s:S}", "mirror", other->mirror, "commit",
				       other->commit, "fromPath",
				       json_str_or(json_get(in, STR("fromPath")), STR("")),
				       "toPath", json_str_or(json_get(in, STR("toPath")), name)));
	}
	return out;
}

/* What pushes need as well. */
static void add_auth(struct source *s, struct arena *a, struct json *request,
		     const struct json *secrets)
{
	const struct json *auth = json_get(secrets, STR("auth")),
			  *proxy = json_get(secrets, STR("proxy"));
	struct json *all;

	buf_wipe(&s->auth);
	if (!auth && !proxy)
		return;
	all = auth ? json_copy(a, auth) : json_new(a, JSON_OBJECT);
	if (proxy)
		json_set(a, all, STR("proxy"), proxy);
	json_write(all, &s->auth);
	/* git has the App's token; its key is for the forge alone. */
	json_del(all, STR("githubAppPrivateKey"));
	json_set(a, request, STR("auth"), all);
}

static struct json *request_git(struct source *s, struct arena *a, const struct json *spec,
				const struct json *secrets, struct err *err)
{
	const struct json *ref = json_get(spec, STR("ref")), *list = json_get(spec, STR("include")),
			  *folders = json_get(spec, STR("sparseCheckout")),
			  *verify = json_get(spec, STR("verify"));
	struct json *r = json_build(a, "{s:s,s:s,s:s}", "url", s->url, "mirror", s->mirror, "known",
				    s->base);

	json_set(a, r, STR("ref"), ref ? ref : json_new(a, JSON_OBJECT));
	json_set(a, r, STR("branches"), proposed_branches(s->r, s, a));
	if (json_len(list)) {
		struct json *in = includes(s, a, list, err);

		if (!in)
			return NULL;
		json_set(a, r, STR("include"), in);
	}
	if (json_len(folders))
		json_set(a, r, STR("sparse"), folders);
	if (json_bool(json_get(spec, STR("recurseSubmodules")), false))
		json_set_bool(a, r, "submodules", true);
	if (verify)
		json_set(a, r, STR("verify"),
			 json_build(a, "{s:S,s:o,s:s}", "mode",
				    json_str_or(json_get(verify, STR("mode")), STR("HEAD")), "keys",
				    json_get(secrets, STR("verify")), "verified",
				    s->verified ?: ""));
	return r;
}

static struct json *request_oci(struct source *s, struct arena *a, const struct json *spec,
				const struct json *secrets)
{
	const struct json *ref = json_get(spec, STR("ref")),
			  *layer = json_get(spec, STR("layerSelector")),
			  *cert = json_get(secrets, STR("cert")),
			  *keys = json_get(secrets, STR("verify"));
	/* Another layer of the same artifact is another matter. */
	bool same = s->fetched_generation == s->generation;
	struct json *r =
		json_build(a, "{s:s,s:s,s:s,s:s,s:b}", "url", s->url, "mirror", s->mirror, "known",
			   same && s->digest ? s->digest : "", "commit", s->commit, "insecure",
			   (int)json_bool(json_get(spec, STR("insecure")), false));

	json_set(a, r, STR("ref"), ref ? ref : json_new(a, JSON_OBJECT));
	if (layer)
		json_set(a, r, STR("layer"), layer);
	if (cert)
		json_set(a, r, STR("cert"), cert);
	if (json_get(spec, STR("verify")))
		json_set(a, r, STR("verify"),
			 json_build(a, "{s:o,s:s}", "keys", keys ? keys : json_new(a, JSON_OBJECT),
				    "verified", s->verified ?: ""));
	return r;
}

static struct str text_of(const struct json *spec, const char *key)
{
	return json_str(json_get(spec, str_c(key)));
}

/* Signatures by keys alone: who signed without one would have to be asked of strangers. */
static int check_verify(const struct json *verify, struct err *err)
{
	struct str provider = json_str_or(json_get(verify, STR("provider")), STR("cosign"));

	if (verify && !str_is(provider, "cosign"))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.verify.provider: only cosign is supported, not '%.*s'",
			       STR_ARG(provider));
	if (verify && !json_str(json_at(verify, "secretRef", "name")).n)
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.verify: signatures without a key are not supported, name a "
			       "Secret with cosign.pub in secretRef");
	return 0;
}

static int check(const struct source *s, const struct json *spec, struct err *err)
{
	struct str provider = json_str_or(json_get(spec, STR("provider")), STR("generic"));
	struct str url = str_c(s->url);
	static const char *const git[] = {"https://", "http://", "ssh://", "file://"};
	bool known = s->kind == SOURCE_OCI && str_starts(url, STR("oci://"));

	for (size_t i = 0; s->kind == SOURCE_GIT && i < ARRAY_LEN(git); i++)
		known |= str_starts(url, str_c(git[i]));
	/* git@host:path */
	known |= s->kind == SOURCE_GIT && str_find(url, STR("://")) < 0 &&
		 str_find(url, STR("@")) > 0 && str_find(url, STR("::")) < 0;
	if (!known || memchr(url.p, '\n', url.n))
		return err_set(err, ERR_INVALID, "spec.url: an address must begin with %s",
			       s->kind == SOURCE_OCI ? "oci://"
						     : "https://, http://, ssh:// or file://");
	/* What a GitHub App is takes its Secret's word. */
	if (!str_is(provider, "generic") && !(s->kind == SOURCE_GIT && str_is(provider, "github")))
		return err_set(err, ERR_UNSUPPORTED, "spec.provider '%.*s' is not supported",
			       STR_ARG(provider));
	if (text_of(spec, "serviceAccountName").n)
		return err_set(err, ERR_UNSUPPORTED, "spec.serviceAccountName is not supported");
	return s->kind == SOURCE_OCI ? check_verify(json_get(spec, STR("verify")), err) : 0;
}

struct json *source_request(struct source *s, struct arena *a, const struct json *secrets,
			    const char **ret_reason, struct err *err)
{
	const struct json *spec = json_get(obj_tree(s->o, a), STR("spec"));
	struct json *r;

	*ret_reason = "URLInvalid";
	if (check(s, spec, err)) {
		if (err->code == ERR_UNSUPPORTED)
			*ret_reason = "NotSupported";
		return NULL;
	}
	if (str_is(text_of(spec, "provider"), "github") &&
	    !json_str(json_at(secrets, "auth", "githubAppID")).n) {
		*ret_reason = "AuthenticationFailed";
		err_set(err, ERR_INVALID,
			"spec.provider github: the Secret holds no githubAppID, "
			"githubAppInstallationID and githubAppPrivateKey");
		return NULL;
	}
	*ret_reason = "IncludeUnavailable";
	r = s->kind == SOURCE_OCI ? request_oci(s, a, spec, secrets)
				  : request_git(s, a, spec, secrets, err);
	if (!r)
		return NULL;
	buf_reset(&s->asked);
	json_write(json_get(r, STR("branches")), &s->asked);
	add_auth(s, a, r, secrets);
	return r;
}
