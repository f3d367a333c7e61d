/*
 * Child processes. Between fork and exec only async-signal-safe calls run: everything is prepared
 * before. The child's end is seen through its pidfd, its errors before exec through a pipe that
 * exec closes. Belongs to the loop's thread.
 */
#include "lib/os/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/timefmt.h"

#define OUTPUT_DEFAULT (1u << 20)
#define FD_SAFE 64 /* descriptors are moved above this before they are put in place */

struct stream {
	struct proc *p;
	struct loop_fd w;
	struct buf *to;
};

struct proc {
	struct loop *loop;
	pid_t pid;
	struct loop_fd pidfd;
	struct stream out, err;
	struct loop_fd in;
	struct buf input;
	size_t input_at, max_output;
	struct loop_timer deadline;
	struct proc_result result;
	bool ended;
	void (*done)(void *arg, struct proc_result *r);
	void *arg;
};

/* What the child needs, laid out before fork. */
struct prep {
	const struct proc_opts *o;
	char *path;       /* argv[0] found in PATH */
	int in, out, err; /* its standard descriptors; -1 = ours */
	int fail;         /* pipe for errno before exec */
	pid_t parent;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* argv[0] as a path: looked up in PATH here, since the child must not allocate. */
static char *find_program(const char *name)
{
	struct str rest = str_c(getenv("PATH")), dir;

	if (strchr(name, '/'))
		return xstrdup(name);
	if (!rest.p)
		rest = STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	while (str_next(&rest, ':', &dir)) {
		char *path = xasprintf("%.*s/%s", STR_ARG(dir), name);
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* ---- in the child ---- */

NORETURN static void child_fail(const struct prep *p)
{
	int e = errno;
	ssize_t n = write(p->fail, &e, sizeof(e));

	(void)n;
	_exit(127);
}

static void child_hide_unified(const struct prep *p)
{
	/* Nothing but this is hidden from the others: mounts below a container's volume may be
	 * meant for them. */
	if (unshare(CLONE_NEWNS) || (mount(NULL, "/sys/fs/cgroup", NULL, MS_REC | MS_SLAVE, NULL) &&
				     mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)))
		child_fail(p);
	/* Not there on a pure v1 or v2 machine. */
	umount2("/sys/fs/cgroup/unified", MNT_DETACH);
}

static int above(const struct prep *p, int fd)
{
	int moved = fcntl(fd, F_DUPFD_CLOEXEC, FD_SAFE);

	if (moved < 0)
		child_fail(p);
	return moved;
}

static void place(const struct prep *p, int fd, int at)
{
	if (dup2(fd, at) < 0)
		child_fail(p);
}

static void child_fds(struct prep *p)
{
	const struct proc_opts *o = p->o;
	int std[3] = {p->in, p->out, p->err}, moved[16];
	unsigned keep = 2;

	/* First all out of the way, then into place: theirs may be another's ours. */
	for (int i = 0; i < 3; i++)
		std[i] = std[i] >= 0 ? above(p, std[i]) : -1;
	for (size_t i = 0; i < o->nfds; i++)
		moved[i] = above(p, o->fds[i].ours);
	p->fail = above(p, p->fail);
	for (int i = 0; i < 3; i++) {
		if (std[i] >= 0)
			place(p, std[i], i);
	}
	for (size_t i = 0; i < o->nfds; i++) {
		place(p, moved[i], o->fds[i].theirs);
		keep = MAX(keep, (unsigned)o->fds[i].theirs);
	}
	/* Holes between the given ones stay closed by O_CLOEXEC; everything above goes at exec too.
	 */
	syscall(SYS_close_range, keep + 1, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
}

NORETURN static void child(struct prep *p)
{
	const struct proc_opts *o = p->o;
	struct rlimit mem = {o->max_memory, o->max_memory};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (o->die_with_us && (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != p->parent))
		_exit(127);
	if (o->new_session)
		setsid();
	if (o->netns_fd >= 1 && setns(o->netns_fd, CLONE_NEWNET))
		child_fail(p);
	if (o->hide_unified)
		child_hide_unified(p);
	if (o->max_memory && setrlimit(RLIMIT_AS, &mem))
		child_fail(p);
	if (o->cwd && chdir(o->cwd))
		child_fail(p);
	child_fds(p);
	execve(p->path, (char *const *)(uintptr_t)o->argv,
	       o->env ? (char *const *)(uintptr_t)o->env : environ);
	child_fail(p);
}

/* ---- in the parent ---- */

static int run_child(struct prep *p, pid_t *ret_pid, int *ret_pidfd, struct err *err)
{
	int fail[2], e = 0;

	if (pipe2(fail, O_CLOEXEC))
		return err_sys(err, "pipe");
	p->fail = fail[1];
	p->parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		child(p);
	close(fail[1]);
	if (pid < 0) {
		close(fail[0]);
		return err_sys(err, "fork");
	}
	ssize_t n;
	while ((n = read(fail[0], &e, sizeof(e))) < 0 && errno == EINTR)
		;
	close(fail[0]);
	if (n == (ssize_t)sizeof(e)) {
		waitpid(pid, NULL, 0);
		errno = e;
		return err_sys(err, "start %s", p->o->argv[0]);
	}
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0) {
		err_sys(err, "pidfd of %s", p->o->argv[0]);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	*ret_pid = pid;
	*ret_pidfd = fd;
	return 0;
}

struct pipes {
	int in[2], out[2], err[2];
};

static void pipes_close(struct pipes *s)
{
	for (int i = 0; i < 2; i++) {
		close_fd(&s->in[i]);
		close_fd(&s->out[i]);
		close_fd(&s->err[i]);
	}
}

static int pipes_open(struct pipes *s, const struct proc_opts *o, struct err *err)
{
	*s = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
	if (o->in.p) {
		if (pipe2(s->in, O_CLOEXEC))
			return err_sys(err, "pipe");
	} else {
		s->in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (!o->inherit_output && (pipe2(s->out, O_CLOEXEC) || pipe2(s->err, O_CLOEXEC))) {
		err_sys(err, "pipe");
		pipes_close(s);
		return -1;
	}
	return 0;
}

static int start(const struct proc_opts *o, struct pipes *s, pid_t *ret_pid, int *ret_pidfd,
		 struct err *err)
{
	assert(o->nfds <= 16);
	AUTO(free) char *path = find_program(o->argv[0]);

	if (!path)
		return err_set(err, ERR_NOT_FOUND, "%s: no such program", o->argv[0]);
	if (pipes_open(s, o, err))
		return -1;
	struct prep p = {.o = o, .path = path, .in = s->in[0], .out = s->out[1], .err = s->err[1]};
	if (run_child(&p, ret_pid, ret_pidfd, err)) {
		pipes_close(s);
		return -1;
	}
	close_fd(&s->in[0]);
	close_fd(&s->out[1]);
	close_fd(&s->err[1]);
	return 0;
}

/* Reads what is there; true at the end of the stream. */
static bool drain(int fd, struct buf *to, size_t max, bool *cut)
{
	char chunk[16384];

	for (;;) {
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno != EAGAIN;
		if (n == 0)
			return true;
		size_t room = max > to->n ? max - to->n : 0;
		if ((size_t)n > room)
			*cut = true;
		buf_put(to, chunk, MIN((size_t)n, room));
	}
}

static void reap(pid_t pid, struct proc_result *r)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	r->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- on a loop ---- */

static void stream_close(struct stream *s)
{
	if (s->w.fd < 0)
		return;
	loop_fd_del(s->p->loop, &s->w);
	close_fd(&s->w.fd);
}

static void free_proc(struct proc *p)
{
	loop_timer_cancel(p->loop, &p->deadline);
	loop_fd_del(p->loop, &p->pidfd);
	close_fd(&p->pidfd.fd);
	loop_fd_del(p->loop, &p->in);
	close_fd(&p->in.fd);
	stream_close(&p->out);
	stream_close(&p->err);
	buf_wipe(&p->input);
	proc_result_release(&p->result);
	free(p);
}

static void maybe_done(struct proc *p)
{
	if (!p->ended)
		return;
	/* Grandchildren may hold the pipes open for ever: what was written by now is the output. */
	if (p->out.w.fd >= 0)
		drain(p->out.w.fd, &p->result.out, p->max_output, &p->result.cut);
	if (p->err.w.fd >= 0)
		drain(p->err.w.fd, &p->result.err, p->max_output, &p->result.cut);
	stream_close(&p->out);
	stream_close(&p->err);
	p->done(p->arg, &p->result);
	free_proc(p);
}

static void on_output(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct stream *s = CONTAINER_OF(w, struct stream, w);

	(void)l, (void)ready;
	if (drain(w->fd, s->to, s->p->max_output, &s->p->result.cut))
		stream_close(s);
}

static void on_end(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct proc *p = CONTAINER_OF(w, struct proc, pidfd);

	(void)l, (void)ready;
	reap(p->pid, &p->result);
	p->ended = true;
	loop_fd_del(p->loop, &p->pidfd);
	maybe_done(p);
}

static void on_input(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct proc *p = CONTAINER_OF(w, struct proc, in);
	ssize_t n = write(w->fd, p->input.p + p->input_at, p->input.n - p->input_at);

	(void)ready;
	if (n > 0)
		p->input_at += (size_t)n;
	if (p->input_at < p->input.n && (n > 0 || errno == EAGAIN || errno == EINTR))
		return;
	loop_fd_del(l, w);
	close_fd(&w->fd);
}

static void on_deadline(struct loop *l, struct loop_timer *t)
{
	struct proc *p = CONTAINER_OF(t, struct proc, deadline);

	(void)l;
	p->result.timed_out = true;
	proc_signal(p, SIGKILL);
}

static int watch(struct proc *p, struct loop_fd *w, int fd, uint32_t events, struct err *err)
{
	w->fd = fd;
	if (fd < 0)
		return 0;
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		return err_sys(err, "pipe");
	return loop_fd_set(p->loop, w, events, err);
}

struct proc *proc_start(struct loop *l, const struct proc_opts *o,
			void (*done)(void *arg, struct proc_result *r), void *arg, struct err *err)
{
	struct pipes s;
	pid_t pid;
	int pidfd;

	/* A child that ends before it reads its input must not end us. */
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	if (start(o, &s, &pid, &pidfd, err))
		return NULL;
	struct proc *p = xalloc(sizeof(*p));
	p->loop = l;
	p->pid = pid;
	p->done = done;
	p->arg = arg;
	p->max_output = o->max_output ? o->max_output : OUTPUT_DEFAULT;
	p->out = (struct stream){.p = p, .w = {.fn = on_output}, .to = &p->result.out};
	p->err = (struct stream){.p = p, .w = {.fn = on_output}, .to = &p->result.err};
	p->pidfd = (struct loop_fd){.fd = pidfd, .fn = on_end};
	p->in = (struct loop_fd){.fd = -1, .fn = on_input};
	if (o->in.p)
		buf_str(&p->input, o->in);
	p->out.w.fd = s.out[0];
	p->err.w.fd = s.err[0];
	p->in.fd = s.in[1];
	if (loop_fd_set(l, &p->pidfd, EPOLLIN, err) ||
	    watch(p, &p->out.w, s.out[0], EPOLLIN, err) ||
	    watch(p, &p->err.w, s.err[0], EPOLLIN, err) ||
	    watch(p, &p->in, s.in[1], EPOLLOUT, err)) {
		proc_cancel(p, true);
		return NULL;
	}
	if (o->timeout_ns)
		loop_timer_set(l, &p->deadline, o->timeout_ns, on_deadline);
	return p;
}

pid_t proc_pid(const struct proc *p)
{
	return p->pid;
}

void proc_signal(struct proc *p, int signo)
{
	syscall(SYS_pidfd_send_signal, p->pidfd.fd, signo, NULL, 0);
}

void proc_cancel(struct proc *p, bool kill_it)
{
	if (kill_it) {
		proc_signal(p, SIGKILL);
		reap(p->pid, &p->result);
	}
	free_proc(p);
}

void proc_result_release(struct proc_result *r)
{
	buf_release(&r->out);
	buf_release(&r->err);
}

/* ---- blocking ---- */

static int feed_and_read(const struct proc_opts *o, struct pipes *s, int pidfd, int64_t deadline_ns,
			 struct proc_result *r)
{
	size_t at = 0, max = o->max_output ? o->max_output : OUTPUT_DEFAULT;
	struct timespec ts;

	for (bool ended = false; !ended;) {
		struct pollfd p[] = {{s->out[0], POLLIN, 0},
				     {s->err[0], POLLIN, 0},
				     {s->in[1], POLLOUT, 0},
				     {pidfd, POLLIN, 0}};
		int ms = -1;
		if (deadline_ns) {
			clock_gettime(CLOCK_MONOTONIC, &ts);
			int64_t left = deadline_ns - (ts.tv_sec * NS_PER_S + ts.tv_nsec);
			if (left <= 0)
				return -1;
			ms = (int)MIN(left / NS_PER_MS + 1, INT64_C(1000000));
		}
		if (poll(p, ARRAY_LEN(p), ms) < 0 && errno != EINTR)
			return -1;
		if (p[2].revents) {
			ssize_t n = write(s->in[1], o->in.p + at, o->in.n - at);
			at += n > 0 ? (size_t)n : 0;
			if (n <= 0 || at == o->in.n)
				close_fd(&s->in[1]);
		}
		ended = p[3].revents != 0;
		if ((p[0].revents || ended) && s->out[0] >= 0 &&
		    drain(s->out[0], &r->out, max, &r->cut))
			close_fd(&s->out[0]);
		if ((p[1].revents || ended) && s->err[0] >= 0 &&
		    drain(s->err[0], &r->err, max, &r->cut))
			close_fd(&s->err[0]);
	}
	return 0;
}

int proc_run(const struct proc_opts *o, struct proc_result *ret, struct err *err)
{
	struct pipes s;
	struct timespec ts;
	pid_t pid;
	int pidfd, rc = 0;

	*ret = (struct proc_result){0};
	sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	if (start(o, &s, &pid, &pidfd, err))
		return -1;
	if (s.out[0] >= 0)
		fcntl(s.out[0], F_SETFL, O_NONBLOCK);
	if (s.err[0] >= 0)
		fcntl(s.err[0], F_SETFL, O_NONBLOCK);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t deadline = o->timeout_ns ? ts.tv_sec * NS_PER_S + ts.tv_nsec + o->timeout_ns : 0;
	if (feed_and_read(o, &s, pidfd, deadline, ret)) {
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		ret->timed_out = true;
		rc = err_set(err, ERR_TIMEOUT, "%s did not end in time", o->argv[0]);
	}
	reap(pid, ret);
	close(pidfd);
	pipes_close(&s);
	if (rc)
		proc_result_release(ret);
	return rc;
}

const char *proc_self(void)
{
	static char path[4096];

	if (!path[0]) {
		ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
		path[MAX(n, 0)] = 0;
		/* A program that was replaced while it runs is still there behind the link. */
		if (n <= 0 || access(path, X_OK))
			memcpy(path, "/proc/self/exe", sizeof("/proc/self/exe"));
	}
	return path;
}

/* ---- watching any process ---- */

struct proc_watch {
	struct loop *loop;
	struct loop_fd w;
	void (*fn)(void *arg);
	void *arg;
};

static void on_gone(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct proc_watch *p = CONTAINER_OF(w, struct proc_watch, w);

	(void)ready;
	loop_fd_del(l, w);
	p->fn(p->arg);
}

struct proc_watch *proc_watch_new(struct loop *l, pid_t pid, void (*fn)(void *arg), void *arg,
				  struct err *err)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0) {
		err_sys(err, "process %d", pid);
		return NULL;
	}
	struct proc_watch *p = xalloc(sizeof(*p));
	*p = (struct proc_watch){.loop = l, .w = {.fd = fd, .fn = on_gone}, .fn = fn, .arg = arg};
	if (loop_fd_set(l, &p->w, EPOLLIN, err)) {
		close(fd);
		free(p);
		return NULL;
	}
	return p;
}

void proc_watch_free(struct proc_watch *w)
{
	if (!w)
		return;
	loop_fd_del(w->loop, &w->w);
	close(w->w.fd);
	free(w);
}
