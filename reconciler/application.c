/*
 * An Application in the engine's words. Decides nothing about the cluster; whatever it does not
 * know how to do is refused by name, so that nobody deploys half of what was asked for. Pure.
 */
#include "reconciler/application.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define INTERVAL "3m0s"

static bool given(const struct json *o, const char *key)
{
	const struct json *v = json_get(o, str_c(key));

	switch (v ? v->type : JSON_NULL) {
	case JSON_NULL:
		return false;
	case JSON_BOOL:
		return v->b;
	case JSON_STRING:
	case JSON_ARRAY:
	case JSON_OBJECT:
		return v->n > 0;
	default:
		return true;
	}
}

static struct str text(const struct json *o, const char *key)
{
	return json_str(json_get(o, str_c(key)));
}

const struct json *application_source(const struct json *spec)
{
	return json_item(json_get(spec, STR("sources")), 0) ?: json_get(spec, STR("source"));
}

/* ---- what is refused ---- */

static int check_source(const struct json *spec, struct err *err)
{
	static const struct {
		const char *key, *what;
	} refused[] = {
		{"chart", "Helm charts are"},
		{"helm", "Helm is"},
		{"plugin", "plugins are"},
		{"tagPrefix", "tag prefixes are"},
	};
	const struct json *source = application_source(spec);

	if (json_len(json_get(spec, STR("sources"))) > 1)
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.sources: several sources are not supported; make an "
			       "Application of each, or one kustomization of all");
	if (given(spec, "sourceHydrator"))
		return err_set(err, ERR_UNSUPPORTED, "spec.sourceHydrator is not supported");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (given(source, refused[i].key))
			return err_set(err, ERR_UNSUPPORTED, "spec.source.%s: %s not supported",
				       refused[i].key, refused[i].what);
	}
	if (!text(source, "repoURL").n)
		return err_set(err, ERR_INVALID, "spec.source.repoURL is required");
	if (given(json_get(source, STR("directory")), "jsonnet"))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.source.directory.jsonnet: Jsonnet is not supported");
	if (given(json_get(source, STR("directory")), "disableExtensionFilter"))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.source.directory.disableExtensionFilter is not supported");
	return 0;
}

static int check_kustomize(const struct json *k, struct err *err)
{
	static const char *const refused[] = {"version", "commonAnnotationsEnvsubst"};

	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		if (given(k, refused[i]))
			return err_set(err, ERR_UNSUPPORTED,
				       "spec.source.kustomize.%s is not supported", refused[i]);
	}
	return 0;
}

static int check_destination(const struct json *spec, struct err *err)
{
	const struct json *d = json_get(spec, STR("destination"));
	struct str server = text(d, "server"), name = text(d, "name");

	if (server.n && name.n)
		return err_set(err, ERR_INVALID,
			       "spec.destination: either server or name, not both");
	if (!server.n && !name.n)
		return err_set(err, ERR_INVALID,
			       "spec.destination: server or name is required (%s is this cluster)",
			       ARGO_CLUSTER);
	if (server.n && str_ends(server, STR("/")))
		server.n--;
	if (server.n && !str_is(server, ARGO_CLUSTER))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.destination.server: %.*s is another cluster; only %s can be "
			       "deployed to",
			       STR_ARG(server), ARGO_CLUSTER);
	if (name.n && !str_is(name, "in-cluster"))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.destination.name: '%.*s' is another cluster; only in-cluster "
			       "can be deployed to",
			       STR_ARG(name));
	return 0;
}

/* ---- where it comes from ---- */

static bool is_commit(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!strchr("0123456789abcdef", s.p[i]))
			return false;
	}
	return s.n == 40;
}

/* A range names versions by signs that no reference begins with, or by a wildcard. */
static bool is_range(struct str s)
{
	size_t digits = 0;

	if (s.n && strchr("^~><=*", s.p[0]))
		return true;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] >= '0' && s.p[i] <= '9')
			digits++;
		else if (s.p[i] != '.' && s.p[i] != '*' && s.p[i] != 'x')
			return false;
	}
	return digits && (str_ends(s, STR(".*")) || str_ends(s, STR(".x")));
}

static struct json *reference(struct arena *a, struct str revision)
{
	const char *how = "any";

	if (!revision.n)
		revision = STR("HEAD");
	if (is_commit(revision))
		how = "commit";
	else if (is_range(revision))
		how = "semver";
	else if (str_starts(revision, STR("refs/")))
		how = "name";
	return json_build(a, "{s:S}", how, revision);
}

static struct json *source_ref(struct arena *a, const struct json *source)
{
	struct str revision = text(source, "targetRevision");
	AUTO(buf) struct buf key = {0};
	char hash[65];

