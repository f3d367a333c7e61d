/*
 * Serves container logs. A follower looks at the file a few times a second, waits while its client
 * is slow, and ends when the container's attempt is over and all of it was sent. Must never hold a
 * pod: it looks it up again each time. On the kubelet's loop; a stream is freed when it ends or its
 * client is gone.
 */
#include "kubelet/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/logs_core.h"
#include "kubelet/upgrade.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"

#define CHUNK (64 << 10)
#define POLL_NS (40 * NS_PER_MS)
#define LINE_MAX (1 << 20)

struct stream {
	struct kubelet *k;
	struct http_req *req;
	struct upgrade *ws; /* instead of the answer's body: messages of a WebSocket */
	bool base64;
	char *uid, *path;
	size_t i;
	int attempt;
	int fd;
	off_t at;
	struct buf pending;
	struct log_opts opts;
	struct log_state state;
	bool follow, waiting;
	struct loop_timer timer;
};

static void reply(struct http_req *r, int status, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 text);
}

static void stream_free(struct stream *s)
{
	loop_timer_cancel(s->k->loop, &s->timer);
	fd_cleanup(&s->fd);
	buf_release(&s->pending);
	free(s->uid);
	free(s->path);
	http_req_unref(s->req);
	free(s);
}

static void on_client_gone(struct http_req *r)
{
	stream_free(r->user);
}

static void finish(struct stream *s)
{
	if (s->ws) {
		upgrade_end(s->ws);
	} else {
		s->req->gone = NULL;
		http_stream_end(s->req);
	}
	stream_free(s);
}

/* -1: the client is gone, and s with it. */
static int send_out(struct stream *s, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	if (s->ws && s->base64) {
		base64_encode(buf_view(out), &text);
		upgrade_message(s->ws, WS_TEXT, -1, buf_view(&text));
	} else if (s->ws) {
		upgrade_write(s->ws, buf_view(out));
	}
	if (s->ws)
		return 0;
	struct block *b = block_take(out);
	int rc = http_stream_write(s->req, &b, 1);
	block_unref(b);
	return rc;
}

static bool full(const struct stream *s)
{
	return s->ws ? upgrade_full(s->ws) : http_stream_backlog(s->req) > HTTP_BACKLOG_HIGH;
}

/* Is more to come? */
static bool alive(const struct stream *s)
{
	const struct pod *p = map_get(&s->k->by_uid, str_c(s->uid));

	if (!p || s->i >= p->obs.n)
		return false;
	const struct pod_cont *c = &p->cont[s->i];
	return p->obs.c[s->i].state == CONT_RUNNING && c->now && (int)c->now->number == s->attempt;
}

/* The log was put aside, and a new one was begun: what stood in the old is read to its end first.
 * 1: there is more to read, 0: there isn't. */
static int next_file(struct stream *s)
{
	struct stat here, there;

	if (!s->follow || fstat(s->fd, &here) || stat(s->path, &there) ||
	    (here.st_ino == there.st_ino && here.st_dev == there.st_dev))
		return 0;
	if (here.st_size > s->at)
		return 1;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	close(s->fd);
	s->fd = fd;
	s->at = 0;
	return 1;
}

/* 1: sent something, 0: end of file, -1: the client is gone (s is freed). */
static int send_some(struct stream *s)
{
	AUTO(buf) struct buf out = {0};
	struct stat st;
	char *to = buf_reserve(&s->pending, CHUNK);
	ssize_t n;

	if (!fstat(s->fd, &st) && st.st_size < s->at)
		s->at = 0; /* conmon started it anew */
	n = pread(s->fd, to, CHUNK, s->at);
	if (n <= 0)
		return next_file(s);
	s->at += n;
	s->pending.n += (size_t)n;
	buf_consume(&s->pending, log_render(buf_view(&s->pending), &s->opts, &s->state, &out));
	if (s->pending.n > LINE_MAX)
		buf_reset(&s->pending);
	if (!out.n)
		return 1;
	return send_out(s, &out) ? -1 : 1;
}

static void on_poll(struct loop *l, struct loop_timer *t);

static void pump(struct stream *s)
{
	for (;;) {
		bool more =
			alive(s); /* asked before reading: what came in between is seen next time */
		if (full(s)) {
			s->waiting = true;
			return;
		}
		int rc = send_some(s);
		if (rc < 0)
			return; /* gone() follows */
		if (s->state.done || (rc == 0 && (!s->follow || !more))) {
			finish(s);
			return;
		}
		if (rc == 0)
			break;
	}
	loop_timer_set(s->k->loop, &s->timer, POLL_NS, on_poll);
}

static void on_poll(struct loop *l, struct loop_timer *t)
{
	(void)l;
	pump(CONTAINER_OF(t, struct stream, timer));
}

static void drained(void *arg)
{
	struct stream *s = arg;

	if (!s->waiting)
		return;
	s->waiting = false;
	pump(s);
}

static void on_drained(struct http_req *r)
{
	drained(r->user);
}

/* ---- as messages ---- */

static int on_input(void *arg UNUSED, struct str data UNUSED)
{
	return 0; /* there is nothing to tell a log */
}

static void on_left(void *arg)
{
	stream_free(arg);
}

static const struct upgrade_ops ws_ops = {on_input, drained, on_left};

