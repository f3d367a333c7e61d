/* Which servers the environment sends by a proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/http/proxied.h"

static void clear(void)
{
	static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy",
					    "HTTP_PROXY",  "all_proxy",   "ALL_PROXY",
					    "no_proxy",    "NO_PROXY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
}

void test_proxyenv__which(void **state)
{
	(void)state;
	clear();
	assert_null(http_proxy_for(true, STR("a.example"), 443));
	setenv("HTTP_PROXY", "http://by-a-header", 1);
	assert_null(http_proxy_for(false, STR("a.example"), 80));
	setenv("all_proxy", "http://all", 1);
	assert_string_equal(http_proxy_for(false, STR("a.example"), 80), "http://all");
	setenv("https_proxy", "http://secure", 1);
	setenv("http_proxy", "", 1);
	assert_string_equal(http_proxy_for(true, STR("a.example"), 443), "http://secure");
	assert_string_equal(http_proxy_for(false, STR("a.example"), 80), "http://all");
	clear();
}

void test_proxyenv__exceptions(void **state)
{
	static const struct {
		const char *except, *host;
		int port;
		bool direct;
	} cases[] = {
		{"*", "a.example", 443, true},
		{"a.example", "a.example", 443, true},
		{"A.Example", "a.example", 443, true},
		{"example", "a.example", 443, true},
		{".example", "a.example", 443, true},
		{"*.example", "a.example", 443, true},
		{"ample", "a.example", 443, false},
		{"b.a.example", "a.example", 443, false},
		{"x, a.example ,y", "a.example", 443, true},
		{"x,,", "a.example", 443, false},
		{"a.example:443", "a.example", 443, true},
		{"a.example:8443", "a.example", 443, false},
		{"10.0.0.0/8", "10.200.3.4", 443, true},
		{"10.0.0.0/8", "11.0.0.1", 443, false},
		{"10.0.0.0/12", "10.15.0.1", 443, true},
		{"10.0.0.0/12", "10.16.0.1", 443, false},
		{"0.0.0.0/0", "1.2.3.4", 443, true},
		{"10.0.0.0/33", "10.0.0.1", 443, false},
		{"10.0.0.0/8", "a.example", 443, false},
		{"10.0.0.1", "10.0.0.1", 443, true},
		{"2001:db8::/32", "2001:db8:1::5", 443, true},
		{"2001:db8::/32", "2001:db9::5", 443, false},
		{"[::1]", "::1", 443, true},
		{"::1", "::1", 443, true},
		{"", "a.example", 443, false},
	};

	(void)state;
	clear();
	setenv("https_proxy", "http://proxy", 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got;

		setenv("no_proxy", cases[i].except, 1);
		got = http_proxy_for(true, str_c(cases[i].host), cases[i].port);
		if (!got != cases[i].direct)
			fail_msg("no_proxy %s, %s: %s", cases[i].except, cases[i].host,
				 got ? "by the proxy" : "directly");
	}
	clear();
}
