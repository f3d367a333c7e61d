/*
 * The server's frame: shards and their threads, listening sockets, messages between threads, and
 * the orderly stop. Must never run a handler's code on a thread other than the connection's.
 * http_server_new … free belong to the caller's thread; everything else to the shards.
 */
#include "lib/http/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/http/server-internal.h"

#define LISTEN_BACKLOG 4096
#define ACCEPTS_PER_TURN 64

/* ---- messages ---- */

/* The shard that this thread was made for. */
static _Thread_local const struct shard *own_shard;

bool shard_is_ours(const struct shard *s)
{
	if (s->s->o.threads > 0)
		return own_shard == s;
	return pthread_equal(s->thread, pthread_self());
}

void shard_drain_ops(struct shard *s)
{
	struct op *newest = atomic_exchange(&s->ops, NULL), *oldest = NULL;

	while (newest) {
		struct op *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct op *next = oldest->next;
		if (oldest->kind == OP_ACCEPT)
			conn_open(s, oldest->fd);
		else
			op_apply(oldest);
		op_free(oldest);
		oldest = next;
	}
}

static void on_ops(void *arg)
{
	struct shard *s = arg;

	shard_enter(s);
	shard_drain_ops(s);
	shard_leave(s);
}

static void shard_push(struct shard *s, struct op *op)
{
	struct op *head = atomic_load_explicit(&s->ops, memory_order_relaxed);

	do
		op->next = head;
	while (!atomic_compare_exchange_weak(&s->ops, &head, op));
	/* Whoever finds the list empty wakes the shard; the others ride along. */
	if (!head)
		loop_post(s->loop, on_ops, s);
}

void server_op(struct op *op)
{
	struct shard *s = op->r->shard;

	if (!shard_is_ours(s)) {
		shard_push(s, op);
		return;
	}
	/* What other threads said earlier about this request comes first. */
	if (atomic_load(&s->ops))
		shard_drain_ops(s);
	op_apply(op);
	op_free(op);
}

/* ---- listening ---- */

static void hand_over(struct http_server *server, int fd)
{
	struct shard *s = &server->shards[server->next_shard++ % server->nshards];

	if (shard_is_ours(s)) {
		conn_open(s, fd);
		return;
	}
	struct op *op = xalloc(sizeof(*op));
	op->kind = OP_ACCEPT;
	op->fd = fd;
	shard_push(s, op);
}

static void on_pause_over(struct loop *l UNUSED, struct loop_timer *t)
{
	struct listener *ls = CONTAINER_OF(t, struct listener, pause);

	if (loop_fd_set(ls->shard->loop, &ls->w, EPOLLIN, NULL))
		loop_timer_set(ls->shard->loop, &ls->pause, NS_PER_S, on_pause_over);
}

static void on_accept(struct loop *l, struct loop_fd *w, uint32_t ready UNUSED)
{
	struct listener *ls = CONTAINER_OF(w, struct listener, w);
	struct http_server *server = ls->shard->s;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
			/* Descriptors are used up: level-triggered readiness would spin. */
			loop_fd_del(l, w);
			loop_timer_set(l, &ls->pause, 100 * NS_PER_MS, on_pause_over);
			return;
		}
		if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
			return;
		if (fd < 0)
			continue;
		if (atomic_fetch_add(&server->nconns, 1) >= server->o.max_conns) {
			atomic_fetch_sub(&server->nconns, 1);
			close(fd);
			continue;
		}
		hand_over(server, fd);
	}
}

static void start_listener(void *arg)
{
	struct listener *ls = arg;

	if (ls->shard->draining) {
		close(ls->w.fd);
		free(ls);
		return;
	}
	list_append(&ls->shard->listeners, &ls->link);
	on_pause_over(ls->shard->loop, &ls->pause);
}

static int split_addr(const char *addr, char host[64], const char **ret_port)
{
	const char *colon = strrchr(addr, ':');
	size_t n = colon ? (size_t)(colon - addr) : 0;

	if (!colon || n >= 64)
		return -1;
	if (n >= 2 && addr[0] == '[' && addr[n - 1] == ']') {
		addr++;
		n -= 2;
	}
	memcpy(host, addr, n);
	host[n] = 0;
	*ret_port = colon + 1;
	return 0;
}

