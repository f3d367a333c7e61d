/*
 * kubectl exec: a process inside a container, its streams as channels of a WebSocket: 0 in, 1 out,
 * 2 errors, 3 how it ended, 4 the terminal's size, 255 (v5) the end of a channel. Must never buffer
 * without bound: a slow client holds the process back. On the kubelet's loop; a session ends with
 * its process or its client.
 */
#include "kubelet/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pty.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kubelet/websocket_core.h"
#include "lib/base/codec.h"
#include "lib/os/fs.h"

#define COMMAND_MAX 1000
#define STDIN_MAX (4 << 20)
#define CONFIG_MAX (4 << 20)
#define CHUNK 32768

struct session;
struct channel {
	struct session *s;
	struct loop_fd w;
	int number;
};

struct session {
	struct kubelet *k;
	struct http_upgraded up;
	struct channel out, err, in;
	struct buf received, to_stdin;
	struct proc *proc;
	struct loop_timer start;
	char *id, *file;
	bool tty, want_in, in_ends, open;
};

static void reply(struct http_req *r, int status, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 text);
}

static void channel_close(struct channel *c)
{
	if (c->w.fd < 0)
		return;
	loop_fd_del(c->s->k->loop, &c->w);
	close(c->w.fd);
	c->w.fd = -1;
}

static void session_free(struct session *s)
{
	loop_timer_cancel(s->k->loop, &s->start);
	if (s->proc)
		proc_cancel(s->proc, true);
	channel_close(&s->in);
	channel_close(&s->out);
	channel_close(&s->err);
	if (s->file)
		unlink(s->file);
	if (s->open)
		http_upgraded_close(&s->up);
	buf_wipe(&s->received);
	buf_wipe(&s->to_stdin);
	free(s->id);
	free(s->file);
	free(s);
}

static void tell(struct session *s, enum ws_opcode opcode, int channel, struct str data)
{
	AUTO(buf) struct buf frame = {0};

	ws_put(&frame, opcode, channel, data);
	if (s->open)
		(void)!http_upgraded_write(&s->up, buf_view(&frame));
}

/* ---- from the process ---- */

/* False at its end. */
static bool pass_some(struct channel *c)
{
	char chunk[CHUNK];
	ssize_t n = read(c->w.fd, chunk, sizeof(chunk));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	tell(c->s, WS_BINARY, c->number, (struct str){chunk, (size_t)n});
	return true;
}

static void on_output(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct channel *c = CONTAINER_OF(w, struct channel, w);

	(void)ready;
	if (!pass_some(c))
		channel_close(c);
	else if (http_upgraded_backlog(&c->s->up) > HTTP_BACKLOG_HIGH)
		loop_fd_del(l, w); /* until on_drain */
}

static void on_drain(struct http_upgraded *u)
{
	struct session *s = u->user;
	struct channel *list[] = {&s->out, &s->err};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		if (list[i]->w.fd >= 0)
			(void)!loop_fd_set(s->k->loop, &list[i]->w, EPOLLIN, NULL);
	}
}

static void drain_to_end(struct channel *c)
{
	char chunk[CHUNK];
	ssize_t n;

	while (c->w.fd >= 0 && (n = read(c->w.fd, chunk, sizeof(chunk))) > 0)
		tell(c->s, WS_BINARY, c->number, (struct str){chunk, (size_t)n});
}

static void tell_end(struct session *s, int status)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct json *v =
		json_build(&a, "{s:{}, s:s}", "metadata", "status", status ? "Failure" : "Success");

	if (status) {
		char *code = arena_printf(&a, "%d", status);
		json_set_str(&a, v, "reason", STR("NonZeroExitCode"));
		json_set_str(
			&a, v, "message",
			arena_strf(&a, "command terminated with non-zero exit code: exit status %d",
				   status));
		json_set(&a, v, STR("details"),
			 json_build(&a, "{s:[{s:s, s:s}]}", "causes", "reason", "ExitCode",
				    "message", code));
	}
	json_write(v, &text);
	tell(s, WS_BINARY, 3, buf_view(&text));
	tell(s, WS_CLOSE, -1, STR("\x03\xe8"));
}

static void on_end(void *arg, struct proc_result *r)
{
	struct session *s = arg;

	s->proc = NULL;
	drain_to_end(&s->out);
	drain_to_end(&s->err);
	tell_end(s, r->status);
	session_free(s);
}

/* ---- to the process ---- */

static void on_writable(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct channel *c = CONTAINER_OF(w, struct channel, w);
	struct session *s = c->s;
	ssize_t n = write(w->fd, s->to_stdin.p, s->to_stdin.n);

	(void)ready;
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		channel_close(c);
		return;
	}
	if (n > 0)
		buf_consume(&s->to_stdin, (size_t)n);
	if (s->to_stdin.n)
		return;
	http_upgraded_pause(&s->up, false);
	loop_fd_del(l, w);
	if (s->in_ends && !s->tty)
		channel_close(c);
}

