/*
 * Reporting problems in the words of field.ErrorList, and the small rules that many kinds share.
 *
 * Pure. Texts go into the context's arena; values are printed as Kubernetes prints them where it
 * does so readably, as JSON where it would print Go syntax.
 */
#include "apiserver/kinds/rules.h"

#include "lib/base/quantity.h"
#include "lib/kube/obj.h"
#include "lib/kube/selector.h"

#include "lib/base/pure.h"

static struct str path_of(struct kind_ctx *c, const struct spath *at, const char *field)
{
	struct spath here = {.up = at, .name = str_c(field)};
	return spath_text(c->a, field ? &here : at);
}

static void put_map(const struct json *v, struct buf *out)
{
	buf_puts(out, "map[string]string{");
	for (size_t i = 0; i < json_len(v); i++) {
		if (i)
			buf_puts(out, ", ");
		json_write_string(v->members[i].key, out);
		buf_putc(out, ':');
		json_write(&v->members[i].value, out);
	}
	buf_putc(out, '}');
}

static bool is_text_map(const struct json *v)
{
	if (!json_is(v, JSON_OBJECT))
		return false;
	for (size_t i = 0; i < json_len(v); i++)
		if (v->members[i].value.type != JSON_STRING)
			return false;
	return true;
}

static void put_list(const struct json *v, struct buf *out)
{
	buf_puts(out, "[]string{");
	for (size_t i = 0; i < json_len(v); i++) {
		if (i)
			buf_puts(out, ", ");
		json_write(json_item(v, i), out);
	}
	buf_putc(out, '}');
}

static bool is_text_list(const struct json *v)
{
	if (!json_is(v, JSON_ARRAY))
		return false;
	for (size_t i = 0; i < json_len(v); i++)
		if (!json_is(json_item(v, i), JSON_STRING))
			return false;
	return json_len(v) > 0;
}

static bool is_selector(const struct json *v)
{
	return json_is(json_get(v, STR("matchLabels")), JSON_OBJECT) ||
	       json_is(json_get(v, STR("matchExpressions")), JSON_ARRAY);
}

/* A LabelSelector as Go prints it: what people see who change a Deployment's. */
static void put_selector(const struct json *v, struct buf *out)
{
	const struct json *labels = json_get(v, STR("matchLabels")),
			  *all = json_get(v, STR("matchExpressions"));

	buf_puts(out, "v1.LabelSelector{MatchLabels:");
	if (labels)
		put_map(labels, out);
	else
		buf_puts(out, "map[string]string(nil)");
	buf_puts(out, ", MatchExpressions:[]v1.LabelSelectorRequirement");
	buf_puts(out, json_len(all) ? "{" : "(nil)");
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *one = json_item(all, i);

		buf_printf(out, "%sv1.LabelSelectorRequirement{Key:", i ? ", " : "");
		json_write_string(json_str(json_get(one, STR("key"))), out);
		buf_puts(out, ", Operator:");
		json_write_string(json_str(json_get(one, STR("operator"))), out);
		buf_puts(out, ", Values:");
		if (json_len(json_get(one, STR("values"))))
			put_list(json_get(one, STR("values")), out);
		else
			buf_puts(out, "[]string(nil)");
		buf_putc(out, '}');
	}
	buf_puts(out, json_len(all) ? "}}" : "}");
}

static struct str value_text(struct kind_ctx *c, const struct json *v)
{
	AUTO(buf) struct buf b = {0};
	if (!v)
		return STR("\"\"");
	if (v->flags & JSON_F_SENSITIVE)
		return STR("\"<sensitive>\"");
	if (is_selector(v))
		put_selector(v, &b);
	else if (is_text_map(v))
		put_map(v, &b);
	else if (is_text_list(v))
		put_list(v, &b);
	else
		json_write(v, &b);
	return arena_str(c->a, buf_view(&b));
}

void rule_required(struct kind_ctx *c, const struct spath *at, const char *field,
		   const char *detail)
{
	schema_problem(&c->problems, "FieldValueRequired", path_of(c, at, field), 0,
		       "Required value%s%s", detail ? ": " : "", detail ? detail : "");
}

void rule_invalid(struct kind_ctx *c, const struct spath *at, const char *field,
		  const struct json *value, const char *detail)
{
	struct str text = value_text(c, value);
	schema_problem(&c->problems, "FieldValueInvalid", path_of(c, at, field),
		       value ? value->src : 0, "Invalid value: %.*s: %s", STR_ARG(text), detail);
}

