/*
 * Whether a policy's expressions fit what it is about: each is compiled once more for every kind
 * that the rules name, and what the types say is told in the policy's status. Pure; memory is the
 * caller's arena.
 * Specification: k8s.io/apiserver/pkg/admission/plugin/policy/validating (typechecking.go).
 */
#include "apiserver/policy.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* A kind, and what expressions about its objects may use. */
struct typed {
	const struct kind *kind;
	struct cel_var vars[POLICY_VARS];
	struct cel_env env;
};

static void typed_env(struct arena *a, const struct json *spec, struct typed *t)
{
	const struct policy p = {.has_params =
					 json_is(json_get(spec, STR("paramKind")), JSON_OBJECT)};
	const struct json *all = json_get(spec, STR("variables"));
	struct cel_lazy *v = arena_array(a, json_len(all) + 1, sizeof(*v));

	t->env = policy_env(t->vars, &p);
	t->vars[POLICY_OBJECT].type = t->kind->schema;
	t->vars[POLICY_OLD].type = t->kind->schema;
	t->env.lazy = v;
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *o = json_item(all, i);
		struct str text = json_str_or(json_get(o, STR("expression")), STR(""));

		v[i].name = json_str_or(json_get(o, STR("name")), STR(""));
		v[i].program = cel_compile(a, text, &t->env, CEL_WANT_ANY, NULL);
		t->env.nlazy = i + 1;
	}
}

struct checking {
	struct arena *a;
	const struct typed *v;
	size_t n;
	struct json *warnings;
};

/* What each of the kinds says against the text. */
static void check(struct checking *c, struct str text, enum cel_want want, struct str field)
{
	AUTO(buf) struct buf said = {0};

	for (size_t i = 0; str_trim(text).n && i < c->n; i++) {
		const struct kind *k = c->v[i].kind;
		struct err err = {0};

		if (!cel_compile(c->a, text, &c->v[i].env, want, &err))
			buf_printf(&said, "%s%s%s%s, Kind=%s: %s", said.n ? "\n" : "", k->group,
				   k->group[0] ? "/" : "", k->version, k->kind, err.msg);
	}
	if (said.n)
		json_append(c->a, c->warnings,
			    json_build(c->a, "{s:S,s:S}", "fieldRef", field, "warning",
				       arena_str(c->a, buf_view(&said))));
}

void policy_check_types(struct arena *a, const struct json *o, const struct kind *const *kinds,
			size_t n, struct json *warnings)
{
	const struct json *spec = json_get(o, STR("spec")),
			  *all = json_get(spec, STR("validations"));
	struct typed *v = arena_array(a, n + 1, sizeof(*v));
	struct checking c = {.a = a, .v = v, .n = n, .warnings = warnings};

	for (size_t i = 0; i < n; i++) {
		v[i].kind = kinds[i];
		typed_env(a, spec, &v[i]);
	}
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *one = json_item(all, i);

		check(&c, json_str(json_get(one, STR("expression"))), CEL_WANT_BOOL,
		      arena_strf(a, "spec.validations[%zu].expression", i));
		check(&c, json_str(json_get(one, STR("messageExpression"))), CEL_WANT_STRING,
		      arena_strf(a, "spec.validations[%zu].messageExpression", i));
	}
}
