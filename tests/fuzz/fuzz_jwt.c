/*
 * What strangers put behind "Authorization: Bearer": each way to read it, with keys that have
 * signed none of it. Nobody comes in.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "apiserver/authn.h"
#include "apiserver/oidc.h"
#include "apiserver/tokens.h"
#include "lib/http/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct authn x;
static struct oidc *strange;

static void prepare(void)
{
	static const char *const algs[] = {"RS256", "ES256", "PS256", "EdDSA"};
	/* The point is the curve's generator: its private key is known, and signs nothing here. */
	static const char keys[] =
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\",\"x\":"
		"\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\",\"y\":"
		"\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}";
	struct oidc_opts o = {
		.issuer_url = "https://i", .client_id = "c", .algs = algs, .nalgs = 4};
	struct buf key = {0}, csr = {0};
	struct err err = {0};

	x.oidc = oidc_new(&o, &err);
	strange = oidc_new(&o, &err);
	if (!x.oidc || !strange || oidc_keys(x.oidc, str_c(keys), &err) ||
	    csr_create("x", NULL, NULL, &key, &csr, &err))
		abort();
	x.tokens = tokens_new(buf_view(&key), &err);
	x.boot = bootstrap_tokens_new();
	x.file = static_tokens_new(STR("0123456789,ann,1\n"), &err);
	buf_release(&key);
	buf_release(&csr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena a = {0};
	struct str text = {(const char *)data, size};
	struct identity who = {0};
	struct admission_user u;
	struct err err = {0};

	if (!x.oidc)
		prepare();
	if (!authn_token(&x, &a, text, 1000, &who, &err) && !str_is(text, "0123456789"))
		abort();
	if (!oidc_verify(x.oidc, &a, text, 1000, &u, &err))
		abort();
	/* As a key set; whatever it says, tokens of another set are nobody's. */
	if (!oidc_keys(strange, text, &err) &&
	    !oidc_verify(strange, &a, STR("e30.e30.AA"), 1000, &u, &err))
		abort();
	return 0;
}
