/*
 * Post-build variables of a run: inline ones and those in ConfigMaps and Secrets, asked for one
 * after the other. Later ones beat earlier ones, inline beats all. Values from Secrets are
 * flagged, so that no report shows them.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/resources.h"
#include "reconciler/envsubst.h"
#include "reconciler/run.h"

#define VARS_MAX 4096

static void ask(struct run *run, size_t i);

static struct str without_newlines(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\n')
			out[n++] = s.p[i];
	}
	return (struct str){out, n};
}

static void add(struct run *run, struct str name, struct str value, bool sensitive)
{
	struct render_opts *o = &run->opts;
	struct render_var *v = (struct render_var *)o->vars;
	struct render_var var = {.name = arena_str(&run->arena, name),
				 .value = without_newlines(&run->arena, value),
				 .sensitive = sensitive};

	for (size_t i = 0; i < o->nvars; i++) {
		if (str_eq(v[i].name, name)) {
			v[i] = var;
			return;
		}
	}
	if (o->nvars < VARS_MAX)
		v[o->nvars++] = var;
}

static void add_all(struct run *run, const struct json *data, bool secret)
{
	struct json_member *m = json_members(data);

	for (size_t i = 0; m && i < json_len(data); i++) {
		AUTO(buf) struct buf text = {0};

		if (!secret)
			add(run, m[i].key, json_str(&m[i].value), false);
		else if (!base64_decode(json_str(&m[i].value), &text))
			add(run, m[i].key, buf_view(&text), true);
		buf_wipe(&text);
	}
}

/* Names in a ConfigMap that no ${…} can spell do no harm; one that was written here is a mistake.
 */
static bool names_ok(struct run *run, const struct json *inline_vars)
{
	struct json_member *m = json_members(inline_vars);

	for (size_t i = 0; m && i < json_len(inline_vars); i++) {
		if (envsubst_name_ok(m[i].key))
			continue;
		run_fail(run, "BuildFailed",
			 arena_strf(&run->arena,
				    "spec.postBuild.substitute: %.*s cannot be a variable's name",
				    STR_ARG(m[i].key)));
		return false;
	}
	return true;
}

/* Without variables texts are left as they are, so that a shell script may keep its ${…}. */
static void finish(struct run *run)
{
	const struct json *post_build = json_get(run->spec, STR("postBuild"));
	const struct json *vars = json_get(post_build, STR("substitute"));

	if (!names_ok(run, vars))
		return;
	add_all(run, vars, false);
	if (!run->opts.nvars &&
	    !str_is(json_str(json_get(post_build, STR("substituteStrategy"))), "Always"))
		run->opts.substitute = false;
	run_render(run);
}

static const struct json *references(const struct run *run)
{
	return json_at(run->spec, "postBuild", "substituteFrom");
}

static void on_referenced(struct run *run, size_t i, const struct api_answer *answer)
{
	const struct json *ref = json_item(references(run), i), *o = NULL;
	bool secret = str_is(json_str(json_get(ref, STR("kind"))), "Secret");
	struct err err = answer->err;

	if (!err.code)
		o = json_parse(&run->arena, arena_str(&run->arena, answer->body), NULL, &err);
	if (!o &&
	    !(err.code == ERR_NOT_FOUND && json_bool(json_get(ref, STR("optional")), false))) {
		run_fail(run, "BuildFailed",
			 arena_strf(&run->arena, "spec.postBuild.substituteFrom[%zu]: %s", i,
				    err.msg));
		return;
	}
	add_all(run, json_get(o, STR("data")), secret);
	ask(run, i + 1);
}

static void ask(struct run *run, size_t i)
{
	const struct json *ref = json_item(references(run), i);
	struct api_call call = {.verb = API_GET,
				.resource = &res_configmaps,
				.namespace = run->u->o->namespace,
				.name = json_str(json_get(ref, STR("name")))};

	if (!ref) {
		finish(run);
		return;
	}
	if (str_is(json_str(json_get(ref, STR("kind"))), "Secret"))
		call.resource = &res_secrets;
	run_call(run, &call, i, on_referenced);
}

void run_vars(struct run *run)
{
	run->phase = RUN_VARS;
	if (run->opts.substitute)
		run->opts.vars = arena_array(&run->arena, VARS_MAX, sizeof(struct render_var));
	ask(run, 0);
}
