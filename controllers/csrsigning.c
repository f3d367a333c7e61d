/*
 * CertificateSigningRequests that were approved get their certificate from the cluster's
 * authority; all of them go when nobody needs them any more. Signs for three signers only, each
 * with its own rules (csrsigners.c) of who may be named; must never sign what was not approved, nor
 * make anybody a master. Without the authority's key it only cleans up. Pure but for the serial
 * number that signing draws. Specification: pkg/controller/certificates (signer, cleaner).
 */
#include "controllers/common.h"
#include "controllers/csrsigners.h"

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"

#include "lib/base/pure.h"

#define LIFE_MAX ((int64_t)365 * 24 * 3600)
#define DONE_LIFE (3600 * NS_PER_S)
#define PENDING_LIFE (24 * 3600 * NS_PER_S)

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

static const char *const *lines_of(const struct view *v, const struct buf *text)
{
	const char **names = arena_array(v->arena, CSR_NAMES_MAX + 1, sizeof(*names));
	struct str rest = buf_view(text), one;
	size_t n = 0;

	while (n < CSR_NAMES_MAX && rest.n && str_next(&rest, '\n', &one))
		names[n++] = arena_cstr(v->arena, one);
	return names;
}

static int issue(const struct view *v, const struct json *csr, struct str pem,
		 const struct cert_info *info, struct buf *ret)
{
	const struct controllers_config *config = v->config;
	int64_t life = json_int(json_at(csr, "spec", "expirationSeconds"), LIFE_MAX);
	const struct csr_signer *signer =
		csr_signer_find(json_str(json_at(csr, "spec", "signerName")));
	struct cert_request r = {.common_name = info->common_name,
				 .organizations = lines_of(v, &info->organizations),
				 .sans = lines_of(v, &info->sans),
				 .client = !signer->server,
				 .server = signer->server,
				 .lifetime_s = MIN(life, LIFE_MAX),
				 .now_ns = v->now_ns};
	struct err err = {0};

	return ca_sign_csr(config->root_ca, config->ca_key, pem, &r, ret, &err);
}

static void sign(const struct view *v, const struct json *csr, const struct csr_signer *signer,
		 struct plan *p)
{
	AUTO(buf) struct buf pem = {0}, cert = {0}, text = {0};
	struct cert_info info = {0};
	const char *problem = csr_usages_problem(signer, json_at(csr, "spec", "usages"));
	struct json *next;

	if (base64_decode(json_str_or(json_at(csr, "spec", "request"), STR("")), &pem) ||
	    cert_info(buf_view(&pem), &info, NULL))
		problem = "the request does not parse";
	else if (!problem)
		problem = csr_subject_problem(signer, &info);
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
	const struct csr_signer *signer =
		csr_signer_find(json_str(json_at(csr, "spec", "signerName")));

	(void)err;
	if (!csr || meta_deleting(csr))
		return 0;
	if (config && config->ca_key.n && signer && condition_find(csr, "Approved") &&
	    !condition_find(csr, "Denied") && !condition_find(csr, "Failed") &&
	    !json_str(json_at(csr, "status", "certificate")).n)
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
