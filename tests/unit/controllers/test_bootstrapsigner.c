/* cluster-info is signed by every token that may, as `kubeadm join` checks it, and by no other. */
#include "fake.h"

#include "lib/base/codec.h"
#include "lib/kube/resources.h"

extern const struct controller controller_bootstrapsigner;

#define TYPE "bootstrap.kubernetes.io/token"
/* {"alg":"HS256","kid":"abcdef"}, and what openssl says of it and the kubeconfig "hello\n" under
 * the key 0123456789abcdef. */
#define SIGNED                                                                                     \
	"eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..jGfh3cAKffhbjQqP1x03VRxdhcDip6Xp1PFxbB0P9vg"

static void add_info(struct fake *f, const char *data)
{
	fake_add(f, &res_configmaps,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':"
			      "'cluster-info','namespace':'kube-public'},'data':{%s}}",
			      data));
}

static const char *coded(struct fake *f, const char *text)
{
	AUTO(buf) struct buf out = {0};

	base64_encode(str_c(text), &out);
	return arena_printf(&f->arena, "%s", buf_cstr(&out));
}

static void add_token(struct fake *f, const char *id, const char *type, const char *usage,
		      const char *expiration)
{
	fake_add(f, &res_secrets,
		 arena_printf(&f->arena,
			      "{'apiVersion':'v1','kind':'Secret','metadata':{'name':"
			      "'bootstrap-token-%s','namespace':'kube-system'},'type':'%s','data':{"
			      "'token-id':'%s','token-secret':'%s','usage-bootstrap-signing':'%s',"
			      "'expiration':'%s'}}",
			      id, type, coded(f, "abcdef"), coded(f, "0123456789abcdef"),
			      coded(f, usage), coded(f, expiration)));
}

static const struct json *data_after(struct fake *f)
{
	fake_run(f, "kube-public", "cluster-info");
	return json_get(fake_get(f, &res_configmaps, "kube-public", "cluster-info"), STR("data"));
}

static bool is_signed(const char *id, const char *type, const char *usage, const char *expiration)
{
	struct fake *f = fake_new(&controller_bootstrapsigner);
	bool there;

	add_info(f, "'kubeconfig':'hello\\n'");
	add_token(f, id, type, usage, expiration);
	there = json_len(data_after(f)) > 1;
	fake_free(f);
	return there;
}

void test_bootstrapsigner__signs(void **state)
{
	struct fake *f = fake_new(&controller_bootstrapsigner);

	(void)state;
	add_info(f, "'kubeconfig':'hello\\n'");
	add_token(f, "abcdef", TYPE, "true", "");
	assert_true(str_is(json_str(json_at(data_after(f), "jws-kubeconfig-abcdef")), SIGNED));
	assert_int_equal(f->writes, 1);
	fake_run(f, "kube-public", "cluster-info");
	assert_int_equal(f->writes, 0);
	fake_free(f);
}

void test_bootstrapsigner__only_whom_it_may(void **state)
{
	(void)state;
	assert_true(is_signed("abcdef", TYPE, "true", "2023-11-14T22:13:21Z"));
	assert_false(is_signed("abcdef", TYPE, "true", "2023-11-14T22:13:20Z"));
	assert_false(is_signed("abcdef", TYPE, "true", "soon"));
	assert_false(is_signed("abcdef", TYPE, "false", ""));
	assert_false(is_signed("abcdef", "Opaque", "true", ""));
	assert_false(is_signed("abcdee", TYPE, "true", "")); /* another than it says it is */
	assert_false(is_signed("abcdefg", TYPE, "true", ""));
}

void test_bootstrapsigner__takes_back(void **state)
{
	struct fake *f = fake_new(&controller_bootstrapsigner);
	const struct json *data;

	(void)state;
	add_info(f,
		 "'kubeconfig':'x','jws-kubeconfig-gone00':'a..b','jws-kubeconfig-abcdef':'c..d',"
		 "'other':'stays'");
	add_token(f, "abcdef", TYPE, "true", "2023-11-14T22:14:20Z");
	data = data_after(f);
	assert_int_equal(json_len(data), 3);
	assert_true(str_is(json_str(json_at(data, "other")), "stays"));
	assert_false(str_is(json_str(json_at(data, "jws-kubeconfig-abcdef")), "c..d"));
	assert_int_equal(f->requeue_ns, 60 * NS_PER_S);
	f->now_ns += 60 * NS_PER_S;
	assert_int_equal(json_len(data_after(f)), 2);
	fake_free(f);
}

void test_bootstrapsigner__nothing_to_sign(void **state)
{
	struct fake *f = fake_new(&controller_bootstrapsigner);

	(void)state;
	add_token(f, "abcdef", TYPE, "true", "");
	fake_run(f, "kube-public", "cluster-info");
	assert_int_equal(f->writes, 0);
	add_info(f, "'other':'x'");
	assert_int_equal(json_len(data_after(f)), 1);
	fake_free(f);
}
