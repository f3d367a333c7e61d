/*
 * CertificateSigningRequests: who asks is who sends the request, whatever the request says; who
 * approves or signs must hold that verb on the signer; and nobody gets a client certificate for
 * system:masters signed. Pure.
 * Specification: plugin/pkg/admission/certificates, pkg/registry/certificates (strategy).
 */
#include <string.h>

#include "apiserver/admission/rights_of_all.h"
#include "apiserver/extra.h"
#include "lib/base/codec.h"
#include "lib/http/tls.h"

#include "lib/base/pure.h"

#define GROUP "certificates.k8s.io"
#define CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"

static void stamp(struct admission_req *r)
{
	struct json *spec = json_set_object(r->a, r->object, "spec"), *groups;

	json_del(spec, STR("extra"));
	json_set_str(r->a, spec, "username", r->user.name);
	if (r->user.uid.n)
		json_set_str(r->a, spec, "uid", r->user.uid);
	else
		json_del(spec, STR("uid"));
	json_del(spec, STR("groups"));
	groups = json_set_array(r->a, spec, "groups");
	for (size_t i = 0; i < r->user.ngroups; i++)
		json_append_str(r->a, groups, r->user.groups[i]);
	user_extra_put(r->a, &r->user, spec);
}

static int forbid(struct admission_req *r, struct err *err, const char *why, struct str signer)
{
	return err_set(err, ERR_FORBIDDEN,
		       "certificatesigningrequests.certificates.k8s.io \"%.*s\" is forbidden: %s "
		       "\"%.*s\"",
		       (int)MIN(r->name.n, 253), r->name.p ? r->name.p : "", why,
		       (int)MIN(signer.n, 100), signer.p ? signer.p : "");
}

/* No certificate makes a master: those are issued outside of the API. */
static int check_subject(struct admission_req *r, struct err *err)
{
	const struct json *spec = json_get(r->object, STR("spec"));
	struct str signer = json_str(json_get(spec, STR("signerName"))), rest, org;
	AUTO(buf) struct buf pem = {0};
	struct cert_info info = {0};
	bool masters = false;

	if (!str_is(signer, CLIENT_SIGNER) ||
	    base64_decode(json_str_or(json_get(spec, STR("request")), STR("")), &pem) ||
	    cert_info(buf_view(&pem), &info, NULL)) {
		cert_info_release(&info);
		return 0; /* what isn't a request is for the kind's rules to say */
	}
	rest = buf_view(&info.organizations);
	while (rest.p && str_next(&rest, '\n', &org))
		masters |= str_is(org, "system:masters");
	cert_info_release(&info);
	return masters ? forbid(r, err,
				"use of the system:masters group is not allowed with signer",
				signer)
		       : 0;
}

/* The verb on the signer, or on all signers of its domain. */
static bool may(struct admission_req *r, const char *verb, struct str signer)
{
	struct authz *z = rights_of_all(r);
	struct authz_ask q = {.user = &r->user,
			      .verb = str_c(verb),
			      .group = STR(GROUP),
			      .resource = STR("signers"),
			      .name = signer};
	struct str domain, path;
	bool ok = authz_allows(z, &q, NULL);

	if (!ok && str_cut(signer, '/', &domain, &path)) {
		q.name = arena_strf(r->a, "%.*s/*", STR_ARG(domain));
		ok = authz_allows(z, &q, NULL);
	}
	authz_free(z);
	return ok;
}

static bool has_failed(const struct json *o)
{
	const struct json *list = json_at(o, "status", "conditions");

	for (size_t i = 0; i < json_len(list); i++)
		if (str_is(json_str(json_get(json_item(list, i), STR("type"))), "Failed"))
			return true;
	return false;
}

static bool signs(const struct admission_req *r)
{
	const struct json *now = json_at(r->object, "status", "certificate"),
			  *was = json_at(r->old, "status", "certificate");

	return !str_eq(json_str(now), json_str(was)) || has_failed(r->object) != has_failed(r->old);
}

static int admit(struct admission_req *r, struct err *err)
{
	struct str signer = json_str(json_at(r->old, "spec", "signerName"));

	if (strcmp(r->kind->group, GROUP) || strcmp(r->kind->plural, "certificatesigningrequests"))
		return 0;
	if (r->op == ADMIT_CREATE) {
		stamp(r);
		return check_subject(r, err);
	}
	if (r->op != ADMIT_UPDATE || !r->subresource)
		return 0;
	if (!strcmp(r->subresource, "approval") && !may(r, "approve", signer))
		return forbid(r, err, "user not permitted to approve requests with signerName",
			      signer);
	if (!strcmp(r->subresource, "status") && signs(r) && !may(r, "sign", signer))
		return forbid(r, err, "user not permitted to sign requests with signerName",
			      signer);
	return 0;
}

const struct admission admission_certificates = {
	.name = "CertificateSigningRequests", .order = 810, .admit = admit};
