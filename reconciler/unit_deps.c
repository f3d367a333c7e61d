/*
 * What a Kustomization waits for: dependencies, and expressions that this build cannot judge. Told
 * in words; whoever becomes ready wakes those that wait for it. On the role's loop.
 */
#include <string.h>

#include "lib/schema/cel.h"
#include "reconciler/engine.h"

#define DEPTH_MAX 64 /* of chains that are followed for cycles */

static struct unit *dependency(const struct unit *u, const struct json *dep, struct arena *a)
{
	struct str ns = json_str_or(json_get(dep, STR("namespace")), u->o->namespace);

	struct str key = obj_key(a, ns, json_str(json_get(dep, STR("name"))));

	return map_get(&u->r->units,
		       u->argo ? arena_strf(a, "application/%.*s", STR_ARG(key)) : key);
}

/* So that nobody reads that something isn't there which is. */
void units_lacking(struct reconciler *r)
{
	struct map_iter it = {0};

	if (!r->lacking)
		return;
	r->lacking = false;
	while (map_next(&r->units, &it)) {
		struct unit *u = it.value;

		if (!u->lacks)
			continue;
		u->lacks = false;
		unit_look(u);
	}
}

void units_depending(struct reconciler *r, const struct unit *on)
{
	struct map_iter it = {0};

	while (map_next(&r->units, &it)) {
		AUTO(arena) struct arena a = {0};
		struct unit *u = it.value;
		const struct json *deps;

		if (!u->depends)
			continue;
		deps = json_at(unit_tree(u, &a), "spec", "dependsOn");
		for (size_t i = 0; i < json_len(deps); i++) {
			if (dependency(u, json_item(deps, i), &a) == on) {
				unit_look(u);
				break;
			}
		}
	}
}

bool unit_waits_on(const struct unit *u, const struct unit *on, unsigned depth)
{
	AUTO(arena) struct arena a = {0};
	const struct json *deps =
		u->depends ? json_at(unit_tree(u, &a), "spec", "dependsOn") : NULL;

	for (size_t i = 0; depth && i < json_len(deps); i++) {
		const struct unit *next = dependency(u, json_item(deps, i), &a);

		if (next == on || (next && unit_waits_on(next, on, depth - 1)))
			return true;
	}
	return false;
}

static struct str not_ready(const struct unit *u, const struct unit *on, const struct source *mine,
			    struct arena *a)
{
	bool same;

	if (unit_waits_on(on, u, DEPTH_MAX))
		return arena_strf(a, "dependency '%s' waits for this one in turn", on->key);
	same = unit_source(on, json_get(unit_tree(on, a), STR("spec"))) == mine;
	if (!on->ready || on->generation != on->o->generation)
		return arena_strf(a, "dependency '%s' is not ready", on->key);
	if (same && mine && strcmp(on->revision ?: "", mine->revision ?: "") != 0)
		return arena_strf(a, "dependency '%s' is not at revision %s", on->key,
				  mine->revision);
	return STR_NONE;
}

/* readyExpr decides instead of the Ready condition. */
static struct str says_no(const struct unit *u, const struct unit *on, struct str text,
			  struct arena *a)
{
	const struct json *vars =
		json_build(a, "{s:o,s:o}", "dep", unit_tree(on, a), "self", unit_tree(u, a));
	struct err err = {0};
	bool is;

	if (cel_test(a, text, vars, &is, &err))
		return arena_strf(a, "dependency '%s': readyExpr: %s", on->key, err.msg);
	return is ? STR_NONE
		  : arena_strf(a, "dependency '%s' is not ready by its readyExpr", on->key);
}

static struct str lacking(struct unit *u, const struct json *dep, struct arena *a)
{
	struct str ns = json_str_or(json_get(dep, STR("namespace")), u->o->namespace);

	u->lacks = u->r->lacking = true;
	return arena_strf(a, "dependency '%.*s/%.*s' does not exist", STR_ARG(ns),
			  STR_ARG(json_str(json_get(dep, STR("name")))));
}

struct str unit_missing(struct unit *u, const struct json *spec, struct arena *a,
			const char **ret_reason)
{
	const struct json *deps = json_get(spec, STR("dependsOn"));
	struct source *mine = unit_source(u, spec);
	struct str why = STR_NONE;

	*ret_reason = "InvalidCELExpression";
	for (size_t i = 0; i < json_len(deps); i++) {
		const struct json *d = json_item(deps, i);

		struct str text = json_str(json_get(d, STR("readyExpr")));
		struct err err = {0};

		if (text.n && cel_check(text, &err))
			return arena_strf(a, "spec.dependsOn[%zu].readyExpr: %s", i, err.msg);
	}
	*ret_reason = "DependencyNotReady";
	for (size_t i = 0; i < json_len(deps) && !why.n; i++) {
		const struct unit *on = dependency(u, json_item(deps, i), a);

		struct str text = json_str(json_get(json_item(deps, i), STR("readyExpr")));

		if (on && text.n)
			why = says_no(u, on, text, a);
		else if (on)
			why = not_ready(u, on, mine, a);
		else
			why = lacking(u, json_item(deps, i), a);
	}
	return why;
}
