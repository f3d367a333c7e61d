/*
 * The scheduler: as a process (`plumb scheduler`), and as something that runs on any client and
 * its loop, which is how the simulation has it.
 */
#ifndef PLUMB_SCHEDULER_MAIN_H
#define PLUMB_SCHEDULER_MAIN_H

#include "lib/kube/client.h"

struct scheduler;
struct scheduler_opts {
	uint64_t seed;
	void (*synced)(void *arg); /* once, when the caches are filled; or NULL */
	void *arg;
};
struct scheduler *scheduler_start(struct client *c, const struct scheduler_opts *o);
/* Ends at once, as killed: running calls are cancelled. NULL is fine. */
void scheduler_stop(struct scheduler *s);
/* Nothing to place that could be placed now, no write under way: for tests. */
bool scheduler_idle(const struct scheduler *s);

/* The role's process. Returns the exit code. */
int scheduler_main(int argc, char **argv);

#endif
