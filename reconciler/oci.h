/*
 * OCI artifacts as sources: the whole errand, blocking and in the helper process only. Registries
 * themselves are lib/http/oci.h's.
 */
#ifndef PLUMB_RECONCILER_OCI_H
#define PLUMB_RECONCILER_OCI_H

#include "lib/http/oci.h"

/* ---- oci_cosign.c ---- */

struct cosign {
	struct str digest;       /* of what is to be signed */
	const struct json *keys; /* {"name.pub": PEM} */
};
/* 0 when one of the keys signed it; *ret_who names the key. */
MUST_USE int cosign_verify(struct arena *a, struct oci_http *h, const struct cosign *c,
			   struct str *ret_who, struct err *err);
/* The signed text says that it is about this digest. Pure. */
MUST_USE int cosign_payload(struct arena *a, struct str payload, struct str digest,
			    struct err *err);

/* ---- oci_pull.c ---- */

/*
 * request: {url, mirror, ref: {tag, semver, semverFilter, digest}, layer: {mediaType, operation},
 * known: digest, commit, insecure, auth: {.dockerconfigjson, proxy}, cert: {ca.crt, tls.crt,
 * tls.key}, verify: {keys, verified}}. Pulls the artifact unless it is the known one, and puts its
 * files into the mirror. Answer: {revision: "tag@sha256:…", commit, digest, metadata, fetched,
 * verified: {key, message}}, or {problem: {message}} where it isn't signed as it should be.
 */
struct json *oci_pull(struct arena *a, const struct json *request, struct err *err);

#endif
