/*
 * The names that CEL's grammar knows: reserved words, types, macros, and the variables of the
 * environment. Pure.
 */
#include "lib/schema/cel-internal.h"

#include "lib/base/pure.h"

bool cel_is_reserved(struct str s)
{
	static const char *const words[] = {
		"as",       "break",   "const",  "continue", "else",      "false", "for",
		"function", "if",      "import", "in",       "let",       "loop",  "null",
		"var",      "package", "return", "true",     "namespace", "void",  "while"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_is(s, words[i]))
			return true;
	return false;
}

const struct cel_var *cel_variable(const struct cel_parse *p, struct str name)
{
	for (size_t i = 0; p->env->vars && i < p->env->nvars; i++)
		if (str_is(name, p->env->vars[i].name))
			return &p->env->vars[i];
	return NULL;
}

enum cel_type cel_type_named(struct str name)
{
	static const struct {
		const char *name;
		enum cel_type type;
	} types[] = {{"int", CEL_INT},
		     {"uint", CEL_UINT},
		     {"double", CEL_DOUBLE},
		     {"bool", CEL_BOOL},
		     {"string", CEL_STRING},
		     {"bytes", CEL_BYTES},
		     {"list", CEL_LIST},
		     {"map", CEL_MAP},
		     {"null_type", CEL_NULL},
		     {"type", CEL_TYPE},
		     {"optional_type", CEL_OPTIONAL},
		     {"google.protobuf.Timestamp", CEL_TIMESTAMP},
		     {"google.protobuf.Duration", CEL_DURATION},
		     {"net.IP", CEL_IP},
		     {"net.CIDR", CEL_CIDR},
		     {"kubernetes.URL", CEL_URL},
		     {"kubernetes.Quantity", CEL_QUANTITY}};

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_is(name, types[i].name))
			return types[i].type;
	return CEL_ANY;
}

static const struct cel_macro_form macros[] = {{"all", CEL_M_ALL, true, false},
					       {"exists", CEL_M_EXISTS, true, false},
					       {"exists_one", CEL_M_EXISTS_ONE, false, false},
					       {"existsOne", CEL_M_EXISTS_ONE, true, false},
					       {"filter", CEL_M_FILTER, false, false},
					       {"map", CEL_M_MAP, false, false},
					       {"transformList", CEL_M_MAP, true, true},
					       {"transformMap", CEL_M_TRANSFORM_MAP, true, true},
					       {"optMap", CEL_M_OPT_MAP, false, false},
					       {"optFlatMap", CEL_M_OPT_FLAT_MAP, false, false}};

const struct cel_macro_form *cel_macro_named(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(macros); i++)
		if (str_is(name, macros[i].name))
			return &macros[i];
	return NULL;
}
