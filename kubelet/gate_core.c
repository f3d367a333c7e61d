/*
 * The words between a node's own port and the API's reviews: which right a path and a method need,
 * how a token and a user are asked about, and what the answers say. Must never take an answer that
 * can't be read for a yes. Pure; what is returned lives in the arena.
 */
#include "kubelet/gate_core.h"

#include "lib/base/pure.h"

static bool below(struct str path, const char *folder)
{
	struct str f = str_c(folder);

	return str_starts(path, f) && (path.n == f.n || path.p[f.n] == '/');
}

const char *gate_subresource(struct str path)
{
	if (below(path, "/metrics"))
		return "metrics";
	if (below(path, "/stats"))
		return "stats";
	return below(path, "/logs") ? "log" : "proxy";
}

const char *gate_verb(struct str method, struct str path)
{
	if (below(path, "/exec") || below(path, "/attach") || below(path, "/portForward"))
		return "create";
	if (str_is(method, "GET") || str_is(method, "HEAD"))
		return "get";
	return str_is(method, "POST") ? "create" : NULL;
}

struct str gate_bearer(struct str header)
{
	struct str word = STR("Bearer ");

	if (header.n <= word.n || !str_ieq(str_sub(header, 0, word.n), word))
		return STR_NONE;
	return str_trim(str_sub(header, word.n, header.n));
}

struct json *gate_certificate_user(struct arena *a, const char *name, const char *const *groups)
{
	struct json *user = json_build(a, "{s:s, s:[]}", "user", name, "groups");
	struct json *list = json_get(user, STR("groups"));

	for (const char *const *g = groups; g && *g; g++)
		json_append_str(a, list, str_c(*g));
	json_append_str(a, list, STR("system:authenticated"));
	return user;
}

void gate_token_review(struct arena *a, struct str token, struct buf *out)
{
	json_write(json_build(a, "{s:s, s:s, s:{s:S}}", "apiVersion", "authentication.k8s.io/v1",
			      "kind", "TokenReview", "spec", "token", token),
		   out);
}

struct json *gate_token_user(struct arena *a, struct str answer)
{
	struct err err = {0};
	const struct json *v = json_parse(a, answer, NULL, &err),
			  *user = json_at(v, "status", "user");
	struct str name = json_str(json_at(user, "username"));
	struct json *ret;

	if (!json_bool(json_at(v, "status", "authenticated"), false) || !name.n)
		return NULL;
	ret = json_build(a, "{s:S}", "user", name);
	if (json_is(json_at(user, "groups"), JSON_ARRAY))
		json_set(a, ret, STR("groups"), json_copy(a, json_at(user, "groups")));
	if (json_is(json_at(user, "extra"), JSON_OBJECT))
		json_set(a, ret, STR("extra"), json_copy(a, json_at(user, "extra")));
	if (json_str(json_at(user, "uid")).n)
		json_set_str(a, ret, "uid", json_str(json_at(user, "uid")));
	return ret;
}

void gate_access_review(struct arena *a, const struct json *user, const char *node,
			const char *verb, const char *subresource, struct buf *out)
{
	struct json *spec = json_copy(a, user);

	json_set(a, spec, STR("resourceAttributes"),
		 json_build(a, "{s:s, s:s, s:s, s:s, s:s}", "verb", verb, "version", "v1",
			    "resource", "nodes", "subresource", subresource, "name", node));
	struct json *v = json_build(a, "{s:s, s:s}", "apiVersion", "authorization.k8s.io/v1",
				    "kind", "SubjectAccessReview");

	json_set(a, v, STR("spec"), spec);
	json_write(v, out);
}

bool gate_allowed(struct str answer)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct json *v = json_parse(&a, answer, NULL, &err);

	return json_bool(json_at(v, "status", "allowed"), false) &&
	       !json_bool(json_at(v, "status", "denied"), false);
}
