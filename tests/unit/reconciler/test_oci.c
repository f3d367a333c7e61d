/* Registries: names, logins, challenges, manifests. What talks to one is tried end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "reconciler/oci.h"

static struct json *parse(struct arena *a, const char *text)
{
	struct err err = {0};
	struct json *o = json_parse(a, str_c(text), NULL, &err);

	if (!o)
		fail_msg("%s", err.msg);
	return o;
}

void test_oci__names(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct oci_name n;
	struct err err = {0};

	(void)state;
	assert_int_equal(oci_name_parse(&a, STR("oci://ghcr.io/org/app"), &n, &err), 0);
	assert_string_equal(n.host, "ghcr.io");
	assert_string_equal(n.path, "org/app");
	assert_int_equal(oci_name_parse(&a, STR("oci://localhost:5000/a/b-c.d__e"), &n, &err), 0);
	assert_string_equal(n.host, "localhost:5000");
	assert_int_equal(oci_name_parse(&a, STR("oci://docker.io/busybox"), &n, &err), 0);
	assert_string_equal(n.api, "registry-1.docker.io");
	assert_string_equal(n.path, "library/busybox");
}

void test_oci__names_that_are_refused(void **state)
{
	static const char *const bad[] = {
		"https://ghcr.io/org/app",
		"oci://ghcr.io",
		"oci://ghcr.io/",
		"oci:///app",
		"oci://h/app:1.0",
		"oci://h/app@sha256:x",
		"oci://user:pw@h/app",
		"oci://h/../../x",
		"oci://h/a//b",
		"oci://h/App",
		"oci://h/a?x=y",
		"oci://h/a%2fb",
		"oci://h /a",
		"oci://h/a\r\nX: y",
		"oci://h/-a",
		"oci://h/a#b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena) struct arena a = {0};
		struct oci_name n;
		struct err err = {0};

		if (!oci_name_parse(&a, str_c(bad[i]), &n, &err))
			fail_msg("%s is no name", bad[i]);
	}
}

void test_oci__tags_and_digests(void **state)
{
	char digest[OCI_DIGEST_TEXT];

	(void)state;
	assert_true(oci_tag_valid(STR("v1.2.3_build-4")));
	assert_false(oci_tag_valid(STR("")));
	assert_false(oci_tag_valid(STR("-x")));
	assert_false(oci_tag_valid(STR("a/b")));
	assert_false(oci_tag_valid(STR("a?b")));
	oci_digest(STR("abc"), digest);
	assert_string_equal(
		digest, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_true(oci_digest_valid(str_c(digest)));
	assert_false(oci_digest_valid(STR("sha256:abc")));
	assert_false(oci_digest_valid(STR("md5:ba7816bf8f01cfea414140de5dae2223")));
}

static const char *login(struct arena *a, const char *auth, const char *host)
{
	struct json *o = json_new(a, JSON_OBJECT);
	struct oci_login l;
	struct err err = {0};

	json_set_str(a, o, ".dockerconfigjson", str_c(auth));
	if (oci_login_find(a, o, host, &l, &err))
		return "error";
	return l.username ? arena_printf(a, "%s:%s", l.username, l.password) : "";
}

void test_oci__logins(void **state)
{
	AUTO(arena) struct arena a = {0};
	static const char config[] =
		"{\"auths\":{\"ghcr.io\":{\"auth\":\"Ym90OnA6dw==\"},\"https://index.docker.io/v1/"
		"\":"
		"{\"username\":\"me\",\"password\":\"x\"},\"bad.io\":{\"auth\":\"!!\"}}}";

	(void)state;
	assert_string_equal(login(&a, config, "ghcr.io"), "bot:p:w");
	assert_string_equal(login(&a, config, "docker.io"), "me:x");
	/* One host's login is not another's. */
	assert_string_equal(login(&a, config, "ghcr.io.evil"), "");
	assert_string_equal(login(&a, config, "io"), "");
	assert_string_equal(login(&a, config, "bad.io"), "error");
	assert_string_equal(login(&a, "{}", "ghcr.io"), "error");
	assert_string_equal(login(&a, "not json", "ghcr.io"), "error");
}

