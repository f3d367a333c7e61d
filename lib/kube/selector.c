/*
 * Label and field selectors: parsing, matching, writing. Pure; what is parsed lives in the
 * caller's arena. Specification: k8s.io/apimachinery/pkg/labels (selector.go), pkg/fields.
 */
#include "lib/kube/selector.h"

#include <string.h>

#include "lib/base/pure.h"

#define TERMS_MAX 1000 /* far above what anyone writes; a query is bounded by its head anyway */

static struct selector_term *term_add(struct arena *a, struct selector *s, struct str key,
				      enum selector_op op)
{
	struct selector_term *t;

	if (!(s->n & (s->n - 1))) { /* grows at powers of two */
		struct selector_term *grown = arena_array(a, s->n ? 2 * s->n : 1, sizeof(*grown));

		if (s->n)
			memcpy(grown, s->terms, s->n * sizeof(*grown));
		s->terms = grown;
	}
	t = &s->terms[s->n++];
	*t = (struct selector_term){.key = arena_str(a, key), .op = op};
	return t;
}

static void value_add(struct arena *a, struct selector_term *t, struct str value)
{
	if (!(t->nvalues & (t->nvalues - 1))) {
		struct str *grown = arena_array(a, t->nvalues ? 2 * t->nvalues : 1, sizeof(*grown));

		if (t->nvalues)
			memcpy(grown, t->values, t->nvalues * sizeof(*grown));
		t->values = grown;
	}
	t->values[t->nvalues++] = arena_str(a, value);
}

/* ---- text ---- */

struct scanner {
	struct arena *a;
	struct str rest;
	struct str text;
};

static void skip_space(struct scanner *s)
{
	while (s->rest.n && strchr(" \t\r\n", s->rest.p[0]))
		s->rest = str_sub(s->rest, 1, s->rest.n);
}

