/*
 * Admission webhooks in a request's course: mutating ones one after another, each over what those
 * before it made, validating ones all at once. An answer that is not there yet parks the request
 * (core_park.c); what is here must therefore do the same in each attempt. Never asks about webhook
 * configurations, nor on behalf of the server itself. One thread.
 * Specification: k8s.io/apiserver/pkg/admission/plugin/webhook (mutating, validating dispatchers).
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/admission/rights_of_all.h"
#include "apiserver/conversion.h"
#include "apiserver/convert.h"
#include "apiserver/core-internal.h"
#include "apiserver/webhook.h"
#include "lib/base/log.h"
#include "lib/json/patch.h"

#define VERSIONS_MAX 8
#define WARNING_MAX 256 /* of one webhook's line */

/* ---- the configurations ---- */

static const char group[] = "admissionregistration.k8s.io";

static void load(struct core *c, const char *plural, bool mutating)
{
	const struct table *t = core_table(c, group, plural);

	for (size_t i = 0; t && i < t->n; i++) {
		AUTO(arena) struct arena a = {0};

		webhooks_add(c->webhooks, obj_tree(t->rows[i], &a), mutating);
	}
}

/* NULL while there are none: what every write pays is this. */
static const struct webhooks *webhooks_now(struct core *c)
{
	const struct table *m, *v;
	uint64_t changes;

	if (!c->o.call)
		return NULL;
	if (!c->webhooks_of[0]) {
		c->webhooks_of[0] = core_table(c, group, "mutatingwebhookconfigurations");
		c->webhooks_of[1] = core_table(c, group, "validatingwebhookconfigurations");
	}
	m = c->webhooks_of[0];
	v = c->webhooks_of[1];
	if (!m->n && !v->n)
		return NULL;
	changes = m->changes + v->changes;
	if (!c->webhooks)
		c->webhooks = xalloc(sizeof(*c->webhooks));
	if (changes != c->webhooks_changes) {
		webhooks_release(c->webhooks);
		load(c, "mutatingwebhookconfigurations", true);
		load(c, "validatingwebhookconfigurations", false);
		c->webhooks_changes = changes;
	}
	return c->webhooks->n ? c->webhooks : NULL;
}

bool core_ask_is_watched(struct core *c, enum admission_op op)
{
	const struct webhooks *all = webhooks_now(c);
	const struct table *bindings = core_table(c, group, "validatingadmissionpolicybindings");

	if (bindings && bindings->n)
		return true;
	for (size_t i = 0; all && i < all->n; i++)
		if (op != ADMIT_CONNECT || webhook_connects(&all->v[i]))
			return true;
	return false;
}

void core_webhooks_free(struct core *c)
{
	if (c->webhooks)
		webhooks_release(c->webhooks);
	free(c->webhooks);
	c->webhooks = NULL;
}

/* ---- the question ---- */

static const struct kind *const *versions(struct op *op)
{
	const struct kind **v = arena_array(op->a, VERSIONS_MAX + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < op->core->nserved && n < VERSIONS_MAX; i++) {
		const struct served *s = op->core->served[i];

		if (s->table == op->served->table && s != op->served)
			v[n++] = s->kind;
	}
	return v;
}

static const char *options_kind(const struct op *op)
{
	static const char *const names[] = {[CORE_CREATE] = "CreateOptions",
					    [CORE_UPDATE] = "UpdateOptions",
					    [CORE_PATCH] = "PatchOptions",
					    [CORE_DELETE] = "DeleteOptions",
					    [CORE_DELETE_COLLECTION] = "DeleteOptions"};

	return op->req->verb < ARRAY_LEN(names) ? names[op->req->verb] : NULL;
}

