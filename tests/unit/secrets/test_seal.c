/* Sealed values and objects: they open where they should and nowhere else. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "secrets/seal.h"

static const char private_bytes[33] = "0123456789abcdef0123456789abcdef";
#define PRIVATE ((struct str){private_bytes, 32})

static const struct seal_binding home = {SEAL_STRICT, {"team", 4}, {"db", 2}, {"password", 8}};

/* Sealed once with the key above: must open for ever (docs/SEALED-SECRETS.md). */
#define VECTOR                                                                                     \
	"AQHqv5DE8faS7x/n93zUg0vtegPS2d8ELCx/VYHCvKrm6wsUFVURJzAADtdwKcJsm9vVXtuCme0fHoW8jXas/"    \
	"ZO6hBFjf9ObWkrk0Jo6QqdMu/3CWaU4"

static struct seal_keys *keys(void)
{
	struct seal_keys *k = seal_keys_new();

	assert_int_equal(seal_keys_add(k, PRIVATE, NULL), 0);
	return k;
}

static char *sealed(const struct seal_binding *b, struct str plain)
{
	struct seal_pub p;
	struct err err = {0};
	struct buf out = {0};

	assert_int_equal(seal_pub_of(PRIVATE, &p, NULL), 0);
	if (seal_value(&p, b, plain, &out, &err))
		fail_msg("%s", err.msg);
	return buf_take(&out);
}

/* ERR_NONE and the plain text, or the code. */
static enum err_code opened(const struct seal_binding *b, struct str text, struct buf *out)
{
	struct seal_keys *k = keys();
	struct err err = {0};

	buf_reset(out);
	if (seal_open(k, b, text, out, &err))
		assert_int_equal(out->n, 0);
	else
		assert_int_equal(err.code, ERR_NONE);
	seal_keys_free(k);
	return err.code;
}

void test_seal__opens_what_it_sealed(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 16, 1000, SEAL_VALUE_MAX};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		AUTO(free) char *plain = xalloc(sizes[i] + 1);
		AUTO(buf) struct buf out = {0};

		random_bytes(plain, sizes[i]);
		AUTO(free) char *text = sealed(&home, (struct str){plain, sizes[i]});
		assert_int_equal(opened(&home, str_c(text), &out), ERR_NONE);
		assert_int_equal(out.n, sizes[i]);
		assert_memory_equal(out.p ? out.p : "", plain, sizes[i]);
	}
}