void rule_forbidden(struct kind_ctx *c, const struct spath *at, const char *field,
		    const char *detail)
{
	schema_problem(&c->problems, "FieldValueForbidden", path_of(c, at, field), 0,
		       "Forbidden: %s", detail);
}

void rule_duplicate(struct kind_ctx *c, const struct spath *at, const char *field,
		    const struct json *value)
{
	struct str text = value_text(c, value);
	schema_problem(&c->problems, "FieldValueDuplicate", path_of(c, at, field),
		       value ? value->src : 0, "Duplicate value: %.*s", STR_ARG(text));
}

void rule_unsupported(struct kind_ctx *c, const struct spath *at, const char *field,
		      const struct json *value, const char *const *allowed)
{
	AUTO(buf) struct buf list = {0};
	for (; *allowed; allowed++)
		buf_printf(&list, "%s\"%s\"", list.n ? ", " : "", *allowed);
	struct str text = value_text(c, value);
	schema_problem(&c->problems, "FieldValueNotSupported", path_of(c, at, field),
		       value ? value->src : 0, "Unsupported value: %.*s: supported values: %.*s",
		       STR_ARG(text), (int)list.n, list.p);
}

void rule_not_found(struct kind_ctx *c, const struct spath *at, const char *field,
		    const struct json *value)
{
	struct str text = value_text(c, value);
	schema_problem(&c->problems, "FieldValueNotFound", path_of(c, at, field),
		       value ? value->src : 0, "Not found: %.*s", STR_ARG(text));
}

void rule_one_of(struct kind_ctx *c, const struct spath *at, const struct json *object,
		 const char *const *names, const char *missing, const char *many)
{
	size_t n = 0;
	for (; *names; names++) {
		const struct json *v = json_get(object, str_c(*names));
		if (v && v->type != JSON_NULL && ++n == 2)
			rule_forbidden(c, at, *names, many);
	}
	if (!n)
		rule_required(c, at, NULL, missing);
}

void rule_range(struct kind_ctx *c, const struct spath *at, const struct json *object,
		const char *field, int64_t min, int64_t max)
{
	const struct json *v = json_get(object, str_c(field));
	if (!v || v->type == JSON_NULL)
		return;
	int64_t i = json_int(v, min - 1);
	if (i < min || i > max)
		rule_invalid(c, at, field, v,
			     arena_printf(c->a, "must be between %lld and %lld, inclusive",
					  (long long)min, (long long)max));
}

void rule_too_long(struct kind_ctx *c, const struct spath *at, const char *field, size_t max)
{
	schema_problem(&c->problems, "FieldValueTooLong", path_of(c, at, field), 0,
		       "Too long: may not be more than %zu bytes", max);
}

void rule_warn(struct kind_ctx *c, const char *fmt, ...)
{
	if (!c->warnings)
		return;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(c->warnings, fmt, ap);
	va_end(ap);
	buf_putc(c->warnings, '\n');
}

void rule_immutable(struct kind_ctx *c, const struct spath *at, const struct json *next,
		    const struct json *live, const char *field)
{
	const struct json *a = json_get(next, str_c(field)), *b = json_get(live, str_c(field));
	if (!json_equal(a, b) && !(schema_equal(NULL, a, b)))
		rule_invalid(c, at, field, a, "field is immutable");
}

void rule_only(struct kind_ctx *c, const struct json *next, const struct json *live,
	       const char *const *names, const char *detail)
{
	struct json *copy =
		json_is(live, JSON_OBJECT) ? json_copy(c->a, live) : json_new(c->a, JSON_OBJECT);

	for (; *names; names++) {
		const struct json *v = json_get(next, str_c(*names));
		if (v)
			json_set(c->a, copy, str_c(*names), v);
		else
			json_del(copy, str_c(*names));
	}
	if (json_len(copy) + json_len(next) && !json_equal(copy, next))
		rule_forbidden(c, NULL, "spec", detail);
}

void rule_non_negative(struct kind_ctx *c, const struct spath *at, const struct json *object,
		       const char *field)
{
	const struct json *v = json_get(object, str_c(field));
	if (json_int(v, 0) < 0)
		rule_invalid(c, at, field, v, "must be greater than or equal to 0");
}

void rule_port(struct kind_ctx *c, const struct spath *at, const char *field,
	       const struct json *value)
{
	int64_t port = json_int(value, 0);
	if (port < 1 || port > 65535)
		rule_invalid(c, at, field, value, "must be between 1 and 65535, inclusive");
}

