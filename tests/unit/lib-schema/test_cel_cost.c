/*
 * What rules are estimated to cost: the figures decide which definitions are taken, so they are
 * those of Kubernetes, without bounds and with them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/schema/cel.h"
#include "lib/schema/crd_rules.h"
#include "lib/schema/crd_schema.h"

/* ' stands for ", %s in a schema for a bound that may be there. */
static const struct schema *type_of(struct arena *a, const char *type, const char *bound)
{
	AUTO(buf) struct buf b = {0};
	struct err err = {0};

	buf_puts(&b, "{'type':'object','properties':{'x':");
	for (const char *p = type; *p; p++)
		if (*p == '%')
			buf_puts(&b, bound);
		else
			buf_putc(&b, *p);
	buf_puts(&b, "}}");
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] == '\'')
			b.p[i] = '"';
	const struct json *v = json_parse(a, arena_str(a, buf_view(&b)), NULL, &err);
	if (!v)
		fail_msg("%s: %s", buf_cstr(&b), err.msg);
	return schema_field(crd_schema_build(a, v, false), STR("x"))->type;
}

static void assert_cost(const char *type, const char *bound, const char *rule, uint64_t want)
{
	AUTO(arena) struct arena a = {0};
	struct cel_var self = {.name = "self", .type = type_of(&a, type, bound)};
	struct cel_env env = {.vars = &self, .nvars = 1};
	struct err err = {0};
	const struct cel_program *p = cel_compile(&a, str_c(rule), &env, CEL_WANT_BOOL, &err);

	if (!p)
		fail_msg("%s: %s", rule, err.msg);
	if (cel_cost(p) != want)
		fail_msg("%s [%s] %s: %llu, not %llu", type, bound, rule,
			 (unsigned long long)cel_cost(p), (unsigned long long)want);
}

#define LIST(of) "{'type':'array','items':" of "%}"
#define TYPE(name) "{'type':'" name "'}"
#define FORM(format) "{'type':'string','format':'" format "'}"
#define INT_OR_STRING "{'x-kubernetes-int-or-string':true}"
#define MAP(of) "{'type':'object','additionalProperties':" of "%}"
#define TEXT "{'type':'string'%}"

#define BOUND_TEXT "{'type':'string','maxLength':10}"
#define TEXTS(of) "{'type':'object','properties':{'s':" of ",'t':" of "}}"
#define REPLACE(of)                                                                                \
	"{'type':'object','properties':{'s':" of ",'b':{'type':'string','maxLength':2},'a':"       \
	"{'type':'string','maxLength':4}}}"

