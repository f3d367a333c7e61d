/*
 * A body read, and held against its kind's schema: unknown fields are refused, told of or dropped,
 * types and limits are checked. Built-in kinds and custom ones go different ways here and nowhere
 * else. Pure but for the request. One thread.
 */
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "lib/json/yaml.h"
#include "lib/schema/crd_schema.h"
#include "lib/schema/proto.h"

/* ---- decoding ---- */

static struct json *decode_yaml(struct op *op)
{
	struct yaml_docs docs;

	if (yaml_parse(op->a, op->req->body, 0, NULL, NULL, &docs, &op->err))
		return NULL;
	if (docs.n == 1)
		return docs.v[0];
	err_set(&op->err, ERR_BAD_REQUEST, "the body holds %zu YAML documents, not one", docs.n);
	return NULL;
}

static void note_repeat(void *arg, struct str path)
{
	schema_problem(arg, "FieldValueDuplicate", path, 0, "duplicate field \"%.*s\"",
		       STR_ARG(path));
}

struct json *write_parse(struct op *op)
{
	struct json_repeats repeats = {0};
	struct json_limits limits = {.repeats = &repeats};
	struct core_req *r = op->req;
	struct json *v = r->read;

	r->read = NULL; /* it is changed from here on */
	if (v)
		json_repeats_each(v, r->repeats, note_repeat, &op->repeated);
	else if ((v = json_parse(op->a, r->body, &limits, &op->err)))
		json_repeats_each(v, &repeats, note_repeat, &op->repeated);
	else if (op->err.code == ERR_PARSE)
		op->err.code = ERR_BAD_REQUEST;
	return v;
}

static struct json *decode_text(struct op *op)
{
	struct str type = op->req->content_type, head, tail;

	str_cut(type, ';', &head, &tail);
	head = str_trim(head);
	if (str_is(head, "application/yaml") || str_is(head, "application/apply-patch+yaml"))
		return decode_yaml(op);
	if (str_is(head, "application/vnd.kubernetes.protobuf"))
		return proto_decode(op->a, op->req->body, &op->err);
	if (head.n && !str_is(head, "application/json") && !str_is(head, "*/*")) {
		err_set(&op->err, ERR_UNSUPPORTED_MEDIA,
			"the body of the request was in an unknown format - accepted media types "
			"include: application/json, "
			"application/yaml, application/vnd.kubernetes.protobuf");
		return NULL;
	}
	return write_parse(op);
}

/* apiVersion and kind may be left out; what is there must fit. */
static int check_type(struct op *op, struct json *v)
{
	const struct kind *k = op->kind;
	struct str api_version = json_str(json_get(v, STR("apiVersion"))),
		   kind = json_str(json_get(v, STR("kind")));
	struct str group, version;

	if (!json_is(v, JSON_OBJECT))
		return err_set(&op->err, ERR_BAD_REQUEST, "the body is not an object");
	if (kind.n && !str_is(kind, k->kind))
		return err_set(
			&op->err, ERR_BAD_REQUEST,
			"%.*s in version \"%.*s\" cannot be handled as a %s: kind does not match",
			(int)MIN(kind.n, 100), kind.p, (int)MIN(api_version.n, 100),
			api_version.p ? api_version.p : "", k->kind);
	api_version_split(api_version, &group, &version);
	if (api_version.n && (!str_is(group, k->group) || !str_is(version, k->version)))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "the API version in the data (%.*s) does not match the expected API "
			       "version (%s%s%s)",
			       (int)MIN(api_version.n, 100), api_version.p, k->group,
			       k->group[0] ? "/" : "", k->version);
	json_set_str(op->a, v, "kind", str_c(k->kind));
	json_set_str(op->a, v, "apiVersion",
		     k->group[0] ? arena_strf(op->a, "%s/%s", k->group, k->version)
				 : str_c(k->version));
	return 0;
}

struct json *write_decode(struct op *op)
{
	struct json *v = decode_text(op);

	if (!v) {
		if (op->err.code == ERR_PARSE)
			op->err.code = ERR_BAD_REQUEST;
		return NULL;
	}
	return check_type(op, v) ? NULL : v;
}

/* ---- checking ---- */

static void list_messages(const struct schema_problems *ps, struct buf *text)
{
	for (size_t i = 0; i < ps->n; i++) {
		if (text->n)
			buf_puts(text, ", ");
		buf_str(text, ps->v[i].message);
	}
}

/* A patch that says too much is an invalid patch, a body a bad request. */
static int refuse_strict(struct op *op, const struct schema_problems *first,
			 const struct schema_problems *then)
{
	AUTO(buf) struct buf text = {0};
	const struct kind *k = op->kind;

	list_messages(first, &text);
	list_messages(then, &text);
	if (op->req->verb != CORE_PATCH)
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "%s in version \"%s\" cannot be handled as a %s: strict decoding "
			       "error: %s",
			       k->kind, k->version, k->kind, buf_cstr(&text));
	schema_problem(&op->problems, "FieldValueInvalid", STR("patch"), 0,
		       "Invalid value: strict decoding error: %s", buf_cstr(&text));
	return err_set(&op->err, ERR_INVALID, "patch: Invalid value: strict decoding error: %s",
		       buf_cstr(&text));
}

/* ?fieldValidation: unknown fields are refused, warned of (the default) or dropped quietly. */
static int treat_unknown(struct op *op, const struct schema_problems *unknown)
{
	struct str how = op_query(op, "fieldValidation");
	bool body = !op->kind->crd && op->req->verb != CORE_PATCH;
	const struct schema_problems *first = body ? unknown : &op->repeated,
				     *then = body ? &op->repeated : unknown;

	if (str_is(how, "Ignore"))
		return 0;
	if (unknown->n + op->repeated.n && str_is(how, "Strict"))
		return refuse_strict(op, first, then);
	for (size_t i = 0; i < first->n; i++)
		buf_printf(&op->warnings, "%.*s\n", STR_ARG(first->v[i].message));
	for (size_t i = 0; i < then->n; i++)
		buf_printf(&op->warnings, "%.*s\n", STR_ARG(then->v[i].message));
	op->repeated.n = 0; /* told once, though the object may be checked again */
	return 0;
}

