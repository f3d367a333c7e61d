/*
 * conmon and the OCI runtime. Must never wait: every step is a child process whose end comes as an
 * event. Must never signal a process that it has not recognised: a pid from disk counts only when
 * the start time that the kernel tells is the one that was written down. Runs on the kubelet's
 * loop; owns struct run from start to gone.
 */
#include "kubelet/runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kubelet/runtime/rootfs.h"
#include "lib/base/timefmt.h"
#include "lib/json/json.h"
#include "lib/os/fs.h"

#define SYNC_MAX 65536
#define CREATE_TIMEOUT_NS (120 * NS_PER_S)
#define DELETE_TRIES 5
#define LOG_BYTES_MAX "52428800"

enum run_state { RUN_CREATING, RUN_STARTING, RUN_RUNNING, RUN_DELETING };

struct run {
	struct runtime *rt;
	enum run_state state;
	char *dir, *id;
	pid_t pid;
	int pidfd;
	struct proc *proc;   /* conmon's first process, start, delete */
	struct loop_fd sync; /* what conmon says of create */
	struct buf said;
	struct loop_timer timer;
	struct proc_watch *monitor;
	bool silent; /* run_clear: only gone is told */
	unsigned delete_tries;
	struct run_ops ops;
	void *arg;
};

/* ---- files ---- */

static char *file_of(const struct run *c, const char *name)
{
	return xasprintf("%s/%s", c->dir, name);
}

static pid_t read_pid(const struct run *c, const char *name)
{
	AUTO(free) char *path = file_of(c, name);
	AUTO(buf) struct buf text = {0};
	int64_t pid;

	if (fs_read(path, 64, &text, NULL) || str_to_i64(str_trim(buf_view(&text)), &pid) ||
	    pid <= 1 || pid > INT32_MAX)
		return 0;
	return (pid_t)pid;
}

/* Field 22 of /proc/PID/stat: tells one process from a later one of the same number. */
static int64_t start_time(pid_t pid)
{
	AUTO(buf) struct buf text = {0};
	char path[64];
	struct str rest, field, comm;
	int64_t t;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (fs_read(path, 4096, &text, NULL) || !str_rcut(buf_view(&text), ')', &comm, &rest))
		return -1;
	rest = str_trim(rest);
	for (int i = 3; i <= 22; i++) {
		if (!str_next(&rest, ' ', &field))
			return -1;
	}
	return str_to_i64(field, &t) ? -1 : t;
}

/* Without fsync: what a power cut loses has lost its container too. */
static void note_start(const struct run *c)
{
	AUTO(free) char *path = file_of(c, "start");
	char text[64];
	int n = snprintf(text, sizeof(text), "%lld\n", (long long)start_time(c->pid));
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!write(fd, text, (size_t)n);
}

static bool same_process(const struct run *c)
{
	AUTO(free) char *path = file_of(c, "start");
	AUTO(buf) struct buf text = {0};
	int64_t t;

	return !fs_read(path, 64, &text, NULL) && !str_to_i64(str_trim(buf_view(&text)), &t) &&
	       t >= 0 && t == start_time(c->pid);
}

/* ---- its life ---- */

static struct run *run_new(struct runtime *r, const char *dir, const char *id,
			   const struct run_ops *ops, void *arg)
{
	struct run *c = xalloc(sizeof(*c));

	*c = (struct run){.rt = r, .pidfd = -1, .ops = *ops, .arg = arg};
	c->dir = xstrdup(dir);
	c->id = xstrdup(id);
	c->sync.fd = -1;
	return c;
}

static void close_sync(struct run *c)
{
	if (c->sync.fd < 0)
		return;
	loop_fd_del(c->rt->loop, &c->sync);
	fd_cleanup(&c->sync.fd);
	c->sync.fd = -1;
}

void run_forget(struct run *c)
{
	if (!c)
		return;
	close_sync(c);
	loop_timer_cancel(c->rt->loop, &c->timer);
	if (c->monitor)
		proc_watch_free(c->monitor);
	if (c->proc)
		proc_cancel(c->proc, false);
	fd_cleanup(&c->pidfd);
	buf_release(&c->said);
	free(c->dir);
	free(c->id);
	free(c);
}

static void start_delete(struct run *c);

