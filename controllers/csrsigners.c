/* See csrsigners.h. Must never find nothing wrong with what it could not read. Pure. */
#include "controllers/csrsigners.h"

#include "lib/base/codec.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define NODE_PREFIX "system:node:"
#define KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"

static const struct csr_signer signers[] = {
	{"kubernetes.io/kube-apiserver-client", false, false},
	{KUBELET_CLIENT, false, true},
	{"kubernetes.io/kubelet-serving", true, true},
};

const struct csr_signer *csr_signer_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(signers); i++) {
		if (str_is(name, signers[i].name))
			return &signers[i];
	}
	return NULL;
}

const char *csr_usages_problem(const struct csr_signer *s, const struct json *usages)
{
	bool purpose = false, signature = false;

	for (size_t i = 0; i < json_len(usages); i++) {
		struct str u = json_str(json_item(usages, i));

		if (str_is(u, s->server ? "server auth" : "client auth"))
			purpose = true;
		else if (str_is(u, "digital signature"))
			signature = true;
		else if (!str_is(u, "key encipherment"))
			return s->server ? "usages did not match: only server auth, digital "
					   "signature and key encipherment are signed for"
					 : "usages did not match: only client auth, digital "
					   "signature and key encipherment are signed for";
	}
	if (!purpose)
		return s->server ? "usages did not match: server auth is missing"
				 : "usages did not match: client auth is missing";
	return s->node && !signature ? "usages did not match: digital signature is missing" : NULL;
}

static size_t count_lines(const struct buf *text)
{
	struct str rest = buf_view(text), line;
	size_t n = 0;

	while (rest.n && str_next(&rest, '\n', &line))
		n++;
	return n;
}

static const char *names_problem(const struct csr_signer *s, const struct cert_info *info)
{
	bool any = info->sans.n || info->odd_sans;

	if (!s->server)
		return s->node && any ? "subject alternative names are not allowed" : NULL;
	if (info->odd_sans)
		return "only DNS and IP subject alternative names are signed for";
	if (count_lines(&info->sans) > CSR_NAMES_MAX)
		return "too many subject alternative names";
	return any ? NULL : "DNS or IP subjectAltName is required";
}

const char *csr_subject_problem(const struct csr_signer *s, const struct cert_info *info)
{
	struct str rest = buf_view(&info->organizations), org;
	struct str cn = str_c(info->common_name);
	size_t n = 0, nodes = 0;

	while (rest.n && str_next(&rest, '\n', &org)) {
		n++;
		nodes += str_is(org, "system:nodes");
		if (str_is(org, "system:masters"))
			return "the organization system:masters is not signed for";
	}
	if (n > CSR_NAMES_MAX)
		return "too many organizations";
	if (!cn.n)
		return "a common name is required";
	if (s->node && (n != 1 || nodes != 1))
		return "subject organization is not system:nodes";
	if (s->node && (!str_starts(cn, STR(NODE_PREFIX)) || cn.n == sizeof(NODE_PREFIX) - 1))
		return "subject common name does not begin with system:node:";
	return names_problem(s, info);
}

const char *csr_wanted_right(const struct json *csr)
{
	AUTO(buf) struct buf pem = {0};
	const struct json *spec = json_get(csr, STR("spec"));
	struct str signer = json_str(json_get(spec, STR("signerName")));
	const struct csr_signer *s = csr_signer_find(signer);
	struct cert_info info = {0};
	const char *right = NULL;

	if (!str_is(signer, KUBELET_CLIENT) || json_len(json_at(csr, "status", "conditions")) ||
	    json_str(json_at(csr, "status", "certificate")).n ||
	    csr_usages_problem(s, json_get(spec, STR("usages"))) ||
	    base64_decode(json_str_or(json_get(spec, STR("request")), STR("")), &pem) ||
	    cert_info(buf_view(&pem), &info, NULL))
		return NULL;
	if (!csr_subject_problem(s, &info))
		right = str_is(json_str(json_get(spec, STR("username"))), info.common_name)
				? "selfnodeclient"
				: "nodeclient";
	cert_info_release(&info);
	return right;
}
