/*
 * Policies compiled and matched. An expression that doesn't compile is refused when the policy is
 * written; one that is in the store all the same fails when it is asked for, never silently. Pure.
 * Specification: k8s.io/apiserver/pkg/admission/plugin/policy.
 */
#include "apiserver/policy.h"

#include <string.h>

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

/* ---- compiling ---- */

struct compiling {
	struct arena *a;
	struct policy *p;
	struct schema_problems *ps;
};

static int nobody(void *arg, const struct json *attributes, struct str *ret_reason)
{
	(void)arg, (void)attributes, (void)ret_reason;
	return 0;
}

struct cel_env policy_env(struct cel_var vars[POLICY_VARS], const struct policy *p)
{
	static const char *const names[] = {"object", "oldObject", "request", "namespaceObject",
					    "params"};
	static const struct json null = {.type = JSON_NULL};

	for (size_t i = 0; i < POLICY_VARS; i++)
		vars[i] = (struct cel_var){.name = names[i], .value = &null};
	return (struct cel_env){
		.vars = vars, .nvars = p->has_params ? POLICY_VARS : POLICY_PARAMS, .may = nobody};
}

static void invalid(struct compiling *c, const struct spath *list, size_t i, const char *field,
		    struct str text, const char *why)
{
	struct spath item = SPATH_INDEX(list, i), at = {.up = &item, .name = str_c(field)};
	AUTO(buf) struct buf b = {0};

	if (!c->ps)
		return;
	json_write_string(str_sub(text, 0, 1000), &b);
	schema_problem(c->ps, "FieldValueInvalid", spath_text(c->ps->a, &at), 0,
		       "Invalid value: %s: %s", buf_cstr(&b), why);
}

static const struct cel_program *one(struct compiling *c, const struct cel_env *env,
				     const struct json *o, const char *field, enum cel_want want,
				     const struct spath *list, size_t i)
{
	struct str text = json_str(json_get(o, str_c(field)));
	struct cel_program *r;
	struct err err = {0};

	if (!str_trim(text).n)
		return NULL;
	r = cel_compile(c->a, text, env, want, &err);
	if (!r) {
		invalid(c, list, i, field, text,
			strncmp(err.msg, "ERROR:", 6)
				? err.msg
				: arena_printf(c->a, "compilation failed: %s", err.msg));
		return NULL;
	}
	c->p->uses_request |= cel_uses(r, "request");
	c->p->uses_namespace |= cel_uses(r, "namespaceObject");
	return r;
}

static struct policy_check *checks(struct compiling *c, struct cel_env *env, const char *list,
				   const char *field, size_t *ret_n)
{
	const struct json *all = json_get(c->p->spec, str_c(list));
	struct spath spec = {.name = STR("spec")}, at = {.up = &spec, .name = str_c(list)};
	enum cel_want want =
		str_is(str_c(field), "expression") ? CEL_WANT_BOOL : CEL_WANT_STRING_OR_NULL;
	struct policy_check *v = arena_array(c->a, json_len(all) + 1, sizeof(*v));

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *o = json_item(all, i);

		v[i].source = o;
		v[i].text = json_str_or(json_get(o, str_c(field)), STR(""));
		v[i].program = one(c, env, o, field, want, &at, i);
		v[i].saying = one(c, env, o, "messageExpression", CEL_WANT_STRING, &at, i);
	}
	*ret_n = json_len(all);
	return v;
}

/* Each sees those before it. */
static void variables(struct compiling *c, struct cel_env *env)
{
	const struct json *all = json_get(c->p->spec, STR("variables"));
	struct spath spec = {.name = STR("spec")}, at = SPATH_FIELD(&spec, "variables");
	struct cel_lazy *v = arena_array(c->a, json_len(all) + 1, sizeof(*v));

	env->lazy = v;
	env->nlazy = 0;
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *o = json_item(all, i);

		v[i].name = json_str_or(json_get(o, STR("name")), STR(""));
		for (size_t k = 0; k < i; k++)
			if (str_eq(v[k].name, v[i].name))
				invalid(c, &at, i, "name", v[i].name, "duplicate variable name");
		v[i].program = one(c, env, o, "expression", CEL_WANT_ANY, &at, i);
		env->nlazy = i + 1;
	}
	c->p->variables = v;
	c->p->nvariables = env->nlazy;
}

struct policy *policy_compile(struct arena *a, const struct json *o, struct schema_problems *ps)
{
	struct policy *p = arena_alloc(a, sizeof(*p));
	struct compiling c = {a, p, ps};
	struct cel_var vars[POLICY_VARS];
	struct cel_env env;

	p->name = meta_name(o);
	p->spec = json_get(o, STR("spec"));
	p->has_params = json_is(json_get(p->spec, STR("paramKind")), JSON_OBJECT);
	p->ignore_failure = str_is(json_str(json_get(p->spec, STR("failurePolicy"))), "Ignore");
	env = policy_env(vars, p);
	p->conditions = checks(&c, &env, "matchConditions", "expression", &p->nconditions);
	variables(&c, &env);
	p->validations = checks(&c, &env, "validations", "expression", &p->nvalidations);
	p->audits = checks(&c, &env, "auditAnnotations", "valueExpression", &p->naudits);
	return p;
}

/* ---- matching ---- */

static bool names_it(const struct json *rule, const struct webhook_ask *q)
{
	const struct json *names = json_get(rule, STR("resourceNames"));

	for (size_t i = 0; i < json_len(names); i++)
		if (str_eq(json_str(json_item(names, i)), q->name))
			return true;
	return !json_len(names);
}

/* A policy's rules are webhooks' rules with names of objects. */
static const struct kind *rules_match(struct arena *a, const struct json *rules, bool exact,
				      const struct webhook_ask *q)
{
	for (size_t i = 0; i < json_len(rules); i++) {
		struct json *only = json_new(a, JSON_ARRAY);
		struct webhook w = {.exact = exact};
		const struct kind *as;

		json_append(a, only, json_item(rules, i));
		w.rules = only;
		as = webhook_match(&w, q);
		if (as && names_it(json_item(rules, i), q))
			return as;
	}
	return NULL;
}

static bool selects(struct arena *a, const struct json *match, const struct webhook_ask *q)
{
	static const struct json any = {.type = JSON_OBJECT};
	const struct json *ns = json_get(match, STR("namespaceSelector")),
			  *o = json_get(match, STR("objectSelector"));
	const struct json *rules =
		json_build(a, "[{s:[s],s:[s],s:[s],s:[s,s]}]", "operations", "*", "apiGroups", "*",
			   "apiVersions", "*", "resources", "*", "*/*");
	struct webhook w = {.rules = rules};

	if (selector_from_json(a, ns ? ns : &any, &w.namespaces, NULL) ||
	    selector_from_json(a, o ? o : &any, &w.objects, NULL))
		return false;
	return webhook_match(&w, q) != NULL;
}

const struct kind *policy_match(struct arena *a, const struct json *match, bool all,
				const struct webhook_ask *q)
{
	const struct json *rules = json_get(match, STR("resourceRules"));
	bool exact = str_is(json_str(json_get(match, STR("matchPolicy"))), "Exact");
	const struct kind *as = q->kind;

	if (!selects(a, match, q) ||
	    rules_match(a, json_get(match, STR("excludeResourceRules")), exact, q))
		return NULL;
	if (!all || json_len(rules))
		as = rules_match(a, rules, exact, q);
	return as;
}