	buf_printf(&key, "%.*s\n%.*s", STR_ARG(text(source, "repoURL")),
		   STR_ARG(revision.n ? revision : STR("HEAD")));
	sha256_hex(buf_view(&key), hash);
	/* No object can bear such a name. */
	return json_build(a, "{s:s,s:s}", "kind", "GitRepository", "name",
			  arena_printf(a, "@%.20s", hash));
}

/* git's short form of an ssh address. */
static struct str url_of(struct arena *a, struct str url)
{
	struct str host, path;

	if (str_find(url, STR("://")) >= 0 || url.n == 0 || url.p[0] == '/')
		return url;
	if (str_cut(url, ':', &host, &path) && path.n && str_find(host, STR("/")) < 0)
		return arena_strf(a, "ssh://%.*s/%.*s", STR_ARG(host), STR_ARG(path));
	return url;
}

struct json *application_repository(struct arena *a, const struct json *t)
{
	const struct json *source = json_at(t, "spec", "argo", "source");

	return json_build(a, "{s:s,s:s,s:{s:S,s:S,s:i},s:{s:S,s:s,s:o}}", "apiVersion",
			  "source.toolkit.fluxcd.io/v1", "kind", "GitRepository", "metadata",
			  "namespace", meta_namespace(t), "name",
			  json_str(json_at(t, "spec", "sourceRef", "name")), "generation", 1,
			  "spec", "url", url_of(a, text(source, "repoURL")), "interval", "1m0s",
			  "ref", reference(a, text(source, "targetRevision")));
}

/* ---- kustomize ---- */

/* name=newName:tag@digest, each part but the first for itself optional. */
static struct json *image(struct arena *a, struct str s)
{
	struct json *o = json_new(a, JSON_OBJECT);
	struct str name = STR_NONE, now, digest = STR_NONE, tag = STR_NONE, head, tail;
	ptrdiff_t slash;

	if (!str_cut(s, '=', &name, &now)) {
		now = s;
		name = STR_NONE;
	}
	if (str_cut(now, '@', &head, &tail)) {
		digest = tail;
		now = head;
	}
	slash = -1;
	for (size_t i = 0; i < now.n; i++)
		slash = now.p[i] == '/' ? (ptrdiff_t)i : slash;
	if (str_cut(str_sub(now, (size_t)(slash + 1), now.n), ':', &head, &tail)) {
		tag = tail;
		now = str_sub(now, 0, (size_t)(slash + 1) + head.n);
	}
	json_set_str(a, o, "name", name.n ? name : now);
	if (name.n && now.n)
		json_set_str(a, o, "newName", now);
	if (tag.n)
		json_set_str(a, o, "newTag", tag);
	if (digest.n)
		json_set_str(a, o, "digest", digest);
	return o;
}

static void put_labels(struct arena *a, const struct json *k, struct json *o)
{
	const struct json *labels = json_get(k, STR("commonLabels"));

	if (!json_len(labels))
		return;
	if (!given(k, "labelWithoutSelector")) {
		json_set(a, o, STR("commonLabels"), labels);
		return;
	}
	json_set(a, o, STR("labels"),
		 json_build(a, "[{s:o,s:b,s:b}]", "pairs", labels, "includeSelectors", false,
			    "includeTemplates", given(k, "labelIncludeTemplates")));
}

static struct json *overlay_of(struct arena *a, const struct json *k)
{
	static const char *const same[] = {"namePrefix", "nameSuffix", "namespace",
					   "patches",    "components", "commonAnnotations"};
	const struct json *images = json_get(k, STR("images"));
	const struct json *replicas = json_get(k, STR("replicas"));
	struct json *o = json_new(a, JSON_OBJECT);

	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		if (given(k, same[i]))
			json_set(a, o, str_c(same[i]), json_get(k, str_c(same[i])));
	}
	put_labels(a, k, o);
	for (size_t i = 0; i < json_len(images); i++)
		json_append(a, json_set_array(a, o, "images"),
			    image(a, json_str(json_item(images, i))));
	for (size_t i = 0; i < json_len(replicas); i++) {
		const struct json *r = json_item(replicas, i);
		int64_t n = json_int(json_get(r, STR("count")), -1);

		if (n < 0 && str_to_i64(text(r, "count"), &n))
			n = 0;
		json_append(a, json_set_array(a, o, "replicas"),
			    json_build(a, "{s:S,s:I}", "name", text(r, "name"), "count", n));
	}
	return o;
}

/* ---- policy ---- */

