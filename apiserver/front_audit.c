/*
 * What the front tells the audit log. Must never hold a request up for it: a line is made here, by
 * whichever thread has the request, and written elsewhere. Nothing happens without a policy.
 */
#include <string.h>

#include "apiserver/front-internal.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/os/loop.h"

#define BODY_MAX (1 << 20)

static struct audit_ask ask_of(const struct front_req *r, const struct admission_user *u)
{
	struct audit_ask q = {.user = u, .verb = front_verb(r)};

	if (!r->resource) {
		q.path = r->http->path;
		return q;
	}
	q.group = r->core.group;
	q.resource = r->core.resource;
	q.subresource = r->core.subresource;
	q.namespace = r->core.namespace;
	q.name = r->core.name;
	return q;
}

static struct str host_of(const char *remote)
{
	struct str host = str_c(remote), port;

	str_rcut(str_c(remote), ':', &host, &port);
	if (host.n > 2 && host.p[0] == '[')
		host = str_sub(host, 1, host.n - 2);
	return host;
}

static struct str request_body(const struct front_req *r)
{
	struct str b = str_trim(r->core.body);

	/* YAML stays out: it is rare, and not the log's form. */
	return b.n && (b.p[0] == '{' || b.p[0] == '[') ? b : STR_NONE;
}

/* What is created has no name in its path. */
static struct str created_name(struct front_req *r)
{
	const struct json *v = json_parse(&r->http->arena, request_body(r), NULL, NULL);

	return json_str(json_at(v, "metadata", "name"));
}

static void emit(struct front_req *r, enum audit_stage stage, int code)
{
	struct front_audit *a = &r->audit;
	AUTO(buf) struct buf line = {0};
	struct http_req *h = r->http;
	int64_t now = loop_wall(r->f->o.loop);

	if (a->verdict.level == AUDIT_NONE || a->verdict.omit & (1U << stage))
		return;
	struct audit_event e = {
		.level = a->verdict.level,
		.stage = stage,
		.id = a->id,
		.ask = ask_of(r, &a->came_as),
		.uri = h->raw_path,
		.source = host_of(h->remote),
		.user_agent = http_header(&h->headers, "User-Agent"),
		.version = r->resource ? r->core.version : STR_NONE,
		.received_ns = a->received_ns,
		.now_ns = now,
		.code = stage == AUDIT_RECEIVED ? 0 : code,
		.status_message = a->message,
		.status_reason = a->reason,
		.decision = stage == AUDIT_RECEIVED ? NULL : a->decision,
		.why = a->why,
		.request = stage == AUDIT_RECEIVED ? STR_NONE : request_body(r),
		.response = a->response,
		.notes = a->notes,
		.omit_managed = a->verdict.omit_managed,
	};
	if (h->query.n)
		e.uri = arena_strf(&h->arena, "%.*s?%.*s", STR_ARG(h->raw_path), STR_ARG(h->query));
	if (r->resource && r->core.verb == CORE_CREATE && !e.ask.name.n && stage == AUDIT_COMPLETE)
		e.ask.name = created_name(r);
	if (r->who.user.name.p != a->came_as.name.p)
		e.acts_as = &r->who.user;
	audit_event_write(&e, &line);
	audit_log_put(r->f->o.audit, buf_view(&line));
}

void front_audit_begin(struct front_req *r)
{
	struct front_audit *a = &r->audit;

	if (!r->f->o.audit)
		return;
	a->came_as = r->who.user;
	struct audit_ask q = ask_of(r, &a->came_as);
	a->verdict = audit_policy_find(r->f->o.audit_policy, &q);
	if (a->verdict.level == AUDIT_NONE)
		return;
	uuid_v4(a->id);
	a->received_ns = loop_wall(r->http->loop);
	r->core.noted = true;
	r->core.noted_patches = a->verdict.level >= AUDIT_REQUEST && audit_may_show(&q);
	emit(r, AUDIT_RECEIVED, 0);
}

void front_audit_decision(struct front_req *r, bool allowed, struct str why)
{
	if (r->audit.verdict.level == AUDIT_NONE)
		return;
	r->audit.decision = allowed ? "allow" : "forbid";
	r->audit.why = arena_str(&r->http->arena, why);
}

bool front_audited(const struct front_req *r)
{
	return r->audit.verdict.level != AUDIT_NONE;
}

void front_audit_notes(struct front_req *r, struct str notes)
{
	if (front_audited(r) && notes.n)
		r->audit.notes = arena_str(&r->http->arena, notes);
}

void front_audit_error(struct front_req *r, const struct err *err)
{
	if (!front_audited(r))
		return;
	r->audit.message = arena_str(&r->http->arena, str_c(err->msg));
	r->audit.reason = str_c(err_reason(err->code));
}

static void read_failure(struct front_req *r, struct str body)
{
	const struct json *v = json_parse(&r->http->arena, body, NULL, NULL);

	if (!str_is(json_str(json_get(v, STR("kind"))), "Status"))
		return;
	r->audit.message = json_str(json_get(v, STR("message")));
	r->audit.reason = json_str(json_get(v, STR("reason")));
}

void front_audit_body(struct front_req *r, struct str body)
{
	if (r->audit.verdict.level == AUDIT_RESPONSE && body.n <= BODY_MAX)
		r->audit.response = arena_str(&r->http->arena, body);
}

void front_audit_answer(struct front_req *r, const struct core_answer *answer)
{
	AUTO(buf) struct buf body = {0};
	bool failed = answer->status >= 400;

	front_audit_notes(r, answer->notes);
	if (!front_audited(r) || (!failed && r->audit.verdict.level != AUDIT_RESPONSE))
		return;
	for (size_t i = 0; i < answer->nblocks; i++) {
		if (body.n + answer->blocks[i]->data.n > BODY_MAX)
			return;
		buf_str(&body, answer->blocks[i]->data);
	}
	struct str text = arena_str(&r->http->arena, buf_view(&body));
	r->audit.response = text;
	if (failed)
		read_failure(r, text);
}

void front_audit_started(struct front_req *r, int code)
{
	if (front_audited(r))
		emit(r, AUDIT_STARTED, code);
}

void front_audit_end(struct front_req *r, int code)
{
	if (!front_audited(r))
		return;
	emit(r, AUDIT_COMPLETE, code);
	r->audit.verdict.level = AUDIT_NONE;
}

void front_audit_stranger(struct front_req *r)
{
	if (!r->f->o.audit)
		return;
	r->core.arena = &r->http->arena;
	r->resource = core_route(r->http->method, r->http->path, r->http->query, &r->core);
	front_audit_begin(r);
	r->audit.message = STR("Unauthorized");
	r->audit.reason = STR("Unauthorized");
	front_audit_end(r, 401);
}