static const struct {
	const char *type, *rule;
	uint64_t unbound;
	const char *bound;
	uint64_t bounded;
} cases[] = {
	{LIST(TYPE("number")), "self.all(x, true)", 4718591, "'maxItems':10", 32},
	{LIST(TYPE("string")), "self.all(x, true)", 3145727, "'maxItems':20", 62},
	{LIST(TYPE("boolean")), "self.all(x, true)", 1887437, "'maxItems':5", 17},
	{LIST("{'type':'array','items':{'type':'number'}}"), "self.all(x, true)", 3145727,
	 "'maxItems':100", 302},
	{MAP(TYPE("number")), "self.all(x, true)", 1348169, "'maxProperties':10", 32},
	{MAP(TYPE("string")), "self.all(x, true)", 1179647, "'maxProperties':3", 11},
	{MAP(TYPE("boolean")), "self.all(x, true)", 943718, "'maxProperties':100", 302},
	{TEXT, "self.contains('test')", 314574, "'maxLength':10", 5},
	{TEXT, "self.startsWith('test')", 2, "'maxLength':15", 2},
	{TEXT, "self.endsWith('test')", 2, "'maxLength':30", 2},
	{TEXT, "size(self + \"hello\") > size(\"hello\")", 314578, "'maxLength':4", 7},
	{LIST(TYPE("number")), "self[1] == 0.0", 2, "'maxItems':5000", 2},
	{LIST(TYPE("string")), "self[1] == self[1]", 314577, "'maxItems':8", 314577},
	{LIST(TYPE("number")), "self.all(x, self.all(y, true))", 0, "'maxItems':10", 352},
	{LIST(TYPE("number")), "self.all(x, self.all(y, self.all(z, true)))", 0, "'maxItems':10",
	 3552},
	{TEXT, "self.matches(\"x\")", 314574, "'maxLength':50", 22},
	{TEXT, "\"\".matches(\"(((((((((())))))))))[0-9]\")", 7, "'maxLength':10", 7},
	{TEXT, "self.matches(\"\")", 1, "'maxLength':100", 1},
	{TEXT, "self == \"x\"", 2, "'maxLength':0", 1},
	{LIST(TYPE("number")), "self.all(x, x == 0.0)", 6291454, "'maxItems':6291456", 25165826},
	{LIST(INT_OR_STRING), "self.all(x, true)", 4718591, "'maxItems':10", 32},
	{LIST(INT_OR_STRING), "self[0] == 5", 3, "'maxItems':10", 3},
	{LIST(TYPE("boolean")), "self[0] == false", 2, "'maxItems':25", 2},
	{LIST(MAP(TYPE("number"))), "self[0].x > 2.0", 4, "'maxItems':3000", 4},
	{LIST(FORM("duration")), "self.all(x, true)", 2359295, "'maxItems':5", 17},
	{LIST(FORM("duration")), "self[0].getHours() == 2", 4, "'maxItems':525", 4},
	{LIST(FORM("date")), "self.all(x, true)", 725936, "'maxItems':15", 47},
	{LIST(FORM("date-time")), "self.all(x, true)", 428963, "'maxItems':25", 77},
	{LIST(FORM("date-time")), "self[2].getMinutes() == 45", 4, "'maxItems':99", 4},
	{MAP(INT_OR_STRING), "self.all(x, true)", 1348169, "'maxProperties':15", 47},
	{MAP(FORM("duration")), "self.all(x, true)", 1048577, "'maxProperties':5", 17},
	{MAP(FORM("date")), "self.all(x, true)", 524288, "'maxProperties':10", 32},
	{MAP(FORM("date-time")), "self.all(x, true)", 349526, "'maxProperties':25", 77},
	{TEXT, "self.find('[0-9]+') == ''", 629147, "'maxLength':10", 11},
	{LIST(TYPE("string")), "self.join(' ') == 'aa bb'", 329853068905, "'maxItems':0", 1},
	{"{'type':'array','maxItems':10,'items':" BOUND_TEXT "}", "self.join(' ') == 'aa bb'", 43,
	 "", 43},
	{LIST(TYPE("string")), "self.isSorted() == true", 329854432052, "'maxItems':0", 2},
	{"{'type':'array','maxItems':10,'items':" BOUND_TEXT "}", "self.isSorted() == true", 52, "",
	 52},
	{TEXTS(TEXT), "self.s.split(self.t) == []", 629160, "'maxLength':10", 22},
	{REPLACE(TEXT), "self.s.replace(self.b, self.a) == 'does not matter'", 629154,
	 "'maxLength':4", 12},
	{TEXT, "self.lowerAscii() == 'lower!'", 314575, "'maxLength':10", 6},
	{MAP(TYPE("integer")), "self.size() == self.size()", 5, "'maxProperties':10", 5},
	{MAP(FORM("date-time")), "self['a'] == self['b']", 8, "'maxProperties':7", 8},
	{MAP(FORM("duration")), "self['a'] == self['b']", 8, "'maxProperties':42", 8},
	{"{'type':'string','enum':['A','B','LongValue']%}", "self.contains('A')", 2,
	 "'maxLength':1000", 401},
};

