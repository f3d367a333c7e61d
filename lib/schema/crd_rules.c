/*
 * Validation rules of custom resources. A rule sees the value it stands at (`self`) and what stood
 * there before (`oldSelf`), where the two can be told to be the same: fields, map entries, items of
 * lists with keys. A value that didn't change is not judged again. What all rules of a request may
 * spend is bounded. Words as Kubernetes'.
 *
 * Pure; programs live with the type, what evaluating needs with the problems.
 */
#include "lib/schema/crd_rules.h"

#include <string.h>

#include "lib/schema/cel.h"
#include "lib/schema/crd_cost.h"
#include "lib/schema/path.h"
#include "lib/schema/schema-internal.h"

#include "lib/base/pure.h"

#define MESSAGE_MAX 5120

struct rule {
	struct str text, message, expression, path;
	const char *reason; /* FieldValueInvalid, or what is asked for; NULL = not supported */
	const struct json *source;
	const struct cel_program *program, *saying; /* saying: messageExpression, or NULL */
	struct str error, saying_error;
	bool optional_old, uses_old;
};

struct schema_rules {
	const char *type; /* as OpenAPI calls it */
	size_t n;
	struct rule v[];
};

/* ---- compiling ---- */

static struct cel_env env_of(struct cel_var vars[2], const struct schema *s, bool optional_old)
{
	vars[0] = (struct cel_var){.name = "self", .type = s};
	vars[1] = (struct cel_var){.name = "oldSelf", .type = s, .optional = optional_old};
	return (struct cel_env){.vars = vars, .nvars = 2};
}

static const char *reason_of(struct str said)
{
	static const char *const known[] = {"FieldValueInvalid", "FieldValueForbidden",
					    "FieldValueRequired", "FieldValueDuplicate"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_is(said, known[i]))
			return known[i];
	return said.p ? NULL : known[0];
}

static struct str text_at(const struct json *o, const char *key)
{
	struct str s = json_str(json_get(o, str_c(key)));

	return s;
}

static void compile(struct arena *a, const struct schema *s, const struct json *o, struct rule *r)
{
	struct cel_var vars[2];
	struct cel_env env;
	struct err err = {0};

	r->source = o;
	r->text = text_at(o, "rule");
	r->message = str_trim(text_at(o, "message"));
	r->expression = text_at(o, "messageExpression");
	r->path = text_at(o, "fieldPath");
	r->reason = reason_of(text_at(o, "reason"));
	r->optional_old = json_bool(json_get(o, STR("optionalOldSelf")), false);
	env = env_of(vars, s, r->optional_old);
	if (str_trim(r->text).n)
		r->program = cel_compile(a, r->text, &env, CEL_WANT_BOOL, &err);
	if (r->program)
		r->uses_old = cel_uses(r->program, "oldSelf");
	else
		r->error = arena_str(a, str_c(err.msg));
	if (!str_trim(r->expression).n)
		return;
	err = (struct err){0};
	r->saying = cel_compile(a, r->expression, &env, CEL_WANT_STRING, &err);
	if (!r->saying)
		r->saying_error = arena_str(a, str_c(err.msg));
}

void crd_rules_build(struct arena *a, struct schema *s, const struct json *openapi)
{
	const struct json *list = json_get(openapi, STR("x-kubernetes-validations"));
	size_t n = json_is(list, JSON_ARRAY) ? json_len(list) : 0;
	struct schema_rules *all;

	if (!n || n > SIZE_MAX / sizeof(struct rule) / 2)
		return;
	all = arena_alloc(a, sizeof(*all) + n * sizeof(struct rule));
	all->type = arena_cstr(a, json_str_or(json_get(openapi, STR("type")), STR("")));
	all->n = n;
	for (size_t i = 0; i < n; i++)
		compile(a, s, json_item(list, i), &all->v[i]);
	s->rules = all;
	s->flags |= SCHEMA_F_RULES;
}

/* ---- judging the rules themselves ---- */

static void put_quoted(struct buf *b, const char *name, struct str s)
{
	struct json v = {.type = JSON_STRING, .s = s.p ? s.p : "", .n = (uint32_t)s.n};

	buf_printf(b, "%s:", name);
	json_write(&v, b);
}

/* As Go prints the structure. */
static struct str go_rule(struct arena *a, const struct rule *r)
{
	AUTO(buf) struct buf b = {0};

