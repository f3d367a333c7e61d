/*
 * PATCH in its four forms. Each makes a whole object out of the live one and goes the way of an
 * update; an apply may also create. One thread, so nothing moves underneath and nothing is retried.
 */
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "lib/json/patch.h"
#include "lib/json/yaml.h"
#include "lib/schema/apply.h"

static int not_found(struct op *op)
{
	return err_set(&op->err, ERR_NOT_FOUND, "%s%s%s \"%.*s\" not found", op->kind->plural,
		       op->kind->group[0] ? "." : "", op->kind->group, STR_ARG(op->req->name));
}

/* A merge that no longer makes an object is refused for the patch's sake, and names no object. */
static struct json *refuse_patch(struct op *op, const struct json *patch, struct str why)
{
	AUTO(buf) struct buf text = {0};
	struct str message;

	buf_puts(&text, "Invalid value: \"");
	schema_go_text(op->a, patch, &text);
	buf_printf(&text, "\": %.*s", STR_ARG(why));
	message = buf_view(&text);
	op->denial_code = 422;
	op->denial =
		json_build(op->a, "{s:s,s:s,s:{},s:s,s:S,s:s,s:{s:[{s:s,s:S,s:s}]},s:i}", "kind",
			   "Status", "apiVersion", "v1", "metadata", "status", "Failure", "message",
			   arena_strf(op->a, " \"\" is invalid: patch: %.*s", STR_ARG(message)),
			   "reason", "Invalid", "details", "causes", "reason", "FieldValueInvalid",
			   "message", arena_str(op->a, message), "field", "patch", "code", 422);
	err_set(&op->err, ERR_INVALID, "patch: %.*s", STR_ARG(why));
	return NULL;
}

/* A JSON patch that doesn't fit is told of in general terms, as Kubernetes does; why is behind. */
static struct json *json_patched(struct op *op, const struct json *tree, const struct json *patch)
{
	struct json *next = patch_json(op->a, tree, patch, &op->err);

	if (next || op->err.code != ERR_INVALID)
		return next;
	op->denial_code = 422;
	op->denial = json_build(
		op->a, "{s:s,s:s,s:{},s:s,s:S,s:s,s:{},s:i}", "kind", "Status", "apiVersion", "v1",
		"metadata", "status", "Failure", "message",
		arena_strf(op->a,
			   "the server rejected our request due to an error in our request: %s",
			   op->err.msg),
		"reason", "Invalid", "details", "code", 422);
	return NULL;
}

static struct json *strategic(struct op *op, const struct json *tree, const struct json *patch)
{
	struct json *next = schema_strategic_merge(op->a, op->kind->schema, tree, patch, &op->err);
	AUTO(buf) struct buf why = {0};

	if (next && schema_restore_problem(op->kind->schema, next, &why))
		return refuse_patch(op, patch, buf_view(&why));
	return next;
}

/* The patched tree, ours to change; NULL with op->err. */
static struct json *patched(struct op *op, struct str type, const struct json *tree)
{
	struct json *patch = write_parse(op);

	if (!patch)
		return NULL;
	if (str_is(type, "application/json-patch+json"))
		return json_patched(op, tree, patch);
	if (str_is(type, "application/merge-patch+json"))
		return patch_merge(op->a, tree, patch);
	if (op->kind->crd) {
		err_set(&op->err, ERR_UNSUPPORTED_MEDIA,
			"the body of the request was in an unknown format - accepted media types "
			"include: "
			"application/json-patch+json, application/merge-patch+json, "
			"application/apply-patch+yaml");
		return NULL;
	}
	return strategic(op, tree, patch);
}