static const char *port_name_problem(struct str s)
{
	bool letter = false;
	if (!s.n || s.n > 15)
		return "must be no more than 15 characters";
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];
		bool dash = ch == '-';
		if (!dash && !(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9'))
			return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens "
			       "(-)";
		if (dash && (i == 0 || i == s.n - 1))
			return "must not begin or end with a hyphen";
		if (dash && s.p[i - 1] == '-')
			return "must not contain consecutive hyphens";
		letter |= ch >= 'a' && ch <= 'z';
	}
	return letter ? NULL : "must contain at least one letter (a-z)";
}

void rule_port_or_name(struct kind_ctx *c, const struct spath *at, const char *field,
		       const struct json *value)
{
	if (!json_is(value, JSON_STRING)) {
		rule_port(c, at, field, value);
		return;
	}
	const char *why = port_name_problem(json_str(value));
	if (why)
		rule_invalid(c, at, field, value, why);
}

static int percent_of(struct str s, int64_t *ret)
{
	if (s.n < 2 || s.p[s.n - 1] != '%')
		return -1;
	return str_to_i64(str_sub(s, 0, s.n - 1), ret);
}

void rule_int_or_percent(struct kind_ctx *c, const struct spath *at, const char *field,
			 const struct json *value)
{
	int64_t p;
	if (!value)
		return;
	if (json_is(value, JSON_STRING)) {
		if (percent_of(json_str(value), &p) || p < 0)
			rule_invalid(c, at, field, value,
				     "a valid percent string must be a numeric string followed by "
				     "an ending '%' (e.g. '1%',  or '93%', regex used for "
				     "validation is '[0-9]+%')");
	} else if (json_int(value, 0) < 0) {
		rule_invalid(c, at, field, value, "must be greater than or equal to 0");
	}
}

int64_t rule_scaled(const struct json *v, int64_t total, bool up)
{
	int64_t p;
	if (!json_is(v, JSON_STRING))
		return json_int(v, 0);
	if (percent_of(json_str(v), &p))
		return 0;
	int64_t scaled = p * total;
	return up ? (scaled + 99) / 100 : scaled / 100;
}

void rule_name(struct kind_ctx *c, const struct spath *at, const char *field,
	       const struct json *value, const char *(*check)(struct str))
{
	if (!json_is(value, JSON_STRING))
		return;
	const char *why = check(json_str(value));
	if (why)
		rule_invalid(c, at, field, value, why);
}

void rule_optional_name(struct kind_ctx *c, const struct spath *at, const char *field,
			const struct json *value, const char *(*check)(struct str))
{
	if (json_str(value).n)
		rule_name(c, at, field, value, check);
}

const char *rule_config_key(struct str key)
{
	if (key.n > 253)
		return "must be no more than 253 characters";
	if (str_is(key, ".") || str_is(key, "..") || str_starts(key, STR("..")))
		return "must not be '.', '..' or start with '..'";
	for (size_t i = 0; i < key.n; i++) {
		char ch = key.p[i];
		bool ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
			  (ch >= '0' && ch <= '9') || ch == '-' || ch == '_' || ch == '.';
		if (!ok)
			key.n = 0;
	}
	if (key.n)
		return NULL;
	return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. "
	       "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is "
	       "'[-._a-zA-Z0-9]+')";
}

static bool quantity_of(const struct json *v, struct quantity *ret)
{
	char text[24];
	if (json_is(v, JSON_INT)) {
		int n = snprintf(text, sizeof(text), "%lld", (long long)v->i);
		return !quantity_parse((struct str){text, (size_t)n}, ret);
	}
	return v && (v->type == JSON_STRING || v->type == JSON_NUM) &&
	       !quantity_parse((struct str){v->s, v->n}, ret);
}

/* Resources that an administrator added are counted in pieces. */
static void check_whole(struct kind_ctx *c, const struct spath *at, const struct json_member *m)
{
	struct quantity q;
	bool own = str_find(m->key, STR("/")) < 0 || str_find(m->key, STR("kubernetes.io/")) >= 0;

	if (!own && quantity_of(&m->value, &q) && q.nano % 1000000000)
		rule_invalid(c, at, NULL, &m->value, "must be an integer");
}

