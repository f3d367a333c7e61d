/*
 * What sources read that strangers wrote: ranges, .gitmodules, known_hosts, signatures, challenges.
 * The first byte, a digit, says which; nothing may be read beyond the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kube/client.h"
#include "reconciler/gitmodules.h"
#include "reconciler/knownhosts.h"
#include "reconciler/oci.h"
#include "reconciler/semver.h"
#include "reconciler/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ranges(struct arena *a, struct str text)
{
	struct semver_range r;
	struct semver v;
	struct str range, version;

	str_cut(text, '\n', &range, &version);
	if (!semver_range_parse(a, range, &r, NULL) && !semver_parse(version, &v))
		semver_fits(&r, &v);
}

static void modules(struct arena *a, struct str text)
{
	struct gitmodules *m = arena_alloc(a, sizeof(*m));

	if (gitmodules_parse(a, text, m, NULL))
		return;
	for (size_t i = 0; i < m->n; i++) {
		const char *url = gitmodule_url(a, STR("https://h/org/r.git"), m->v[i].url, NULL);

		if (url && strncmp(url, "https://h/", 10) != 0)
			abort();
	}
}

static void signatures(struct arena *a, struct str text)
{
	struct json *keys = json_new(a, JSON_OBJECT);
	struct str key, signature;
	char *who;

	str_cut(text, '\n', &key, &signature);
	json_set_str(a, keys, "key", key);
	if (!verify_ssh(a, keys, STR("text\n"), signature, &who, NULL))
		abort(); /* nobody signed this */
}

static void registries(struct arena *a, struct str text)
{
	struct oci_challenge c;
	struct oci_name name;
	struct oci_login login;
	struct json *auth = json_new(a, JSON_OBJECT);

	oci_challenge_parse(text, &c);
	oci_link_next(text);
	if (!oci_name_parse(a, text, &name, NULL) && strstr(name.path, ".."))
		abort();
	json_set_str(a, auth, ".dockerconfigjson", text);
	(void)!oci_login_find(a, auth, "h", &login, NULL);
}

/* A kubeconfig of a tenant's; a text that cosign may have signed. */
static void strangers(struct arena *a, struct str text)
{
	struct kubeconfig k;

	if (!kubeconfig_parse(text, &k, NULL)) {
		if (!k.server)
			abort();
		kubeconfig_release(&k);
	}
	(void)!cosign_payload(a, text, STR("sha256:00"), NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char sum[32];
	AUTO(arena) struct arena a = {0};
	struct str text;

	if (!size)
		return 0;
	/* Exactly as long as it is, so that a read beyond it is seen. */
	text.n = size - 1;
	text.p = memcpy(malloc(size), data + 1, size - 1);
	switch ((uint8_t)(data[0] - '0') % 6) {
	case 0:
		ranges(&a, text);
		break;
	case 1:
		modules(&a, text);
		break;
	case 2:
		known_host(text, STR("git.example"), 22, sum);
		break;
	case 3:
		signatures(&a, text);
		break;
	case 4:
		registries(&a, text);
		break;
	default:
		strangers(&a, text);
		break;
	}
	free((char *)text.p);
	return 0;
}