static const struct json *options(struct op *op)
{
	static const char *const texts[] = {"fieldManager", "fieldValidation"};
	struct json *o = json_build(op->a, "{s:s, s:s}", "kind", options_kind(op), "apiVersion",
				    "meta.k8s.io/v1");
	bool deletes = op->req->verb == CORE_DELETE || op->req->verb == CORE_DELETE_COLLECTION;

	for (size_t i = 0; !deletes && i < ARRAY_LEN(texts); i++) {
		struct str s = op_query(op, texts[i]);

		if (s.n)
			json_set_str(op->a, o, texts[i], s);
	}
	if (deletes && op->delete_options)
		for (size_t i = 0; i < json_len(op->delete_options); i++)
			json_set(op->a, o, op->delete_options->members[i].key,
				 &op->delete_options->members[i].value);
	if (deletes) {
		json_set_str(op->a, o, "kind", STR("DeleteOptions"));
		json_set_str(op->a, o, "apiVersion", STR("meta.k8s.io/v1"));
	}
	if (op->req->verb == CORE_PATCH && http_flag(op_query(op, "force")))
		json_set_bool(op->a, o, "force", true);
	if (op->dry_run)
		json_append_str(op->a, json_set_array(op->a, o, "dryRun"), STR("All"));
	return o;
}

static struct webhook_ask question(struct op *op, const struct admission_req *r)
{
	struct webhook_ask q = {.op = r->op,
				.kind = op->served->kind,
				.same = versions(op),
				.subresource = r->subresource,
				.namespace = r->namespace,
				.name = r->name,
				.object = r->object,
				.old = r->old,
				.user = r->user,
				.dry_run = r->dry_run,
				.may = authorizer_may,
				.may_arg = (void *)(uintptr_t)r};

	if (r->op != ADMIT_CONNECT)
		q.options = options(op);
	if (r->namespace.n)
		q.namespace_labels = json_at(r->reader->get(r->reader->ctx, "", "namespaces",
							    STR_NONE, r->namespace, op->a),
					     "metadata", "labels");
	return q;
}

/*
 * Objects stand in the stored version here, or, where others convert them, in the one that was
 * asked for; they are shown in the one that the webhook knows. NULL of an object: parked, or
 * op->err.
 */
static const struct json *shown(struct op *op, const struct kind *as, const struct json *o)
{
	const struct kind *stored = op->served->table->kind;
	struct json *copy;

	if (o && conversion_asks(as))
		return conversion_is_of(as, json_str(json_get(o, STR("apiVersion"))))
			       ? o
			       : op_convert(op, o, as);
	if (!o || as == stored || !str_is(json_str(json_get(o, STR("kind"))), stored->kind))
		return o;
	copy = json_copy(op->a, o);
	convert_from_stored(op->a, as, copy);
	return copy;
}

static int show(struct op *op, const struct kind *as, struct webhook_ask *q)
{
	if (q->object && !(q->object = shown(op, as, q->object)))
		return -1;
	return q->old && !(q->old = shown(op, as, q->old)) ? -1 : 0;
}

/* ---- one webhook ---- */

static struct str key_of(struct op *op, const struct webhook *w, struct str request)
{
	AUTO(buf) struct buf text = {0};
	char hex[65];

	buf_printf(&text, "%.*s/%.*s/", STR_ARG(w->uid), STR_ARG(w->name));
	buf_str(&text, request);
	sha256_hex(buf_view(&text), hex);
	return arena_str(op->a, (struct str){hex, 64});
}

static void ask(struct op *op, const struct webhook *w, struct str key, struct str request)
{
	struct core_call *call = op_call(op, key, w->name);
	AUTO(buf) struct buf body = {0};

	if (!call)
		return;
	webhook_review(w, request, call->uid, &body);
	call->body = arena_str(call->arena, buf_view(&body));
	call->url = arena_str(call->arena, w->client.url);
	call->namespace = arena_str(call->arena, w->client.namespace);
	call->service = arena_str(call->arena, w->client.service);
	call->path = arena_str(call->arena, w->client.path);
	call->ca_bundle = arena_str(call->arena, w->client.ca_bundle);
	call->port = w->client.port;
	call->timeout_ns = w->timeout_ns;
}

