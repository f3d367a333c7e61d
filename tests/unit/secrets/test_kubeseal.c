/* kubeseal's values: opened where they belong, and what is said where they don't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "secrets/kubeseal.h"

/* Made by another implementation (Python's cryptography). */
static const char private_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBALPXCKUcpAjouMu9\n"
	"QwBUOEdQ5b363eqCzCDfs56I9TUATmnf1hBj1V5wj8aAgaTqAoEAjhgzvjCx6lwb\n"
	"jU6aBaDZWArv2dvDUVgzJxhbJO29FIN5G5bXvqTVPBw5xuCobqNm5BNj/+d3575O\n"
	"YSqoTGSeBxH1YlwJEBLrQKEbs3PLAgMBAAECgYBDLwrwu9Ff7qjSnCLCpbPcmJEr\n"
	"NuPebvyZL1jn2dxY74NbtB5BQzp7rGtZybolBLLoxG9RBUuA34Zg4H4aphmBjD8W\n"
	"3gjSDBfAPVCzYcZinHPG8UmmVxEipL54RVFvIPI6vE8yeaTaiXnGQSRw4kOT97Ox\n"
	"JGwztlU9lKhjYUlNgQJBANePjKf1Sn/vA+MXdTpbjSJ8oCDCylHkToimnG9soc4C\n"
	"Vo7tYRr5DN7FgKHMk/dHE7mOVVeKRa7O2qu5rbejFUECQQDVk/ht5OFZMqqWIQIY\n"
	"2k/67CvxK0QSa+luGwEVgSteiKkqoaBy1ntBOZUBZ5MDlA/kwevuCjEy1dMbJnXQ\n"
	"nQoLAkEAgdDleFD0qM8cnCqIYri36kj7dj9Y8LB5yznrg/78AsDNuA2lKUVLRu3S\n"
	"ZZ56jbS0YE8jfjC7fmb8seaEg88nAQJBAKZyqmLixGjinqVf1iWORlS0qE5MvMFq\n"
	"jkJ8Ey0yPJ1w/f22drfoxagAe0rb8GwSgQxzwS4DjXIjyGFZaOoK6R8CQQC8eTqa\n"
	"ptCNWZpjFQ+CMLhkz1yrxSnscbeGo2NSzwMlQbcs5PmTHHOSV4madUQnJxpLv+0U\n"
	"y15eoRyO9KdmGEbi\n"
	"-----END PRIVATE KEY-----\n";
static const char sealed_strict[] =
	"AICCRmW9DK8cma/WZgDy5lmFxtmpz3Ih8RFQLsMC3HmfMFFhBvuoEuL42wFkyEyyQhodFQqUVbW4"
	"RBUytJcMrHAKFNHafL9IY7yItcI9SfwuVlf7kDV/hGmtaaHHbJjrx6lk7g1ubcB5uqnKIRDFULj1"
	"2YuPK5ECn/iFHoboyhqSWDd3fXA/ULIAs5SA5YBAph/1k3gS2SSmcDkZeoBK";
static const char sealed_wide[] =
	"AICY7X1RlIU9V9uU552Ul/5eQT7GGgK1sNrpcZyDEb/f/O1iY0+zNH+zr+HxhhQoqaf1DhwQ6Cqi"
	"Y6IwuAyXgIoTa+EW2tzLstdH2JQDMU04kg+9bOlb1p4Aw0r0ZZGgFzror188xQXpT+PgSKYRf4/0"
	"1jUK46WYubj+/hNS+E7BhY+kxa2313pS5xGFtx1eCU1emhbQ1B+w3nyzY8DA";
static const char sealed_cluster[] =
	"AIAVzi0HdYb++QBh3rY1hfGGxwXJrIC0Wj3pWPMhB6yKLZP/AQ/hfE+5MQz7K6qVtRdb6oQ753yJ"
	"CqrIrW7Q6QjtwdHY5uw9FpoLVevEFRjWRB8ky75sN86uHaXwtd0R5m/+8d6XWRKY6S9BTl1Lb4J0"
	"1qkvaYl6Ug1YZBo2cs/Jf7XL4bMFYwmt7rl1vBjU2JrqHWo9BvhYqJDSVQaK";