static int open_listener(const char *addr, struct err *err)
{
	char host[64];
	const char *port;
	struct addrinfo *ai, hints = {
				     .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
				     .ai_socktype = SOCK_STREAM,
			     };
	int one = 1;

	if (split_addr(addr, host, &port) || getaddrinfo(host[0] ? host : NULL, port, &hints, &ai))
		return err_set(err, ERR_BAD_REQUEST, "\"%s\" is no ADDRESS:PORT", addr);
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	int bad = fd < 0 || bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, LISTEN_BACKLOG);
	freeaddrinfo(ai);
	if (!bad)
		return fd;
	err_sys(err, "listen on %s", addr);
	fd_cleanup(&fd);
	return -1;
}

static int port_of(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof(ss);

	getsockname(fd, (struct sockaddr *)&ss, &n);
	return ss.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&ss)->sin6_port)
					: ntohs(((struct sockaddr_in *)&ss)->sin_port);
}

int http_server_listen(struct http_server *s, const char *addr, struct err *err)
{
	int fd = open_listener(addr, err);
	if (fd < 0)
		return -1;
	int port = port_of(fd);
	struct listener *ls = xalloc(sizeof(*ls));

	ls->w = (struct loop_fd){.fd = fd, .fn = on_accept};
	ls->shard = &s->shards[0];
	list_init(&ls->link);
	if (shard_is_ours(ls->shard))
		start_listener(ls);
	else
		loop_post(ls->shard->loop, start_listener, ls);
	return port;
}

/* ---- life ---- */

static void *shard_main(void *arg)
{
	struct shard *s = arg;

	own_shard = s;
	loop_run(s->loop);
	return NULL;
}

static int64_t or_default(int64_t v, int64_t otherwise)
{
	return v ? v : otherwise;
}

static void shard_init(struct shard *s, struct http_server *server)
{
	int64_t after[WAIT_MAX] = {
		[WAIT_HEAD] = or_default(server->o.head_ns, 30 * NS_PER_S),
		[WAIT_IDLE] = or_default(server->o.idle_ns, 120 * NS_PER_S),
		[WAIT_SENT] = 60 * NS_PER_S,
		[WAIT_LINGER] = 2 * NS_PER_S,
	};

	s->s = server;
	s->loop = server->o.threads ? loop_new() : s->loop;
	s->scratch = xalloc(sizeof(*s->scratch));
	list_init(&s->conns);
	list_init(&s->dirty);
	list_init(&s->graves);
	list_init(&s->listeners);
	for (int i = 0; i < WAIT_MAX; i++) {
		s->wait[i].after_ns = after[i];
		s->wait[i].shard = s;
		list_init(&s->wait[i].conns);
	}
}

/* Signals belong to the main thread's loop. */
static int start_thread(struct shard *s)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&s->thread, NULL, shard_main, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

struct http_server *http_server_new(struct loop *loop, const struct http_server_opts *o,
				    struct err *err)
{
	struct http_server *s = xalloc(sizeof(*s));

	s->o = *o;
	s->o.max_body = o->max_body ? o->max_body : 3 << 20;
	s->o.dead_ns = o->dead_ns ? o->dead_ns : 120 * NS_PER_S;
	s->o.max_conns = o->max_conns ? o->max_conns : 20000;
	s->o.max_backlog = o->max_backlog ? o->max_backlog : 8 << 20;
	s->o.tls = o->tls ? tls_ref(o->tls) : NULL;
	pthread_mutex_init(&s->tls_lock, NULL);
	s->nshards = o->threads > 0 ? (size_t)o->threads : 1;
	s->shards = xalloc(s->nshards * sizeof(*s->shards));
	sem_init(&s->idle, 0, 0);
	for (size_t i = 0; i < s->nshards; i++) {
		s->shards[i].loop = loop;
		s->shards[i].thread = pthread_self();
		shard_init(&s->shards[i], s);
	}
	for (size_t i = 0; o->threads > 0 && i < s->nshards; i++) {
		int e = start_thread(&s->shards[i]);
		if (!e)
			continue;
		/* Those that run can't be told apart from those that don't: dying is safe. */
		err_set(err, ERR_UNAVAILABLE, "start thread: %s", strerrordesc_np(e));
		panic("http server: cannot start thread %zu", i);
	}
	return s;
}

