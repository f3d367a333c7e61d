/*
 * AdmissionReviews: what is sent to a webhook, and what its answer means. An answer is hostile
 * until it is read: it may be anything, of any shape. Pure; memory is the caller's arena.
 */
#include "apiserver/webhook.h"

#include "apiserver/extra.h"
#include "lib/base/codec.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define WARNINGS_MAX 32

/* ---- asking ---- */

static void put_text(struct buf *out, const char *key, struct str s)
{
	buf_printf(out, "\"%s\":", key);
	json_write_string(s.p ? s : STR(""), out);
}

static void put_gvk(struct buf *out, const char *key, struct str group, struct str version,
		    struct str kind)
{
	buf_printf(out, "\"%s\":{", key);
	put_text(out, "group", group);
	buf_putc(out, ',');
	put_text(out, "version", version);
	buf_putc(out, ',');
	put_text(out, "kind", kind);
	buf_puts(out, "},");
}

/* A sub-resource's kind is what its body says it is: a Scale, an Eviction, exec's options. */
static void put_kind(struct buf *out, const char *key, const struct webhook_ask *q,
		     const struct kind *k)
{
	struct str said = json_str(json_get(q->object, STR("kind"))), group, version;

	if (!q->subresource || !said.n || str_is(said, k->kind)) {
		put_gvk(out, key, str_c(k->group), str_c(k->version), str_c(k->kind));
		return;
	}
	api_version_split(json_str(json_get(q->object, STR("apiVersion"))), &group, &version);
	put_gvk(out, key, group, version, said);
}

static void put_resource(struct buf *out, const char *key, const struct kind *k)
{
	buf_printf(out, "\"%s\":{", key);
	put_text(out, "group", str_c(k->group));
	buf_putc(out, ',');
	put_text(out, "version", str_c(k->version));
	buf_putc(out, ',');
	put_text(out, "resource", str_c(k->plural));
	buf_puts(out, "},");
}

static void put_user(struct buf *out, const struct admission_user *u)
{
	buf_puts(out, "\"userInfo\":{");
	put_text(out, "username", u->name);
	if (u->uid.n) {
		buf_putc(out, ',');
		put_text(out, "uid", u->uid);
	}
	for (size_t i = 0; i < u->ngroups; i++) {
		buf_puts(out, i ? "," : ",\"groups\":[");
		json_write_string(u->groups[i], out);
	}
	buf_puts(out, u->ngroups ? "]" : "");
	user_extra_write(u, out);
	buf_puts(out, "},");
}

static void put_value(struct buf *out, const char *key, const struct json *v)
{
	buf_printf(out, "\"%s\":", key);
	if (v)
		json_write(v, out);
	else
		buf_puts(out, "null");
	buf_putc(out, ',');
}

void webhook_request(const struct webhook_ask *q, const struct kind *as, struct buf *out)
{
	static const char *const ops[] = {[ADMIT_CREATE] = "CREATE",
					  [ADMIT_UPDATE] = "UPDATE",
					  [ADMIT_DELETE] = "DELETE",
					  [ADMIT_CONNECT] = "CONNECT"};

	buf_putc(out, '{');
	put_kind(out, "kind", q, as);
	put_resource(out, "resource", as);
	if (q->subresource) {
		put_text(out, "subResource", str_c(q->subresource));
		buf_putc(out, ',');
	}
	put_kind(out, "requestKind", q, q->kind);
	put_resource(out, "requestResource", q->kind);
	if (q->subresource) {
		put_text(out, "requestSubResource", str_c(q->subresource));
		buf_putc(out, ',');
	}
	if (q->name.n) {
		put_text(out, "name", q->name);
		buf_putc(out, ',');
	}
	if (q->namespace.n) {
		put_text(out, "namespace", q->namespace);
		buf_putc(out, ',');
	}
	put_text(out, "operation", str_c(ops[q->op]));
	buf_putc(out, ',');
	put_user(out, &q->user);
	put_value(out, "object", q->object);
	put_value(out, "oldObject", q->old);
	buf_printf(out, "\"dryRun\":%s,", q->dry_run ? "true" : "false");
	put_value(out, "options", q->options);
	out->p[out->n - 1] = '}';
}

void webhook_review(const struct webhook *w, struct str request, const char *uid, struct buf *out)
{
	buf_printf(out,
		   "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/%s\","
		   "\"request\":{\"uid\":\"%s\",",
		   w->v1beta1 ? "v1beta1" : "v1", uid);
	buf_str(out, str_sub(request, 1, request.n));
	buf_putc(out, '}');
}

/* ---- what came back ---- */

static int check_review(const struct webhook *w, const struct json *v, const char *uid,
			struct err *err)
{
	const struct json *response = json_get(v, STR("response"));
	struct str kind = json_str_or(json_get(v, STR("kind")), STR("")),
		   version = json_str_or(json_get(v, STR("apiVersion")), STR("")),
		   said = json_str_or(json_get(response, STR("uid")), STR(""));
	const char *want = w->v1beta1 ? "admission.k8s.io/v1beta1" : "admission.k8s.io/v1";