static void feed(struct session *s, struct str data)
{
	if (s->in.w.fd < 0)
		return;
	buf_str(&s->to_stdin, data);
	if (s->to_stdin.n > STDIN_MAX / 2)
		http_upgraded_pause(&s->up, true);
	(void)!loop_fd_set(s->k->loop, &s->in.w, EPOLLOUT, NULL);
}

static void resize(struct session *s, struct str text)
{
	AUTO(arena) struct arena a = {0};
	const struct json *v = json_parse(&a, text, NULL, &(struct err){0});
	struct winsize size = {.ws_col = (unsigned short)json_int(json_at(v, "Width"), 80),
			       .ws_row = (unsigned short)json_int(json_at(v, "Height"), 24)};

	if (s->tty && s->out.w.fd >= 0)
		(void)!ioctl(s->out.w.fd, TIOCSWINSZ, &size);
}

static void on_message(struct session *s, struct str m)
{
	unsigned char channel = m.n ? (unsigned char)m.p[0] : 254;
	struct str data = str_sub(m, 1, m.n);

	if (channel == 0) {
		feed(s, data);
	} else if (channel == 4) {
		resize(s, data);
	} else if (channel == 255 && data.n == 1 && data.p[0] == 0) {
		s->in_ends = true;
		feed(s, STR(""));
	}
}

static void on_data(struct http_upgraded *u, struct str data)
{
	struct session *s = u->user;
	struct ws_frame f;
	size_t at = 0, n;

	if (!data.n) {
		s->open = false;
		session_free(s);
		return;
	}
	buf_str(&s->received, data);
	while ((n = ws_parse(s->received.p + at, s->received.n - at, &f)) && n != WS_BROKEN) {
		at += n;
		if (f.opcode == WS_PING)
			tell(s, WS_PONG, -1, f.payload);
		else if (f.opcode == WS_CLOSE)
			n = WS_BROKEN;
		else if (f.opcode == WS_BINARY || f.opcode == WS_TEXT)
			on_message(s, f.payload);
		if (n == WS_BROKEN)
			break;
	}
	if (n == WS_BROKEN) {
		session_free(s);
		return;
	}
	buf_consume(&s->received, at);
}

/* ---- starting ---- */

static int write_process(struct session *s, const struct attempt *at, const struct json *command,
			 struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0}, out = {0};
	AUTO(free) char *path = xasprintf("%s/config.json", at->dir);
	static unsigned count;

	if (fs_read(path, CONFIG_MAX, &text, err))
		return -1;
	struct json *process = json_get(json_parse(&a, buf_view(&text), NULL, err), STR("process"));
	if (!json_is(process, JSON_OBJECT))
		return err_set(err, ERR_CORRUPT, "the container's configuration is damaged");
	json_set(&a, process, STR("args"), command);
	json_set_bool(&a, process, "terminal", s->tty);
	json_write(process, &out);
	s->file = xasprintf("%s/exec-%d-s%u", s->k->rt.config, (int)getpid(), ++count);
	return write_quick(s->file, buf_view(&out), 0600, err);
}

static int watch(struct channel *c, int fd, uint32_t events, struct err *err)
{
	c->w.fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		return err_sys(err, "pipe");
	return events ? loop_fd_set(c->s->k->loop, &c->w, events, err) : 0;
}

static int open_streams(struct session *s, int theirs[3], struct err *err)
{
	int in[2], out[2], errs[2];

	if (s->tty) {
		int master, slave;
		if (openpty(&master, &slave, NULL, NULL, NULL))
			return err_sys(err, "make a terminal");
		(void)fcntl(master, F_SETFD, FD_CLOEXEC);
		(void)fcntl(slave, F_SETFD, FD_CLOEXEC);
		theirs[0] = slave;
		theirs[1] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
		theirs[2] = fcntl(slave, F_DUPFD_CLOEXEC, 3);
		int again = fcntl(master, F_DUPFD_CLOEXEC, 3);
		return watch(&s->out, master, EPOLLIN, err) || watch(&s->in, again, 0, err) ? -1
											    : 0;
	}
	if (pipe2(in, O_CLOEXEC))
		return err_sys(err, "pipe");
	theirs[0] = in[0];
	s->in.w.fd = in[1];
	if (pipe2(out, O_CLOEXEC))
		return err_sys(err, "pipe");
	theirs[1] = out[1];
	s->out.w.fd = out[0];
	if (pipe2(errs, O_CLOEXEC))
		return err_sys(err, "pipe");
	theirs[2] = errs[1];
	if (watch(&s->err, errs[0], EPOLLIN, err) || watch(&s->out, out[0], EPOLLIN, err) ||
	    watch(&s->in, in[1], 0, err))
		return -1;
	if (!s->want_in)
		channel_close(&s->in);
	return 0;
}