void test_seal__vector_of_version_1(void **state)
{
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_int_equal(opened(&home, STR(VECTOR), &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "correct horse");
}

void test_seal__scopes_bind(void **state)
{
	struct seal_binding b = home;
	AUTO(buf) struct buf out = {0};
	AUTO(free) char *strict = sealed(&home, STR("x"));

	(void)state;
	b.name = STR("other");
	assert_int_equal(opened(&b, str_c(strict), &out), ERR_FORBIDDEN);
	b = home;
	b.namespace = STR("other");
	assert_int_equal(opened(&b, str_c(strict), &out), ERR_FORBIDDEN);
	b = home;
	b.key = STR("user");
	assert_int_equal(opened(&b, str_c(strict), &out), ERR_FORBIDDEN);
	b = home;
	b.scope = SEAL_CLUSTER;
	assert_int_equal(opened(&b, str_c(strict), &out), ERR_FORBIDDEN);
	AUTO(free) char *wide = sealed(&b, STR("x"));
	b.namespace = STR("anywhere");
	b.name = STR("else");
	assert_int_equal(opened(&b, str_c(wide), &out), ERR_NONE);
	b = home;
	b.scope = SEAL_NAMESPACE;
	AUTO(free) char *ns = sealed(&b, STR("x"));
	b.name = STR("else");
	assert_int_equal(opened(&b, str_c(ns), &out), ERR_NONE);
	b.namespace = STR("else");
	assert_int_equal(opened(&b, str_c(ns), &out), ERR_FORBIDDEN);
	/* "a"+"bc" is not "ab"+"c". */
	struct seal_binding x = {SEAL_STRICT, STR("a"), STR("bc"), STR("k")};
	struct seal_binding y = {SEAL_STRICT, STR("ab"), STR("c"), STR("k")};
	AUTO(free) char *shifted = sealed(&x, STR("x"));
	assert_int_equal(opened(&y, str_c(shifted), &out), ERR_FORBIDDEN);
}

void test_seal__every_truncation_and_bit_flip_is_refused(void **state)
{
	AUTO(buf) struct buf raw = {0};
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf out = {0};

	(void)state;
	assert_int_equal(base64_decode(STR(VECTOR), &raw), 0);
	assert_true(raw.n > 70);
	for (size_t n = 0; n < raw.n; n++) {
		buf_reset(&text);
		base64_encode((struct str){raw.p, n}, &text);
		assert_int_not_equal(opened(&home, buf_view(&text), &out), ERR_NONE);
	}
	for (size_t bit = 0; bit < raw.n * 8; bit++) {
		raw.p[bit / 8] ^= (char)(1 << bit % 8);
		buf_reset(&text);
		base64_encode(buf_view(&raw), &text);
		assert_int_not_equal(opened(&home, buf_view(&text), &out), ERR_NONE);
		raw.p[bit / 8] ^= (char)(1 << bit % 8);
	}
	assert_int_equal(opened(&home, STR("not base64!"), &out), ERR_PARSE);
	assert_int_equal(opened(&home, STR("AgAA"), &out), ERR_UNSUPPORTED);
	assert_int_equal(opened(&home, STR(""), &out), ERR_CORRUPT);
}

void test_seal__another_cluster_cannot(void **state)
{
	struct seal_keys *k = seal_keys_new();
	AUTO(buf) struct buf other = {0};
	AUTO(buf) struct buf out = {0};
	struct seal_pub p;
	struct err err = {0};

	(void)state;
	seal_key_generate(&other, &p);
	assert_int_equal(seal_keys_add(k, buf_view(&other), NULL), 0);
	assert_int_equal(seal_open(k, &home, STR(VECTOR), &out, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	/* Old keys still open after a new one came. */
	assert_int_equal(seal_keys_add(k, PRIVATE, NULL), 0);
	assert_int_equal(seal_open(k, &home, STR(VECTOR), &out, &err), 0);
	seal_keys_free(k);
}

void test_seal__public_key_files(void **state)
{
	struct seal_pub p, q;
	struct err err = {0};
	AUTO(buf) struct buf text = {0};

	(void)state;
	assert_int_equal(seal_pub_of(PRIVATE, &p, NULL), 0);
	buf_puts(&text, "# production\n\n");
	seal_pub_write(&p, &text);
	assert_int_equal(seal_pub_parse(buf_view(&text), &q, &err), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	assert_int_equal(seal_pub_parse(STR("# nothing\n"), &q, &err), -1);
	assert_int_equal(seal_pub_parse(STR("plumb-seal-v1:QUJD\n"), &q, &err), -1);
	assert_int_equal(seal_pub_parse(STR("ssh-rsa AAAA\n"), &q, &err), -1);
	/* A key of low order would make every value readable by everybody. */
	memset(&q, 0, sizeof(q));
	assert_int_equal(seal_value(&q, &home, STR("x"), &text, &err), -1);
}

static struct json *parse(struct arena *a, const char *text)
{
	struct json *v = json_parse(a, str_c(text), NULL, NULL);

	assert_non_null(v);
	return v;
}

void test_seal__objects_come_back_whole(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct seal_keys *k = keys();
	struct seal_pub p;
	struct err err = {0};
	char id[SEAL_ID_TEXT], mine[SEAL_ID_TEXT];
	AUTO(buf) struct buf text = {0};

	(void)state;
	assert_int_equal(seal_pub_of(PRIVATE, &p, NULL), 0);
	struct json *s = parse(
		&a,
		"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"db\","
		"\"namespace\":\"team\",\"labels\":{\"app\":\"x\"},\"annotations\":{"
		"\"kubectl.kubernetes.io/last-applied-configuration\":\"plain\"}},\"immutable\":"
		"true,\"type\":\"x/y\",\"data\":{\"a\":\"AAEC\",\"b\":\"AAAA\"},\"stringData\":{"
		"\"b\":\"hunter2\"}}");
	struct json *o = seal_object(&a, s, &p, SEAL_STRICT, &err);
	if (!o)
		fail_msg("%s", err.msg);
	json_write(o, &text);
	assert_null(strstr(buf_cstr(&text), "hunter2"));
	assert_null(strstr(buf_cstr(&text), "plain"));
	struct json *back = unseal_object(&a, o, k, id, &err);
	if (!back)
		fail_msg("%s", err.msg);
	assert_string_equal(id, seal_id_text(p.id, mine));
	assert_true(json_equal(
		back,
		parse(&a, "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":"
			  "\"db\",\"namespace\":\"team\",\"labels\":{\"app\":\"x\"}},"
			  "\"immutable\":true,\"type\":\"x/y\",\"data\":{\"a\":\"AAEC\",\"b\":"
			  "\"aHVudGVyMg==\"}}")));
	/* Values swapped between keys. */
	struct json *data = json_at(o, "spec", "encryptedData");
	struct json keep = *json_get(data, STR("a"));
	*json_get(data, STR("a")) = *json_get(data, STR("b"));
	*json_get(data, STR("b")) = keep;
	assert_null(unseal_object(&a, o, k, id, &err));
	assert_int_equal(err.code, ERR_FORBIDDEN);
	seal_keys_free(k);
}

void test_seal__objects_that_cannot_be_sealed(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct seal_pub p;
	struct err err = {0};

	(void)state;
	assert_int_equal(seal_pub_of(PRIVATE, &p, NULL), 0);
	assert_null(seal_object(&a, parse(&a, "{\"kind\":\"ConfigMap\"}"), &p, SEAL_STRICT, &err));
	assert_null(seal_object(&a, parse(&a, "{\"kind\":\"Secret\"}"), &p, SEAL_STRICT, &err));
	assert_null(seal_object(&a,
				parse(&a, "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"}}"),
				&p, SEAL_STRICT, &err));
	assert_null(seal_object(&a,
				parse(&a, "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\","
					  "\"namespace\":\"y\"},\"data\":{\"k\":\"***\"}}"),
				&p, SEAL_STRICT, &err));
	assert_non_null(strstr(err.msg, "data k"));
	assert_non_null(
		seal_object(&a, parse(&a, "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"x\"}}"),
			    &p, SEAL_CLUSTER, &err));
}