	if (!json_is(response, JSON_OBJECT))
		return err_set(err, ERR_INTERNAL, "webhook response was absent");
	if (w->v1beta1 && !version.n && !kind.n)
		return 0; /* what old webhooks answered */
	if (!str_is(kind, "AdmissionReview") || !str_is(version, want))
		return err_set(err, ERR_INTERNAL,
			       "expected webhook response of %s, Kind=AdmissionReview, got %.*s, "
			       "Kind=%.*s",
			       want, (int)MIN(version.n, 60), version.p, (int)MIN(kind.n, 60),
			       kind.p);
	if (!w->v1beta1 && !str_is(said, uid))
		return err_set(err, ERR_INTERNAL, "expected response.uid=\"%s\", got \"%.*s\"", uid,
			       (int)MIN(said.n, 60), said.p);
	return 0;
}

static int check_patch(const struct webhook *w, const struct json *response, struct err *err)
{
	struct str patch = json_str_or(json_get(response, STR("patch")), STR("")),
		   type = json_str_or(json_get(response, STR("patchType")), STR(""));

	if (!w->mutating && patch.n)
		return err_set(err, ERR_INTERNAL,
			       "validating webhook may not return response.patch");
	if (!w->mutating && type.n)
		return err_set(err, ERR_INTERNAL,
			       "validating webhook may not return response.patchType");
	if (patch.n && !type.n && !w->v1beta1)
		return err_set(err, ERR_INTERNAL,
			       "webhook returned response.patch but not response.patchType");
	if (!patch.n && type.n)
		return err_set(err, ERR_INTERNAL,
			       "webhook returned response.patchType but not response.patch");
	if (type.n && !str_is(type, "JSONPatch"))
		return err_set(err, ERR_INTERNAL, "unsupported patch type \"%.*s\"",
			       (int)MIN(type.n, 60), type.p);
	return 0;
}

static int read_patch(struct arena *a, const struct json *response, struct webhook_verdict *ret,
		      struct err *err)
{
	struct str patch = json_str_or(json_get(response, STR("patch")), STR(""));
	AUTO(buf) struct buf text = {0};

	if (!patch.n)
		return 0;
	if (base64_decode(patch, &text))
		return err_set(err, ERR_INTERNAL, "response.patch is not base64");
	ret->patch = json_parse(a, arena_str(a, buf_view(&text)), NULL, err);
	if (ret->patch)
		return 0;
	err->code = ERR_INTERNAL;
	return -1;
}

/* Why, as the client reads it: always a failure, whatever the webhook called it. */
static void deny(struct arena *a, const struct webhook *w, const struct json *response,
		 struct webhook_verdict *ret)
{
	const struct json *said = json_get(response, STR("status"));
	struct str message = json_str_or(json_get(said, STR("message")), STR("")),
		   reason = json_str_or(json_get(said, STR("reason")), STR(""));
	int64_t code = json_int(json_get(said, STR("code")), 0);

	ret->status = json_is(said, JSON_OBJECT) ? json_copy(a, said) : json_new(a, JSON_OBJECT);
	json_set_str(a, ret->status, "kind", STR("Status"));
	json_set_str(a, ret->status, "apiVersion", STR("v1"));
	json_set_object(a, ret->status, "metadata");
	json_set_str(a, ret->status, "status", STR("Failure"));
	json_set_str(a, ret->status, "message",
		     arena_strf(a, "admission webhook \"%.*s\" denied the request%s%.*s",
				STR_ARG(w->name),
				message.n || reason.n ? ": " : " without explanation",
				STR_ARG(message.n ? message : reason)));
	ret->code = (int)(code >= 400 && code <= 599 ? code : 400);
	json_set_int(a, ret->status, "code", ret->code);
}

int webhook_verdict(struct arena *a, const struct webhook *w, struct str body, const char *uid,
		    struct webhook_verdict *ret, struct err *err)
{
	const struct json *v = json_parse(a, body, NULL, err), *response, *warnings;

	*ret = (struct webhook_verdict){0};
	if (!v) {
		err->code = ERR_INTERNAL;
		return err_wrap(err, "cannot read the answer");
	}
	response = json_get(v, STR("response"));
	if (check_review(w, v, uid, err) || check_patch(w, response, err))
		return -1;
	warnings = json_get(response, STR("warnings"));
	ret->warnings = json_is(warnings, JSON_ARRAY) && json_len(warnings) <= WARNINGS_MAX
				? warnings
				: NULL;
	ret->audit = json_get(response, STR("auditAnnotations"));
	ret->allowed = json_bool(json_get(response, STR("allowed")), false);
	if (!ret->allowed) {
		deny(a, w, response, ret);
		return 0;
	}
	return read_patch(a, response, ret, err);
}
