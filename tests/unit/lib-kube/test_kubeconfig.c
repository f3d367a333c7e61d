/* kubeconfigs that come from elsewhere: what is read, and what must never be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kube/client.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define HEAD                                                                                       \
	"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\n"              \
	"clusters:\n- name: c\n  cluster: {server: 'https://far:6443', %s}\n"                      \
	"users:\n- name: u\n  user: {%s}\n"

static int parse(const char *cluster, const char *user, struct kubeconfig *ret, struct err *err)
{
	char text[1000];

	snprintf(text, sizeof(text), HEAD, cluster, user);
	return kubeconfig_parse(str_c(text), ret, err);
}

void test_kubeconfig__what_it_says(void **state)
{
	struct kubeconfig k;
	struct err err = {0};

	(void)state;
	assert_int_equal(parse("certificate-authority-data: YQ==",
			       "token: t, client-key-data: Yg==", &k, &err),
			 0);
	assert_string_equal(k.server, "https://far:6443");
	assert_string_equal(k.ca_pem, "a");
	assert_string_equal(k.key_pem, "b");
	assert_string_equal(k.token, "t");
	kubeconfig_release(&k);
}

void test_kubeconfig__nothing_of_this_machine(void **state)
{
	static const char *const bad[][2] = {
		{"certificate-authority: /etc/hostname", ""},
		{"", "client-key: ../../etc/hostname"},
		{"", "client-certificate: x"},
		{"", "exec: {command: id}"},
		{"", "auth-provider: {name: gcp}"},
		{"", "tokenFile: /etc/hostname"},
		{"certificate-authority-data: '%%%%'", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct kubeconfig k;
		struct err err = {0};

		if (!parse(bad[i][0], bad[i][1], &k, &err))
			fail_msg("taken: %s %s", bad[i][0], bad[i][1]);
		assert_null(k.server);
		assert_null(strstr(err.msg, "null"));
	}
}

void test_kubeconfig__nonsense(void **state)
{
	struct kubeconfig k;
	struct err err = {0};

	(void)state;
	assert_int_equal(kubeconfig_parse(STR(""), &k, &err), -1);
	assert_int_equal(kubeconfig_parse(STR("[1, 2"), &k, &err), -1);
	assert_int_equal(kubeconfig_parse(STR("current-context: none"), &k, &err), -1);
}