static const struct kubeseal_binding strict = {{"team", 4}, {"db", 2}};
static const struct kubeseal_binding wide = {{"team", 4}, {"", 0}};
static const struct kubeseal_binding cluster = {{"", 0}, {"", 0}};

static struct json *object(struct arena *a, const char *template, const char *annotations);

static struct kubeseal_keys *keys(void)
{
	struct kubeseal_keys *k = kubeseal_keys_new();

	assert_int_equal(kubeseal_keys_add(k, str_c(private_pem), NULL), 0);
	return k;
}

/* What opening says; 0 when it opened to what was sealed. */
static enum err_code try(const struct kubeseal_keys *k, const struct kubeseal_binding *b,
			 const char *sealed)
{
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	if (kubeseal_open(k, b, str_c(sealed), &out, &err) != 0) {
		assert_int_equal(out.n, 0);
		return err.code;
	}
	assert_true(str_is(buf_view(&out), "correct horse"));
	return ERR_NONE;
}

void test_kubeseal__vectors_of_each_scope(void **state)
{
	struct kubeseal_keys *k = keys();

	(void)state;
	assert_int_equal(try(k, &strict, sealed_strict), ERR_NONE);
	assert_int_equal(try(k, &wide, sealed_wide), ERR_NONE);
	assert_int_equal(try(k, &cluster, sealed_cluster), ERR_NONE);
	kubeseal_keys_free(k);
}

void test_kubeseal__wrong_scope_name_and_key_are_told(void **state)
{
	static const struct kubeseal_binding other = {{"team", 4}, {"da", 2}},
					     thief = {{"thief", 5}, {"db", 2}};
	struct kubeseal_keys *k = keys(), *none = kubeseal_keys_new();

	(void)state;
	assert_int_equal(try(k, &strict, sealed_wide), ERR_FORBIDDEN);
	assert_int_equal(try(k, &strict, sealed_cluster), ERR_FORBIDDEN);
	assert_int_equal(try(k, &wide, sealed_cluster), ERR_FORBIDDEN);
	assert_int_equal(try(k, &wide, sealed_strict), ERR_NOT_FOUND);
	assert_int_equal(try(k, &cluster, sealed_strict), ERR_NOT_FOUND);
	assert_int_equal(try(k, &other, sealed_strict), ERR_NOT_FOUND);
	assert_int_equal(try(k, &thief, sealed_strict), ERR_NOT_FOUND);
	assert_int_equal(try(k, &thief, sealed_wide), ERR_NOT_FOUND);
	assert_int_equal(try(none, &strict, sealed_strict), ERR_NOT_FOUND);
	assert_int_equal(try(k, &strict, "AgB"), ERR_PARSE);
	assert_int_equal(try(k, &strict, ""), ERR_PARSE);
	kubeseal_keys_free(none);
	kubeseal_keys_free(k);
}

static void encoded(struct str raw, struct buf *out)
{
	buf_reset(out);
	base64_encode(raw, out);
	buf_cstr(out);
}

void test_kubeseal__every_truncation_and_bit_flip_is_refused(void **state)
{
	struct kubeseal_keys *k = keys();
	AUTO(buf) struct buf raw = {0};
	AUTO(buf) struct buf text = {0};

	(void)state;
	assert_int_equal(base64_decode(str_c(sealed_strict), &raw), 0);
	for (size_t n = 0; n < raw.n; n++) {
		encoded(str_sub(buf_view(&raw), 0, n), &text);
		assert_int_not_equal(try(k, &strict, buf_cstr(&text)), ERR_NONE);
	}
	for (size_t bit = 0; bit < raw.n * 8; bit++) {
		raw.p[bit / 8] = (char)(raw.p[bit / 8] ^ (1 << bit % 8));
		encoded(buf_view(&raw), &text);
		assert_int_not_equal(try(k, &strict, buf_cstr(&text)), ERR_NONE);
		raw.p[bit / 8] = (char)(raw.p[bit / 8] ^ (1 << bit % 8));
	}
	raw.p[raw.n - 1] = (char)(raw.p[raw.n - 1] ^ 1);
	encoded(buf_view(&raw), &text);
	assert_int_equal(try(k, &strict, buf_cstr(&text)), ERR_CORRUPT);
	kubeseal_keys_free(k);
}