	buf_puts(&b, "apiextensions.ValidationRule{");
	put_quoted(&b, "Rule", r->text);
	put_quoted(&b, ", Message", text_at(r->source, "message"));
	put_quoted(&b, ", MessageExpression", r->expression);
	buf_printf(&b, ", Reason:(*apiextensions.FieldValueErrorReason)(%s)",
		   text_at(r->source, "reason").p ? "0x1" : "nil");
	put_quoted(&b, ", FieldPath", r->path);
	buf_printf(&b, ", OptionalOldSelf:(*bool)(%s)}",
		   json_get(r->source, STR("optionalOldSelf")) ? "0x1" : "nil");
	return arena_str(a, str_sub(buf_view(&b), 0, 4000));
}

struct judging {
	struct schema_problems *ps;
	struct str fixed; /* the path above which values can't be told to be the same; or none */
	struct crd_costs *costs;
	uint64_t many; /* values that there can be here */
};

static struct str below(struct judging *j, struct str at, const char *name)
{
	return arena_strf(j->ps->a, "%.*s.%s", STR_ARG(at), name);
}

static void invalid(struct judging *j, struct str at, const char *field, struct str value,
		    const char *why)
{
	schema_problem(j->ps, "FieldValueInvalid", below(j, at, field), 0,
		       "Invalid value: %.*s: %s", STR_ARG(value), why);
}

static struct str quoted(struct judging *j, struct str s)
{
	AUTO(buf) struct buf b = {0};

	json_write_string(str_sub(s, 0, 1000), &b);
	return arena_str(j->ps->a, buf_view(&b));
}

/* Does the field that a rule blames exist? Steps are .name and ['name']. */
static bool path_exists(const struct schema *s, struct str path)
{
	while (path.n) {
		const struct schema_field *f;
		struct str name;
		size_t n = 1;

		if (path.p[0] == '.') {
			while (n < path.n && path.p[n] != '.' && path.p[n] != '[')
				n++;
			name = str_sub(path, 1, n - 1);
		} else {
			while (n < path.n && path.p[n] != ']')
				n++;
			if (path.p[0] != '[' || n < 5 || n >= path.n)
				return false;
			name = str_sub(path, 2, n - 3);
			n++;
		}
		if (!s || !name.n || (s->type != SCHEMA_OBJECT && s->type != SCHEMA_MAP))
			return false;
		f = schema_field(s, name);
		s = f ? f->type : s->item;
		if (!s)
			return false;
		path = str_sub(path, n, path.n);
	}
	return true;
}

static void judge_words(struct judging *j, const struct schema *s, const struct rule *r,
			struct str at)
{
	struct str said = text_at(r->source, "message"), reason = text_at(r->source, "reason");

	if (said.n && !r->message.n)
		invalid(j, at, "message", quoted(j, said),
			"message must be non-empty if specified");
	if (memchr(r->message.p ? r->message.p : "", '\n', r->message.n))
		invalid(j, at, "message", quoted(j, said), "message must not contain line breaks");
	if (!r->message.n && memchr(r->text.p ? r->text.p : "", '\n', str_trim(r->text).n))
		schema_problem(j->ps, "FieldValueRequired", below(j, at, "message"), 0,
			       "Required value: message must be specified if rule contains line "
			       "breaks");
	if (!r->reason)
		schema_problem(j->ps, "FieldValueNotSupported", below(j, at, "reason"), 0,
			       "Unsupported value: %.*s: supported values: "
			       "\"FieldValueDuplicate\", \"FieldValueForbidden\", "
			       "\"FieldValueInvalid\", \"FieldValueRequired\"",
			       STR_ARG(quoted(j, reason)));
	if (r->path.p && (!r->path.n || !path_exists(s, r->path)))
		invalid(j, at, "fieldPath", quoted(j, r->path), "does not refer to a valid field");
}

static void judge_cost(struct judging *j, const struct schema *s, const struct rule *r,
		       struct str at)
{
	if (r->program)
		crd_cost_add(j->costs, s, j->many, cel_cost(r->program), below(j, at, "rule"));
	if (r->program && r->saying)
		crd_cost_add(j->costs, s, j->many, cel_cost(r->saying),
			     below(j, at, "messageExpression"));
}

static void judge_rule(struct judging *j, const struct schema *s, const struct rule *r,
		       struct str at)
{
	struct arena *a = j->ps->a;

