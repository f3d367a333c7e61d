/*
 * kubectl exec: a process inside a container, its streams those of struct streams. Must never
 * buffer without bound: a slow client holds the process back, a slow process its client. A client
 * that leaves takes its process with it. On the kubelet's loop; a session ends with its process or
 * its client, whichever is first.
 */
#include "kubelet/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kubelet/streams.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define COMMAND_MAX 1000
#define STDIN_HIGH (1 << 20)
#define CONFIG_MAX (4 << 20)
#define CHUNK 32768
#define KILL_AGAIN_NS (20 * NS_PER_MS)
#define KILL_TRIES 250

struct session;
struct channel {
	struct session *s;
	struct loop_fd w;
	enum stream_kind kind;
};

struct session {
	struct kubelet *k;
	struct streams *st;
	struct channel out, err, in;
	struct buf to_stdin;
	struct proc *proc;
	struct loop_timer timer; /* on_leave */
	unsigned tries;
	struct winsize size; /* as last told; 0 = not yet */
	char *id, *file, *pid_file;
	bool tty, want_in, in_ends;
};

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
	loop_timer_cancel(s->k->loop, &s->timer);
	if (s->proc)
		proc_cancel(s->proc, true);
	channel_close(&s->in);
	channel_close(&s->out);
	channel_close(&s->err);
	if (s->file)
		unlink(s->file);
	if (s->pid_file)
		unlink(s->pid_file);
	buf_wipe(&s->to_stdin);
	free(s->id);
	free(s->file);
	free(s->pid_file);
	free(s);
}

/*
 * Killing the runtime's process would leave the one that it started inside running. Its number
 * can't be another's yet: the runtime, which would have to have waited for it, still runs. False
 * when it is not known yet.
 */
static bool kill_inside(const struct session *s)
{
	AUTO(buf) struct buf text = {0};
	int64_t pid;

	if (fs_read(s->pid_file, 64, &text, NULL) || str_to_i64(str_trim(buf_view(&text)), &pid) ||
	    pid <= 1 || pid > INT32_MAX)
		return false;
	if (getpgid((pid_t)pid) == (pid_t)pid)
		(void)!killpg((pid_t)pid, SIGKILL);
	else
		(void)!kill((pid_t)pid, SIGKILL);
	return true;
}

static void on_leave(struct loop *l, struct loop_timer *t)
{
	struct session *s = CONTAINER_OF(t, struct session, timer);

	if (!s->proc || kill_inside(s) || ++s->tries > KILL_TRIES)
		session_free(s);
	else
		loop_timer_set(l, t, KILL_AGAIN_NS, on_leave);
}

/* The client left: its process goes too, as soon as it is known which one it is. */
static void on_gone(void *arg)
{
	struct session *s = arg;

	s->st = NULL;
	channel_close(&s->in);
	channel_close(&s->out);
	channel_close(&s->err);
	on_leave(s->k->loop, &s->timer);
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
	streams_send(c->s->st, c->kind, (struct str){chunk, (size_t)n});
	return true;
}

static void on_output(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct channel *c = CONTAINER_OF(w, struct channel, w);

	(void)ready;
	if (!pass_some(c))
		channel_close(c);
	else if (streams_full(c->s->st))
		loop_fd_del(l, w); /* until on_drained */
}

static void on_drained(void *arg)
{
	struct session *s = arg;
	struct channel *list[] = {&s->out, &s->err};

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		if (list[i]->w.fd >= 0)
			(void)!loop_fd_set(s->k->loop, &list[i]->w, EPOLLIN, NULL);
	}
}

/* What a pipe still holds is bounded by the kernel. */
static void drain_to_end(struct channel *c)
{
	char chunk[CHUNK];
	ssize_t n;

	while (c->w.fd >= 0 && (n = read(c->w.fd, chunk, sizeof(chunk))) > 0)
		streams_send(c->s->st, c->kind, (struct str){chunk, (size_t)n});
}

static void on_end(void *arg, struct proc_result *r)
{
	struct session *s = arg;

	s->proc = NULL;
	drain_to_end(&s->out);
	drain_to_end(&s->err);
	if (s->st)
		streams_exit(s->st, r->status);
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
		buf_reset(&s->to_stdin);
		streams_pause(s->st, false);
		channel_close(c);
		return;
	}
	if (n > 0)
		buf_consume(&s->to_stdin, (size_t)n);
	if (s->to_stdin.n)
		return;
	streams_pause(s->st, false);
	loop_fd_del(l, w);
	if (s->in_ends && !s->tty)
		channel_close(c);
}

