/* See csrsigners.h. Must never find nothing wrong with what it could not read. Pure. */
#include "controllers/csrsigners.h"

#include "lib/base/codec.h"
#include "lib/kube/nodename.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define NODE_PREFIX "system:node:"
#define KUBELET_SERVING "kubernetes.io/kubelet-serving"
#define KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"

static const struct csr_signer signers[] = {
	{"kubernetes.io/kube-apiserver-client", false, false},
	{KUBELET_CLIENT, false, true},
	{KUBELET_SERVING, true, true},
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

/* "DNS:NAME.kubelet" of the node that asks, and nothing else: see lib/kube/nodename.h. */
static bool names_itself(const struct cert_info *info, struct str node)
{
	struct str san = str_trim(buf_view(&info->sans)), name;

	if (!str_starts(san, STR("DNS:")) || !str_ends(san, STR(KUBELET_NAME_END)) ||
	    info->odd_sans)
		return false;
	name = str_sub(san, 4, san.n - 4 - (sizeof(KUBELET_NAME_END) - 1));
	return str_eq(name, node);
}

/* What a node may have for the asking: to be itself as a client and as a server, and to be the
 * proxy that runs on it. NULL = nothing. */
static const char *right_of(struct str signer, struct str user, const struct cert_info *info)
{
	struct str cn = str_c(info->common_name);
	bool is_node = str_starts(user, STR(NODE_PREFIX));

	if (str_is(signer, KUBELET_CLIENT))
		return str_eq(user, cn) ? "selfnodeclient" : "nodeclient";
	if (!is_node)
		return NULL;
	if (str_is(signer, KUBELET_SERVING))
		return str_eq(user, cn) && names_itself(info,
							str_sub(cn, sizeof(NODE_PREFIX) - 1, cn.n))
			       ? "selfnodeserver"
			       : NULL;
	return str_is(cn, "system:kube-proxy") && !info->organizations.n && !info->sans.n &&
			       !info->odd_sans
		       ? "nodeproxy"
		       : NULL;
}

const char *csr_wanted_right(const struct json *csr)
{
	AUTO(buf) struct buf pem = {0};
	const struct json *spec = json_get(csr, STR("spec"));
	struct str signer = json_str(json_get(spec, STR("signerName")));
	const struct csr_signer *s = csr_signer_find(signer);
	struct cert_info info = {0};
	const char *right = NULL;

	if (!s || json_len(json_at(csr, "status", "conditions")) ||
	    json_str(json_at(csr, "status", "certificate")).n ||
	    csr_usages_problem(s, json_get(spec, STR("usages"))) ||
	    base64_decode(json_str_or(json_get(spec, STR("request")), STR("")), &pem) ||
	    cert_info(buf_view(&pem), &info, NULL))
		return NULL;
	if (!csr_subject_problem(s, &info))
		right = right_of(signer, json_str(json_get(spec, STR("username"))), &info);
	cert_info_release(&info);
	return right;
}