/* A patch may not move an object to another name; namespace and uid are checked by the update. */
static int check_identity(struct op *op, const struct json *next)
{
	struct str kind = json_str(json_get(next, STR("kind")));

	if (json_is(next, JSON_OBJECT) && !op->kind->crd && kind.n &&
	    !str_is(kind, op->kind->kind)) {
		schema_problem(&op->problems, "FieldValueInvalid", STR("patch"), 0,
			       "Invalid value: no kind \"%.*s\" is registered for it",
			       (int)MIN(kind.n, 100), kind.p);
		return err_set(&op->err, ERR_INVALID, "patch: Invalid value: kind \"%.*s\"",
			       (int)MIN(kind.n, 100), kind.p);
	}
	if (!json_is(next, JSON_OBJECT) || !str_eq(meta_name(next), op->req->name))
		return json_is(next, JSON_OBJECT) && write_check(op, json_copy(op->a, next))
			       ? -1 /* what can't be read has no name either */
			       : err_set(&op->err, ERR_BAD_REQUEST,
					 "the name of the object does not match the name on the "
					 "URL (%.*s)",
					 (int)MIN(op->req->name.n, 200), op->req->name.p);
	return 0;
}

static void plain_patch(struct op *op, struct str type)
{
	const struct obj *live = op_live(op), *o = NULL;
	struct json *next = live ? patched(op, type, convert_view(op->a, op->kind, live)) : NULL;

	if (!live && !op_stuck(op))
		not_found(op);
	else if (next && !check_identity(op, next))
		o = write_object(op, json_copy(op->a, next), live, true);
	if (o)
		op_answer_obj(op, 200, o);
	else
		op_answer_error(op);
}

/* ---- apply ---- */

/* One conflict in a line; more of them by manager, each with a list of fields. */
static void tell_conflicts(const struct apply_conflicts *c, struct buf *text)
{
	if (c->n == 1) {
		buf_printf(text, "conflict with %.*s: %.*s", STR_ARG(c->v[0].manager),
			   STR_ARG(c->v[0].field));
		return;
	}
	for (size_t i = 0; i < c->n; i++) {
		bool told = false;

		for (size_t k = 0; k < i && !told; k++)
			told = str_eq(c->v[k].manager, c->v[i].manager);
		if (told)
			continue;
		buf_printf(text, "%sconflicts with %.*s:", text->n ? "\n" : "",
			   STR_ARG(c->v[i].manager));
		for (size_t k = i; k < c->n; k++)
			if (str_eq(c->v[k].manager, c->v[i].manager))
				buf_printf(text, "\n- %.*s", STR_ARG(c->v[k].field));
	}
}

static void conflicts(struct op *op, const struct apply_conflicts *c)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < c->n; i++)
		schema_problem(&op->problems, "FieldManagerConflict", c->v[i].field, 0,
			       "conflict with %.*s", STR_ARG(c->v[i].manager));
	tell_conflicts(c, &text);
	err_set(&op->err, ERR_CONFLICT, "Apply failed with %zu conflict%s: %s", c->n,
		c->n == 1 ? "" : "s", buf_cstr(&text));
}

static int apply_options(struct op *op, const struct json *config, struct apply_opts *o)
{
	struct str force = op_query(op, "force");

	*o = (struct apply_opts){.manager = op_query(op, "fieldManager"),
				 .now_ns = core_now(op->core),
				 .subresource = op->req->subresource,
				 .force = http_flag(force),
				 .api_version = json_str(json_get(config, STR("apiVersion")))};
	if (json_at(config, "metadata", "managedFields"))
		return err_set(&op->err, ERR_BAD_REQUEST, "metadata.managedFields must be nil");
	return 0;
}

/* "line 7, column 3: mapping key "x" already defined", in the words that clients know. */
static void say_repeated(struct err *err)
{
	unsigned line;
	char key[104];

	if (sscanf(err->msg, "line %u, column %*u: mapping key \"%103[^\"]", &line, key) == 2)
		err_set(err, err->code,
			"error strict decoding YAML: yaml: unmarshal errors:\n  line %u: key "
			"\"%s\" already set in map",
			line, key);
}

static struct json *apply_config(struct op *op)
{
	struct yaml_docs docs;

	if (yaml_parse(op->a, op->req->body, 0, NULL, NULL, &docs, &op->err)) {
		say_repeated(&op->err);
		op->err.code = ERR_BAD_REQUEST;
		return NULL;
	}
	if (docs.n != 1 || !json_is(docs.v[0], JSON_OBJECT)) {
		err_set(&op->err, ERR_BAD_REQUEST, "the body must be one object");
		return NULL;
	}
	return docs.v[0];
}