static int failed(struct op *op, const struct webhook *w, const struct err *why)
{
	if (w->ignore_failure) {
		note_open(op, w);
		log_warn("a webhook failed, which its configuration says to ignore", "webhook",
			 arena_cstr(op->a, w->name), "error", why->msg);
		return 0;
	}
	return err_set(&op->err, ERR_INTERNAL,
		       "Internal error occurred: failed calling webhook \"%.*s\": %s",
		       (int)MIN(w->name.n, 200), w->name.p, why->msg);
}

static void warn(struct op *op, const struct webhook_verdict *v)
{
	for (size_t i = 0; i < json_len(v->warnings); i++) {
		struct str s = str_sub(json_str(json_item(v->warnings, i)), 0, WARNING_MAX);

		for (size_t n = 0; n < s.n; n++)
			buf_putc(&op->warnings, s.p[n] == '\n' || s.p[n] == '\r' ? ' ' : s.p[n]);
		if (s.n)
			buf_putc(&op->warnings, '\n');
	}
}

enum asked { ASKED_FAILED = -1, ASKED_FINE, ASKED_WAITS };

/* What w says: ret is filled when it says yes. FAILED is with op's error or denial. */
static enum asked ask_one(struct op *op, const struct webhook *w, const struct webhook_ask *q,
			  const struct kind *as, struct webhook_verdict *ret)
{
	AUTO(buf) struct buf request = {0};
	const struct recalled *known;
	struct err err = {0};
	struct str key;

	*ret = (struct webhook_verdict){0};
	if (op->dry_run && w->side_effects) {
		err_set(&op->err, ERR_BAD_REQUEST,
			"admission webhook \"%.*s\" does not support dry run",
			(int)MIN(w->name.n, 200), w->name.p);
		return ASKED_FAILED;
	}
	switch (webhook_conditions(op->a, w, q, as, &err)) {
	case 0:
		return ASKED_FINE;
	case -1:
		if (w->ignore_failure)
			return ASKED_FINE;
		err_set(&op->err, ERR_FORBIDDEN, "%s \"%.*s\" is forbidden: %s", as->plural,
			(int)MIN(q->name.n, 253), q->name.p ? q->name.p : "", err.msg);
		return ASKED_FAILED;
	default:
		break;
	}
	webhook_request(q, as, &request);
	key = key_of(op, w, buf_view(&request));
	known = op_recall(op, key);
	if (!known) {
		ask(op, w, key, buf_view(&request));
		return op->err.code != ERR_NONE ? ASKED_FAILED : ASKED_WAITS;
	}
	if (known->err.code != ERR_NONE)
		return failed(op, w, &known->err) ? ASKED_FAILED : ASKED_FINE;
	if (webhook_verdict(op->a, w, known->body, known->uid, ret, &err))
		return failed(op, w, &err) ? ASKED_FAILED : ASKED_FINE;
	warn(op, ret);
	note_said(op, w, ret->audit);
	if (ret->status) {
		op->denial = ret->status;
		op->denial_code = ret->code;
		err_set(&op->err, ERR_FORBIDDEN, "admission webhook \"%.*s\" denied the request",
			(int)MIN(w->name.n, 200), w->name.p);
		return ASKED_FAILED;
	}
	return ASKED_FINE;
}

/* ---- mutating ---- */

static int refuse_patch(struct op *op, const struct webhook *w, const char *why)
{
	return err_set(&op->err, ERR_INTERNAL,
		       "Internal error occurred: admission webhook \"%.*s\" %s",
		       (int)MIN(w->name.n, 200), w->name.p, why);
}

/* The object is still the one that the request is about. */
static bool same_object(const struct json *a, const struct json *b)
{
	return str_eq(meta_name(a), meta_name(b)) && str_eq(meta_namespace(a), meta_namespace(b)) &&
	       str_eq(meta_uid(a), meta_uid(b));
}

