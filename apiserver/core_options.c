/*
 * What a request says about how it is to be carried out: dryRun, fieldManager, force and a
 * deletion's options. What isn't allowed is refused in the words of the options' own kind, not of
 * the object's. Pure. One thread.
 * Specification: k8s.io/apimachinery/pkg/apis/meta/v1/validation.
 */
#include "apiserver/core-internal.h"

enum { MANAGER_MAX = 128 };

static const char *options_kind(const struct op *op)
{
	switch (op->req->verb) {
	case CORE_CREATE:
		return "CreateOptions";
	case CORE_UPDATE:
		return "UpdateOptions";
	case CORE_PATCH:
		return "PatchOptions";
	case CORE_GET:
	case CORE_LIST:
	case CORE_WATCH:
		return "ListOptions";
	case CORE_DELETE:
	case CORE_DELETE_COLLECTION:
	default:
		return "DeleteOptions";
	}
}

int options_refuse(struct op *op, const char *reason, const char *field, const char *message)
{
	const char *kind = options_kind(op);

	op->denial = json_build(
		op->a, "{s:s,s:s,s:{},s:s,s:s,s:s,s:{s:s,s:s,s:[{s:s,s:s,s:s}]},s:i}", "kind",
		"Status", "apiVersion", "v1", "metadata", "status", "Failure", "message",
		arena_printf(op->a, "%s.meta.k8s.io \"\" is invalid: %s: %s", kind, field, message),
		"reason", "Invalid", "details", "group", "meta.k8s.io", "kind", kind, "causes",
		"reason", reason, "message", message, "field", field, "code", 422);
	op->denial_code = 422;
	return err_set(&op->err, ERR_INVALID, "%s", message);
}

static int unsupported(struct op *op, const char *field, struct str value, const char *supported)
{
	return options_refuse(op, "FieldValueNotSupported", field,
			      arena_printf(op->a,
					   "Unsupported value: \"%.*s\": supported values: %s",
					   (int)MIN(value.n, 50), value.p, supported));
}

static int check_dry_run(struct op *op, struct str how)
{
	if (!str_is(how, "All"))
		return unsupported(op, "dryRun", how, "\"All\"");
	op->dry_run = true;
	return 0;
}

static int check_manager(struct op *op, struct str manager, bool apply)
{
	if (apply && !manager.n)
		return options_refuse(op, "FieldValueRequired", "fieldManager",
				      "Required value: is required for apply patch");
	if (manager.n > MANAGER_MAX)
		return options_refuse(op, "FieldValueTooLong", "fieldManager",
				      "Too long: may not be more than 128 bytes");
	for (size_t i = 0; i < manager.n; i++)
		if ((unsigned char)manager.p[i] < ' ' || manager.p[i] == 0x7f)
			return options_refuse(
				op, "FieldValueInvalid", "fieldManager",
				"Invalid value: should only contain printable characters");
	return 0;
}

int options_read(struct op *op)
{
	struct str how = op_query(op, "dryRun"), check = op_query(op, "fieldValidation");
	bool patch = op->req->verb == CORE_PATCH;
	bool apply =
		patch && str_starts(op->req->content_type, STR("application/apply-patch+yaml"));

	if (how.n && check_dry_run(op, how))
		return -1;
	if (check_manager(op, op_query(op, "fieldManager"), apply))
		return -1;
	if (patch && !apply && op_query(op, "force").n)
		return options_refuse(op, "FieldValueForbidden", "force",
				      "Forbidden: may not be specified for non-apply patch");
	if (check.n && !str_is(check, "Ignore") && !str_is(check, "Warn") &&
	    !str_is(check, "Strict"))
		return unsupported(op, "fieldValidation", check,
				   "\"\", \"Ignore\", \"Strict\", \"Warn\"");
	return 0;
}

int options_read_delete(struct op *op, const struct json *o)
{
	const struct json *dry = json_get(o, STR("dryRun"));
	struct str how = json_str(json_get(o, STR("propagationPolicy")));

	for (size_t i = 0; i < json_len(dry); i++)
		if (check_dry_run(op, json_str(json_item(dry, i))))
			return -1;
	if (how.n && json_is(json_get(o, STR("orphanDependents")), JSON_BOOL))
		return options_refuse(op, "FieldValueInvalid", "propagationPolicy",
				      arena_printf(op->a,
						   "Invalid value: \"%.*s\": orphanDependents and "
						   "deletionPropagation cannot be both set",
						   (int)MIN(how.n, 50), how.p));
	if (how.n && !str_is(how, "Foreground") && !str_is(how, "Background") &&
	    !str_is(how, "Orphan"))
		return unsupported(op, "propagationPolicy", how,
				   "\"Foreground\", \"Background\", \"Orphan\", \"nil\"");
	return 0;
}