static struct json *applied(struct op *op, struct json *config, const struct json *tree)
{
	struct apply_conflicts c = {0};
	struct apply_opts o;
	struct json *next;

	if (apply_options(op, config, &o) || write_check_applied(op, config))
		return NULL;
	next = apply_merge(op->a, op->kind->schema, tree, config, &o, &c, &op->err);
	if (!next && c.n)
		conflicts(op, &c);
	return next;
}

/* uid and resourceVersion of the configuration are preconditions, not fields. */
static int apply_preconditions(struct op *op, const struct json *config, const struct obj *live)
{
	struct str uid = meta_uid(config),
		   revision = json_str(json_at(config, "metadata", "resourceVersion"));
	struct str said = json_str(json_get(config, STR("apiVersion"))),
		   version = convert_api_version(op->a, op->kind),
		   kind = json_str(json_get(config, STR("kind")));
	uint64_t want;

	if (!str_eq(said, version))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "Incorrect version specified in apply patch. Specified patch "
			       "version: %.*s, expected: %.*s",
			       (int)MIN(said.n, 100), said.p ? said.p : "", STR_ARG(version));
	if (!str_is(kind, op->kind->kind))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "failed to create typed patch object: no corresponding type for "
			       "%.*s, Kind=%.*s",
			       STR_ARG(version), (int)MIN(kind.n, 100), kind.p ? kind.p : "");
	if (meta_name(config).n && !str_eq(meta_name(config), op->req->name))
		return err_set(&op->err, ERR_BAD_REQUEST,
			       "name in object (%.*s) does not match the name on the URL (%.*s)",
			       (int)MIN(meta_name(config).n, 200), meta_name(config).p,
			       (int)MIN(op->req->name.n, 200), op->req->name.p);
	if (!meta_name(config).n && !live)
		return err_set(
			&op->err, ERR_BAD_REQUEST,
			"the name of the object (%.*s based on URL) was undeterminable: name "
			"must be provided",
			(int)MIN(op->req->name.n, 200), op->req->name.p);
	if (uid.n && (!live || !str_eq(uid, live->uid)))
		return err_set(&op->err, ERR_CONFLICT,
			       "uid mismatch: the provided object specified uid %.*s",
			       (int)MIN(uid.n, 60), uid.p);
	if (revision.n && (!live || str_to_u64(revision, &want) || want != live->revision))
		return err_set(&op->err, ERR_CONFLICT,
			       "the object has been modified; please apply your changes to the "
			       "latest version "
			       "and try again");
	return 0;
}

static void apply(struct op *op)
{
	const struct obj *live = op_live(op), *o = NULL;
	struct json *config = apply_config(op), *next = NULL;

	if (op_stuck(op)) {
		op_answer_error(op);
		return;
	}
	if (config && !live && op->req->subresource.n)
		not_found(op);
	else if (config && !apply_preconditions(op, config, live))
		next = applied(op, config, live ? convert_view(op->a, op->kind, live) : NULL);
	if (next && !live) {
		core_make_missing(op, next, false);
		return;
	}
	if (next)
		o = write_object(op, next, live, false);
	if (o)
		op_answer_obj(op, 200, o);
	else
		op_answer_error(op);
}

void core_patch(struct op *op)
{
	struct str type, tail;

	str_cut(op->req->content_type, ';', &type, &tail);
	type = str_trim(type);
	if (str_is(type, "application/apply-patch+yaml")) {
		apply(op);
		return;
	}
	if (str_is(type, "application/json-patch+json") ||
	    str_is(type, "application/merge-patch+json") ||
	    str_is(type, "application/strategic-merge-patch+json")) {
		plain_patch(op, type);
		return;
	}
	err_set(&op->err, ERR_UNSUPPORTED_MEDIA,
		"the body of the request was in an unknown format - accepted media types include: "
		"application/json-patch+json, "
		"application/merge-patch+json, application/strategic-merge-patch+json, "
		"application/apply-patch+yaml");
	op_answer_error(op);
}
