/* Secrets that keep a ServiceAccount's token get it, and go with the account. */
#include "fake.h"

#include "lib/kube/resources.h"

extern const struct controller controller_tokensecret;

#define TYPE "kubernetes.io/service-account-token"

static void add_secret(struct fake *f, const char *type, const char *made, const char *more)
{
	fake_add(f, &res_secrets,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'t',"
			      "'namespace':'n','creationTimestamp':'%s','annotations':{"
			      "'kubernetes.io/service-account.name':'robot'%s}},'type':'%s'}",
			      made, more, type));
}

static void add_account(struct fake *f)
{
	fake_add(f, &res_serviceaccounts,
		 "{'apiVersion':'v1','kind':'ServiceAccount','metadata':{'name':'robot',"
		 "'namespace':'n'}}");
}

static const struct json *after(struct fake *f)
{
	fake_run(f, "n", "t");
	return fake_get(f, &res_secrets, "n", "t");
}

void test_tokensecret__is_filled(void **state)
{
	struct controllers_config config = {.root_ca = STR("CA")};
	struct fake *f = fake_new(&controller_tokensecret);
	const struct json *s;

	(void)state;
	f->config = &config;
	add_account(f);
	add_secret(f, TYPE, "2023-11-14T22:13:20Z", "");
	s = after(f);
	assert_true(str_is(json_str(json_at(s, "data", "token")), "dG9rZW4gb2Ygcm9ib3Q="));
	assert_true(str_is(json_str(json_at(s, "data", "ca.crt")), "Q0E="));
	assert_true(str_is(json_str(json_at(s, "data", "namespace")), "bg=="));
	assert_true(str_eq(meta_annotation(s, "kubernetes.io/service-account.uid"),
			   meta_uid(fake_get(f, &res_serviceaccounts, "n", "robot"))));
	after(f);
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

/* A new authority reaches it; the token stays. */
void test_tokensecret__is_kept(void **state)
{
	struct controllers_config config = {.root_ca = STR("CA")};
	struct fake *f = fake_new(&controller_tokensecret);
	const struct json *s;

	(void)state;
	f->config = &config;
	add_account(f);
	add_secret(f, TYPE, "2023-11-14T22:13:20Z", "");
	after(f);
	config.root_ca = STR("CB");
	s = after(f);
	assert_int_equal(f->writes, 1);
	assert_true(str_is(json_str(json_at(s, "data", "ca.crt")), "Q0I="));
	assert_true(str_is(json_str(json_at(s, "data", "token")), "dG9rZW4gb2Ygcm9ib3Q="));
	fake_free(f);
}

void test_tokensecret__others_are_left_alone(void **state)
{
	struct fake *f = fake_new(&controller_tokensecret);

	(void)state;
	add_account(f);
	add_secret(f, "Opaque", "2001-01-01T00:00:00Z", "");
	after(f);
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

/* 1700000000 is 2023-11-14T22:13:20Z. */
void test_tokensecret__goes_with_its_account(void **state)
{
	struct fake *f = fake_new(&controller_tokensecret);

	(void)state;
	add_secret(f, TYPE, "2023-11-14T22:13:15Z", ""); /* the account may still come */
	assert_non_null(after(f));
	assert_int_equal(f->requeue_ns, 5 * NS_PER_S);
	f->now_ns += 5 * NS_PER_S;
	assert_null(after(f));
	fake_free(f);
}

void test_tokensecret__is_not_the_next_accounts(void **state)
{
	struct fake *f = fake_new(&controller_tokensecret);

	(void)state;
	add_account(f);
	add_secret(f, TYPE, "2001-01-01T00:00:00Z",
		   ",'kubernetes.io/service-account.uid':'of-another'");
	assert_null(after(f));
	fake_free(f);
}
