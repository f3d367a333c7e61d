/*
 * Names looked up by threads of their own. A lookup that is not wanted any more goes on in its
 * thread, which can't be stopped, and is forgotten by it. Must never touch the loop once it was
 * cancelled: the loop may be gone. A lookup belongs to its thread until it is posted, then to the
 * loop.
 */
#include "lib/http/lookup.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/base/base.h"

#define LOOKUPS_MAX 16

struct lookup {
	struct loop *loop;
	char *host;
	char port[8];
	void (*fn)(void *arg, struct addrinfo *ai, const struct err *err);
	void *arg;
	struct addrinfo *ai;
	int code;
	bool cancelled; /* under the lock, until it is posted */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t running;

static void lookup_free(struct lookup *l)
{
	if (l->ai)
		freeaddrinfo(l->ai);
	free(l->host);
	free(l);
}

static void deliver(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo *ai = l->ai;
	struct err err = {0};

	if (!l->cancelled) {
		l->ai = NULL;
		if (!ai)
			err_set(&err, ERR_UNAVAILABLE, "lookup %.200s: %s", l->host,
				gai_strerror(l->code));
		l->fn(l->arg, ai, &err);
	}
	lookup_free(l);
}

static void *look(void *arg)
{
	struct lookup *l = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	bool wanted;

	l->code = getaddrinfo(l->host, l->port, &hints, &l->ai);
	pthread_mutex_lock(&lock);
	running--;
	wanted = !l->cancelled;
	if (wanted)
		loop_post(l->loop, deliver, l);
	pthread_mutex_unlock(&lock);
	if (!wanted)
		lookup_free(l);
	return NULL;
}

static bool start(struct lookup *l)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int e = pthread_create(&thread, &attr, look, l);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return e == 0;
}

bool lookup_is_name(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) != 1 && inet_pton(AF_INET6, host, &a) != 1;
}

struct lookup *lookup_new(struct loop *loop, const char *host, int port,
			  void (*fn)(void *arg, struct addrinfo *ai, const struct err *err),
			  void *arg)
{
	struct lookup *l;
	bool room;

	pthread_mutex_lock(&lock);
	room = running < LOOKUPS_MAX;
	running += room;
	pthread_mutex_unlock(&lock);
	if (!room)
		return NULL;
	l = xalloc(sizeof(*l));
	*l = (struct lookup){.loop = loop, .host = xstrdup(host), .fn = fn, .arg = arg};
	snprintf(l->port, sizeof(l->port), "%d", port);
	if (start(l))
		return l;
	pthread_mutex_lock(&lock);
	running--;
	pthread_mutex_unlock(&lock);
	lookup_free(l);
	return NULL;
}

void lookup_cancel(struct lookup **l)
{
	if (!*l)
		return;
	pthread_mutex_lock(&lock);
	(*l)->cancelled = true;
	pthread_mutex_unlock(&lock);
	*l = NULL;
}