/* Of these nobody may use more than was set aside. */
static bool is_limited(struct str name)
{
	return str_starts(name, STR("hugepages-")) ||
	       (str_find(name, STR("/")) >= 0 && str_find(name, STR("kubernetes.io/")) < 0);
}

static void check_request(struct kind_ctx *c, const struct spath *at, const struct json_member *m,
			  const struct json *limits)
{
	struct quantity request, limit;
	if (!quantity_of(&m->value, &request))
		return;
	if (!quantity_of(json_get(limits, m->key), &limit) ||
	    (is_limited(m->key) ? !quantity_cmp(request, limit)
				: quantity_cmp(request, limit) <= 0))
		return;
	const char *detail = arena_printf(c->a, "must be %s %.*s limit of %.*s",
					  is_limited(m->key) ? "equal to" : "less than or equal to",
					  STR_ARG(m->key),
					  STR_ARG(json_str_or(json_get(limits, m->key), STR("?"))));
	rule_invalid(c, at, "requests", &m->value, detail);
}

/* What containers may be given: what Kubernetes knows itself, and what somebody else's name is on.
 */
static const char *resource_problem(struct str name)
{
	static const char *const known[] = {"cpu", "memory", "ephemeral-storage"};
	const char *why = name_check_qualified(name);

	if (why || str_find(name, STR("/")) >= 0)
		return why;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_is(name, known[i]))
			return NULL;
	return str_starts(name, STR("hugepages-")) ? NULL
						   : "must be a standard resource for containers";
}

static void check_amounts(struct kind_ctx *c, const struct spath *in, const struct json *amounts)
{
	struct quantity q;

	for (size_t i = 0; i < json_len(amounts); i++) {
		const struct json_member *m = &amounts->members[i];
		struct spath here = SPATH_KEY(in, m->key);
		const char *why = resource_problem(m->key);

		if (why)
			rule_invalid(c, &here, NULL, json_new_str(c->a, m->key), why);
		if (quantity_of(&m->value, &q) && q.nano < 0)
			rule_invalid(c, &here, NULL, &m->value,
				     "must be greater than or equal to 0");
		check_whole(c, &here, m);
	}
}

void rule_quantities(struct kind_ctx *c, const struct spath *at, const struct json *resources)
{
	const struct json *limits = json_get(resources, STR("limits"));
	const struct json *requests = json_get(resources, STR("requests"));
	struct spath in = SPATH_FIELD(at, "limits"), wanted = SPATH_FIELD(at, "requests");

	check_amounts(c, &in, limits);
	check_amounts(c, &wanted, requests);
	for (size_t i = 0; i < json_len(requests); i++) {
		const struct json_member *m = &requests->members[i];

		check_request(c, at, m, limits);
		if (is_limited(m->key) && !json_get(limits, m->key))
			rule_required(c, &in, NULL,
				      "Limit must be set for non overcommitable resources");
	}
}

void default_str(struct kind_ctx *c, struct json *object, const char *key, const char *value)
{
	const struct json *v = json_get(object, str_c(key));
	if (!v || v->type == JSON_NULL || (v->type == JSON_STRING && !v->n))
		json_set_str(c->a, object, key, str_c(value));
}

void default_base64(struct kind_ctx *c, struct json *object, const char *key)
{
	struct json *map = json_get(object, str_c(key));
	struct json_member *m = json_members(map);

	for (size_t i = 0; m && i < json_len(map); i++) {
		struct str s = json_str(&m[i].value);
		char *flat;
		size_t n = 0;

		if (str_find(s, STR("\n")) < 0 && str_find(s, STR("\r")) < 0)
			continue;
		flat = arena_alloc(c->a, s.n);
		for (size_t k = 0; k < s.n; k++) {
			if (s.p[k] != '\n' && s.p[k] != '\r')
				flat[n++] = s.p[k];
		}
		m[i].value.s = flat;
		m[i].value.n = (uint32_t)n;
	}
}

void default_int(struct kind_ctx *c, struct json *object, const char *key, int64_t value)
{
	const struct json *v = json_get(object, str_c(key));
	if (!v || v->type == JSON_NULL)
		json_set_int(c->a, object, key, value);
}

void rule_int_or_percent_100(struct kind_ctx *c, const struct spath *at, const char *field,
			     const struct json *value)
{
	int64_t p;

	rule_int_or_percent(c, at, field, value);
	if (json_is(value, JSON_STRING) && !percent_of(json_str(value), &p) && p > 100)
		rule_invalid(c, at, field, value, "must not be greater than 100%");
}
