/* Health checks' ports: who asks is told how many pods serve here. Real sockets on loopback. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/health.h"

static struct loop *loop;
static struct health *health;

/* A port that nobody has. */
static uint16_t some_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	return ntohs(at.sin_port);
}

/* What the port answers to `request`; "" = nobody listens. */
static const char *ask(uint16_t port, const char *request)
{
	static char text[4096];
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t n = 0, more;

	if (!connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		assert_true(write(fd, request, strlen(request)) > 0);
		for (int i = 0; i < 20; i++) {
			loop_turn(loop, 10);
			more = recv(fd, text + n, sizeof(text) - 1 - (size_t)n, MSG_DONTWAIT);
			n += more > 0 ? more : 0;
			if (!more)
				break;
		}
	}
	close(fd);
	loop_turn(loop, 10);
	text[n] = '\0';
	return text;
}

#define GET "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

void test_health__says_how_many_serve_here(void **state)
{
	uint16_t port = some_port();
	const char *t;

	(void)state;
	loop = loop_new();
	health = health_new(loop);
	health_set(health, STR("a/web"), port, 2);
	t = ask(port, GET);
	assert_non_null(strstr(t, "HTTP/1.1 200"));
	assert_non_null(strstr(t, "{\"namespace\":\"a\",\"name\":\"web\"},\"localEndpoints\":2"));
	health_set(health, STR("a/web"), port, 0);
	assert_non_null(strstr(ask(port, GET), "HTTP/1.1 503"));
	assert_null(strstr(ask(port, "HEAD / HTTP/1.1\r\n\r\n"), "localEndpoints"));
	assert_string_equal(ask(port, "half a request"), "");
	health_set(health, STR("a/web"), 0, 0);
	assert_string_equal(ask(port, GET), "");
	health_free(health);
	loop_free(loop);
}
