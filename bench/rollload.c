/*
 * rollload IP:PORT RATE SECONDS: asks for / at a steady rate, each request on a connection of its
 * own, whatever becomes of those before it, and prints how many were answered with 200, what became
 * of the others, and how long answers took. A request that is not answered within five seconds has
 * failed. Exits with 1 when one has.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS (5LL * 1000 * 1000 * 1000)
#define SLOTS 16384
#define KINDS 8

static const char ask[] = "GET / HTTP/1.1\r\nHost: load\r\nConnection: close\r\n\r\n";

struct one {
	int fd; /* -1 = free */
	int64_t at;
	size_t n;
	char head[13];
};

static struct one slots[SLOTS];
static int epoll, first, under_way; /* `first` is where to look for a free slot */
static long answered, failed;
static double *ms;
static struct {
	char text[64];
	long n;
} kinds[KINDS];

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void end(struct one *o, const char *why)
{
	/* However busy this end is: too late is too late. */
	if (!why && now() - o->at > PATIENCE_NS)
		why = "no answer in five seconds";
	if (!why) {
		ms[answered++] = (double)(now() - o->at) / 1e6;
	} else {
		failed++;
		for (int i = 0; i < KINDS; i++) {
			if (kinds[i].n && strcmp(kinds[i].text, why) != 0)
				continue;
			snprintf(kinds[i].text, sizeof(kinds[i].text), "%s", why);
			kinds[i].n++;
			break;
		}
	}
	close(o->fd);
	o->fd = -1;
	under_way--;
}

static void begin(const struct sockaddr_in *to)
{
	struct epoll_event ev = {.events = EPOLLOUT};
	struct one *o;

	for (int i = 0; i < SLOTS && slots[first].fd >= 0; i++)
		first = (first + 1) % SLOTS;
	o = &slots[first];
	*o = (struct one){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
			  .at = now()};
	under_way++;
	ev.data.ptr = o;
	if (o->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, o->fd, &ev))
		end(o, "no socket here");
	else if (connect(o->fd, (const struct sockaddr *)to, sizeof(*to)) && errno != EINPROGRESS)
		end(o, strerror(errno));
}

static void on_ready(struct one *o, uint32_t events)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = o};
	char rest[4096], why[64];
	ssize_t n;

	if (events & EPOLLOUT) {
		if (send(o->fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0) {
			snprintf(why, sizeof(why), "connecting: %s", strerror(errno));
			end(o, why);
		} else if (epoll_ctl(epoll, EPOLL_CTL_MOD, o->fd, &ev)) {
			end(o, "no epoll");
		}
		return;
	}
	n = recv(o->fd, rest, sizeof(rest), 0);
	for (ssize_t i = 0; i < n && o->n < sizeof(o->head) - 1; i++)
		o->head[o->n++] = rest[i];
	if (n > 0 || (n < 0 && errno == EAGAIN))
		return;
	snprintf(why, sizeof(why), "reading: %s", n ? strerror(errno) : "no answer");
	end(o, !n && strstr(o->head, "HTTP/1.") && strstr(o->head, " 200") ? NULL : why);
}

static void impatience(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].fd >= 0 && now() - slots[i].at > PATIENCE_NS)
			end(&slots[i], "no answer in five seconds");
}

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void run(const struct sockaddr_in *to, long rate, long total)
{
	struct epoll_event ready[512];
	int64_t start = now();
	long sent = 0;

	for (int i = 0; i < SLOTS; i++)
		slots[i].fd = -1;
	while (sent < total || under_way) {
		long due = (long)((double)(now() - start) * (double)rate / 1e9);
		int n;

		for (; sent < total && sent < due && under_way < SLOTS - 1; sent++)
			begin(to);
		n = epoll_wait(epoll, ready, 512, 1);
		for (int i = 0; i < n; i++)
			on_ready(ready[i].data.ptr, ready[i].events);
		if (!n)
			impatience();
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char *colon = argc == 4 ? strchr(argv[1], ':') : NULL;
	long rate, total;

	if (!colon) {
		fprintf(stderr, "rollload IP:PORT RATE SECONDS\n");
		return 2;
	}
	*colon = '\0';
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	to.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
	rate = strtol(argv[2], NULL, 10);
	total = rate * strtol(argv[3], NULL, 10);
	ms = calloc((size_t)total + 1, sizeof(*ms));
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!ms || epoll < 0)
		return 2;
	run(&to, rate, total);
	qsort(ms, (size_t)answered, sizeof(*ms), order);
	printf("%ld answered, %ld failed; p50 %.1f ms, p99 %.1f ms, most %.1f ms\n", answered,
	       failed, ms[answered / 2], ms[answered * 99 / 100], ms[answered ? answered - 1 : 0]);
	for (int i = 0; i < KINDS && kinds[i].n; i++)
		printf("  %ld: %s\n", kinds[i].n, kinds[i].text);
	return failed ? 1 : 0;
}
