/*
 * CertificateSigningRequests that were approved get their client certificate from the cluster's
 * authority; all of them go when nobody needs them any more. Signs for two signers only, each with
 * its own rules of who may be named; must never sign what was not approved, nor make anybody a
 * master. Without the authority's key it only cleans up. Pure but for the serial number that
 * signing draws. Specification: pkg/controller/certificates (signer, cleaner).
 */
#include "controllers/common.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"

#include "lib/base/pure.h"

#define CLIENT "kubernetes.io/kube-apiserver-client"
#define KUBELET "kubernetes.io/kube-apiserver-client-kubelet"
#define NODE_PREFIX "system:node:"
#define LIFE_MAX ((int64_t)365 * 24 * 3600)
#define DONE_LIFE (3600 * NS_PER_S)
#define PENDING_LIFE (24 * 3600 * NS_PER_S)
#define ORGANIZATIONS_MAX 64

/* ---- what may be signed ---- */

static const char *usages_problem(const struct json *usages)
{
	bool client = false;

	for (size_t i = 0; i < json_len(usages); i++) {
		struct str u = json_str(json_item(usages, i));

		client |= str_is(u, "client auth");
		if (!str_is(u, "client auth") && !str_is(u, "digital signature") &&
		    !str_is(u, "key encipherment"))
			return "usages did not match: only client auth, digital signature and key "
			       "encipherment are signed for";
	}
	return client ? NULL : "usages did not match: client auth is missing";
}

static const char *subject_problem(struct str signer, const struct cert_info *info)
{
	struct str rest = buf_view(&info->organizations), org;
	size_t n = 0, nodes = 0;

	while (rest.n && str_next(&rest, '\n', &org)) {
		n++;
		nodes += str_is(org, "system:nodes");
		if (str_is(org, "system:masters"))
			return "the organization system:masters is not signed for";
	}
	if (n > ORGANIZATIONS_MAX)
		return "too many organizations";
	if (!info->common_name[0])
		return "a common name is required";
	if (!str_is(signer, KUBELET))
		return NULL;
	if (n != 1 || nodes != 1)
		return "subject organization is not system:nodes";
	return str_starts(str_c(info->common_name), STR(NODE_PREFIX))
		       ? NULL
		       : "subject common name does not begin with system:node:";
}

/* ---- signing ---- */

static void plan_failure(const struct view *v, const struct json *csr, struct str why,
			 struct plan *p)
{
	struct json *next = json_copy(v->arena, csr), *c;
	char now[TIME_TEXT_MAX];

	c = json_append_object(
		v->arena,
		json_set_array(v->arena, json_set_object(v->arena, next, "status"), "conditions"));
	json_set_str(v->arena, c, "type", STR("Failed"));
	json_set_str(v->arena, c, "status", STR("True"));
	json_set_str(v->arena, c, "reason", STR("SignerValidationFailure"));
	json_set_str(v->arena, c, "message", why);
	json_set_str(v->arena, c, "lastUpdateTime", time_format(v->now_ns, now));
	plan_update_status(p, &res_certificatesigningrequests, next);
	p->last->ignore_not_found = true;
}

static int issue(const struct view *v, const struct json *csr, struct str pem,
		 const struct cert_info *info, struct buf *ret)
{
	const struct controllers_config *config = v->config;
	int64_t life = json_int(json_at(csr, "spec", "expirationSeconds"), LIFE_MAX);
	const char *names[ORGANIZATIONS_MAX + 1] = {NULL};
	struct str rest = buf_view(&info->organizations), org;
	struct cert_request r = {.common_name = info->common_name,
				 .organizations = names,
				 .client = true,
				 .lifetime_s = MIN(life, LIFE_MAX),
				 .now_ns = v->now_ns};
	struct err err = {0};
	size_t n = 0;

	while (n < ORGANIZATIONS_MAX && rest.n && str_next(&rest, '\n', &org))
		names[n++] = arena_cstr(v->arena, org);
	return ca_sign_csr(config->root_ca, config->ca_key, pem, &r, ret, &err);
}

static void sign(const struct view *v, const struct json *csr, struct str signer, struct plan *p)
{
	AUTO(buf) struct buf pem = {0}, cert = {0}, text = {0};
	struct cert_info info = {0};
	const char *problem = usages_problem(json_at(csr, "spec", "usages"));
	struct json *next;

	if (base64_decode(json_str_or(json_at(csr, "spec", "request"), STR("")), &pem) ||
	    cert_info(buf_view(&pem), &info, NULL))
		problem = "the request does not parse";
	else if (!problem)
		problem = subject_problem(signer, &info);
	if (!problem && issue(v, csr, buf_view(&pem), &info, &cert))
		problem = "the request's signature is not its key's";
	cert_info_release(&info);
	if (problem) {
		plan_failure(v, csr, str_c(problem), p);
		return;
	}
	base64_encode(buf_view(&cert), &text);
	next = json_copy(v->arena, csr);
	json_set_str(v->arena, json_set_object(v->arena, next, "status"), "certificate",
		     buf_view(&text));
	plan_update_status(p, &res_certificatesigningrequests, next);
	p->last->ignore_not_found = true;
}

/* ---- cleaning up ---- */

/* When it was last heard of: its conditions' times, else its own. */
static int64_t settled_ns(const struct json *csr)
{
	const struct json *all = json_at(csr, "status", "conditions");
	int64_t at = 0;

	for (size_t i = 0; i < json_len(all); i++)
		at = MAX(at, meta_time_ns(json_at(json_item(all, i), "lastUpdateTime")));
	return at ? at : meta_created_ns(csr);
}

static void expire(const struct view *v, const struct json *csr, struct plan *p)
{
	bool pending = !json_len(json_at(csr, "status", "conditions"));
	int64_t left = settled_ns(csr) + (pending ? PENDING_LIFE : DONE_LIFE) - v->now_ns;

	if (left > 0)
		plan_requeue(p, left);
	else
		plan_delete(p, &res_certificatesigningrequests, csr)->ignore_not_found = true;
}

static int reconcile(const struct view *v, struct str namespace, struct str name, struct plan *p,
		     struct err *err)
{
	const struct json *csr = view_get(v, &res_certificatesigningrequests, namespace, name);
	const struct controllers_config *config = v->config;
	struct str signer = json_str(json_at(csr, "spec", "signerName"));

	(void)err;
	if (!csr || meta_deleting(csr))
		return 0;
	if (config && config->ca_key.n && (str_is(signer, CLIENT) || str_is(signer, KUBELET)) &&
	    condition_find(csr, "Approved") && !condition_find(csr, "Denied") &&
	    !condition_find(csr, "Failed") && !json_str(json_at(csr, "status", "certificate")).n)
		sign(v, csr, signer, p);
	else
		expire(v, csr, p);
	return 0;
}

static const struct controller_watch watches[] = {
	{&res_certificatesigningrequests, NULL, NULL, NULL},
	{0},
};

const struct controller controller_csrsigning = {
	.name = "csrsigning",
	.watches = watches,
	.reconcile = reconcile,
};