	judge_words(j, s, r, at);
	judge_cost(j, s, r, at);
	if (!str_trim(r->text).n)
		schema_problem(j->ps, "FieldValueRequired", below(j, at, "rule"), 0,
			       "Required value: rule is not specified");
	else if (!r->program)
		invalid(j, at, "rule", go_rule(a, r),
			str_starts(r->error, STR("must evaluate"))
				? "cel expression must evaluate to a bool"
				: arena_printf(a, "compilation failed: %.*s", STR_ARG(r->error)));
	if (r->uses_old && j->fixed.p)
		invalid(j, at, "rule", quoted(j, r->text),
			arena_printf(a,
				     "oldSelf cannot be used on the uncorrelatable portion of the "
				     "schema within %.*s",
				     STR_ARG(j->fixed)));
	if (json_get(r->source, STR("optionalOldSelf")) && r->program && !r->uses_old)
		invalid(j, at, "optionalOldSelf", STR("true"),
			"may not be set if oldSelf is not used in rule");
	if (r->expression.p && !str_trim(r->expression).n)
		schema_problem(j->ps, "FieldValueRequired", below(j, at, "messageExpression"), 0,
			       "Required value: messageExpression must be non-empty if specified");
	else if (r->saying_error.n)
		invalid(j, at, "messageExpression", go_rule(a, r),
			arena_printf(a, "messageExpression compilation failed: %.*s",
				     STR_ARG(r->saying_error)));
}

static void judge(struct judging *j, const struct schema *s, struct str at)
{
	struct judging inner = *j;
	struct arena *a = j->ps->a;

	if (!(s->flags & SCHEMA_F_RULES))
		return;
	for (size_t i = 0; s->rules && i < s->rules->n; i++)
		judge_rule(j, s, &s->rules->v[i],
			   arena_strf(a, "%.*s.x-kubernetes-validations[%zu]", STR_ARG(at), i));
	for (size_t i = 0; i < s->nfields; i++)
		judge(j, s->fields[i].type,
		      arena_strf(a, "%.*s.properties[%s]", STR_ARG(at), s->fields[i].name));
	if (!s->item)
		return;
	if (s->type == SCHEMA_ARRAY && s->list != SCHEMA_LIST_MAP && !j->fixed.p)
		inner.fixed = at;
	inner.many = crd_cost_below(s, j->many);
	judge(&inner, s->item,
	      below(j, at, s->type == SCHEMA_ARRAY ? "items" : "additionalProperties"));
}

void crd_rules_judge(const struct schema *s, struct str at, struct schema_problems *ps)
{
	struct crd_costs costs = {.ps = ps};
	struct judging j = {.ps = ps, .costs = &costs, .many = 1};

	judge(&j, s, at);
	crd_cost_end(&costs, at);
}

/* ---- judging objects ---- */

struct walk {
	struct schema_problems *ps;
	struct arena *a;
	int64_t budget;
	bool stopped;
};

static void check(struct walk *w, const struct schema *s, const struct json *next,
		  const struct json *old, const struct spath *at);

static struct str place(struct walk *w, const struct rule *r, const struct spath *at)
{
	struct str text = spath_text(w->a, at), more = r->path;

	if (!text.n && more.n && more.p[0] == '.')
		more = str_sub(more, 1, more.n);
	text = arena_strf(w->a, "%.*s%.*s", STR_ARG(text), STR_ARG(more));
	return text.n ? text : STR("<nil>");
}

static void blame(struct walk *w, const struct schema_rules *all, const struct rule *r,
		  const struct spath *at, struct str why)
{
	struct str field = place(w, r, at);
	const char *reason = r->reason ? r->reason : "FieldValueInvalid";

	if (!strcmp(reason, "FieldValueForbidden"))
		schema_problem(w->ps, reason, field, 0, "Forbidden: %.*s", STR_ARG(why));
	else if (!strcmp(reason, "FieldValueRequired"))
		schema_problem(w->ps, reason, field, 0, "Required value: %.*s", STR_ARG(why));
	else if (!strcmp(reason, "FieldValueDuplicate"))
		schema_problem(w->ps, reason, field, 0, "Duplicate value: \"%s\"", all->type);
	else
		schema_problem(w->ps, reason, field, 0, "Invalid value: \"%s\": %.*s", all->type,
			       STR_ARG(why));
}

/* What a rule that failed says of itself. */
static struct str words(struct walk *w, const struct rule *r, const struct cel_env *env)
{
	struct err err = {0};
	struct str s;

	if (r->saying && !cel_eval_string(r->saying, w->a, env, &s, &err)) {
		s = str_trim(s);
		if (s.n && s.n <= MESSAGE_MAX && !memchr(s.p, '\n', s.n))
			return s;
	}
	if (r->message.n)
		return r->message;
	return arena_strf(w->a, "failed rule: %.*s", STR_ARG(str_trim(r->text)));
}

