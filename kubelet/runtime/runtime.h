/*
 * Running one container: conmon (which holds its streams, writes its log in CRI form and its exit
 * code, and survives us) drives crun or runc. A container's folder `dir` holds config.json, the
 * overlay, `log`, `conmon.pid`, `pid`, `start` (what a restarted kubelet checks the pid against),
 * the exit code in a file named as its id, and `oom` when the kernel killed it.
 *
 *   CREATING ──▶ STARTING ──▶ RUNNING ──▶ (ended) DELETING ──▶ gone
 *        └─ failed ──┴──────────────────────────▶ DELETING ──▶ gone
 *
 * Asynchronous, on one loop.
 */
#ifndef PLUMB_KUBELET_RUNTIME_H
#define PLUMB_KUBELET_RUNTIME_H

#include "lib/os/loop.h"
#include "lib/os/proc.h"

struct runtime {
	struct loop *loop;
	char *program; /* path of crun or runc */
	char *conmon;
	const char *name; /* "crun", "runc" */
	char version[32]; /* "1.8.1" */
	/* Both in a memory file system at DIR/nodes/NODE/run: a container's environment may be
	 * secret. */
	char *root;   /* the runtime's state */
	char *config; /* what config.json links to, and what is to be run inside */
	bool hide_unified;
};

/* choice: "auto", "crun", "runc". state_dir: DIR/nodes/NODE. Finds out what works here. */
MUST_USE int runtime_init(struct runtime *r, struct loop *l, const char *choice,
			  const char *state_dir, struct err *err);
void runtime_release(struct runtime *r);
/* Writes the container's configuration to memory and links dir/config.json to it; gone with the
 * container. */
MUST_USE int runtime_config_put(const struct runtime *r, const char *dir, const char *id,
				struct str text, struct err *err);
void runtime_config_drop(const struct runtime *r, const char *id);

struct run_end {
	int exit_code;
	bool oom;
	bool lost; /* nobody saw how it ended */
	int64_t finished_wall;
};
struct run_ops {
	void (*started)(void *arg, pid_t pid);
	/* It never ran; `created` when the runtime had made it. Then gone follows. */
	void (*failed)(void *arg, bool created, const char *message);
	void (*ended)(void *arg, const struct run_end *end); /* then gone follows */
	void (*gone)(
		void *arg); /* nothing of it is left but its folder; the handle is invalid now */
};

struct run;
struct run_opts {
	const char *dir, *id, *name;
	bool terminal, stdin_open;
	bool stdin_once; /* the first who attaches and leaves closes it */
};
/* config.json and the root file system are in place. NULL when conmon could not be started (no
 * callback then). */
struct run *run_start(struct runtime *r, const struct run_opts *o, const struct run_ops *ops,
		      void *arg, struct err *err);
/* A container that an earlier process started: `ended` comes in a later turn when it is over
 * already. */
struct run *run_adopt(struct runtime *r, const char *dir, const char *id, const struct run_ops *ops,
		      void *arg);
/* Clears away one of which nothing is known: only gone is called. */
struct run *run_clear(struct runtime *r, const char *dir, const char *id, const struct run_ops *ops,
		      void *arg);
void run_signal(struct run *c, int signo);
void run_kill_all(struct run *c);   /* SIGKILL to all its processes */
pid_t run_pid(const struct run *c); /* 0 when it doesn't run */
/* Forgets it without touching the container: for our own end. */
void run_forget(struct run *c);

/* Runs a process inside: process.json's path; done as proc_start's. */
struct proc *run_exec(struct runtime *r, const char *id, const char *process_json,
		      int64_t timeout_ns, void (*done)(void *arg, struct proc_result *res),
		      void *arg);

#endif