static void on_delete_again(struct loop *l, struct loop_timer *t)
{
	(void)l;
	start_delete(CONTAINER_OF(t, struct run, timer));
}

static void gone(struct run *c)
{
	struct run_ops ops = c->ops;
	void *arg = c->arg;

	(void)!rootfs_unmount(c->dir, NULL);
	runtime_config_drop(c->rt, c->id);
	run_forget(c);
	ops.gone(arg);
}

static void on_deleted(void *arg, struct proc_result *r)
{
	struct run *c = arg;

	c->proc = NULL;
	/* A cgroup that is still being emptied makes it fail; later it succeeds. */
	if (r->status && ++c->delete_tries < DELETE_TRIES) {
		loop_timer_set(c->rt->loop, &c->timer, c->delete_tries * 50 * NS_PER_MS,
			       on_delete_again);
		return;
	}
	gone(c);
}

static void on_gone_later(struct loop *l, struct loop_timer *t)
{
	(void)l;
	gone(CONTAINER_OF(t, struct run, timer));
}

static void start_delete(struct run *c)
{
	const char *argv[] = {c->rt->program, "--root", c->rt->root, "delete",
			      "--force",      c->id,    NULL};
	struct proc_opts o = {
		.argv = argv, .hide_unified = c->rt->hide_unified, .timeout_ns = 30 * NS_PER_S};
	AUTO(free) char *state = xasprintf("%s/%s", c->rt->root, c->id);

	c->state = RUN_DELETING;
	if (fs_exists(state))
		c->proc = proc_start(c->rt->loop, &o, on_deleted, c, NULL);
	if (!c->proc)
		loop_timer_set(c->rt->loop, &c->timer, 0, on_gone_later);
}

static void failed(struct run *c, bool created, const char *message)
{
	close_sync(c);
	loop_timer_cancel(c->rt->loop, &c->timer);
	if (c->monitor)
		proc_watch_free(c->monitor);
	c->monitor = NULL;
	if (c->proc)
		proc_cancel(c->proc, true);
	c->proc = NULL;
	c->ops.failed(c->arg, created, message);
	start_delete(c);
}

static void read_end(const struct run *c, struct run_end *ret)
{
	AUTO(free) char *path = file_of(c, c->id), *oom = file_of(c, "oom");
	AUTO(buf) struct buf text = {0};
	struct stat st;
	int64_t code;

	*ret = (struct run_end){.oom = fs_exists(oom), .finished_wall = loop_wall(c->rt->loop)};
	if (fs_read(path, 64, &text, NULL) || str_to_i64(str_trim(buf_view(&text)), &code)) {
		ret->exit_code = 137;
		ret->lost = true;
		return;
	}
	ret->exit_code = (int)(code & 0xff);
	if (code < 0)
		ret->exit_code = 255;
	if (!stat(path, &st))
		ret->finished_wall = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	/* The kernel's signal, not the program's own exit, makes it an OOM kill. */
	ret->oom &= ret->exit_code == 137;
}

static void over(struct run *c)
{
	struct run_end end;

	if (c->monitor)
		proc_watch_free(c->monitor);
	c->monitor = NULL;
	read_end(c, &end);
	if (end.lost) /* its monitor died: nobody would see it end */
		run_signal(c, SIGKILL);
	fd_cleanup(&c->pidfd);
	c->pidfd = -1;
	c->pid = 0;
	if (!c->silent)
		c->ops.ended(c->arg, &end);
	start_delete(c);
}

static void on_monitor_gone(void *arg)
{
	struct run *c = arg;

	proc_watch_free(c->monitor);
	c->monitor = NULL;
	if (c->state == RUN_STARTING) {
		/* Exited between create and our being told that start was done: start's end says
		 * which. */
		return;
	}
	if (c->state == RUN_RUNNING)
		over(c);
}

/* False when the monitor is gone already. */
static bool watch_monitor(struct run *c)
{
	AUTO(buf) struct buf cmd = {0};
	char path[64];
	pid_t pid = read_pid(c, "conmon.pid");

	if (!pid)
		return false;
	c->monitor = proc_watch_new(c->rt->loop, pid, on_monitor_gone, c, NULL);
	if (!c->monitor)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (!fs_read(path, 1 << 20, &cmd, NULL) && str_find(buf_view(&cmd), str_c(c->id)) >= 0)
		return true;
	proc_watch_free(c->monitor);
	c->monitor = NULL;
	return false;
}

