/*
 * A role of which one at a time works, decided over a Lease in kube-system. Losing the Lease ends
 * the process: whoever supervises it starts it again. On the role's loop.
 */
#ifndef PLUMB_ROLE_LEAD_H
#define PLUMB_ROLE_LEAD_H

#include "lib/kube/role.h"

struct lead {
	struct role *role;
	const char *lease; /* "kube-scheduler" */
	/* We lead: starts the work. Not 0 ends the process with that code. */
	int (*start)(void *arg);
	void (*stop)(void *arg); /* before the Lease is given back, or at the end */
	void *arg;

	/* private */
	struct leader *leader;
	bool started, stopping;
	int code;
};
/* Before role_start: takes over what happens on SIGTERM. */
void lead_prepare(struct lead *l);
/* After it: runs until the role is told to stop or another one leads; returns the exit code. */
int lead_run(struct lead *l);

#endif
