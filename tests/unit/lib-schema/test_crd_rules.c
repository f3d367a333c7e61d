/* x-kubernetes-validations: which rules are refused, and what they say of objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/schema/crd_rules.h"
#include "lib/schema/crd_schema.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct json *parse(struct arena *a, const char *text)
{
	struct err err = {0};
	struct json *v = text ? json_parse(a, str_c(text), NULL, &err) : NULL;

	if (text && !v)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

/* The schema of one field, x; written with ' for ". */
static struct json *schema_of(struct arena *a, const char *x)
{
	char *text = arena_printf(
		a,
		"{'type':'object','properties':{'x':%s},'x-kubernetes-validations':[{'rule':"
		"'true'}]}",
		x);

	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
		else if (*p == '~')
			*p = '\'';
	return parse(a, text);
}

static void said(const struct schema_problems *ps, const char *want)
{
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < ps->n; i++)
		buf_printf(&b, "%s%.*s: %.*s", i ? "; " : "", STR_ARG(ps->v[i].field),
			   STR_ARG(ps->v[i].message));
	assert_string_equal(buf_cstr(&b), want);
}

static void check(const char *x, const char *next, const char *old, const char *want)
{
	AUTO(arena) struct arena a = {0};
	struct schema_problems ps = {.a = &a};
	const struct schema *s = crd_schema_build(&a, schema_of(&a, x), false);

	crd_rules_check(s, parse(&a, next), parse(&a, old), &ps);
	said(&ps, want);
}

static void refused(const char *x, const char *want)
{
	AUTO(arena) struct arena a = {0};
	struct schema_problems ps = {.a = &a};

	crd_schema_check(schema_of(&a, x), STR("s"), &ps);
	said(&ps, want);
}

void test_crd_rules__values(void **state)
{
	static const char x[] =
		"{'type':'integer','x-kubernetes-validations':[{'rule':'self > 2'}]}";

	(void)state;
	check(x, "{\"x\":3}", NULL, "");
	check(x, "{}", NULL, "");
	check(x, "{\"x\":1}", NULL, "x: Invalid value: \"integer\": failed rule: self > 2");
}

void test_crd_rules__messages(void **state)
{
	(void)state;
	check("{'type':'integer','x-kubernetes-validations':[{'rule':'self>2','message':' too few "
	      "'}]"
	      "}",
	      "{\"x\":1}", NULL, "x: Invalid value: \"integer\": too few");
	check("{'type':'integer','x-kubernetes-validations':[{'rule':'self>2','messageExpression':"
	      "'string(self) + ~ is few~','reason':'FieldValueForbidden'}]}",
	      "{\"x\":1}", NULL, "x: Forbidden: 1 is few");
	/* one that says nothing leaves it to the message */
	check("{'type':'integer','x-kubernetes-validations':[{'rule':'self>2','messageExpression':"
	      "'[~~][self]','message':'m'}]}",
	      "{\"x\":1}", NULL, "x: Invalid value: \"integer\": m");
	check("{'type':'object','properties':{'y':{'type':'integer'}},'x-kubernetes-validations':[{"
	      "'rule':'self.y > 2','fieldPath':'.y','reason':'FieldValueDuplicate'}]}",
	      "{\"x\":{\"y\":1}}", NULL, "x.y: Duplicate value: \"object\"");
}

void test_crd_rules__errors(void **state)
{
	(void)state;
	check("{'type':'integer','x-kubernetes-validations':[{'rule':'selv > 2'}]}", "{\"x\":3}",
	      NULL,
	      "x: Invalid value: \"integer\": rule compile error: ERROR: <input>:1:1: undeclared "
	      "reference to 'selv' (in container '')\n | selv > 2\n | ^");
	check("{'type':'object','properties':{'y':{'type':'integer'}},'x-kubernetes-validations':[{"
	      "'rule':'self.y > 2'}]}",
	      "{\"x\":{}}", NULL,
	      "x: Invalid value: \"object\": no such key: y evaluating rule: failed rule: self.y > "
	      "2");
	check("{'type':'array','items':{'type':'integer'},'x-kubernetes-validations':[{'rule':"
	      "'self.all(a, self.all(b, self.all(c, self.all(d, self.all(e, self.all(f, "
	      "self.all(g, true)))))))'}]}",
	      "{\"x\":[1,2,3,4,5,6,7,8,9,10]}", NULL,
	      "x: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no "
	      "further validation rules will be run due to call cost exceeds limit for rule: "
	      "failed "
	      "rule: self.all(a, self.all(b, self.all(c, self.all(d, self.all(e, self.all(f, "
	      "self.all(g, true)))))))");
}