static struct str failure(struct walk *w, const struct rule *r, const char *why)
{
	struct str rule =
		r->message.n ? r->message
			     : arena_strf(w->a, "failed rule: %.*s", STR_ARG(str_trim(r->text)));

	if (!strncmp(why, "no such overload", 16))
		return arena_strf(w->a,
				  "'%s': call arguments did not match a supported operator, "
				  "function or macro signature for rule: %.*s",
				  why, STR_ARG(rule));
	if (!strncmp(why, "operation cancelled", 19)) {
		w->stopped = true;
		return arena_strf(w->a,
				  "'%s': no further validation rules will be run due to call cost "
				  "exceeds limit for rule: %.*s",
				  why, STR_ARG(rule));
	}
	return arena_strf(w->a, "%s evaluating rule: %.*s", why, STR_ARG(rule));
}

static void check_rule(struct walk *w, const struct schema *s, const struct rule *r,
		       const struct json *const values[2], const struct spath *at)
{
	struct cel_var vars[2];
	struct cel_env env = env_of(vars, s, r->optional_old);
	struct err err = {0};
	bool holds = false;

	if (!r->program) { /* a definition of older days; what can't be judged doesn't pass */
		blame(w, s->rules, r, at,
		      arena_strf(w->a, "rule compile error: %.*s", STR_ARG(r->error)));
		return;
	}
	if (r->uses_old && !r->optional_old && !values[1])
		return;
	vars[0].value = values[0];
	vars[1].value = values[1];
	env.budget = &w->budget;
	if (cel_eval_bool(r->program, w->a, &env, &holds, &err))
		blame(w, s->rules, r, at, failure(w, r, err.msg));
	else if (!holds)
		blame(w, s->rules, r, at, words(w, r, &env));
	if (w->budget <= 0 && !w->stopped) {
		w->stopped = true;
		blame(w, s->rules, r, at,
		      STR("validation failed due to running out of cost budget, no further "
			  "validation rules will be run"));
	}
}

static void check_below(struct walk *w, const struct schema *s, const struct json *next,
			const struct json *old, const struct spath *at)
{
	const struct json_member *m = json_members(next);

	for (size_t i = 0; m && i < json_len(next) && !w->stopped; i++) {
		const struct schema_field *f = schema_field(s, m[i].key);
		struct spath here = {.up = at, .name = m[i].key, .in = s};
		const struct schema *type = f ? f->type : s->item;

		here.key = s->type == SCHEMA_MAP;
		if (type)
			check(w, type, &m[i].value, json_get(old, m[i].key), &here);
	}
	for (size_t i = 0; json_is(next, JSON_ARRAY) && s->item && i < json_len(next); i++) {
		struct spath here = {.up = at, .index = i, .in = s};
		const struct json *item = json_item(next, i);

		if (w->stopped)
			return;
		check(w, s->item, item, schema_same_item(s, old, item), &here);
	}
}

static void check(struct walk *w, const struct schema *s, const struct json *next,
		  const struct json *old, const struct spath *at)
{
	const struct json *values[2] = {next, old};
	bool unchanged;

	if (!(s->flags & SCHEMA_F_RULES) || w->stopped || json_is(next, JSON_NULL))
		return;
	if (json_is(old, JSON_NULL))
		values[1] = old = NULL;
	unchanged = s->rules && old && json_equal(next, old);
	for (size_t i = 0; s->rules && i < s->rules->n && !w->stopped; i++)
		if (!unchanged || s->rules->v[i].uses_old)
			check_rule(w, s, &s->rules->v[i], values, at);
	check_below(w, s, next, old, at);
}

static bool blocks(const struct schema_problem *p)
{
	static const char *const reasons[] = {"FieldValueNotSupported", "FieldValueRequired",
					      "FieldValueTooLong", "FieldValueTooMany",
					      "FieldValueTypeInvalid"};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (!strcmp(p->reason, reasons[i]))
			return true;
	return false;
}

void crd_rules_check(const struct schema *s, const struct json *next, const struct json *old,
		     struct schema_problems *ps)
{
	struct walk w = {.ps = ps, .a = ps->a, .budget = CEL_COST_REQUEST};

	if (!s || !(s->flags & SCHEMA_F_RULES))
		return;
	for (size_t i = 0; i < ps->n; i++)
		if (blocks(&ps->v[i])) {
			schema_problem(ps, "FieldValueInvalid", STR("<nil>"), 0,
				       "Invalid value: \"null\": some validation rules were not "
				       "checked because the object was invalid; correct the "
				       "existing errors to complete validation");
			return;
		}
	check(&w, s, next, old, NULL);
}
