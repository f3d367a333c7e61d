/* kubeseal's SealedSecrets → Secrets, and whose they are. */
#include "tests/unit/controllers/fake.h"

#include "controllers/kubeseal.h"
#include "lib/base/codec.h"

extern const struct controller controller_kubeseal;

/* As in tests/unit/secrets/test_kubeseal.c. */
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

static struct fake *cluster(void)
{
	struct fake *f = fake_new(&controller_kubeseal);
	AUTO(buf) struct buf pem = {0};

	base64_encode(str_c(private_pem), &pem);
	fake_put(f, &res_secrets,
		 json_build(&f->arena, "{s:s,s:s,s:{s:s,s:s,s:{s:s}},s:{s:S}}", "apiVersion", "v1",
			    "kind", "Secret", "metadata", "name", "key", "namespace", "kube-system",
			    "labels", KUBESEAL_KEY, "active", "data", "tls.key", buf_view(&pem)));
	return f;
}

static void add(struct fake *f, const char *namespace, const char *value)
{
	fake_put(f, &res_kubesealed,
		 json_build(&f->arena, "{s:s,s:s,s:{s:s,s:s},s:{s:{s:s}}}", "apiVersion",
			    "bitnami.com/v1alpha1", "kind", "SealedSecret", "metadata", "name",
			    "db", "namespace", namespace, "spec", "encryptedData", "password",
			    value));
}

static struct str reason(struct fake *f, const char *namespace)
{
	return json_str(
		json_get(condition_find(fake_get(f, &res_kubesealed, namespace, "db"), "Synced"),
			 STR("reason")));
}

static struct str password(struct fake *f)
{
	return json_str(json_at(fake_get(f, &res_secrets, "team", "db"), "data", "password"));
}

void test_kubeseal__becomes_a_secret_that_it_owns(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add(f, "team", sealed_strict);
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "Y29ycmVjdCBob3JzZQ=="));
	assert_true(str_is(reason(f, "team"), "Synced"));
	assert_non_null(meta_controller(fake_get(f, &res_secrets, "team", "db")));
	fake_run(f, "team", "db");
	assert_int_equal(f->writes, 0);
	fake_merge(f, &res_kubesealed, "team", "db",
		   "{'spec': {'encryptedData': {'password': 'AgA='}}}");
	fake_run(f, "team", "db");
	assert_true(str_is(reason(f, "team"), "Invalid"));
	assert_true(str_is(password(f), "Y29ycmVjdCBob3JzZQ=="));
	fake_free(f);
}

void test_kubeseal__elsewhere_it_stays_shut(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add(f, "thief", sealed_strict);
	fake_run(f, "thief", "db");
	assert_null(fake_get(f, &res_secrets, "thief", "db"));
	assert_true(str_is(reason(f, "thief"), "UnknownKey"));
	fake_free(f);
}

void test_kubeseal__a_secret_is_taken_over_only_where_it_says_so(void **state)
{
	struct fake *f = cluster();

	(void)state;
	fake_add(f, &res_secrets,
		 "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'db', 'namespace': "
		 "'team'}, 'type': 'Opaque', 'data': {'password': 'eA=='}}");
	add(f, "team", sealed_strict);
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "eA=="));
	assert_true(str_is(reason(f, "team"), "NotOwned"));
	fake_merge(f, &res_secrets, "team", "db",
		   "{'metadata': {'annotations': {'sealedsecrets.bitnami.com/managed': 'true'}}}");
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "Y29ycmVjdCBob3JzZQ=="));
	assert_true(str_is(reason(f, "team"), "Synced"));
	fake_free(f);
}

void test_kubeseal__leaves_it_to_sealed_secrets_where_that_runs(void **state)
{
	struct fake *f = cluster();

	(void)state;
	fake_add(f, &res_services,
		 "{'metadata': {'name': 'sealed-secrets-controller', 'namespace': 'kube-system'}, "
		 "'spec': {'selector': {'app': 'x'}}}");
	add(f, "team", sealed_strict);
	fake_run(f, "team", "db");
	assert_null(fake_get(f, &res_secrets, "team", "db"));
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_kubeseal__adds_to_a_secret_that_asks_for_it(void **state)
{
	struct fake *f = cluster();
	const struct json *s;

	(void)state;
	fake_add(f, &res_secrets,
		 "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'db', 'namespace': "
		 "'team', 'annotations': {'sealedsecrets.bitnami.com/patch': 'true'}}, 'type': "
		 "'Opaque', 'data': {'other': 'eA=='}}");
	add(f, "team", sealed_strict);
	fake_run(f, "team", "db");
	s = fake_get(f, &res_secrets, "team", "db");
	assert_true(str_is(password(f), "Y29ycmVjdCBob3JzZQ=="));
	assert_true(str_is(json_str(json_at(s, "data", "other")), "eA=="));
	assert_null(meta_controller(s));
	assert_true(str_is(reason(f, "team"), "Synced"));
	fake_run(f, "team", "db");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_kubeseal__a_secret_that_nobody_is_to_own(void **state)
{
	struct fake *f = cluster();

	(void)state;
	add(f, "team", sealed_strict);
	fake_merge(f, &res_kubesealed, "team", "db",
		   "{'spec': {'template': {'metadata': {'annotations': "
		   "{'sealedsecrets.bitnami.com/skip-set-owner-references': 'true'}}}}}");
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "Y29ycmVjdCBob3JzZQ=="));
	assert_null(meta_controller(fake_get(f, &res_secrets, "team", "db")));
	fake_run(f, "team", "db");
	assert_int_equal(f->writes, 0);
	fake_merge(f, &res_secrets, "team", "db", "{'data': {'password': 'eA=='}}");
	fake_run(f, "team", "db");
	assert_true(str_is(password(f), "Y29ycmVjdCBob3JzZQ=="));
	fake_free(f);
}