void test_cel_cost__as_kubernetes_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char bound[64];

		snprintf(bound, sizeof(bound), "%s%s", *cases[i].bound ? "," : "", cases[i].bound);
		if (cases[i].unbound)
			assert_cost(cases[i].type, "", cases[i].rule, cases[i].unbound);
		assert_cost(cases[i].type, bound, cases[i].rule, cases[i].bounded);
	}
}

/* Costs that no number holds. */
void test_cel_cost__saturates(void **state)
{
	(void)state;
	assert_cost(LIST(TYPE("number")), "",
		    "self.all(a, self.all(b, self.all(c, self.all(d, self.all(e, self.all(f, "
		    "true))))))",
		    UINT64_MAX);
}

/* ---- what definitions are told ---- */

static void assert_judged(const char *type, const char *want)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf b = {0};
	struct schema_problems ps = {.a = &a};
	char *text = arena_cstr(&a, str_c(type));

	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	const struct json *v = json_parse(&a, str_c(text), NULL, NULL);
	assert_non_null(v);
	crd_rules_judge(crd_schema_build(&a, v, false), STR("s"), &ps);
	for (size_t i = 0; i < ps.n; i++)
		buf_printf(&b, "%.*s: %.*s\n", STR_ARG(ps.v[i].field), STR_ARG(ps.v[i].message));
	assert_string_equal(buf_cstr(&b), want);
}

#define HINT                                                                                       \
	" (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where "      \
	"arrays, maps, and strings are declared)\n"
#define TWICE "'x-kubernetes-validations':[{'rule':'self.all(x, self.all(y, true))'}]"

void test_cel_cost__rules_beyond_the_budget_are_refused(void **state)
{
	(void)state;
	assert_judged("{'type':'object','properties':{'l':{'type':'array','items':{'type':"
		      "'integer'}," TWICE "}}}",
		      "s.properties[l].x-kubernetes-validations[0].rule: Forbidden: estimated rule "
		      "cost exceeds budget by factor of more than 100x" HINT
		      "s.properties[l].x-kubernetes-validations[0].rule: Forbidden: contributed to "
		      "estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema\n"
		      "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire "
		      "OpenAPIv3 schema exceeds budget by factor of more than 100x" HINT);
	assert_judged("{'type':'object','properties':{'l':{'type':'array','maxItems':2000,'items':"
		      "{'type':'integer'}," TWICE "}}}",
		      "s.properties[l].x-kubernetes-validations[0].rule: Forbidden: estimated rule "
		      "cost exceeds budget by factor of 1.201000x" HINT);
	assert_judged("{'type':'object','properties':{'l':{'type':'array','maxItems':1000,'items':"
		      "{'type':'integer'}," TWICE "}}}",
		      "");
	/* A cheap rule in each of very many places, and in each of a few. */
	assert_judged("{'type':'object','properties':{'l':{'type':'array','items':{'type':'array',"
		      "'items':{'type':'string','x-kubernetes-validations':[{'rule':'self.size() "
		      "> 2 && self.size() < 20 && self.contains(self)'}]}}}}}",
		      "s.properties[l].items.items.x-kubernetes-validations[0].rule: Forbidden: "
		      "estimated rule cost exceeds budget by factor of more than 100x" HINT
		      "s.properties[l].items.items.x-kubernetes-validations[0].rule: Forbidden: "
		      "contributed to estimated rule cost total exceeding cost limit for entire "
		      "OpenAPIv3 schema\n"
		      "s: Forbidden: x-kubernetes-validations estimated rule cost total for entire "
		      "OpenAPIv3 schema exceeds budget by factor of more than 100x" HINT);
	assert_judged("{'type':'object','properties':{'l':{'type':'array','maxItems':5,'items':{"
		      "'type':'string','maxLength':20,'x-kubernetes-validations':[{'rule':"
		      "'self.size() > 2'}]}}}}",
		      "");
}
