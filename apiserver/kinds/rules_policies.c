/*
 * What ValidatingAdmissionPolicies and their bindings say beside expressions: names that can be
 * referred to, texts that fit into an answer, what is done about a violation, which parameters.
 * Pure.
 */
#include "apiserver/kinds/rules.h"

#include "lib/kube/obj.h"

#include "lib/base/pure.h"

enum { AUDITS_MAX = 20, CONDITIONS_MAX = 64, MESSAGE_MAX = 5 << 10 };

static bool is_identifier(struct str s)
{
	static const char *const reserved[] = {
		"true",  "false",     "null",   "in",     "as",      "break",    "const",
		"for",   "continue",  "else",   "if",     "let",     "function", "loop",
		"while", "namespace", "return", "import", "package", "var",      "void"};

	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_is(s, reserved[i]))
			return false;
	for (size_t i = 0; i < s.n; i++) {
		bool letter = (s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z';

		if (!letter && s.p[i] != '_' && (!i || s.p[i] < '0' || s.p[i] > '9'))
			return false;
	}
	return s.n > 0;
}

static void check_bound(struct kind_ctx *c, const struct spath *at, size_t n, int most)
{
	if (n > (size_t)most)
		schema_problem(&c->problems, "FieldValueTooMany", spath_text(c->a, at), 0,
			       "Too many: %zu: must have at most %d items", n, most);
}

/* The i-th item's member, said before. */
static void check_new(struct kind_ctx *c, const struct spath *at, const struct json *list, size_t i,
		      const char *field)
{
	const struct json *v = json_get(json_item(list, i), str_c(field));

	for (size_t k = 0; k < i; k++)
		if (json_str(v).n &&
		    str_eq(json_str(json_get(json_item(list, k), str_c(field))), json_str(v))) {
			rule_duplicate(c, at, field, v);
			return;
		}
}

static void check_variables(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *name = json_get(json_item(list, i), STR("name"));
		struct spath here = SPATH_INDEX(at, i);

		if (json_str(name).n && !is_identifier(json_str(name)))
			rule_invalid(c, &here, "name", name, "name is not a valid CEL identifier");
	}
}

static void check_conditions(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	check_bound(c, at, json_len(list), CONDITIONS_MAX);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *name = json_get(json_item(list, i), STR("name"));
		struct spath here = SPATH_INDEX(at, i);

		if (json_str(name).n)
			rule_name(c, &here, "name", name, name_check_qualified);
		check_new(c, &here, list, i, "name");
	}
}

/* An audit annotation is called POLICY/KEY. */
static void check_audits(struct kind_ctx *c, const struct spath *at, const struct json *list,
			 struct str policy)
{
	check_bound(c, at, json_len(list), AUDITS_MAX);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *key = json_get(json_item(list, i), STR("key"));
		struct spath here = SPATH_INDEX(at, i);
		const char *why = NULL;

		if (json_str(key).n)
			why = name_check_qualified(arena_strf(c->a, "%.*s/%.*s", STR_ARG(policy),
							      STR_ARG(json_str(key))));
		if (why)
			rule_invalid(c, &here, "key", key, why);
		check_new(c, &here, list, i, "key");
	}
}

static void check_message(struct kind_ctx *c, const struct spath *at, const struct json *item)
{
	const struct json *message = json_get(item, STR("message")),
			  *saying = json_get(item, STR("messageExpression"));
	struct str text = str_trim(json_str(message)),
		   expression = str_trim(json_str(json_get(item, STR("expression"))));

	if (json_str(message).n && !text.n)
		rule_invalid(c, at, "message", message, "message must be non-empty if specified");
	else if (str_find(text, STR("\n")) >= 0)
		rule_invalid(c, at, "message", message, "message must not contain line breaks");
	else if (text.n > MESSAGE_MAX)
		rule_too_long(c, at, "message", MESSAGE_MAX);
	else if (!text.n && str_find(expression, STR("\n")) >= 0)
		rule_required(c, at, "message",
			      "message must be specified if expression contains line breaks");
	if (json_str(saying).n && !str_trim(json_str(saying)).n)
		rule_invalid(c, at, "messageExpression", saying, "must be non-empty if specified");
}

static void check_validations(struct kind_ctx *c, const struct spath *at, const struct json *list)
{
	static const char *const reasons[] = {"Forbidden", "Invalid", "RequestEntityTooLarge",
					      "Unauthorized", NULL};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *item = json_item(list, i),
				  *reason = json_get(item, STR("reason"));
		struct spath here = SPATH_INDEX(at, i);
		bool known = !reason;

		for (size_t k = 0; reasons[k] && !known; k++)
			known = str_is(json_str(reason), reasons[k]);
		if (!known)
			rule_unsupported(c, &here, "reason", reason, reasons);
		check_message(c, &here, item);
	}
}

void policy_validate(struct kind_ctx *c, const struct spath *at, const struct json *policy)
{
	const struct json *spec = json_get(policy, STR("spec"));
	struct spath variables = SPATH_FIELD(at, "variables"),
		     conditions = SPATH_FIELD(at, "matchConditions"),
		     audits = SPATH_FIELD(at, "auditAnnotations"),
		     validations = SPATH_FIELD(at, "validations");

	check_variables(c, &variables, json_get(spec, STR("variables")));
	check_conditions(c, &conditions, json_get(spec, STR("matchConditions")));
	check_audits(c, &audits, json_get(spec, STR("auditAnnotations")), meta_name(policy));
	check_validations(c, &validations, json_get(spec, STR("validations")));
}

static void check_actions(struct kind_ctx *c, const struct spath *at, const struct json *actions)
{
	struct spath all = SPATH_FIELD(at, "validationActions");
	bool deny = false, warn = false;

	for (size_t i = 0; i < json_len(actions); i++) {
		struct str action = json_str(json_item(actions, i));
		struct spath here = SPATH_INDEX(&all, i);

		deny |= str_is(action, "Deny");
		warn |= str_is(action, "Warn");
		for (size_t k = 0; k < i; k++)
			if (str_eq(json_str(json_item(actions, k)), action)) {
				rule_duplicate(c, &here, NULL, json_item(actions, i));
				break;
			}
	}
	if (deny && warn)
		rule_invalid(c, at, "validationActions", actions,
			     "must not contain both Deny and Warn (repeating the same validation "
			     "failure information in the API response and headers serves no "
			     "purpose)");
}

void policy_binding_validate(struct kind_ctx *c, const struct spath *at, const struct json *spec)
{
	const struct json *ref = json_get(spec, STR("paramRef")),
			  *name = json_get(ref, STR("name")),
			  *selector = json_get(ref, STR("selector"));
	struct spath here = SPATH_FIELD(at, "paramRef");

	check_actions(c, at, json_get(spec, STR("validationActions")));
	if (!ref)
		return;
	if (json_str(name).n && selector)
		rule_forbidden(c, &here, "name", "name and selector are mutually exclusive");
	else if (!json_str(name).n && !selector)
		rule_required(c, &here, NULL, "one of name or selector must be specified");
	rule_selector(c, &here, "selector", selector);
	if (!json_str(json_get(ref, STR("parameterNotFoundAction"))).n)
		rule_required(c, &here, "parameterNotFoundAction", NULL);
}