static void on_over_later(struct loop *l, struct loop_timer *t)
{
	(void)l;
	over(CONTAINER_OF(t, struct run, timer));
}

static void on_started(void *arg, struct proc_result *r)
{
	struct run *c = arg;

	c->proc = NULL;
	if (r->status) {
		AUTO(buf) struct buf text = {0};
		buf_str(&text, str_trim(buf_view(&r->err)));
		failed(c, true, text.n ? buf_cstr(&text) : "the runtime could not start it");
		return;
	}
	c->state = RUN_RUNNING;
	c->ops.started(c->arg, c->pid);
	if (!c->monitor)
		loop_timer_set(c->rt->loop, &c->timer, 0, on_over_later);
}

static void created(struct run *c, pid_t pid)
{
	const char *argv[] = {c->rt->program, "--root", c->rt->root, "start", c->id, NULL};
	struct proc_opts o = {
		.argv = argv, .hide_unified = c->rt->hide_unified, .timeout_ns = CREATE_TIMEOUT_NS};
	struct err err = {0};

	close_sync(c);
	loop_timer_cancel(c->rt->loop, &c->timer);
	c->state = RUN_STARTING;
	c->pid = pid;
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	note_start(c);
	(void)watch_monitor(c);
	c->proc = proc_start(c->rt->loop, &o, on_started, c, &err);
	if (!c->proc)
		failed(c, true, err.msg);
}

/* conmon's line: {"data": PID} or {"data": -1, "message": "…"}. */
static void on_line(struct run *c, struct str line)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct json *v = json_parse(&a, line, NULL, &err);
	int64_t pid = json_int(json_at(v, "data"), json_int(json_at(v, "pid"), -1));

	if (pid > 1 && pid <= INT32_MAX) {
		created(c, (pid_t)pid);
		return;
	}
	struct str message = str_trim(json_str(json_at(v, "message")));
	failed(c, false, message.n ? arena_cstr(&a, message) : "the runtime could not create it");
}

static void on_sync(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct run *c = CONTAINER_OF(w, struct run, sync);
	char chunk[4096];
	ssize_t n = read(w->fd, chunk, sizeof(chunk));
	struct str line, rest;

	(void)l, (void)ready;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && c->said.n + (size_t)n <= SYNC_MAX) {
		buf_put(&c->said, chunk, (size_t)n);
		if (!str_cut(buf_view(&c->said), '\n', &line, &rest))
			return;
	} else {
		line = str_trim(buf_view(&c->said));
		if (!line.n) {
			failed(c, false, "conmon ended without a word");
			return;
		}
	}
	on_line(c, line);
}

static void on_conmon_forked(void *arg, struct proc_result *r)
{
	struct run *c = arg;

	c->proc = NULL;
	/* The real monitor was forked off; what it says comes by the pipe. */
	if (r->status && c->state == RUN_CREATING) {
		AUTO(buf) struct buf text = {0};
		buf_str(&text, str_trim(buf_view(&r->err)));
		failed(c, false, text.n ? buf_cstr(&text) : "conmon failed");
	}
}

static void on_create_late(struct loop *l, struct loop_timer *t)
{
	(void)l;
	failed(CONTAINER_OF(t, struct run, timer), false, "the runtime did not create it in time");
}

