/*
 * The supervisor. A role that ends is started again: at once when it had run for a while, with a
 * growing pause when it keeps ending. A restart loses nothing, since all that lasts is in the
 * store, in git and in the container runtime. Logs of each role go to DIR/log/NAME.log.
 */
#include "cli/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"

#define LOG_MAX (INT64_C(32) << 20)
#define PAUSE_MIN (100 * NS_PER_MS)
#define PAUSE_MAX (5 * NS_PER_S)
#define STEADY (10 * NS_PER_S) /* a run this long resets the pause */

struct child {
	struct supervisor *s;
	struct child *next; /* in order of start */
	struct child *before;
	struct child_spec spec;
	struct proc *proc;
	int64_t started, pause;
	unsigned restarts, failures; /* failures: ends before it was ever ready */
	struct loop_timer timer;
	struct loop_fd ready_fd;
	void (*ready)(void *arg);
	void *arg;
};

struct supervisor {
	struct loop *loop;
	const struct datadir *dir;
	struct child *first, *last;
	struct child end;       /* stands behind the last one while stopping */
	struct child *stopping; /* NULL unless supervisor_stop was called */
	bool stopped;
	int64_t grace;
	void (*done)(void *arg);
	void *arg;
	void (*hopeless)(void *arg, const char *role, struct str said);
	void *hopeless_arg;
};

static void child_start(struct child *c);
static void stop_next(struct supervisor *s);

struct supervisor *supervisor_new(struct loop *l, const struct datadir *d)
{
	struct supervisor *s = xalloc(sizeof(*s));

	s->loop = l;
	s->dir = d;
	return s;
}

/* For tests and for `plumb status`: one line a role. */
static void write_roles(struct supervisor *s)
{
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	for (struct child *c = s->first; c; c = c->next)
		buf_printf(&out, "{\"name\":\"%s\",\"pid\":%d,\"restarts\":%u}\n", c->spec.name,
			   c->proc ? proc_pid(c->proc) : 0, c->restarts);
	if (fs_write(datadir_path(s->dir, "roles"), buf_view(&out), 0644, &err))
		log_warn("cannot write the list of roles", "error", err.msg);
}

static void drop_ready_fd(struct child *c)
{
	if (c->ready_fd.fd < 0)
		return;
	loop_fd_del(c->s->loop, &c->ready_fd);
	close(c->ready_fd.fd);
	c->ready_fd.fd = -1;
}

static void on_ready(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct child *c = CONTAINER_OF(w, struct child, ready_fd);
	void (*fn)(void *) = c->ready;
	char byte;

	(void)l, (void)ready;
	ssize_t n = read(w->fd, &byte, 1);
	drop_ready_fd(c);
	if (n != 1)
		return; /* it ended before it was ready */
	log_info("ready", "role", c->spec.name, "after_ms",
		 log_i64((loop_now(c->s->loop) - c->started) / NS_PER_MS));
	c->ready = NULL;
	if (fn)
		fn(c->arg);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	struct child *c = CONTAINER_OF(t, struct child, timer);

	(void)l;
	if (c->proc) { /* the grace of a stop is over */
		log_warn("does not stop, killing it", "role", c->spec.name);
		proc_signal(c->proc, SIGKILL);
		return;
	}
	c->restarts++;
	child_start(c);
}

void supervisor_on_hopeless(struct supervisor *s,
			    void (*fn)(void *arg, const char *role, struct str said), void *arg)
{
	s->hopeless = fn;
	s->hopeless_arg = arg;
}