void test_oci__challenges(void **state)
{
	struct oci_challenge c;

	(void)state;
	oci_challenge_parse(STR("Bearer realm=\"https://auth.x/token\",service=\"x\", "
				"scope=\"repository:a/b:pull,push\""),
			    &c);
	assert_true(c.bearer);
	assert_true(str_is(c.realm, "https://auth.x/token"));
	assert_true(str_is(c.service, "x"));
	assert_true(str_is(c.scope, "repository:a/b:pull,push"));
	oci_challenge_parse(STR("Basic realm=r"), &c);
	assert_true(c.basic);
	assert_true(str_is(c.realm, "r"));
	oci_challenge_parse(STR(""), &c);
	assert_false(c.basic || c.bearer);
	oci_challenge_parse(STR("Bearer realm=\"unterminated"), &c);
	oci_challenge_parse(STR("Bearer ,,,===\"\"\","), &c);
}

void test_oci__pages(void **state)
{
	(void)state;
	assert_true(str_is(oci_link_next(STR("</v2/a/tags/list?last=b&n=2>; rel=\"next\"")),
			   "/v2/a/tags/list?last=b&n=2"));
	assert_false(oci_link_next(STR("</v2/a>; rel=\"prev\"")).n);
	assert_false(oci_link_next(STR("</v2/a b>; rel=\"next\"")).n);
	assert_false(oci_link_next(STR("<unclosed")).n);
	assert_false(oci_link_next(STR("")).n);
}

#define D1 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define D2 "sha256:aa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

void test_oci__layers(void **state)
{
	AUTO(arena) struct arena a = {0};
	const struct json *m = parse(&a, "{\"layers\":[{\"mediaType\":\"x\",\"digest\":\"" D1
					 "\",\"size\":5},{\"mediaType\":\"y\",\"digest\":\"" D2
					 "\",\"size\":6}]}");
	struct oci_layer l;
	struct err err = {0};

	(void)state;
	assert_int_equal(oci_layer_choose(m, NULL, &l, &err), 0);
	assert_true(str_is(l.digest, D1));
	assert_int_equal(oci_layer_choose(m, parse(&a, "{\"mediaType\":\"y\"}"), &l, &err), 0);
	assert_true(str_is(l.digest, D2));
	assert_int_equal(l.size, 6);
	assert_int_equal(oci_layer_choose(m, parse(&a, "{\"mediaType\":\"z\"}"), &l, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	m = parse(&a, "{\"layers\":[{\"digest\":\"" D1 "\",\"size\":99999999999}]}");
	assert_int_equal(oci_layer_choose(m, NULL, &l, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	m = parse(&a, "{\"layers\":[{\"digest\":\"sha256:../../x\",\"size\":1}]}");
	assert_int_equal(oci_layer_choose(m, NULL, &l, &err), -1);
	assert_int_equal(oci_layer_choose(parse(&a, "[]"), NULL, &l, &err), -1);
}

void test_oci__indexes(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	assert_true(str_is(
		oci_index_choose(parse(
			&a, "{\"manifests\":[{\"digest\":\"" D1
			    "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},{"
			    "\"digest\":\"" D2
			    "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}")),
		D2));
	assert_true(str_is(oci_index_choose(parse(&a, "{\"manifests\":[{\"digest\":\"" D1 "\"}]}")),
			   D1));
	assert_false(oci_index_choose(parse(&a, "{\"layers\":[]}")).n);
}

#define PAYLOAD(of, type)                                                                          \
	STR("{\"critical\":{\"image\":{\"docker-manifest-digest\":\"" of "\"},\"type\":\"" type    \
	    "\"}}")

void test_oci__what_cosign_signed(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct str digest = STR("sha256:aa");

	(void)state;
	assert_int_equal(cosign_payload(&a,
					PAYLOAD("sha256:aa", "cosign container image signature"),
					digest, &err),
			 0);
	assert_int_equal(cosign_payload(&a, PAYLOAD("sha256:aa", "atomic container signature"),
					digest, &err),
			 -1);
	assert_int_equal(cosign_payload(&a,
					PAYLOAD("sha256:bb", "cosign container image signature"),
					digest, &err),
			 -1);
	assert_int_equal(cosign_payload(&a, STR("[]"), digest, &err), -1);
	assert_int_equal(cosign_payload(&a, STR("{"), digest, &err), -1);
}
