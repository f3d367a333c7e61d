/* Requests that leave by a proxy: a child plays one that answers itself and says what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "lib/os/fs.h"
#include "reconciler/gitremote.h"
#include "reconciler/webcall.h"

static struct arena arena;

struct proxy {
	pid_t pid;
	int port;
};

/* Answers one request with its own head as the body, Proxy-Authorization and all. */
static void play(int listening)
{
	char head[4096];
	size_t n = 0;
	int fd;

	alarm(120); /* nobody came: its end says so */
	fd = accept(listening, NULL, NULL);

	while (n < sizeof(head) - 1) {
		ssize_t got = read(fd, head + n, sizeof(head) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		head[n] = 0;
		if (strstr(head, "\r\n\r\n"))
			break;
	}
	head[n] = 0;
	dprintf(fd,
		"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nRetry-After: 7\r\n"
		"Connection: close\r\n\r\n%s",
		n, head);
	close(fd);
	_exit(0);
}

static struct proxy proxy_start(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(at);
	struct proxy p;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	p.port = ntohs(at.sin_port);
	p.pid = fork();
	assert_true(p.pid >= 0);
	if (!p.pid)
		play(fd);
	close(fd);
	return p;
}

static void proxy_end(struct proxy p)
{
	int status;

	assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
	assert_int_equal(status, 0);
}

static void no_proxies(void)
{
	static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
					    "ALL_PROXY",   "no_proxy",    "NO_PROXY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		unsetenv(names[i]);
}

static struct json *request(const char *url)
{
	return json_build(&arena, "{s:s,s:s,s:s,s:I,s:{s:s}}", "method", "GET", "url", url, "body",
			  "", "timeout", (int64_t)5000000000, "headers", "Authorization",
			  "Bearer t0ken");
}

static const char *run(const struct json *request)
{
	struct err err = {0};
	struct json *answer = webcall_run(&arena, request, &err);

	if (!answer)
		return arena_printf(&arena, "error: %s", err.msg);
	assert_int_equal(json_int(json_get(answer, STR("status")), 0), 200);
	assert_true(str_is(json_str(json_at(answer, "headers", "retry-after")), "7"));
	return arena_cstr(&arena, json_str(json_get(answer, STR("body"))));
}

void test_webcall__named_proxy(void **state)
{
	struct proxy p = proxy_start();
	struct json *r = request("http://forge.invalid/api?x=1");
	const char *seen;

	(void)state;
	no_proxies();
	/* What is named for a source goes before what the machine says. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("no_proxy", "forge.invalid", 1);
	json_set(&arena, r, STR("proxy"),
		 json_build(&arena, "{s:s,s:s,s:s}", "address",
			    arena_printf(&arena, "http://127.0.0.1:%d\n", p.port), "username",
			    "out", "password", "pr0xy"));
	seen = run(r);
	proxy_end(p);
	no_proxies();
	assert_ptr_equal(strstr(seen, "GET http://forge.invalid/api?x=1 HTTP/1.1\r\n"), seen);
	assert_non_null(strstr(seen, "Proxy-Authorization: Basic b3V0OnByMHh5\r\n"));
	assert_non_null(strstr(seen, "Authorization: Bearer t0ken\r\n"));
	arena_release(&arena);
}

void test_webcall__proxy_of_the_environment(void **state)
{
	struct proxy p = proxy_start();
	const char *seen;

	(void)state;
	no_proxies();
	setenv("http_proxy", arena_printf(&arena, "http://127.0.0.1:%d", p.port), 1);
	seen = run(request("http://forge.invalid/a"));
	proxy_end(p);
	no_proxies();
	assert_ptr_equal(strstr(seen, "GET http://forge.invalid/a HTTP/1.1\r\n"), seen);
	arena_release(&arena);
}

void test_webcall__what_no_proxy_lists(void **state)
{
	struct proxy p = proxy_start();
	const char *seen;

	(void)state;
	no_proxies();
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("no_proxy", "127.0.0.1", 1);
	seen = run(request(arena_printf(&arena, "http://127.0.0.1:%d/direct", p.port)));
	proxy_end(p);
	no_proxies();
	assert_ptr_equal(strstr(seen, "GET /direct HTTP/1.1\r\n"), seen);
	arena_release(&arena);
}

void test_webcall__what_proxies_never_see(void **state)
{
	struct proxy p = proxy_start();
	const char *seen;

	(void)state;
	no_proxies();
	setenv("https_proxy", arena_printf(&arena, "http://127.0.0.1:%d", p.port), 1);
	/* It answers in plain text where TLS should begin. */
	seen = run(request("https://forge.invalid/a"));
	proxy_end(p);
	no_proxies();
	assert_ptr_equal(strstr(seen, "error: "), seen);
	assert_null(strstr(seen, "t0ken"));
	arena_release(&arena);
}

void test_webcall__proxy_without_an_address(void **state)
{
	struct json *r = request("http://forge.invalid/");

	(void)state;
	no_proxies();
	json_set(&arena, r, STR("proxy"), json_build(&arena, "{s:s}", "username", "out"));
	assert_string_equal(run(r), "error: spec.proxySecretRef: address is missing");
	arena_release(&arena);
}

void test_webcall__fetches_take_the_same_road(void **state)
{
	struct proxy p = proxy_start();
	char dir[] = "/tmp/plumb-webcall-XXXXXX";
	struct json *r;
	struct err err = {0};

	(void)state;
	no_proxies();
	assert_non_null(mkdtemp(dir));
	setenv("https_proxy", arena_printf(&arena, "http://127.0.0.1:%d", p.port), 1);
	r = json_build(&arena, "{s:s,s:s,s:s,s:{s:s},s:[]}", "url", "https://git.invalid/r.git",
		       "mirror", arena_printf(&arena, "%s/m", dir), "known", "", "ref", "branch",
		       "main", "branches");
	/* It is no git server: that it was asked is what counts. */
	assert_null(gitremote_fetch(&arena, r, &err));
	proxy_end(p);
	no_proxies();
	assert_int_equal(fs_remove_tree(dir, &err), 0);
	arena_release(&arena);
}

void test_webcall__plain_git_does_not_pass_its_proxy_by(void **state)
{
	struct json *r = json_build(&arena, "{s:s,s:s,s:{s:{s:s}}}", "url",
				    "http://git.invalid/r.git", "mirror", "/nowhere/m", "auth",
				    "proxy", "address", "http://127.0.0.1:1");
	struct err err = {0};

	(void)state;
	assert_null(gitremote_fetch(&arena, r, &err));
	assert_int_equal(err.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "spec.proxySecretRef"));
	arena_release(&arena);
}