/* The end of a role's log: why it ended, in most cases. */
static struct str last_words(const struct child *c, struct buf *text)
{
	AUTO(fd)
	int fd = open(datadir_path(c->s->dir, "log/%s.log", c->spec.name),
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct str said, before;
	char tail[1024];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return STR_NONE;
	n = pread(fd, tail, sizeof(tail), MAX(st.st_size - (off_t)sizeof(tail), 0));
	buf_put(text, tail, n > 0 ? (size_t)n : 0);
	said = str_trim(buf_view(text));
	return str_rcut(said, '\n', &before, &said) ? said : str_trim(buf_view(text));
}

static void on_end(void *arg, struct proc_result *r)
{
	AUTO(buf) struct buf text = {0};
	struct str said;
	struct child *c = arg;
	struct supervisor *s = c->s;

	c->proc = NULL;
	loop_timer_cancel(s->loop, &c->timer);
	drop_ready_fd(c);
	if (s->stopping) {
		if (s->stopping == c)
			stop_next(s);
		return;
	}
	if (loop_now(s->loop) - c->started > STEADY)
		c->pause = 0;
	said = last_words(c, &text);
	log_warn("ended, starting it again", "role", c->spec.name, "status", log_i64(r->status),
		 "in_ms", log_i64(c->pause / NS_PER_MS), "said", log_fmt("%.*s", STR_ARG(said)));
	if (c->ready && ++c->failures == 3 && s->hopeless)
		s->hopeless(s->hopeless_arg, c->spec.name, said);
	if (s->stopping)
		return;
	loop_timer_set(s->loop, &c->timer, c->pause, on_timer);
	c->pause = c->pause ? MIN(c->pause * 2, PAUSE_MAX) : PAUSE_MIN;
}

static int open_log(struct child *c)
{
	const char *path = datadir_path(c->s->dir, "log/%s.log", c->spec.name);
	struct stat st;

	if (!stat(path, &st) && st.st_size > LOG_MAX)
		rename(path, datadir_path(c->s->dir, "log/%s.log.1", c->spec.name));
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* The environment with PLUMB_READY_FD added; strings are borrowed. */
static const char **child_env(char *ready)
{
	size_t n = 0;

	while (environ[n])
		n++;
	const char **env = xreallocarray(NULL, n + 2, sizeof(*env));
	for (size_t i = 0; i < n; i++)
		env[i] = environ[i];
	env[n] = ready;
	env[n + 1] = NULL;
	return env;
}

static void child_start(struct child *c)
{
	struct err err = {0};
	int pipefd[2] = {-1, -1};
	char ready[] = "PLUMB_READY_FD=3";
	const char *argv[CHILD_ARGS_MAX + 1] = {proc_self()};
	int log = open_log(c);

	for (size_t i = 0; i + 1 < CHILD_ARGS_MAX && c->spec.argv[i]; i++)
		argv[i + 1] = c->spec.argv[i];
	if (log < 0 || pipe2(pipefd, O_CLOEXEC))
		panic("cannot start %s: %s", c->spec.name, strerror(errno));
	struct proc_fd fds[] = {{log, 1}, {log, 2}, {pipefd[1], 3}};
	const char **env = child_env(ready);
	struct proc_opts o = {
		.argv = argv,
		.env = env,
		.fds = fds,
		.nfds = ARRAY_LEN(fds),
		.netns_fd = c->spec.netns_fd,
		.die_with_us = true,
		.new_session = true,
	};
	c->started = loop_now(c->s->loop);
	c->proc = proc_start(c->s->loop, &o, on_end, c, &err);
	free(env);
	close(log);
	close(pipefd[1]);
	c->ready_fd = (struct loop_fd){.fd = pipefd[0], .fn = on_ready};
	if (!c->proc || loop_fd_set(c->s->loop, &c->ready_fd, EPOLLIN, &err)) {
		log_error("cannot start", "role", c->spec.name, "error", err.msg);
		if (!c->proc)
			loop_timer_set(c->s->loop, &c->timer, PAUSE_MAX, on_timer);
	}
	write_roles(c->s);
}

void supervisor_add(struct supervisor *s, const struct child_spec *spec, void (*ready)(void *arg),
		    void *arg)
{
	struct child *c = xalloc(sizeof(*c));

	c->s = s;
	c->spec = *spec;
	c->ready = ready;
	c->arg = arg;
	c->ready_fd.fd = -1;
	c->before = s->last;
	if (s->last)
		s->last->next = c;
	else
		s->first = c;
	s->last = c;
	child_start(c);
}

void supervisor_restart(struct supervisor *s)
{
	for (struct child *c = s->first; c && !s->stopping; c = c->next)
		if (c->proc)
			proc_signal(c->proc, SIGTERM);
}

/* Stops s->stopping's predecessors one after the other, then says done. */
static void stop_next(struct supervisor *s)
{
	struct child *c = s->stopped ? NULL : s->stopping->before;

	while (c && !c->proc) {
		loop_timer_cancel(s->loop, &c->timer);
		c = c->before;
	}
	if (!c) {
		s->stopped = true;
		s->done(s->arg);
		return;
	}
	s->stopping = c;
	proc_signal(c->proc, SIGTERM);
	loop_timer_set(s->loop, &c->timer, s->grace, on_timer);
}

void supervisor_stop(struct supervisor *s, int64_t grace_ns, void (*done)(void *arg), void *arg)
{
	if (s->stopping)
		return;
	s->grace = grace_ns;
	s->done = done;
	s->arg = arg;
	s->end.before = s->last;
	s->stopping = &s->end;
	stop_next(s);
}

void supervisor_free(struct supervisor *s)
{
	for (struct child *c = s ? s->first : NULL, *next; c; c = next) {
		next = c->next;
		loop_timer_cancel(s->loop, &c->timer);
		drop_ready_fd(c);
		if (c->proc)
			proc_cancel(c->proc, true);
		free(c);
	}
	free(s);
}