/* Before the process is there it waits in the buffer. */
static void feed(struct session *s)
{
	if (s->to_stdin.n > STDIN_HIGH)
		streams_pause(s->st, true);
	if (s->in.w.fd >= 0)
		(void)!loop_fd_set(s->k->loop, &s->in.w, EPOLLOUT, NULL);
}

static void on_input(void *arg, struct str data)
{
	struct session *s = arg;

	if (s->proc && s->in.w.fd < 0)
		return; /* it has closed its input */
	buf_str(&s->to_stdin, data);
	feed(s);
}

static void on_input_ended(void *arg)
{
	struct session *s = arg;

	s->in_ends = true;
	feed(s);
}

static void set_size(struct session *s)
{
	if (s->tty && s->out.w.fd >= 0 && s->size.ws_col)
		(void)!ioctl(s->out.w.fd, TIOCSWINSZ, &s->size);
}

static void on_resized(void *arg, unsigned short cols, unsigned short rows)
{
	struct session *s = arg;

	s->size = (struct winsize){.ws_col = cols, .ws_row = rows};
	set_size(s);
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
	s->pid_file = xasprintf("%s.pid", s->file);
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
	const char *argv[] = {rt->program, "--root",     rt->root,    "exec", "--process",
			      s->file,     "--pid-file", s->pid_file, s->id,  NULL};
	int rc = open_streams(s, theirs, err);

	set_size(s);
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

static void on_ready(void *arg)
{
	struct session *s = arg;
	struct err err = {0};

	if (!start(s, &err)) {
		if (s->to_stdin.n || s->in_ends)
			feed(s);
		return;
	}
	streams_fail(s->st, err.msg);
	session_free(s);
}

static const struct streams_ops streams_ops = {on_ready,   on_input,   on_input_ended,
					       on_resized, on_drained, on_gone};

static void reply(struct http_req *r, int status, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = "text/plain"},
			 text);
}

struct attempt *exec_find(struct kubelet *k, struct http_req *r, struct str rest)
{
	struct str ns = STR_NONE, name = STR_NONE, container = STR_NONE;
	struct pod *p;

	(void)(str_next(&rest, '/', &ns) && str_next(&rest, '/', &name) &&
	       str_next(&rest, '/', &container));
	p = pod_named(k, ns, name);
	for (size_t i = 0; p && i < p->spec.n; i++) {
		if (str_eq(p->spec.c[i].name, container) && p->obs.c[i].state == CONT_RUNNING &&
		    p->cont[i].now)
			return p->cont[i].now;
	}
	reply(r, 404, arena_strf(&r->arena, "container not found (\"%.*s\")", STR_ARG(container)));
	return NULL;
}

void exec_serve(struct kubelet *k, struct http_req *r, struct str rest)
{
	struct json *command = json_new(&r->arena, JSON_ARRAY);
	struct streams_want want = streams_wanted(r);
	struct attempt *at;
	struct str word;
	size_t pos = 0;
	struct err err = {0};

	while ((word = http_query_next(&r->arena, r->query, "command", &pos)).p &&
	       json_len(command) < COMMAND_MAX)
		json_append_str(&r->arena, command, word);
	if (!json_len(command)) {
		reply(r, 400, STR("you must specify a command"));
		return;
	}
	at = exec_find(k, r, rest);
	if (!at)
		return;
	struct session *s = xalloc(sizeof(*s));
	*s = (struct session){.k = k, .id = xstrdup(at->id), .tty = want.tty, .want_in = want.in};
	s->in = (struct channel){s, {.fd = -1, .fn = on_writable}, STREAM_IN};
	s->out = (struct channel){s, {.fd = -1, .fn = on_output}, STREAM_OUT};
	s->err = (struct channel){s, {.fd = -1, .fn = on_output}, STREAM_ERR};
	if (write_process(s, at, command, &err))
		reply(r, 500, str_c(err.msg));
	else
		s->st = streams_accept(k->loop, r, want, &streams_ops, s);
	if (!s->st)
		session_free(s);
}
