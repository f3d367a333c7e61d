/*
 * Argo CD's words on objects: waves, hooks, options, patterns, what is no difference. Annotations
 * come from repositories: nonsense in them means the default, never more than was asked for. Pure.
 */
#include <limits.h>
#include <string.h>

#include "lib/kube/obj.h"
#include "reconciler/application.h"

#include "lib/base/pure.h"

#define GLOB_STEPS 100000

bool argo_says(struct str list, const char *word)
{
	struct str part;

	while (list.p && str_next(&list, ',', &part)) {
		if (str_is(str_trim(part), word))
			return true;
	}
	return false;
}

bool argo_option(const struct json *object, const char *option)
{
	return argo_says(meta_annotation(object, ARGO_OPTIONS), option);
}

int argo_wave(const struct json *object)
{
	int64_t n;

	if (str_to_i64(meta_annotation(object, ARGO_WAVE), &n) || n < INT_MIN || n > INT_MAX)
		return 0;
	return (int)n;
}

struct str argo_option_value(const struct json *object, const char *key)
{
	struct str list = meta_annotation(object, ARGO_OPTIONS), part, k, v;

	while (list.p && str_next(&list, ',', &part)) {
		if (str_cut(str_trim(part), '=', &k, &v) && str_is(k, key))
			return v;
	}
	return STR_NONE;
}

bool argo_option_known(struct str option)
{
	static const struct {
		const char *key, *more; /* beside true and false */
	} known[] = {{"Validate", NULL},
		     {"CreateNamespace", NULL},
		     {"PruneLast", NULL},
		     {"Prune", "confirm"},
		     {"Delete", "confirm"},
		     {"PrunePropagationPolicy", "foreground,background,orphan"},
		     {"ApplyOutOfSyncOnly", NULL},
		     {"Replace", NULL},
		     {"Force", NULL},
		     {"ServerSideApply", NULL},
		     {"ClientSideApplyMigration", NULL},
		     {"FailOnSharedResource", NULL},
		     {"RespectIgnoreDifferences", NULL},
		     {"SkipDryRunOnMissingResource", NULL}};
	AUTO(arena) struct arena a = {0};
	struct str key, value;

	if (!str_cut(option, '=', &key, &value) || !value.n)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (!str_is(key, known[i].key))
			continue;
		if (known[i].more && argo_says(str_c(known[i].more), arena_cstr(&a, value)))
			return true;
		return !str_is(key, "PrunePropagationPolicy") &&
		       (str_is(value, "true") || str_is(value, "false"));
	}
	return false;
}

struct str argo_option_strange(const struct json *object)
{
	struct str list = meta_annotation(object, ARGO_OPTIONS), part;

	while (list.p && str_next(&list, ',', &part)) {
		part = str_trim(part);
		if (part.n && !argo_option_known(part))
			return part;
	}
	return STR_NONE;
}

struct str argo_tracking(struct arena *a, struct str app, const struct json *object)
{
	struct str group, version;

	api_version_split(json_str(json_get(object, STR("apiVersion"))), &group, &version);
	return arena_strf(a, "%.*s:%.*s/%.*s:%.*s/%.*s", STR_ARG(app), STR_ARG(group),
			  STR_ARG(json_str(json_get(object, STR("kind")))),
			  STR_ARG(meta_namespace(object)), STR_ARG(meta_name(object)));
}

/* ---- patterns ---- */

struct glob {
	bool path;
	unsigned steps; /* left: a pattern must not keep us */
};

static bool match(struct glob *g, struct str p, struct str t);

/* p is behind '['; *used tells how long the class is, 0 when it has no end. */
static bool in_class(struct str p, char c, size_t *used)
{
	bool negated = p.n && (p.p[0] == '!' || p.p[0] == '^'), found = false;
	size_t i = negated;

	for (size_t from = i; i < p.n && (p.p[i] != ']' || i == from); i++) {
		if (i + 2 < p.n && p.p[i + 1] == '-' && p.p[i + 2] != ']') {
			found |= c >= p.p[i] && c <= p.p[i + 2];
			i += 2;
		} else {
			found |= c == p.p[i];
		}
	}
	*used = i < p.n ? i + 1 : 0;
	return found != negated;
}

/* p begins with '{': each alternative with what follows the braces. */
static bool match_braces(struct glob *g, struct str p, struct str t)
{
	ptrdiff_t end = str_find(p, STR("}"));
	struct str all, part;

	if (end < 0)
		return false;
	all = str_sub(p, 1, (size_t)end - 1);
	while (all.p && str_next(&all, ',', &part)) {
		for (size_t n = 0; n <= t.n; n++) {
			if (match(g, part, str_sub(t, 0, n)) &&
			    match(g, str_sub(p, (size_t)end + 1, p.n), str_sub(t, n, t.n)))
				return true;
		}
	}
	return false;
}

