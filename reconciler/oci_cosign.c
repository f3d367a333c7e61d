/*
 * cosign's signatures of an artifact: a manifest beside it, under the tag sha256-HEX.sig, whose
 * layers are small texts that name the artifact's digest, each with a signature in its annotations.
 * One that fits, by one key of the Secret, is enough. Keys only: what was signed without one
 * (Fulcio, Rekor) is not judged. All that arrives is hashed and bounded first. Helper process only.
 * Specification: sigstore/cosign, specs/SIGNATURE_SPEC.md.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "lib/http/tls.h"
#include "reconciler/oci.h"

#define SIGNATURE "dev.cosignproject.cosign/signature"
#define PAYLOAD_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define PAYLOAD_MAX (64u << 10)
#define LAYERS_MAX 100
#define KEYS_MAX 16

int cosign_payload(struct arena *a, struct str payload, struct str digest, struct err *err)
{
	const struct json *v = json_parse(a, payload, NULL, err);
	const struct json *critical = json_get(v, STR("critical"));

	if (!v)
		return err_wrap(err, "the signed text");
	if (!str_is(json_str(json_get(critical, STR("type"))), "cosign container image signature"))
		return err_set(err, ERR_FORBIDDEN, "what is signed is no image");
	if (!str_eq(json_str(json_at(critical, "image", "docker-manifest-digest")), digest))
		return err_set(err, ERR_FORBIDDEN, "what is signed is another artifact");
	return 0;
}

/* By whichever key of the Secret; *ret_who is its name there. */
static int by_a_key(const struct json *keys, struct str payload, struct str signature,
		    struct str *ret_who, struct err *err)
{
	const struct json_member *m = json_members(keys);
	size_t n = 0;

	err_set(err, ERR_INVALID, "the Secret of spec.verify holds no public keys (*.pub)");
	for (size_t i = 0; m && i < json_len(keys) && n < KEYS_MAX; i++) {
		if (!str_ends(m[i].key, STR(".pub")))
			continue;
		n++;
		if (!verify_pem(json_str(&m[i].value), payload, signature, err)) {
			*ret_who = m[i].key;
			return 0;
		}
	}
	return -1;
}

static int judge(struct arena *a, struct oci_http *h, const struct json *layer,
		 const struct cosign *c, struct str *ret_who, struct err *err)
{
	struct str digest = json_str(json_get(layer, STR("digest")));
	struct str text = json_str(json_at(layer, "annotations", SIGNATURE));
	AUTO(buf) struct buf payload = {0};
	AUTO(buf) struct buf signature = {0};
	char sum[OCI_DIGEST_TEXT];

	if (!str_is(json_str(json_get(layer, STR("mediaType"))), PAYLOAD_TYPE) || !text.n ||
	    text.n > PAYLOAD_MAX || !oci_digest_valid(digest))
		return err_set(err, ERR_FORBIDDEN, "there is no signature that is understood");
	if (base64_decode(text, &signature))
		return err_set(err, ERR_FORBIDDEN, "the signature is not base64");
	if (oci_http_get(h, arena_printf(a, "blobs/%.*s", STR_ARG(digest)), PAYLOAD_MAX, &payload,
			 NULL, err))
		return -1;
	oci_digest(buf_view(&payload), sum);
	if (!str_is(digest, sum))
		return err_set(err, ERR_CORRUPT, "the signed text is not the one that is named");
	if (by_a_key(c->keys, buf_view(&payload), buf_view(&signature), ret_who, err))
		return -1;
	return cosign_payload(a, arena_str(a, buf_view(&payload)), c->digest, err);
}

int cosign_verify(struct arena *a, struct oci_http *h, const struct cosign *c, struct str *ret_who,
		  struct err *err)
{
	struct str hex = str_sub(c->digest, strlen("sha256:"), c->digest.n);
	AUTO(buf) struct buf body = {0};
	const struct json *layers;

	if (oci_http_get(h, arena_printf(a, "manifests/sha256-%.*s.sig", STR_ARG(hex)),
			 OCI_MANIFEST_MAX, &body, NULL, err)) {
		if (err->code == ERR_NOT_FOUND)
			err_set(err, ERR_FORBIDDEN, "it is not signed by cosign");
		return -1;
	}
	layers = json_get(json_parse(a, arena_str(a, buf_view(&body)), NULL, err), STR("layers"));
	err_set(err, ERR_FORBIDDEN, "its signatures are none");
	for (size_t i = 0; i < MIN(json_len(layers), (size_t)LAYERS_MAX); i++) {
		if (!judge(a, h, json_item(layers, i), c, ret_who, err))
			return 0;
	}
	return -1;
}
