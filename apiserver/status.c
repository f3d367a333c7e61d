/*
 * Errors as clients read them: metav1.Status. Pure.
 * Specification: k8s.io/apimachinery/pkg/api/errors, meta/v1 (Status, StatusDetails).
 */
#include <string.h>

#include "apiserver/core-internal.h"

static void write_causes(const struct schema_problems *causes, struct buf *out)
{
	buf_puts(out, out->p[out->n - 1] == '{' ? "\"causes\":[" : ",\"causes\":[");
	for (size_t i = 0; i < causes->n; i++) {
		const struct schema_problem *p = &causes->v[i];

		buf_printf(out, "%s{\"reason\":\"%s\",\"message\":", i ? "," : "", p->reason);
		json_write_string(p->message, out);
		if (p->field.n) {
			buf_puts(out, ",\"field\":");
			json_write_string(p->field, out);
		}
		buf_putc(out, '}');
	}
	buf_putc(out, ']');
}

static void write_member(struct buf *out, const char *name, struct str value)
{
	if (!value.n)
		return;
	if (out->p[out->n - 1] != '{')
		buf_putc(out, ',');
	buf_printf(out, "\"%s\":", name);
	json_write_string(value, out);
}

/* What was wrong with a request itself is told without saying what it was about. */
static bool about_request(const struct err *err)
{
	return err->code == ERR_BAD_REQUEST || err->code == ERR_PARSE ||
	       err->code == ERR_UNSUPPORTED_MEDIA || err->code == ERR_NOT_ACCEPTABLE;
}

/* Found wrong before it was known what it would be about: no such path or method, or a patch that
 * doesn't fit. Such details are there, and empty. */
static bool of_nothing(const struct err *err, const struct schema_problems *causes)
{
	struct str said = str_c(err->msg);

	if (err->code == ERR_INVALID)
		return !causes || (causes->n == 1 && str_is(causes->v[0].field, "patch"));
	return (err->code == ERR_NOT_FOUND &&
		str_starts(said, STR("the server could not find the requested resource"))) ||
	       (err->code == ERR_METHOD_NOT_ALLOWED &&
		str_starts(said, STR("the server does not allow this method")));
}

static bool has_conflicts(const struct schema_problems *causes)
{
	return causes && causes->n && !strcmp(causes->v[0].reason, "FieldManagerConflict");
}

static void write_details(const struct err *err, struct str group, struct str kind, struct str name,
			  struct str uid, const struct schema_problems *causes, struct buf *out)
{
	if (about_request(err) && !causes && !err->retry_after_s)
		return;
	if (!name.n && !kind.n && !causes && !err->retry_after_s)
		return;
	if (has_conflicts(causes) || of_nothing(err, causes))
		name = group = kind = uid = STR_NONE;
	buf_puts(out, ",\"details\":{");
	write_member(out, "name", name);
	write_member(out, "group", group);
	write_member(out, "kind", kind);
	write_member(out, "uid", uid);
	if (causes)
		write_causes(causes, out);
	if (err->retry_after_s)
		buf_printf(out, "%s\"retryAfterSeconds\":%d", out->p[out->n - 1] == '{' ? "" : ",",
			   err->retry_after_s);
	buf_putc(out, '}');
}

/* 422s are told as `Kind.group "name" is invalid: …`. */
static void write_message(const struct err *err, struct str group, struct str kind, struct str name,
			  bool invalid, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	if (invalid)
		buf_printf(&text, "%.*s%s%.*s \"%.*s\" is invalid: ", STR_ARG(kind),
			   group.n ? "." : "", STR_ARG(group), STR_ARG(name));
	buf_puts(&text, err->msg);
	json_write_string(buf_view(&text), out);
}

void core_status_write_causes(const struct err *err, struct str group, struct str kind,
			      struct str name, struct str uid, const struct schema_problems *causes,
			      struct buf *out)
{
	bool invalid = err->code == ERR_INVALID && causes && kind.n;

	buf_puts(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":"
		      "\"Failure\",\"message\":");
	write_message(err, group, kind, name, invalid, out);
	buf_printf(out, ",\"reason\":\"%s\"", err_reason(err->code));
	write_details(err, group, kind, name, uid, causes, out);
	buf_printf(out, ",\"code\":%d}\n", err_http(err->code));
}

void core_status_write(const struct err *err, struct str group, struct str resource,
		       struct str name, struct buf *out)
{
	core_status_write_causes(err, group, resource, name, STR_NONE, NULL, out);
}