void test_crd_rules__transitions(void **state)
{
	static const char x[] = "{'type':'integer','x-kubernetes-validations':[{'rule':'self >= "
				"oldSelf','message':'shrinks'}]}",
			  once[] = "{'type':'integer','x-kubernetes-validations':[{'rule':"
				   "'!oldSelf.hasValue() || self == oldSelf.value()',"
				   "'optionalOldSelf':true,'message':'changes'}]}",
			  list[] = "{'type':'array','x-kubernetes-list-type':'map',"
				   "'x-kubernetes-list-map-keys':['k'],'items':{'type':'object',"
				   "'required':['k'],'properties':{'k':{'type':'string'},"
				   "'v':{'type':'integer','x-kubernetes-validations':[{'rule':"
				   "'self == oldSelf','message':'fixed'}]}}}}";

	(void)state;
	check(x, "{\"x\":1}", NULL, "");
	check(x, "{\"x\":1}", "{}", "");
	check(x, "{\"x\":1}", "{\"x\":2}", "x: Invalid value: \"integer\": shrinks");
	check(once, "{\"x\":1}", NULL, "");
	check(once, "{\"x\":1}", "{\"x\":2}", "x: Invalid value: \"integer\": changes");
	/* items are the same by their keys */
	check(list, "{\"x\":[{\"k\":\"b\",\"v\":3},{\"k\":\"a\",\"v\":1}]}",
	      "{\"x\":[{\"k\":\"a\",\"v\":1},{\"k\":\"b\",\"v\":2}]}",
	      "x[0].v: Invalid value: \"integer\": fixed");
}

void test_crd_rules__what_did_not_change_is_not_judged_again(void **state)
{
	static const char x[] =
		"{'type':'object','additionalProperties':{'type':'integer',"
		"'x-kubernetes-validations':[{'rule':'self > 2','message':'few'}]}}";

	(void)state;
	check(x, "{\"x\":{\"a\":1,\"b\":1}}", "{\"x\":{\"a\":1}}",
	      "x[b]: Invalid value: \"integer\": few");
}

void test_crd_rules__are_refused(void **state)
{
	(void)state;
	refused("{'type':'integer','x-kubernetes-validations':[{'rule':'self > 2'}]}", "");
	refused("{'type':'integer','x-kubernetes-validations':[{'rule':''}]}",
		"s.properties[x].x-kubernetes-validations[0].rule: Required value: rule is not "
		"specified");
	refused("{'type':'integer','x-kubernetes-validations':[{'rule':'self + 2'}]}",
		"s.properties[x].x-kubernetes-validations[0].rule: Invalid value: "
		"apiextensions.ValidationRule{Rule:\"self + 2\", Message:\"\", "
		"MessageExpression:\"\", Reason:(*apiextensions.FieldValueErrorReason)(nil), "
		"FieldPath:\"\", OptionalOldSelf:(*bool)(nil)}: cel expression must evaluate to a "
		"bool");
	refused("{'type':'object','properties':{'y':{'type':'integer'}},'x-kubernetes-validations':"
		"[{"
		"'rule':'self.z > 2'}]}",
		"s.properties[x].x-kubernetes-validations[0].rule: Invalid value: "
		"apiextensions.ValidationRule{Rule:\"self.z > 2\", Message:\"\", "
		"MessageExpression:\"\", Reason:(*apiextensions.FieldValueErrorReason)(nil), "
		"FieldPath:\"\", OptionalOldSelf:(*bool)(nil)}: compilation failed: ERROR: "
		"<input>:1:5: undefined field 'z'\n | self.z > 2\n | ....^");
	refused("{'type':'array','items':{'type':'integer','x-kubernetes-validations':[{'rule':'"
		"self "
		"== oldSelf'}]}}",
		"s.properties[x].items.x-kubernetes-validations[0].rule: Invalid value: \"self == "
		"oldSelf\": oldSelf cannot be used on the uncorrelatable portion of the schema "
		"within s.properties[x]");
	refused("{'type':'integer','x-kubernetes-validations':[{'rule':'true','optionalOldSelf':"
		"true}"
		"]}",
		"s.properties[x].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: "
		"may not be set if oldSelf is not used in rule");
	refused("{'type':'object','properties':{'y':{'type':'integer'}},'x-kubernetes-validations':"
		"[{"
		"'rule':'true','fieldPath':'.z'}]}",
		"s.properties[x].x-kubernetes-validations[0].fieldPath: Invalid value: \".z\": "
		"does "
		"not refer to a valid field");
}

void test_crd_rules__wait_for_what_they_rest_on(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct schema_problems ps = {.a = &a};
	const struct schema *s = crd_schema_build(
		&a,
		schema_of(&a,
			  "{'type':'integer','x-kubernetes-validations':[{'rule':'self > 2'}]}"),
		false);

	(void)state;
	schema_problem(&ps, "FieldValueRequired", STR("y"), 0, "Required value");
	crd_rules_check(s, parse(&a, "{\"x\":1}"), NULL, &ps);
	said(&ps,
	     "y: Required value; <nil>: Invalid value: \"null\": some validation rules were not "
	     "checked because the object was invalid; correct the existing errors to complete "
	     "validation");
}