struct tls_ctx *server_tls(struct http_server *s)
{
	pthread_mutex_lock(&s->tls_lock);
	struct tls_ctx *c = s->o.tls ? tls_ref(s->o.tls) : NULL;
	pthread_mutex_unlock(&s->tls_lock);
	return c;
}

void http_server_set_tls(struct http_server *s, struct tls_ctx *tls)
{
	tls_ref(tls);
	pthread_mutex_lock(&s->tls_lock);
	struct tls_ctx *old = s->o.tls;
	s->o.tls = tls;
	pthread_mutex_unlock(&s->tls_lock);
	tls_unref(&old);
}

static bool is_idle(const struct conn *c)
{
	return c->state == CONN_HEAD && !c->r && !c->in.n && !c->out.bytes;
}

static void close_listeners(struct shard *s)
{
	LIST_FOREACH (it, &s->listeners) {
		struct listener *ls = CONTAINER_OF(it, struct listener, link);
		loop_fd_del(s->loop, &ls->w);
		loop_timer_cancel(s->loop, &ls->pause);
		close(ls->w.fd);
		list_remove(it);
		free(ls);
	}
}

static void start_drain(void *arg)
{
	struct shard *s = arg;

	s->draining = true;
	close_listeners(s);
	LIST_FOREACH (it, &s->conns) {
		struct conn *c = CONTAINER_OF(it, struct conn, all);
		if (is_idle(c))
			conn_close(c);
	}
	if (list_empty(&s->conns))
		sem_post(&s->s->idle);
}

static void end_shard(void *arg)
{
	struct shard *s = arg;

	close_listeners(s);
	shard_drain_ops(s);
	while (!list_empty(&s->conns))
		conn_close(CONTAINER_OF(s->conns.next, struct conn, all));
	for (int i = 0; i < WAIT_MAX; i++)
		loop_timer_cancel(s->loop, &s->wait[i].timer);
	if (s->s->o.threads)
		loop_stop(s->loop);
}

static void wait_for_threads(struct http_server *s, int64_t drain_ns)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t at = until.tv_sec * NS_PER_S + until.tv_nsec + drain_ns;
	until = (struct timespec){.tv_sec = at / NS_PER_S, .tv_nsec = at % NS_PER_S};
	for (size_t i = 0; i < s->nshards; i++)
		loop_post(s->shards[i].loop, start_drain, &s->shards[i]);
	while (atomic_load(&s->nconns) > 0) {
		if (sem_clockwait(&s->idle, CLOCK_MONOTONIC, &until) && errno == ETIMEDOUT)
			break;
	}
	for (size_t i = 0; i < s->nshards; i++)
		loop_post(s->shards[i].loop, end_shard, &s->shards[i]);
	for (size_t i = 0; i < s->nshards; i++)
		pthread_join(s->shards[i].thread, NULL);
}

void http_server_stop(struct http_server *s, int64_t drain_ns)
{
	if (s->stopped)
		return;
	s->stopped = true;
	if (s->o.threads) {
		wait_for_threads(s, drain_ns);
		return;
	}
	struct loop *l = s->shards[0].loop;
	int64_t until = loop_now(l) + drain_ns;
	start_drain(&s->shards[0]);
	while (atomic_load(&s->nconns) > 0 && loop_now(l) < until)
		loop_turn(l, 10);
	end_shard(&s->shards[0]);
	/* Calls posted to this loop for the shard must not outlive it. */
	while (s->shards[0].bury_posted || s->shards[0].flush_posted || s->shards[0].ops)
		loop_turn(l, 0);
}

static void shard_release(struct shard *s, bool own_loop)
{
	/* A message that came after the end finds no connection and is dropped. */
	s->thread = pthread_self();
	own_shard = s;
	shard_drain_ops(s);
	shard_bury(s);
	own_shard = NULL;
	while (s->spare) {
		struct request *r = s->spare;
		s->spare = r->pub.user;
		arena_release(&r->pub.arena);
		free(r);
	}
	free(s->scratch);
	if (own_loop)
		loop_free(s->loop);
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	http_server_stop(s, 0);
	for (size_t i = 0; i < s->nshards; i++)
		shard_release(&s->shards[i], s->o.threads > 0);
	free(s->shards);
	sem_destroy(&s->idle);
	tls_unref(&s->o.tls);
	pthread_mutex_destroy(&s->tls_lock);
	free(s);
}