static bool is_special(char c)
{
	return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '<' || c == '>' ||
	       c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct str scan_word(struct scanner *s)
{
	size_t n = 0;
	struct str word;

	skip_space(s);
	while (n < s->rest.n && !is_special(s->rest.p[n]))
		n++;
	word = str_sub(s->rest, 0, n);
	s->rest = str_sub(s->rest, n, s->rest.n);
	skip_space(s);
	return word;
}

static bool scan_token(struct scanner *s, const char *token)
{
	struct str t = str_c(token);

	skip_space(s);
	if (!str_starts(s->rest, t))
		return false;
	s->rest = str_sub(s->rest, t.n, s->rest.n);
	return true;
}

static int unparsable(const struct scanner *s, const char *why, struct err *err)
{
	return err_set(err, ERR_BAD_REQUEST, "unable to parse requirement: %s in \"%.*s\"", why,
		       (int)MIN(s->text.n, 200), s->text.p);
}

static int check_key(struct str key, struct err *err)
{
	const char *why = name_check_qualified(key);

	if (!why)
		return 0;
	return err_set(err, ERR_BAD_REQUEST,
		       "unable to parse requirement: <nil>: Invalid value: \"%.*s\": %s",
		       (int)MIN(key.n, 100), key.p, why);
}

static int check_value(struct str value, struct err *err)
{
	const char *why = name_check_label_value(value);

	if (!why)
		return 0;
	return err_set(err, ERR_BAD_REQUEST,
		       "unable to parse requirement: values[0]: Invalid value: \"%.*s\": %s",
		       (int)MIN(value.n, 100), value.p, why);
}

static int parse_set(struct scanner *s, struct selector_term *t, struct err *err)
{
	if (!scan_token(s, "("))
		return unparsable(s, "found no '(' after in", err);
	do {
		struct str value = scan_word(s);

		if (check_value(value, err))
			return -1;
		value_add(s->a, t, value);
	} while (scan_token(s, ","));
	return scan_token(s, ")") ? 0 : unparsable(s, "expected: ',' or ')'", err);
}

static int parse_number(struct scanner *s, struct selector_term *t, struct err *err)
{
	struct str value = scan_word(s);
	int64_t number;

	if (str_to_i64(value, &number))
		return unparsable(s, "for 'Gt', 'Lt' operators, the value must be an integer", err);
	value_add(s->a, t, value);
	return 0;
}

static int parse_value(struct scanner *s, struct selector_term *t, struct err *err)
{
	struct str value = scan_word(s);

	if (check_value(value, err))
		return -1;
	value_add(s->a, t, value);
	return 0;
}

static int parse_term(struct scanner *s, struct selector *ret, struct err *err)
{
	static const struct {
		const char *token;
		enum selector_op op;
	} operators[] = {{"==", SELECT_EQ},
			 {"=", SELECT_EQ},
			 {"!=", SELECT_NE},
			 {">", SELECT_GT},
			 {"<", SELECT_LT}};
	bool absent = scan_token(s, "!");
	struct str key = scan_word(s), word;

	if (check_key(key, err))
		return -1;
	if (absent || !s->rest.n || s->rest.p[0] == ',') {
		term_add(s->a, ret, key, absent ? SELECT_NOT_EXISTS : SELECT_EXISTS);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		if (!scan_token(s, operators[i].token))
			continue;
		if (operators[i].op == SELECT_GT || operators[i].op == SELECT_LT)
			return parse_number(s, term_add(s->a, ret, key, operators[i].op), err);
		return parse_value(s, term_add(s->a, ret, key, operators[i].op), err);
	}
	word = scan_word(s);
	if (str_is(word, "in"))
		return parse_set(s, term_add(s->a, ret, key, SELECT_IN), err);
	if (str_is(word, "notin"))
		return parse_set(s, term_add(s->a, ret, key, SELECT_NOT_IN), err);
	return unparsable(s, "expected an operator", err);
}

int selector_parse(struct arena *a, struct str text, struct selector *ret, struct err *err)
{
	struct scanner s = {.a = a, .rest = text, .text = text};

	*ret = (struct selector){0};
	skip_space(&s);
	if (!s.rest.n)
		return 0;
	do {
		if (ret->n == TERMS_MAX)
			return unparsable(&s, "too many terms", err);
		if (parse_term(&s, ret, err))
			return -1;
	} while (scan_token(&s, ","));
	skip_space(&s);
	return s.rest.n ? unparsable(&s, "expected ',' or the end", err) : 0;
}

int selector_parse_fields(struct arena *a, struct str text, struct selector *ret, struct err *err)
{
	struct str rest = text, part;

	*ret = (struct selector){0};
	if (!text.n)
		return 0;
	while (str_next(&rest, ',', &part)) {
		struct str key, value;
		bool ne;

		if (!part.n)
			continue;
		if (!str_cut(part, '=', &key, &value) || !key.n || ret->n == TERMS_MAX)
			return err_set(err, ERR_BAD_REQUEST,
				       "invalid selector: '%.*s'; can't understand '%.*s'",
				       (int)MIN(text.n, 150), text.p, (int)MIN(part.n, 100),
				       part.p);
		ne = key.p[key.n - 1] == '!';
		if (ne)
			key.n--;
		else if (value.n && value.p[0] == '=')
			value = str_sub(value, 1, value.n);
		value_add(a, term_add(a, ret, key, ne ? SELECT_NE : SELECT_EQ), value);
	}
	return 0;
}

/* ---- objects ---- */

static int wrong_values(const struct selector_term *t, const char *what, struct err *err)
{
	return err_set(err, ERR_INVALID, "values of \"%.*s\" %s", (int)MIN(t->key.n, 100), t->key.p,
		       what);
}

static int check_values(const struct selector_term *t, struct err *err)
{
	bool sets = t->op == SELECT_IN || t->op == SELECT_NOT_IN;
	bool compares = t->op == SELECT_GT || t->op == SELECT_LT;
	int64_t number;

	if (sets && !t->nvalues)
		return wrong_values(t, "must not be empty for 'in', 'notin' operators", err);
	if (compares && (t->nvalues != 1 || str_to_i64(t->values[0], &number)))
		return wrong_values(t, "must be one integer for 'Gt', 'Lt' operators", err);
	if (!sets && !compares && t->nvalues)
		return wrong_values(t, "must be empty for 'exists', 'does not exist'", err);
	for (size_t i = 0; i < t->nvalues; i++)
		if (check_value(t->values[i], err))
			return -1;
	return 0;
}

static int expression(struct arena *a, const struct json *e, struct selector *ret, struct err *err)
{
	static const struct {
		const char *name;
		enum selector_op op;
	} operators[] = {{"In", SELECT_IN},         {"NotIn", SELECT_NOT_IN},
			 {"Exists", SELECT_EXISTS}, {"DoesNotExist", SELECT_NOT_EXISTS},
			 {"Gt", SELECT_GT},         {"Lt", SELECT_LT}};
	struct str name = json_str(json_get(e, STR("operator")));
	struct str key = json_str(json_get(e, STR("key")));
	const struct json *values = json_get(e, STR("values"));

	if (check_key(key, err))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
		struct selector_term *t;

		if (!str_is(name, operators[i].name))
			continue;
		t = term_add(a, ret, key, operators[i].op);
		for (size_t j = 0; j < json_len(values); j++)
			value_add(a, t, json_str(json_item(values, j)));
		return check_values(t, err);
	}
	return err_set(err, ERR_INVALID, "\"%.*s\" is not a valid label selector operator",
		       (int)MIN(name.n, 100), name.p);
}

