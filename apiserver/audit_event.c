/*
 * An event's line. Must never show what a Secret or a token holds: their bodies are left out here,
 * at the one place where lines are made, whatever was asked for. Pure.
 * Specification: k8s.io/apiserver/pkg/apis/audit/v1 (Event).
 */
#include "apiserver/audit.h"

#include "apiserver/extra.h"
#include "lib/base/timefmt.h"
#include "lib/json/json.h"

#include "lib/base/pure.h"

#define BODY_MAX (1 << 20)

static const char *const levels[] = {"None", "Metadata", "Request", "RequestResponse"};
static const char *const stages[] = {"RequestReceived", "ResponseStarted", "ResponseComplete"};

bool audit_may_show(const struct audit_ask *q)
{
	if (!q->group.n && str_is(q->resource, "secrets"))
		return false;
	if (!q->group.n && str_is(q->resource, "serviceaccounts") &&
	    str_is(q->subresource, "token"))
		return false;
	return !str_is(q->group, "authentication.k8s.io");
}

static void member(struct buf *out, const char *name, struct str value)
{
	if (!value.n)
		return;
	if (out->p[out->n - 1] != '{')
		buf_putc(out, ',');
	buf_printf(out, "\"%s\":", name);
	json_write_string(value, out);
}

static void write_user(const char *name, const struct admission_user *u, struct buf *out)
{
	buf_printf(out, ",\"%s\":{", name);
	member(out, "username", u->name);
	member(out, "uid", u->uid);
	for (size_t i = 0; i < u->ngroups; i++) {
		buf_puts(out, i                           ? ","
			      : out->p[out->n - 1] == '{' ? "\"groups\":["
							  : ",\"groups\":[");
		json_write_string(u->groups[i], out);
	}
	buf_puts(out, u->ngroups ? "]" : "");
	user_extra_write(u, out);
	buf_putc(out, '}');
}

static void write_reference(const struct audit_event *e, struct buf *out)
{
	buf_puts(out, ",\"objectRef\":{");
	member(out, "resource", e->ask.resource);
	member(out, "namespace", e->ask.namespace);
	member(out, "name", e->ask.name);
	member(out, "apiGroup", e->ask.group);
	member(out, "apiVersion", e->version);
	member(out, "subresource", e->ask.subresource);
	buf_putc(out, '}');
}

static void write_status(const struct audit_event *e, struct buf *out)
{
	buf_puts(out, ",\"responseStatus\":{\"metadata\":{}");
	if (e->code >= 400)
		member(out, "status", STR("Failure"));
	/* A webhook's or a validation's words may quote what was sent. */
	if (audit_may_show(&e->ask))
		member(out, "message", e->status_message);
	member(out, "reason", e->status_reason);
	buf_printf(out, ",\"code\":%d}", e->code);
}

static void write_time(const char *name, int64_t ns, struct buf *out)
{
	char text[TIME_TEXT_MAX];
	struct str s = time_format_micro(ns, text);

	buf_printf(out, ",\"%s\":\"%.*s\"", name, STR_ARG(s));
}

static void drop_managed(struct json *v)
{
	struct json *items = json_get(v, STR("items"));

	json_del(json_get(v, STR("metadata")), STR("managedFields"));
	for (size_t i = 0; json_is(items, JSON_ARRAY) && i < json_len(items); i++)
		json_del(json_get(json_item(items, i), STR("metadata")), STR("managedFields"));
}

/* A body is one line as json_write makes it; anything else could break the log's lines. */
static void write_body(const struct audit_event *e, const char *name, struct str body,
		       struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct json *v;

	if (!body.n || body.n > BODY_MAX)
		return;
	v = json_parse(&a, body, NULL, NULL);
	if (!v)
		return;
	if (e->omit_managed)
		drop_managed(v);
	buf_printf(out, ",\"%s\":", name);
	json_write(v, out);
}

static void write_annotations(const struct audit_event *e, struct buf *out)
{
	/* What admission notes may quote what was sent, too. */
	struct str notes = audit_may_show(&e->ask) ? e->notes : STR_NONE;

	if (!e->decision && !notes.n)
		return;
	buf_puts(out, ",\"annotations\":{");
	if (e->decision) {
		member(out, "authorization.k8s.io/decision", str_c(e->decision));
		buf_puts(out, ",\"authorization.k8s.io/reason\":");
		json_write_string(e->why, out);
	}
	if (e->decision && notes.n)
		buf_putc(out, ',');
	buf_str(out, notes);
	buf_putc(out, '}');
}

void audit_event_write(const struct audit_event *e, struct buf *out)
{
	bool show = audit_may_show(&e->ask);
	enum audit_level level = show ? e->level : MIN(e->level, AUDIT_METADATA);

	buf_printf(out,
		   "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"%s\","
		   "\"auditID\":\"%s\",\"stage\":\"%s\"",
		   levels[level], e->id, stages[e->stage]);
	member(out, "requestURI", e->uri);
	member(out, "verb", e->ask.verb);
	write_user("user", e->ask.user, out);
	if (e->acts_as)
		write_user("impersonatedUser", e->acts_as, out);
	buf_puts(out, ",\"sourceIPs\":[");
	json_write_string(e->source, out);
	buf_putc(out, ']');
	member(out, "userAgent", e->user_agent);
	if (e->ask.resource.n)
		write_reference(e, out);
	if (e->code)
		write_status(e, out);
	if (level >= AUDIT_REQUEST)
		write_body(e, "requestObject", e->request, out);
	if (level >= AUDIT_RESPONSE && e->stage == AUDIT_COMPLETE)
		write_body(e, "responseObject", e->response, out);
	write_time("requestReceivedTimestamp", e->received_ns, out);
	write_time("stageTimestamp", e->now_ns, out);
	write_annotations(e, out);
	buf_puts(out, "}\n");
}