void test_kubeseal__sealing_needs_a_certificate(void **state)
{
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(kubeseal_seal(STR("no certificate"), &strict, STR("x"), &out, &err), -1);
	assert_int_equal(err.code, ERR_PARSE);
	assert_int_equal(out.n, 0);
}

void test_kubeseal__looking_whether_an_object_opens(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct kubeseal_keys *k = keys();
	struct err err = {0};

	(void)state;
	/* Its template isn't carried out: that would answer questions about the values. */
	assert_int_equal(kubeseal_again(&a, object(&a, "\"data\":{\"x\":\"{{ env }}\"}", ""), k,
					STR_NONE, &err),
			 0);
	assert_int_equal(kubeseal_again(&a, json_parse(&a, STR("{\"spec\":{}}"), NULL, NULL), k,
					STR_NONE, &err),
			 -1);
	kubeseal_keys_free(k);
}

void test_kubeseal__keys_that_are_none(void **state)
{
	struct kubeseal_keys *k = kubeseal_keys_new();
	struct err err = {0};

	(void)state;
	assert_int_equal(kubeseal_keys_add(k, STR(""), &err), -1);
	assert_int_equal(kubeseal_keys_add(k, STR("-----BEGIN PRIVATE KEY-----\nAAAA\n"), &err),
			 -1);
	assert_int_equal(kubeseal_keys_add(k, str_sub(str_c(private_pem), 0, 400), &err), -1);
	kubeseal_keys_free(k);
}

static struct json *object(struct arena *a, const char *template, const char *annotations)
{
	struct err err = {0};
	struct json *o = json_parse(
		a,
		arena_strf(a,
			   "{\"metadata\":{\"name\":\"db\",\"namespace\":\"team\",\"annotations\":"
			   "{%s}},\"spec\":{\"encryptedData\":{\"password\":\"%s\"},\"template\":"
			   "{%s}}}",
			   annotations, *annotations ? sealed_cluster : sealed_strict, template),
		NULL, &err);

	assert_non_null(o);
	return o;
}

void test_kubeseal__object_with_its_template(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct kubeseal_keys *k = keys();
	struct err err = {0};
	const struct json *s;

	(void)state;
	s = kubeseal_object(&a,
			    object(&a,
				   "\"type\":\"x\",\"immutable\":true,\"metadata\":{\"labels\":"
				   "{\"a\":\"b\"}},\"data\":{\"url\":\"db://u:{{ .password }}@h\","
				   "\"again\":\"{{ index . \\\"password\\\" }}\"}",
				   ""),
			    k, &err);
	assert_non_null(s);
	assert_true(str_is(json_str(json_at(s, "data", "password")), "Y29ycmVjdCBob3JzZQ=="));
	assert_true(str_is(json_str(json_at(s, "data", "again")), "Y29ycmVjdCBob3JzZQ=="));
	assert_true(
		str_is(json_str(json_at(s, "data", "url")), "ZGI6Ly91OmNvcnJlY3QgaG9yc2VAaA=="));
	assert_true(str_is(json_str(json_at(s, "type")), "x"));
	assert_true(str_is(json_str(json_at(s, "metadata", "labels", "a")), "b"));
	assert_true(json_bool(json_at(s, "immutable"), false));
	assert_non_null(kubeseal_object(
		&a, object(&a, "", "\"sealedsecrets.bitnami.com/cluster-wide\":\"true\""), k,
		&err));
	assert_null(kubeseal_object(&a, object(&a, "\"data\":{\"x\":\"{{ env }}\"}", ""), k, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_true(str_find(str_c(err.msg), STR("correct")) < 0);
	kubeseal_keys_free(k);
}
