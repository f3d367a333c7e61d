/* Bootstrap tokens go when their time is over, and nothing else does. */
#include "fake.h"

#include "lib/base/codec.h"
#include "lib/kube/resources.h"

extern const struct controller controller_tokencleaner;

static void add(struct fake *f, const char *namespace, const char *type, const char *expiration)
{
	AUTO(buf) struct buf text = {0};

	base64_encode(str_c(expiration), &text);
	fake_add(f, &res_secrets,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'t',"
			      "'namespace':'%s'},'type':'%s','data':{'expiration':'%s'}}",
			      namespace, type, buf_cstr(&text)));
}

/* 1700000000 is 2023-11-14T22:13:20Z. */
static bool stays(const char *namespace, const char *type, const char *expiration)
{
	struct fake *f = fake_new(&controller_tokencleaner);
	bool there;

	add(f, namespace, type, expiration);
	fake_run(f, namespace, "t");
	there = fake_get(f, &res_secrets, namespace, "t") != NULL;
	fake_free(f);
	return there;
}

void test_tokencleaner__by_time_and_type(void **state)
{
	static const char type[] = "bootstrap.kubernetes.io/token";

	(void)state;
	assert_false(stays("kube-system", type, "2023-11-14T22:13:20Z"));
	assert_false(stays("kube-system", type, "2001-01-01T00:00:00Z"));
	assert_true(stays("kube-system", type, "2023-11-14T22:13:21Z"));
	assert_true(stays("kube-system", type, "")); /* for ever */
	assert_true(stays("kube-system", type, "soon"));
	assert_true(stays("kube-system", "Opaque", "2001-01-01T00:00:00Z"));
	assert_true(stays("default", type, "2001-01-01T00:00:00Z"));
}

void test_tokencleaner__comes_back_in_time(void **state)
{
	struct fake *f = fake_new(&controller_tokencleaner);

	(void)state;
	add(f, "kube-system", "bootstrap.kubernetes.io/token", "2023-11-14T22:14:20Z");
	fake_run(f, "kube-system", "t");
	assert_int_equal(f->requeue_ns, 60 * NS_PER_S);
	fake_free(f);
}