static int put_options(struct arena *a, const struct json *list, struct json *options,
		       struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		struct str option = str_trim(json_str(json_item(list, i))), key, value;

		if (!argo_option_known(option))
			return err_set(err, ERR_UNSUPPORTED,
				       "spec.syncPolicy.syncOptions: '%.*s' is not known",
				       STR_ARG(option));
		str_cut(option, '=', &key, &value);
		json_set_str(a, options, arena_cstr(a, key), value);
	}
	return 0;
}

/* .spec.replicas, .metadata.annotations["x/y"], .spec.containers[0].image */
static int pointer_of_jq(struct arena *a, struct str s, struct str *ret, struct err *err)
{
	AUTO(buf) struct buf out = {0};
	size_t i = 0;

	while (i < s.n) {
		bool bracket = s.p[i] == '[', quoted;
		size_t from;

		if (!bracket && s.p[i] != '.')
			goto refuse;
		i++;
		quoted = i < s.n && s.p[i] == '"';
		from = i += quoted;
		while (i < s.n && (quoted ? s.p[i] != '"' : !strchr(".[]\"|()*?@, \\", s.p[i])))
			i++;
		if (i == from) {
			/* ".[0]" and .["x"] */
			if (!bracket && !quoted && i < s.n && s.p[i] == '[')
				continue;
			goto refuse;
		}
		buf_putc(&out, '/');
		for (size_t k = from; k < i; k++)
			buf_puts(&out, s.p[k] == '/'   ? "~1"
				       : s.p[k] == '~' ? "~0"
						       : (char[2]){s.p[k], 0});
		i += quoted;
		if (bracket && (i >= s.n || s.p[i++] != ']'))
			goto refuse;
	}
	if (out.n) {
		*ret = arena_str(a, buf_view(&out));
		return 0;
	}
refuse:
	return err_set(err, ERR_UNSUPPORTED,
		       "spec.ignoreDifferences: jqPathExpressions can only be plain paths such as "
		       ".spec.replicas, not '%.*s'",
		       STR_ARG(s));
}

static int put_ignored(struct arena *a, const struct json *spec, struct json *argo, struct err *err)
{
	const struct json *all = json_get(spec, STR("ignoreDifferences"));
	struct json *out = json_set_array(a, argo, "ignore");

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *d = json_item(all, i);
		const struct json *jq = json_get(d, STR("jqPathExpressions"));
		struct json *rule = json_append(a, out, d);
		struct json *paths = json_set_array(a, rule, "jsonPointers");

		for (size_t k = 0; k < json_len(jq); k++) {
			struct str p;

			if (pointer_of_jq(a, json_str(json_item(jq, k)), &p, err))
				return -1;
			json_append_str(a, paths, p);
		}
	}
	return 0;
}

static int check_operation(const struct json *app, const struct json *sync, struct err *err)
{
	const struct json *source = json_get(sync, STR("source"));

	if (!json_is(sync, JSON_OBJECT))
		return err_set(err, ERR_UNSUPPORTED, "operation: only sync is known");
	if (given(sync, "resources"))
		return err_set(err, ERR_UNSUPPORTED,
			       "operation.sync.resources: single objects cannot be synced, only "
			       "the whole Application");
	if (given(sync, "manifests"))
		return err_set(err, ERR_UNSUPPORTED,
			       "operation.sync.manifests: only what is in the repository is "
			       "applied");
	/* argocd's rollback brings the source of that time along. */
	if (source && !json_equal(source, application_source(json_get(app, STR("spec")))))
		return err_set(err, ERR_UNSUPPORTED,
			       "operation.sync.source: only the Application's own source can be "
			       "synced; change spec.source, or use plumb rollback");
	if (given(sync, "sources") || given(sync, "revisions"))
		return err_set(err, ERR_UNSUPPORTED, "operation.sync: one source only");
	return 0;
}

static int put_policy(struct arena *a, const struct json *app, struct json *argo, struct err *err)
{
	const struct json *policy = json_at(app, "spec", "syncPolicy");
	const struct json *automated = json_get(policy, STR("automated"));
	const struct json *sync = json_at(app, "operation", "sync");
	struct json *options;
	bool automatic = automated && json_bool(json_get(automated, STR("enabled")), true);

	json_set_bool(a, argo, "automated", automatic);
	json_set_bool(a, argo, "prune", automatic && given(automated, "prune"));
	json_set_bool(a, argo, "selfHeal", automatic && given(automated, "selfHeal"));
	json_set_bool(a, argo, "allowEmpty", automatic && given(automated, "allowEmpty"));
	if (json_len(json_get(app, STR("operation"))))
		json_set(a, argo, STR("operation"), json_get(app, STR("operation")));
	if (json_get(policy, STR("retry")))
		json_set(a, argo, STR("retry"), json_get(policy, STR("retry")));
	if (json_at(app, "operation", "retry"))
		json_set(a, argo, STR("retry"), json_at(app, "operation", "retry"));
	options = json_set_object(a, argo, "options");
	if (put_options(a, json_get(policy, STR("syncOptions")), options, err))
		return -1;
	if (!json_len(json_get(app, STR("operation"))))
		return 0;
	return check_operation(app, sync, err) ||
			       put_options(a, json_get(sync, STR("syncOptions")), options, err)
		       ? -1
		       : 0;
}

