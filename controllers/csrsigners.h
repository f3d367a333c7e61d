/*
 * The signers that the cluster's authority signs for, and what each asks of a request. Pure.
 * Specification: Kubernetes' "Certificates and Certificate Signing Requests", "Kubernetes signers".
 */
#ifndef PLUMB_CONTROLLERS_CSRSIGNERS_H
#define PLUMB_CONTROLLERS_CSRSIGNERS_H

#include "lib/http/tls.h"
#include "lib/json/json.h"

#define CSR_NAMES_MAX 64 /* organizations, and alternative names */

struct csr_signer {
	const char *name;
	bool server; /* server auth instead of client auth */
	bool node;   /* names nodes only */
};

/* NULL: none of ours. */
const struct csr_signer *csr_signer_find(struct str name);
/* What is wrong, or NULL. */
const char *csr_usages_problem(const struct csr_signer *s, const struct json *usages);
const char *csr_subject_problem(const struct csr_signer *s, const struct cert_info *info);

/* What a request for a kubelet's client certificate that nobody has decided on must be granted to
 * be approved by itself: "selfnodeclient" when the node asks for its own, "nodeclient" when
 * somebody asks for a node's. NULL: it is for people to decide. */
const char *csr_wanted_right(const struct json *csr);

#endif
