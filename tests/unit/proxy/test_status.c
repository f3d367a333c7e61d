/* What the proxy says of itself, over real sockets on loopback. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/status.h"

static struct loop *loop;
static bool healthy;

static bool is_healthy(void *arg)
{
	(void)arg;
	return healthy;
}

static const char *some_address(char out[32], uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	*port = ntohs(at.sin_port);
	snprintf(out, 32, "127.0.0.1:%u", *port);
	return out;
}

/* What is answered to a GET of `path`; "" = nobody listens. */
static const char *get(uint16_t port, const char *path)
{
	static char text[65536];
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t n = 0;

	if (!connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
		for (int i = 0; i < 50; i++) {
			loop_turn(loop, 5);
			ssize_t more = recv(fd, text + n, sizeof(text) - 1 - n, MSG_DONTWAIT);
			n += more > 0 ? (size_t)more : 0;
			if (!more)
				break;
		}
	}
	close(fd);
	text[n] = '\0';
	return text;
}

void test_status__says_whether_the_dataplane_is_true(void **state)
{
	char healthz[32], metrics[32];
	uint16_t open, own;
	struct proxy_status_opts o = {.healthy = is_healthy};
	struct proxy_status *s;

	(void)state;
	loop = loop_new();
	o.healthz = some_address(healthz, &open);
	o.metrics = some_address(metrics, &own);
	s = proxy_status_start(loop, &o);
	healthy = false;
	assert_non_null(strstr(get(open, "/healthz"), "HTTP/1.1 503"));
	assert_non_null(strstr(get(open, "/healthz"), "{\"lastUpdated\": \"\""));
	healthy = true;
	assert_non_null(strstr(get(open, "/healthz"), "HTTP/1.1 200 OK"));
	assert_non_null(strstr(get(open, "/livez"), "\"lastUpdated\": \"2"));
	healthy = false;
	assert_non_null(strstr(get(open, "/healthz"), "\"lastUpdated\": \"2"));
	assert_non_null(strstr(get(own, "/healthz"), "HTTP/1.1 503"));
	assert_non_null(strstr(get(own, "/proxyMode"), "nftables"));
	assert_non_null(strstr(get(own, "/metrics"), "HTTP/1.1 200 OK"));
	assert_non_null(strstr(get(open, "/metrics"), "HTTP/1.1 404"));
	proxy_status_stop(s);
	assert_string_equal(get(open, "/healthz"), "");
	loop_free(loop);
}

void test_status__a_port_that_is_taken_stops_nobody(void **state)
{
	char at[32], other[32];
	uint16_t port, unused;
	struct proxy_status_opts o = {.healthy = is_healthy};
	struct proxy_status *s, *second;

	(void)state;
	loop = loop_new();
	healthy = true;
	o.healthz = some_address(at, &port);
	s = proxy_status_start(loop, &o);
	o.metrics = some_address(other, &unused);
	second = proxy_status_start(loop, &o);
	assert_non_null(strstr(get(port, "/healthz"), "HTTP/1.1 200 OK"));
	assert_non_null(strstr(get(unused, "/healthz"), "HTTP/1.1 200 OK"));
	proxy_status_stop(second);
	proxy_status_stop(s);
	loop_free(loop);
}