static void put_depends(struct arena *a, const struct json *app, struct json *spec)
{
	struct str rest = meta_annotation(app, APP_DEPENDS), part;

	while (rest.p && str_next(&rest, ',', &part)) {
		struct str ns = STR_NONE, name;

		part = str_trim(part);
		if (!part.n)
			continue;
		if (!str_cut(part, '/', &ns, &name)) {
			name = part;
			ns = meta_namespace(app);
		}
		json_append(a, json_set_array(a, spec, "dependsOn"),
			    json_build(a, "{s:S,s:S}", "namespace", ns, "name", name));
	}
}

static const char *deletion_policy(const struct json *app)
{
	const struct json *list = json_at(app, "metadata", "finalizers");

	for (size_t i = 0; i < json_len(list); i++) {
		if (str_is(json_str(json_item(list, i)), ARGO_FINALIZER "/background"))
			return "Delete";
	}
	return "WaitForTermination";
}

static void put_metadata(struct arena *a, const struct json *app, struct json *t)
{
	const struct json *argo = json_at(t, "spec", "argo");
	struct json *meta = json_get(t, STR("metadata"));
	bool heals = json_bool(json_get(argo, STR("selfHeal")), false);

	if (!meta_annotation(app, "plumb.dev/drift").n)
		json_set_str(a, json_set_object(a, meta, "annotations"), "plumb.dev/drift",
			     heals ? STR("correct") : STR("propose"));
}

static int fill(struct arena *a, const struct json *app, struct json *spec, struct err *err)
{
	const struct json *from = json_get(app, STR("spec"));
	const struct json *source = application_source(from);
	const struct json *kustomize = json_get(source, STR("kustomize"));
	struct json *argo = json_set_object(a, spec, "argo");

	json_set(a, argo, STR("source"), source ? source : json_new(a, JSON_OBJECT));
	json_set_str(a, argo, "namespace", json_str(json_at(from, "destination", "namespace")));
	if (check_source(from, err) || check_kustomize(kustomize, err) ||
	    check_destination(from, err) || put_policy(a, app, argo, err) ||
	    put_ignored(a, from, argo, err))
		return -1;
	if (json_get(source, STR("directory")))
		json_set(a, argo, STR("directory"), json_get(source, STR("directory")));
	json_set(a, argo, STR("overlay"), overlay_of(a, kustomize));
	json_set_bool(a, spec, "ignoreMissingComponents",
		      given(kustomize, "ignoreMissingComponents"));
	json_set(a, spec, STR("sourceRef"), source_ref(a, source));
	json_set_str(a, spec, "path", text(source, "path").n ? text(source, "path") : STR("."));
	json_set_str(a, spec, "interval", STR(INTERVAL));
	json_set_str(a, spec, "deletionPolicy", str_c(deletion_policy(app)));
	json_set_bool(a, spec, "prune",
		      given(argo, "prune") ||
			      json_bool(json_at(argo, "operation", "sync", "prune"), false));
	json_set_bool(
		a, spec, "force",
		json_bool(json_at(argo, "operation", "sync", "syncStrategy", "apply", "force"),
			  false) ||
			json_bool(
				json_at(argo, "operation", "sync", "syncStrategy", "hook", "force"),
				false) ||
			str_is(text(json_get(argo, STR("options")), "Force"), "true") ||
			str_is(text(json_get(argo, STR("options")), "Replace"), "true"));
	put_depends(a, app, spec);
	json_set_bool(a, spec, "suspend",
		      str_is(meta_annotation(app, ARGO_SKIP_RECONCILE), "true"));
	if (meta_annotation(app, APP_TIMEOUT).n)
		json_set_str(a, spec, "timeout", meta_annotation(app, APP_TIMEOUT));
	return 0;
}

int application_translate(struct arena *a, const struct json *app, struct json **ret,
			  struct err *err)
{
	struct json *t = json_copy(a, app), *spec = json_new(a, JSON_OBJECT);
	int rc;

	json_del(t, STR("operation"));
	json_set(a, t, STR("spec"), spec);
	spec = json_get(t, STR("spec"));
	rc = fill(a, app, spec, err);
	put_metadata(a, app, t);
	*ret = t;
	return rc;
}
