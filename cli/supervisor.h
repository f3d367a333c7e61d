/*
 * Starts the roles, each a process of its own, restarts those that end, stops them in reverse
 * order. Readiness is told by the role (lib/os/ready.h). One loop, one thread.
 */
#ifndef PLUMB_CLI_SUPERVISOR_H
#define PLUMB_CLI_SUPERVISOR_H

#include "cli/datadir.h"
#include "lib/base/str.h"
#include "lib/os/loop.h"

#define CHILD_ARGS_MAX 64

struct child_spec {
	char name[64];                    /* "apiserver", "kubelet-node1": log file and messages */
	const char *argv[CHILD_ARGS_MAX]; /* behind the program itself; NULL-terminated; strings
					     outlive the supervisor */
	int netns_fd;                     /* 0 = ours */
};

struct supervisor;
struct supervisor *supervisor_new(struct loop *l, const struct datadir *d);
void supervisor_free(struct supervisor *s);
/* ready is called once, when the role first says so; may be NULL. Order of calls is order of start;
 * stopping goes backwards. */
void supervisor_add(struct supervisor *s, const struct child_spec *spec, void (*ready)(void *arg),
		    void *arg);
/*
 * Called when a role that was never ready has ended three times: what its log said last (borrowed).
 * It is still started again; the caller may stop everything.
 */
void supervisor_on_hopeless(struct supervisor *s,
			    void (*fn)(void *arg, const char *role, struct str said), void *arg);
/* All of them are to end and are started again: what they read at their start has changed. */
void supervisor_restart(struct supervisor *s);
/* SIGTERM to each in reverse order of start, SIGKILL after grace_ns each; then done. No restarts
 * any more. */
void supervisor_stop(struct supervisor *s, int64_t grace_ns, void (*done)(void *arg), void *arg);

#endif