static int start_conmon(struct run *c, const struct run_opts *o, int theirs, struct err *err)
{
	AUTO(free) char *pid = file_of(c, "pid"), *mon = file_of(c, "conmon.pid");
	AUTO(free) char *path = file_of(c, "log");
	AUTO(free)
	char *log = xasprintf("k8s-file:%s", path), *root = xasprintf("--root=%s", c->rt->root);
	const char *argv[40] = {c->rt->conmon,
				"--api-version",
				"1",
				"-c",
				c->id,
				"-u",
				c->id,
				"-n",
				o->name,
				"-r",
				c->rt->program,
				"-b",
				c->dir,
				"-p",
				pid,
				"-P",
				mon,
				"-l",
				log,
				"--log-size-max",
				LOG_BYTES_MAX,
				"--exit-dir",
				c->dir,
				"--full-attach",
				"--no-new-keyring",
				"--runtime-arg",
				root};
	const char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			     "_OCI_SYNCPIPE=3", "TZ=UTC", NULL};
	struct proc_fd fd = {.ours = theirs, .theirs = 3};
	struct proc_opts p = {.argv = argv,
			      .env = env,
			      .cwd = c->dir,
			      .fds = &fd,
			      .nfds = 1,
			      .new_session = true,
			      .hide_unified = c->rt->hide_unified};
	size_t n = 27;

	if (o->terminal)
		argv[n++] = "-t";
	if (o->stdin_open)
		argv[n++] = "-i";
	if (o->stdin_open && !o->stdin_once)
		argv[n++] = "--leave-stdin-open";
	c->proc = proc_start(c->rt->loop, &p, on_conmon_forked, c, err);
	return c->proc ? 0 : -1;
}

struct run *run_start(struct runtime *r, const struct run_opts *o, const struct run_ops *ops,
		      void *arg, struct err *err)
{
	struct run *c = run_new(r, o->dir, o->id, ops, arg);
	int pipe[2];

	if (pipe2(pipe, O_CLOEXEC | O_NONBLOCK)) {
		err_sys(err, "pipe");
		run_forget(c);
		return NULL;
	}
	/* conmon writes blocking. */
	(void)fcntl(pipe[1], F_SETFL, 0);
	c->sync = (struct loop_fd){.fd = pipe[0], .fn = on_sync};
	if (start_conmon(c, o, pipe[1], err) || loop_fd_set(r->loop, &c->sync, EPOLLIN, err)) {
		close(pipe[1]);
		run_forget(c);
		return NULL;
	}
	close(pipe[1]);
	loop_timer_set(r->loop, &c->timer, CREATE_TIMEOUT_NS, on_create_late);
	return c;
}

struct run *run_adopt(struct runtime *r, const char *dir, const char *id, const struct run_ops *ops,
		      void *arg)
{
	struct run *c = run_new(r, dir, id, ops, arg);

	c->state = RUN_RUNNING;
	c->pid = read_pid(c, "pid");
	if (c->pid)
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd >= 0 && !same_process(c)) {
		fd_cleanup(&c->pidfd);
		c->pidfd = -1;
	}
	if (c->pidfd < 0)
		c->pid = 0;
	if (!watch_monitor(c))
		loop_timer_set(r->loop, &c->timer, 0, on_over_later);
	return c;
}

static void on_clear(struct loop *l, struct loop_timer *t)
{
	(void)l;
	start_delete(CONTAINER_OF(t, struct run, timer));
}

struct run *run_clear(struct runtime *r, const char *dir, const char *id, const struct run_ops *ops,
		      void *arg)
{
	struct run *c = run_new(r, dir, id, ops, arg);

	c->silent = true;
	c->state = RUN_DELETING;
	loop_timer_set(r->loop, &c->timer, 0, on_clear);
	return c;
}

void run_signal(struct run *c, int signo)
{
	if (c->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, c->pidfd, signo, NULL, 0);
}

static void on_killed(void *arg, struct proc_result *r)
{
	(void)arg, (void)r;
}

void run_kill_all(struct run *c)
{
	const char *argv[] = {c->rt->program, "--root", c->rt->root, "kill",
			      "--all",        c->id,    "KILL",      NULL};
	struct proc_opts o = {
		.argv = argv, .hide_unified = c->rt->hide_unified, .timeout_ns = 30 * NS_PER_S};

	run_signal(c, SIGKILL);
	(void)!proc_start(c->rt->loop, &o, on_killed, NULL, NULL);
}

pid_t run_pid(const struct run *c)
{
	return c ? c->pid : 0;
}

struct proc *run_exec(struct runtime *r, const char *id, const char *process_json,
		      int64_t timeout_ns, void (*done)(void *arg, struct proc_result *res),
		      void *arg)
{
	const char *argv[] = {r->program,  "--root",     r->root, "exec",
			      "--process", process_json, id,      NULL};
	struct proc_opts o = {.argv = argv,
			      .hide_unified = r->hide_unified,
			      .timeout_ns = timeout_ns,
			      .max_output = 64 << 10};

	return proc_start(r->loop, &o, done, arg, NULL);
}
