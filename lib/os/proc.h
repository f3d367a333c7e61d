/*
 * Child processes, without threads and without a shell. Children get exactly the descriptors they
 * are given (everything of ours is O_CLOEXEC), no blocked signals, and die with us where asked.
 * Followed by pidfd; signals go through the pidfd only.
 */
#ifndef PLUMB_PROC_H
#define PLUMB_PROC_H

#include "lib/base/buf.h"
#include "lib/os/loop.h"

struct proc_fd {
	int ours;   /* descriptor in this process */
	int theirs; /* number in the child */
};

struct proc_opts {
	const char *const *argv;   /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *env;    /* NULL = inherit */
	const char *cwd;           /* NULL = inherit */
	struct str in;             /* fed to stdin; STR_NONE = /dev/null */
	const struct proc_fd *fds; /* beyond 0, 1, 2; these may also override them */
	size_t nfds;
	int netns_fd;     /* >= 1: entered (setns) before exec; 0 = stay */
	bool die_with_us; /* PR_SET_PDEATHSIG SIGKILL */
	bool new_session;
	bool hide_unified; /* private mount namespace without /sys/fs/cgroup/unified: crun on hybrid
			      cgroups */
	uint64_t max_memory; /* RLIMIT_AS bytes, 0 = ours */
	int64_t timeout_ns;  /* then SIGKILL and ERR_TIMEOUT; 0 = none */
	size_t max_output;   /* of stdout and of stderr each; 0 = 1 MiB; more is cut and flagged */
	bool inherit_output; /* stdout and stderr go where ours go */
};

struct proc_result {
	int status; /* exit code, or 128 + signal */
	bool timed_out, cut;
	struct buf out, err; /* owned by the runner, valid during the callback */
};

struct proc; /* a running child */
/* Starts a child; done is called exactly once, on the loop, after it ended and its output closed.
 * NULL on error. */
struct proc *proc_start(struct loop *l, const struct proc_opts *o,
			void (*done)(void *arg, struct proc_result *r), void *arg, struct err *err);
pid_t proc_pid(const struct proc *p);
void proc_signal(struct proc *p, int signo);
/* Forgets the child: done is not called, it is killed when `kill_it`. */
void proc_cancel(struct proc *p, bool kill_it);

/* Runs a child to its end, blocking: for start-up, the command line and helper processes. Result
 * freed by proc_result_release. -1 only when it could not be started or timed out. */
MUST_USE int proc_run(const struct proc_opts *o, struct proc_result *ret, struct err *err);
void proc_result_release(struct proc_result *r);

/* The path of this very program, for re-executing ourselves as a role or helper. */
const char *proc_self(void);

/* Watches any process (not only children) by pidfd; fn once when it is gone. */
struct proc_watch;
struct proc_watch *proc_watch_new(struct loop *l, pid_t pid, void (*fn)(void *arg), void *arg,
				  struct err *err);
void proc_watch_free(struct proc_watch *w);

#endif
