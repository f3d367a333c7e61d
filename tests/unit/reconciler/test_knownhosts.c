/* known_hosts as ssh-keygen writes it, and addresses of submodules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/codec.h"
#include "reconciler/gitmodules.h"
#include "reconciler/knownhosts.h"

#define KEY "AAAAC3NzaC1lZDI1NTE5AAAAIF8s1FVeNNDvLJEfkVHsxCVGVNuoUUIHLcGvPSrYqP5N"
#define OTHER "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"

static enum known_host look(const char *text, const char *host, int port)
{
	AUTO(buf) struct buf key = {0};
	struct sha256 sum;

	assert_int_equal(base64_decode(STR(KEY), &key), 0);
	sha256_of(buf_view(&key), &sum);
	return known_host(str_c(text), str_c(host), port, sum.bytes);
}

void test_knownhosts__plain_names(void **state)
{
	(void)state;
	assert_int_equal(look("git.example ssh-ed25519 " KEY "\n", "git.example", 22),
			 KNOWN_HOST_YES);
	assert_int_equal(look("# c\n\na,Git.Example,b ssh-ed25519 " KEY " c", "git.example", 22),
			 KNOWN_HOST_YES);
	assert_int_equal(look("[git.example]:2222 ssh-ed25519 " KEY, "git.example", 2222),
			 KNOWN_HOST_YES);
	assert_int_equal(look("[git.example]:2222 ssh-ed25519 " KEY, "git.example", 22),
			 KNOWN_HOST_NEVER);
	assert_int_equal(look("other.example ssh-ed25519 " KEY, "git.example", 22),
			 KNOWN_HOST_NEVER);
	assert_int_equal(look("", "git.example", 22), KNOWN_HOST_NEVER);
	assert_int_equal(look("git.example ssh-ed25519 " OTHER, "git.example", 22),
			 KNOWN_HOST_OTHER);
	assert_int_equal(
		look("git.example ssh-ed25519\ngit.example\ngit.example x !!!", "git.example", 22),
		KNOWN_HOST_OTHER);
}

void test_knownhosts__patterns(void **state)
{
	(void)state;
	assert_int_equal(look("*.example ssh-ed25519 " KEY, "git.example", 22), KNOWN_HOST_YES);
	assert_int_equal(look("*.example,!git.example ssh-ed25519 " KEY, "git.example", 22),
			 KNOWN_HOST_NEVER);
	assert_int_equal(look("g?t.example ssh-ed25519 " KEY, "git.example", 22), KNOWN_HOST_YES);
}

/* ssh-keygen -H of "git.example" */
void test_knownhosts__hashed(void **state)
{

	(void)state;
	/* HMAC-SHA1 with the salt 00…13 of "git.example", computed with openssl. */
	assert_int_equal(look("|1|AAECAwQFBgcICQoLDA0ODxAREhM=|ofeWoBPxCZqYoYdPpknNO778Vcc= "
			      "ssh-ed25519 " KEY,
			      "git.example", 22),
			 KNOWN_HOST_YES);
	assert_int_equal(look("|1|AAECAwQFBgcICQoLDA0ODxAREhM=|ofeWoBPxCZqYoYdPpknNO778Vcc= "
			      "ssh-ed25519 " KEY,
			      "git.exampl", 22),
			 KNOWN_HOST_NEVER);
	assert_int_equal(look("|1|AAEC|x ssh-ed25519 " KEY, "git.example", 22), KNOWN_HOST_NEVER);
}

void test_knownhosts__marked_lines(void **state)
{
	(void)state;
	assert_int_equal(look("git.example ssh-ed25519 " KEY "\n@revoked * ssh-ed25519 " KEY,
			      "git.example", 22),
			 KNOWN_HOST_REVOKED);
	assert_int_equal(look("@cert-authority * ssh-ed25519 " KEY, "git.example", 22),
			 KNOWN_HOST_NEVER);
}

static const char *url(struct arena *a, const char *parent, const char *rel)
{
	struct err err = {0};
	const char *u = gitmodule_url(a, str_c(parent), str_c(rel), &err);

	return u ?: "";
}

void test_knownhosts__addresses_of_submodules(void **state)
{
	AUTO(arena) struct arena a = {0};

	(void)state;
	assert_string_equal(url(&a, "https://h/org/r.git", "../lib.git"), "https://h/org/lib.git");
	assert_string_equal(url(&a, "https://h/org/r.git/", "../../x/lib"), "https://h/x/lib");
	assert_string_equal(url(&a, "https://h/org/r", "./sub"), "https://h/org/r/sub");
	assert_string_equal(url(&a, "git@h:org/r.git", "../lib.git"), "git@h:org/lib.git");
	assert_string_equal(url(&a, "git@h:org/r.git", "git@h:x/y.git"), "git@h:x/y.git");
	assert_string_equal(url(&a, "ssh://git@h:22/o/r", "ssh://h:22/x"), "ssh://git@h:22/x");
	assert_string_equal(url(&a, "file:///srv/r.git", "../lib.git"), "file:///srv/lib.git");
}

void test_knownhosts__addresses_that_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{"https://h/org/r", "https://other/x"},    {"https://h/org/r", "http://h/x"},
		{"https://h/org/r", "../../../../x"},      {"https://h/org/r", "-u./payload"},
		{"https://h/org/r", "file:///etc"},        {"https://h/org/r", "https://h/-x"},
		{"https://h/org/r", "ext::sh -c id"},      {"https://h/org/r", "https://h:8/x"},
		{"https://h/org/r", "https://h@evil/x"},   {"https://h/org/r", "../x\ny"},
		{"file:///srv/r.git", "file:///etc/x"},    {"file:///srv/r.git", "../../etc/x"},
		{"file:///srv/r.git", "../lib/../../etc"}, {"https://h/org/r", ""},
		{"https://h/org/r", "https://h"},          {"https://h/org/r", "https://h/"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		AUTO(arena) struct arena a = {0};

		if (*url(&a, bad[i][0], bad[i][1]))
			fail_msg("%s in %s is %s", bad[i][1], bad[i][0],
				 url(&a, bad[i][0], bad[i][1]));
	}
}

void test_knownhosts__gitmodules(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct gitmodules *m = arena_alloc(&a, sizeof(*m));
	struct err err = {0};

	(void)state;
	assert_int_equal(
		gitmodules_parse(&a,
				 STR("# c\n[core]\n\tpath = no\n[submodule \"a b\"] ; x\n\tpath = "
				     "\"lib a\" # c\n\tURL = ../\\\n\"lib\"\n[submodule \"c\"]\n"
				     "\tpath=c\n\tshallow\n\turl = https://h/c;x\n"),
				 m, &err),
		0);
	assert_int_equal(m->n, 2);
	assert_true(str_is(m->v[0].name, "a b"));
	assert_true(str_is(m->v[0].path, "lib a"));
	assert_true(str_is(m->v[0].url, "../lib"));
	assert_true(str_is(m->v[1].url, "https://h/c"));
	assert_int_equal(gitmodules_parse(&a, STR("[submodule \"x\n"), m, &err), -1);
	assert_int_equal(gitmodules_parse(&a, STR("[submodule \"x\"]\nurl = \"a\n"), m, &err), -1);
}