static int start(struct session *s, struct err *err)
{
	struct runtime *rt = &s->k->rt;
	int theirs[3] = {-1, -1, -1};
	const char *argv[] = {rt->program, "--root", rt->root, "exec",
			      "--process", s->file,  s->id,    NULL};
	int rc = open_streams(s, theirs, err);

	if (!rc) {
		struct proc_fd fds[3] = {{theirs[0], 0}, {theirs[1], 1}, {theirs[2], 2}};
		struct proc_opts o = {.argv = argv,
				      .fds = fds,
				      .nfds = 3,
				      .inherit_output = true,
				      .hide_unified = rt->hide_unified,
				      .new_session = s->tty};
		s->proc = proc_start(s->k->loop, &o, on_end, s, err);
		rc = s->proc ? 0 : -1;
	}
	for (int i = 0; i < 3; i++)
		fd_cleanup(&theirs[i]);
	return rc;
}

/* In a turn after the upgrade was answered. */
static void on_start(struct loop *l, struct loop_timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, start);
	struct err err = {0};

	(void)l;
	if (!start(s, &err))
		return;
	tell(s, WS_BINARY, 2, str_c(err.msg));
	tell_end(s, 126);
	session_free(s);
}

static const char *protocol(struct http_req *r)
{
	static const char *const known[] = {"v5.channel.k8s.io", "v4.channel.k8s.io"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (http_header_has(&r->headers, "Sec-WebSocket-Protocol", known[i]))
			return known[i];
	}
	return NULL;
}

static void upgrade(struct session *s, struct http_req *r, const char *proto)
{
	AUTO(buf) struct buf accept = {0};
	struct str key = arena_strf(&r->arena, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
				    STR_ARG(http_header(&r->headers, "Sec-WebSocket-Key")));
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	(void)!EVP_Digest(key.p, key.n, hash, &n, EVP_sha1(), NULL);
	base64_encode((struct str){(const char *)hash, n}, &accept);
	struct http_header heads[] = {{STR("Upgrade"), STR("websocket")},
				      {STR("Connection"), STR("Upgrade")},
				      {STR("Sec-WebSocket-Accept"), buf_view(&accept)},
				      {STR("Sec-WebSocket-Protocol"), str_c(proto)}};
	s->up = (struct http_upgraded){.user = s, .on_data = on_data, .on_drain = on_drain};
	s->open = true;
	http_upgrade(
		r,
		&(struct http_reply){.status = 101, .headers = heads, .nheaders = ARRAY_LEN(heads)},
		&s->up);
	loop_timer_set(s->k->loop, &s->start, 0, on_start);
}

static bool flag(struct http_req *r, const char *name)
{
	struct str s = http_query(&r->arena, r->query, name);

	return str_is(s, "true") || str_is(s, "1");
}

static struct attempt *find_running(struct kubelet *k, struct str rest)
{
	struct str ns = STR_NONE, name = STR_NONE, container = STR_NONE;
	struct map_iter it = {0};

	(void)(str_next(&rest, '/', &ns) && str_next(&rest, '/', &name) &&
	       str_next(&rest, '/', &container));
	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (!str_eq(p->spec.namespace, ns) || !str_eq(p->spec.name, name))
			continue;
		for (size_t i = 0; i < p->spec.n; i++) {
			if (str_eq(p->spec.c[i].name, container) &&
			    p->obs.c[i].state == CONT_RUNNING)
				return p->cont[i].now;
		}
	}
	return NULL;
}

void exec_serve(struct kubelet *k, struct http_req *r, struct str rest)
{
	struct attempt *at = find_running(k, rest);
	const char *proto = protocol(r);
	struct json *command = json_new(&r->arena, JSON_ARRAY);
	struct str word;
	size_t pos = 0;
	struct err err = {0};

	while ((word = http_query_next(&r->arena, r->query, "command", &pos)).p &&
	       json_len(command) < COMMAND_MAX)
		json_append_str(&r->arena, command, word);
	if (!http_header_has(&r->headers, "Upgrade", "websocket") || !proto) {
		reply(r, 400,
		      STR("exec speaks WebSocket, v5.channel.k8s.io or v4.channel.k8s.io\n"));
		return;
	}
	if (!at || !json_len(command)) {
		reply(r, at ? 400 : 404,
		      at ? STR("no command\n") : STR("container not found or not running\n"));
		return;
	}
	struct session *s = xalloc(sizeof(*s));
	*s = (struct session){
		.k = k, .id = xstrdup(at->id), .tty = flag(r, "tty"), .want_in = flag(r, "stdin")};
	s->in = (struct channel){s, {.fd = -1, .fn = on_writable}, 0};
	s->out = (struct channel){s, {.fd = -1, .fn = on_output}, 1};
	s->err = (struct channel){s, {.fd = -1, .fn = on_output}, 2};
	if (write_process(s, at, command, &err)) {
		reply(r, 500, str_c(err.msg));
		session_free(s);
		return;
	}
	upgrade(s, r, proto);
}