/* A body that can't be read is a bad request; a patch that makes such a body is an invalid patch.
 */
static int refuse_body(struct op *op, const struct kind *k, struct str why)
{
	bool patch = op->req->verb == CORE_PATCH &&
		     !str_starts(op->req->content_type, STR("application/apply-patch"));
	struct str message = arena_str(op->a, why);

	op->problems.n = 0;
	if (!patch)
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "%s in version \"%s\" cannot be handled as a %s: %.*s", k->kind,
			       k->version, k->kind, STR_ARG(message));
	schema_problem(&op->problems, "FieldValueInvalid", STR("patch"), 0, "Invalid value: %.*s",
		       STR_ARG(message));
	return err_set(&op->err, ERR_INVALID, "patch: Invalid value: %.*s", STR_ARG(message));
}

/* Structures that are always there: what must stand in them is missed. */
static void open_up(struct op *op, const struct schema *s, struct json *v)
{
	static const char *const names[] = {"spec", "template", "jobTemplate"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct schema_field *f = schema_field(s, str_c(names[i]));
		const struct json *had = json_get(v, str_c(names[i]));

		if (!f || !f->solid || f->type->type != SCHEMA_OBJECT)
			continue;
		if (!had || had->type == JSON_NULL || had->type == JSON_OBJECT)
			open_up(op, f->type, json_set_object(op->a, v, names[i]));
	}
}

/* What Go's decoder would refuse has no field, and is a 400; the rest are causes of a 422. */
static int check_schema(struct op *op, const struct kind *k, struct json *v)
{
	struct schema_problems unknown = {.a = op->a};

	if (!op->req->subresource.n)
		open_up(op, k->schema, v);
	schema_check(k->schema, v, &op->problems, &unknown);
	for (size_t i = 0; i < op->problems.n; i++) {
		struct schema_problem *p = &op->problems.v[i];

		if (p->field.n)
			continue;
		return refuse_body(op, k, p->message);
	}
	if (treat_unknown(op, &unknown))
		return -1;
	if (!(k->flags & KIND_NO_SCHEMA_PRUNE))
		schema_prune(k->schema, v);
	schema_word(op->a, k->schema, v);
	return 0;
}

/* A schema that has become stricter is no hindrance to changing something else. */
static void check_limits(struct op *op, const struct kind *k, const struct json *v)
{
	size_t before = op->problems.n;

	schema_check(k->schema, v, &op->problems, NULL);
	if (op->problems.n == before || !op->live)
		return;
	op->problems.n = before;
	schema_check_update(k->schema, v, obj_tree(op->live, op->a), &op->problems);
}

/*
 * Custom resources: unknown fields go, then nulls, then defaults come, and what is there then is
 * checked. Values that are wrong are always causes of a 422.
 */
static int check_custom(struct op *op, const struct kind *k, struct json *v)
{
	struct schema_problems unknown = {.a = op->a}, ignored = {.a = op->a};

	if (k->flags & KIND_STATUS && !str_is(op->req->subresource, "status"))
		json_del(v, STR("status"));
	schema_check(k->schema, v, &ignored, &unknown);
	if (treat_unknown(op, &unknown))
		return -1;
	schema_prune(k->schema, v);
	crd_schema_drop_nulls(k->schema, v);
	schema_default(op->a, k->schema, v);
	check_limits(op, k, v);
	for (size_t i = 0; i < op->problems.n; i++)
		if (!op->problems.v[i].field.n)
			return err_set(&op->err, ERR_BAD_REQUEST, "%.*s",
				       STR_ARG(op->problems.v[i].message));
	json_set_str(op->a, v, "apiVersion", convert_api_version(op->a, k));
	return 0;
}

int write_check(struct op *op, struct json *v)
{
	return op->kind->crd ? check_custom(op, op->kind, v) : check_schema(op, op->kind, v);
}

int write_check_applied(struct op *op, const struct json *config)
{
	struct schema_problems ignored = {.a = op->a}, unknown = {.a = op->a};
	AUTO(buf) struct buf text = {0};
	struct str ns = meta_namespace(config), name = meta_name(config);

	schema_check(op->kind->schema, config, &ignored, &unknown);
	for (size_t i = 0; i < ignored.n && !op->kind->crd; i++)
		if (!ignored.v[i].field.n)
			return err_set(&op->err, ERR_BAD_REQUEST,
				       "failed to create typed patch object (%.*s/%.*s): %.*s",
				       (int)MIN(ns.n, 63), ns.p ? ns.p : "", (int)MIN(name.n, 100),
				       name.p ? name.p : "", STR_ARG(ignored.v[i].message));
	if (!unknown.n)
		return 0;
	for (size_t i = 0; i < unknown.n; i++)
		buf_printf(&text, "%s.%.*s: field not declared in schema",
			   unknown.n > 1 ? "\n  " : "", STR_ARG(unknown.v[i].field));
	return err_set(&op->err, ERR_BAD_REQUEST,
		       "failed to create typed patch object (%.*s/%.*s; %.*s, Kind=%s): %s%s",
		       (int)MIN(ns.n, 63), ns.p ? ns.p : "", (int)MIN(name.n, 100), name.p,
		       STR_ARG(convert_api_version(op->a, op->kind)), op->kind->kind,
		       unknown.n > 1 ? "errors:" : "", buf_cstr(&text));
}