static bool match_star(struct glob *g, struct str p, struct str t)
{
	size_t stars = 0;

	while (stars < p.n && p.p[stars] == '*')
		stars++;
	p = str_sub(p, stars, p.n);
	for (size_t n = 0; n <= t.n; n++) {
		if (match(g, p, str_sub(t, n, t.n)))
			return true;
		if (n < t.n && g->path && stars < 2 && t.p[n] == '/')
			return false;
	}
	return false;
}

static bool match(struct glob *g, struct str p, struct str t)
{
	while (p.n) {
		size_t used = 0;

		if (!g->steps || !g->steps--)
			return false;
		if (p.p[0] == '*')
			return match_star(g, p, t);
		if (p.p[0] == '{')
			return match_braces(g, p, t);
		if (!t.n)
			return false;
		if (p.p[0] == '[') {
			if (!in_class(str_sub(p, 1, p.n), t.p[0], &used) || !used)
				return false;
		} else if (p.p[0] != '?' && p.p[0] != t.p[0]) {
			return false;
		}
		p = str_sub(p, used + 1, p.n);
		t = str_sub(t, 1, t.n);
	}
	return !t.n;
}

bool argo_glob(struct str pattern, struct str text, bool path)
{
	struct glob g = {.path = path, .steps = GLOB_STEPS};

	return match(&g, pattern, text);
}

/* ---- ignoreDifferences ---- */

static bool rule_names(const struct json *rule, const struct json *object)
{
	struct str group, version, kind = json_str(json_get(rule, STR("kind")));
	struct str name = json_str(json_get(rule, STR("name")));
	struct str ns = json_str(json_get(rule, STR("namespace")));
	struct str rgroup = json_str(json_get(rule, STR("group")));

	api_version_split(json_str(json_get(object, STR("apiVersion"))), &group, &version);
	return argo_glob(kind, json_str(json_get(object, STR("kind"))), false) &&
	       argo_glob(rgroup, group, false) && (!name.n || str_eq(name, meta_name(object))) &&
	       (!ns.n || str_eq(ns, meta_namespace(object)));
}

/* pointer is path, or below it */
static bool lies_in(struct str pointer, struct str path)
{
	return str_eq(pointer, path) ||
	       (str_starts(pointer, path) && pointer.n > path.n && pointer.p[path.n] == '/');
}

static bool lists(const struct json *list, struct str what)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_str(json_item(list, i)), what))
			return true;
	}
	return false;
}

bool argo_ignores(const struct json *ignore, const struct json *object, struct str pointer,
		  struct str manager)
{
	for (size_t i = 0; pointer.n && i < json_len(ignore); i++) {
		const struct json *rule = json_item(ignore, i);
		const struct json *paths = json_get(rule, STR("jsonPointers"));

		if (!rule_names(rule, object))
			continue;
		if (manager.n && lists(json_get(rule, STR("managedFieldsManagers")), manager))
			return true;
		for (size_t k = 0; k < json_len(paths); k++) {
			struct str path = json_str(json_item(paths, k));

			if (path.n && lies_in(pointer, path))
				return true;
		}
	}
	return false;
}

bool argo_keep_value(struct arena *a, struct json *tree, struct str path, const struct json *from)
{
	struct str parent, key;
	struct json *to = json_pointer(tree, path), *holder;

	/* Only what git says is given up: other fields aren't ours to write. */
	if (!path.n || !to || (from && json_equal(to, from)))
		return false;
	if (from) {
		*to = *json_copy(a, from);
		return true;
	}
	if (!str_rcut(path, '/', &parent, &key))
		return false;
	holder = json_pointer(tree, parent);
	if (!json_is(holder, JSON_OBJECT) || str_find(key, STR("~")) >= 0)
		return false;
	return json_del(holder, key);
}

bool argo_keep_ignored(struct arena *a, const struct json *ignore, struct json *tree,
		       const struct json *live)
{
	bool changed = false;

	for (size_t i = 0; live && i < json_len(ignore); i++) {
		const struct json *rule = json_item(ignore, i);
		const struct json *paths = json_get(rule, STR("jsonPointers"));

		for (size_t k = 0; rule_names(rule, tree) && k < json_len(paths); k++) {
			struct str path = json_str(json_item(paths, k));

			changed |= argo_keep_value(a, tree, path, json_pointer(live, path));
		}
	}
	return changed;
}
