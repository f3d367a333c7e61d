/*
 * Questions about the rest of the world: each goes upstream from a socket of its own, so that its
 * port can't be guessed, with an id of its own; only an answer to the very question, from the very
 * server, is believed. Nothing is remembered. On the loop.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "proxy/dns-internal.h"

enum { FORWARDS_MAX = 512, TRIES = 3 };
#define WAIT_NS (1500 * NS_PER_MS) /* all tries within the five seconds that resolvers wait */

struct forward {
	struct list all;
	struct dns *d;
	struct dns_client who;
	struct buf message; /* the question as it goes upstream */
	struct arena a;
	struct dns_question q; /* in the arena, as it was asked */
	struct str asked;      /* the question that went upstream: q.raw, or the alias' target */
	struct str target;     /* of an alias, or STR_NONE */
	uint16_t id;           /* ours */
	unsigned tries, refused;
	struct loop_fd fd;
	struct loop_timer timer;
};

static void forward_free(struct forward *f)
{
	list_remove(&f->all);
	f->d->nforwards--;
	loop_timer_cancel(f->d->loop, &f->timer);
	if (f->fd.fd >= 0) {
		loop_fd_del(f->d->loop, &f->fd);
		close(f->fd.fd);
	}
	buf_release(&f->message);
	arena_release(&f->a);
	free(f);
}

static void refuse(struct dns *d, const struct dns_client *who, const struct dns_question *q)
{
	struct dns_answer w;

	dns_begin(&w, q, DNS_UDP_MAX);
	w.code = DNS_FAILED;
	dns_reply(d, who, dns_end(&w, q));
	buf_release(&w.out);
}

static void attempt(struct forward *f);

static void on_timeout(struct loop *l, struct loop_timer *t)
{
	(void)l;
	attempt(CONTAINER_OF(t, struct forward, timer));
}

static void reply_same(struct forward *f, char *in, size_t n)
{
	in[0] = (char)(f->q.id >> 8);
	in[1] = (char)(f->q.id & 0xff);
	dns_reply(f->d, &f->who, (struct str){in, n});
}

static void reply_alias(struct forward *f, struct str message)
{
	struct dns_answer w;

	dns_begin(&w, &f->q, f->who.conn ? (size_t)DNS_MESSAGE_MAX : f->q.room);
	dns_put_name(&w, STR_NONE, DNS_CNAME, 5, f->target);
	dns_put_addresses_of(&w, f->target, message);
	dns_reply(f->d, &f->who, dns_end(&w, &f->q));
	buf_release(&w.out);
}

static void on_answer(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct forward *f = CONTAINER_OF(w, struct forward, fd);
	char in[DNS_MESSAGE_MAX];
	ssize_t n = recv(w->fd, in, sizeof(in), MSG_DONTWAIT);

	(void)l;
	(void)ready;
	if (n < 0) { /* refused: the next one, if there is another */
		if (++f->refused >= f->d->o.nupstream)
			f->tries = TRIES;
		attempt(f);
		return;
	}
	if (!dns_answers(&f->a, (struct str){in, (size_t)n}, f->id, f->asked))
		return;
	if (f->target.n)
		reply_alias(f, (struct str){in, (size_t)n});
	else
		reply_same(f, in, (size_t)n);
	forward_free(f);
}

static int dial(struct forward *f, uint32_t ip)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(ip)};
	struct err err = {0};
	int on = 1;

	f->fd = (struct loop_fd){
		.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		.fn = on_answer};
	if (f->fd.fd < 0)
		return -1;
	/* A router's word that there is no way counts as an answer. */
	(void)!setsockopt(f->fd.fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	if (connect(f->fd.fd, (struct sockaddr *)&to, sizeof(to)) ||
	    send(f->fd.fd, f->message.p, f->message.n, MSG_NOSIGNAL) < 0)
		return -1;
	return loop_fd_set(f->d->loop, &f->fd, EPOLLIN, &err);
}

/* The next upstream server; after the last the first again, and then no more. */
static void attempt(struct forward *f)
{
	const struct dns_opts *o = &f->d->o;

	while (o->nupstream && f->tries < TRIES) {
		uint32_t ip = o->upstream[f->tries++ % o->nupstream];

		if (f->fd.fd >= 0) {
			loop_fd_del(f->d->loop, &f->fd);
			close(f->fd.fd);
			f->fd.fd = -1;
		}
		if (dial(f, ip))
			continue;
		loop_timer_set(f->d->loop, &f->timer, WAIT_NS, on_timeout);
		return;
	}
	refuse(f->d, &f->who, &f->q);
	forward_free(f);
}

static struct forward *forward_new(struct dns *d, const struct dns_client *who,
				   const struct dns_question *q)
{
	struct forward *f;

	if (!d->o.nupstream || d->nforwards >= FORWARDS_MAX) {
		refuse(d, who, q);
		return NULL;
	}
	f = xalloc(sizeof(*f));
	f->d = d;
	f->who = *who;
	f->fd.fd = -1;
	f->q = *q;
	f->q.name = arena_str(&f->a, q->name);
	f->q.raw = arena_str(&f->a, q->raw);
	random_bytes(&f->id, sizeof(f->id));
	list_append(&d->forwards, &f->all);
	d->nforwards++;
	return f;
}

void dns_forward(struct dns *d, const struct dns_client *who, const struct dns_question *q,
		 struct str message)
{
	struct forward *f = forward_new(d, who, q);

	if (!f)
		return;
	buf_str(&f->message, message);
	f->message.p[0] = (char)(f->id >> 8);
	f->message.p[1] = (char)(f->id & 0xff);
	f->asked = f->q.raw;
	attempt(f);
}

void dns_forward_alias(struct dns *d, const struct dns_client *who, const struct dns_question *q,
		       struct str target)
{
	struct forward *f = forward_new(d, who, q);

	if (!f)
		return;
	f->target = arena_str(&f->a, target);
	dns_ask(&f->message, f->id, target, q->type);
	f->asked = arena_str(&f->a, str_sub(buf_view(&f->message), 12, f->message.n));
	attempt(f);
}

void dns_forward_forget(struct dns *d, const struct dns_conn *conn)
{
	LIST_FOREACH (it, &d->forwards) {
		struct forward *f = CONTAINER_OF(it, struct forward, all);

		if (f->who.conn == conn)
			forward_free(f);
	}
}

void dns_forward_stop(struct dns *d)
{
	LIST_FOREACH (it, &d->forwards)
		forward_free(CONTAINER_OF(it, struct forward, all));
}