static void open_stream(struct stream *s, struct http_req *r)
{
	static const char *const known[] = {"binary.k8s.io", "base64.binary.k8s.io", "", NULL};
	int chosen;

	if (upgrade_asked(r) != UPGRADE_WEBSOCKET) {
		r->user = s;
		r->gone = on_client_gone;
		r->drained = on_drained;
		http_stream_begin(
			r, &(struct http_reply){.status = 200, .content_type = "text/plain"});
		return;
	}
	chosen = upgrade_choose(r, UPGRADE_WEBSOCKET, known);
	s->base64 = chosen == 1;
	s->ws = upgrade_accept(
		s->k->loop, r,
		&(struct upgrade_opts){.kind = UPGRADE_WEBSOCKET,
				       .protocol = chosen >= 0 ? known[chosen] : NULL,
				       .ops = &ws_ops,
				       .arg = s});
}

/* Where the last n lines begin. */
static off_t tail_offset(int fd, int64_t lines)
{
	struct stat st;
	char chunk[4096];

	if (fstat(fd, &st))
		return 0;
	off_t at = st.st_size;
	int64_t seen = 0;
	while (at > 0) {
		size_t want = (size_t)MIN(at, (off_t)sizeof(chunk));
		if (pread(fd, chunk, want, at - (off_t)want) != (ssize_t)want)
			return 0;
		for (size_t i = want; i-- > 0;) {
			off_t pos = at - (off_t)want + (off_t)i;
			if (chunk[i] == '\n' && pos != st.st_size - 1 && ++seen >= lines)
				return pos + 1;
		}
		at -= (off_t)want;
	}
	return 0;
}

static int64_t number(struct http_req *r, const char *name, int64_t otherwise)
{
	struct str s = http_query(&r->arena, r->query, name);
	int64_t n;

	return s.n && !str_to_i64(s, &n) && n >= 0 ? n : otherwise;
}

static bool flag(struct http_req *r, const char *name)
{
	return http_query_flag(&r->arena, r->query, name);
}

static void start(struct kubelet *k, struct http_req *r, struct pod *p, size_t i, int attempt)
{
	AUTO(free) char *dir = attempt_dir(p, i, (unsigned)attempt);
	AUTO(free) char *path = xasprintf("%s/log", dir);
	int64_t tail = number(r, "tailLines", -1), since = number(r, "sinceSeconds", 0);
	struct stream *s = xalloc(sizeof(*s));

	*s = (struct stream){.k = k, .req = http_req_ref(r), .i = i, .attempt = attempt};
	s->uid = xstrdup(p->uid);
	s->path = xstrdup(path);
	s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	s->follow = flag(r, "follow");
	s->opts = (struct log_opts){.timestamps = flag(r, "timestamps"),
				    .limit_bytes = number(r, "limitBytes", -1)};
	if (since)
		s->opts.since_ns = loop_wall(k->loop) - since * NS_PER_S;
	else if (time_parse(http_query(&r->arena, r->query, "sinceTime"), &s->opts.since_ns))
		s->opts.since_ns = 0;
	open_stream(s, r);
	if (s->fd < 0) {
		finish(s);
		return;
	}
	if (tail >= 0) {
		struct stat st;
		s->at = tail > 0 ? tail_offset(s->fd, tail) : !fstat(s->fd, &st) ? st.st_size : 0;
	}
	pump(s);
}

static const char *why_waiting(const struct cont_obs *c)
{
	if (!strcmp(c->reason, "ErrImagePull"))
		return c->image.failures > 1 ? "trying and failing to pull image"
					     : "image can't be pulled";
	return *c->reason ? c->reason : "ContainerCreating";
}

void logs_serve(struct kubelet *k, struct http_req *r, struct str rest)
{
	struct str ns = STR_NONE, name = STR_NONE, container = STR_NONE;
	bool previous = flag(r, "previous");
	struct pod *p;

	(void)(str_next(&rest, '/', &ns) && str_next(&rest, '/', &name) &&
	       str_next(&rest, '/', &container));
	p = pod_named(k, ns, name);
	if (!p) {
		reply(r, 404,
		      arena_strf(&r->arena, "pod \"%.*s/%.*s\" not found on this node\n",
				 STR_ARG(ns), STR_ARG(name)));
		return;
	}
	for (size_t i = 0; i < p->spec.n; i++) {
		if (!str_eq(p->spec.c[i].name, container))
			continue;
		int attempt = previous ? p->cont[i].log_previous : p->cont[i].log;
		/* The one before: after an end and before the next start that is the last one. */
		if (previous && p->obs.c[i].state != CONT_RUNNING && p->cont[i].log >= 0 &&
		    p->obs.c[i].restarts)
			attempt = p->cont[i].log_previous >= 0 ? p->cont[i].log_previous
							       : p->cont[i].log;
		if (attempt >= 0) {
			start(k, r, p, i, attempt);
			return;
		}
		if (previous)
			reply(r, 400,
			      arena_strf(&r->arena,
					 "previous terminated container \"%.*s\" in pod \"%.*s\" "
					 "not found\n",
					 STR_ARG(container), STR_ARG(name)));
		else
			reply(r, 400,
			      arena_strf(&r->arena,
					 "container \"%.*s\" in pod \"%.*s\" is waiting to start: "
					 "%s\n",
					 STR_ARG(container), STR_ARG(name),
					 why_waiting(&p->obs.c[i])));
		return;
	}
	reply(r, 400,
	      arena_strf(&r->arena, "container %.*s is not valid for pod %.*s\n",
			 STR_ARG(container), STR_ARG(name)));
}