static void equalities(struct arena *a, const struct json *map, struct selector *ret)
{
	const struct json_member *m = json_members(map);

	for (size_t i = 0; m && i < json_len(map); i++)
		value_add(a, term_add(a, ret, m[i].key, SELECT_EQ), json_str(&m[i].value));
}

int selector_from_json(struct arena *a, const struct json *v, struct selector *ret, struct err *err)
{
	const struct json *expressions = json_get(v, STR("matchExpressions"));

	*ret = (struct selector){.nothing = !v || json_is(v, JSON_NULL)};
	equalities(a, json_get(v, STR("matchLabels")), ret);
	for (size_t i = 0; i < ret->n; i++)
		if (check_key(ret->terms[i].key, err) || check_value(ret->terms[i].values[0], err))
			return -1;
	for (size_t i = 0; i < json_len(expressions); i++)
		if (expression(a, json_item(expressions, i), ret, err))
			return -1;
	return 0;
}

int selector_from_map(struct arena *a, const struct json *map, struct selector *ret,
		      struct err *err)
{
	(void)err;
	*ret = (struct selector){.nothing = !json_len(map)};
	equalities(a, map, ret);
	return 0;
}

/* ---- matching ---- */

static bool among(const struct selector_term *t, struct str value)
{
	for (size_t i = 0; i < t->nvalues; i++)
		if (str_eq(t->values[i], value))
			return true;
	return false;
}

static bool term_compares(const struct selector_term *t, struct str value)
{
	int64_t have, want;

	if (!t->nvalues || str_to_i64(value, &have) || str_to_i64(t->values[0], &want))
		return false;
	return t->op == SELECT_GT ? have > want : have < want;
}

static bool term_match(const struct selector_term *t, bool present, struct str value)
{
	switch (t->op) {
	case SELECT_EQ:
	case SELECT_IN:
		return present && among(t, value);
	case SELECT_NE:
	case SELECT_NOT_IN:
		return !present || !among(t, value);
	case SELECT_EXISTS:
		return present;
	case SELECT_NOT_EXISTS:
		return !present;
	case SELECT_GT:
	case SELECT_LT:
		return present && term_compares(t, value);
	}
	return false;
}

bool selector_match_obj(const struct selector *s, const struct obj *o)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		struct str value = obj_label(o, s->terms[i].key);

		if (!term_match(&s->terms[i], value.p != NULL, value))
			return false;
	}
	return true;
}

bool selector_match_json(const struct selector *s, const struct json *labels)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++) {
		const struct json *value = json_get(labels, s->terms[i].key);

		if (!term_match(&s->terms[i], value != NULL, json_str(value)))
			return false;
	}
	return true;
}

bool selector_match_fields(const struct selector *s, struct str (*get)(void *arg, struct str field),
			   void *arg)
{
	if (s->nothing)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (!term_match(&s->terms[i], true, get(arg, s->terms[i].key)))
			return false;
	return true;
}

/* ---- copying and writing ---- */

struct selector selector_copy(struct arena *a, const struct selector *s)
{
	struct selector copy = {.nothing = s->nothing};

	for (size_t i = 0; i < s->n; i++) {
		struct selector_term *t = term_add(a, &copy, s->terms[i].key, s->terms[i].op);

		for (size_t j = 0; j < s->terms[i].nvalues; j++)
			value_add(a, t, s->terms[i].values[j]);
	}
	return copy;
}

static void write_values(const struct selector_term *t, struct buf *out)
{
	for (size_t i = 0; i < t->nvalues; i++) {
		if (i)
			buf_putc(out, ',');
		buf_str(out, t->values[i]);
	}
}

void selector_write(const struct selector *s, struct buf *out)
{
	static const char *const infix[] = {[SELECT_EQ] = "=",     [SELECT_NE] = "!=",
					    [SELECT_IN] = " in (", [SELECT_NOT_IN] = " notin (",
					    [SELECT_EXISTS] = "",  [SELECT_NOT_EXISTS] = "",
					    [SELECT_GT] = ">",     [SELECT_LT] = "<"};

	for (size_t i = 0; i < s->n; i++) {
		const struct selector_term *t = &s->terms[i];

		if (i)
			buf_putc(out, ',');
		if (t->op == SELECT_NOT_EXISTS)
			buf_putc(out, '!');
		buf_str(out, t->key);
		buf_puts(out, infix[t->op]);
		write_values(t, out);
		if (t->op == SELECT_IN || t->op == SELECT_NOT_IN)
			buf_putc(out, ')');
	}
}