static int apply_patch(struct op *op, const struct webhook *w, const struct kind *as,
		       const struct admission_req *r, const struct json *patch, bool *ret_changed)
{
	const struct kind *stored = op->served->table->kind;
	const struct json *before = shown(op, as, r->object);
	struct json *after;
	struct err err = {0};

	if (!r->object)
		return refuse_patch(op, w,
				    "attempted to modify the object, which is not supported for "
				    "this operation");
	after = patch_json(op->a, before, patch, &err);
	if (!after)
		return refuse_patch(
			op, w, arena_printf(op->a, "returned a patch that fails: %s", err.msg));
	if (!json_is(after, JSON_OBJECT) || !same_object(before, after))
		return refuse_patch(op, w, "attempted to make another object of this one");
	if (json_equal(before, after))
		return 0;
	after = json_copy(op->a, after);
	if (before != r->object && conversion_asks(as))
		after = op_convert(op, after, op->served->kind);
	else if (before != r->object)
		convert_to_stored(op->a, as, stored, after);
	if (!after)
		return -1;
	*ret_changed = true;
	if (!op->pure_body)
		return write_again(op, r->object, after);
	*r->object = *after;
	return 0;
}

/* Webhooks of one pass by their place: which to ask in the second, because others came after them.
 */
struct pass {
	bool *again, *ran;
};

/* As Kubernetes does it: a change makes those before it that say IfNeeded run once more. */
static void others_run_again(const struct webhooks *all, struct pass *p)
{
	for (size_t i = 0; i < all->n; i++) {
		p->again[i] |= p->ran[i];
		p->ran[i] = false;
	}
}

static int mutate_pass(struct op *op, const struct webhooks *all, const struct admission_req *r,
		       struct pass *p, bool second)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct webhook *w = &all->v[i];
		struct webhook_ask q = question(op, r);
		struct webhook_verdict v;
		const struct kind *as;
		bool changed = false;

		if (!w->mutating)
			continue;
		op->round = second;
		op->index = n++;
		if (second && !p->again[i])
			continue;
		as = webhook_match(w, &q);
		if (!as)
			continue;
		if (show(op, as, &q))
			return -1;
		if (ask_one(op, w, &q, as, &v) != ASKED_FINE)
			return -1; /* the next ones see what this one makes of it */
		if (v.patch && apply_patch(op, w, as, r, v.patch, &changed))
			return -1;
		if (v.allowed)
			note_mutation(op, w, changed, v.patch);
		if (changed && !second)
			others_run_again(all, p);
		if (w->reinvoke && !second)
			p->ran[i] = true;
		if (changed)
			*op->changed = true;
	}
	return 0;
}

static bool any_again(const struct webhooks *all, const struct pass *p)
{
	for (size_t i = 0; i < all->n; i++)
		if (p->again[i])
			return true;
	return false;
}

int webhooks_mutate(struct op *op, const struct admission_req *r, bool *ret_changed)
{
	const struct webhooks *all = op->req->internal ? NULL : webhooks_now(op->core);
	struct pass p;

	*ret_changed = false;
	if (!all)
		return 0;
	op->changed = ret_changed;
	p.again = arena_array(op->a, all->n, sizeof(bool));
	p.ran = arena_array(op->a, all->n, sizeof(bool));
	if (mutate_pass(op, all, r, &p, false))
		return -1;
	return any_again(all, &p) ? mutate_pass(op, all, r, &p, true) : 0;
}

/* ---- validating ---- */

int webhooks_validate_all(struct op *op, const struct admission_req *r)
{
	const struct webhooks *all = op->req->internal ? NULL : webhooks_now(op->core);
	bool waits = false;
	size_t n = 0;

	op->round = 0;
	for (size_t i = 0; all && i < all->n; i++) {
		const struct webhook *w = &all->v[i];
		struct webhook_ask q;
		struct webhook_verdict v;
		const struct kind *as;

		if (w->mutating)
			continue;
		op->index = n++;
		q = question(op, r);
		as = webhook_match(w, &q);
		if (!as)
			continue;
		if (show(op, as, &q))
			return -1;
		switch (ask_one(op, w, &q, as, &v)) {
		case ASKED_FAILED:
			return -1;
		case ASKED_WAITS:
			waits = true;
			break;
		case ASKED_FINE:
			break;
		}
	}
	return waits ? -1 : 0;
}
