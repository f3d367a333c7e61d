/*
 * The controllers: as a process (`plumb controllers`), and as something that runs on any client
 * and its loop, which is how the simulation has them.
 */
#ifndef PLUMB_CONTROLLERS_MAIN_H
#define PLUMB_CONTROLLERS_MAIN_H

#include "lib/kube/client.h"

struct controllers;
struct controllers_opts {
	uint64_t seed;
	const char *cluster_cidr;  /* pod network, "10.244.0.0/16"; NULL = nodes get no addresses */
	int64_t seal_interval;     /* ns; 0 = sealing keys are only rotated when asked for */
	int64_t autoscaler_period; /* ns; 0 = HPA_PERIOD */
	struct str root_ca;        /* PEM for kube-root-ca.crt; copied */
	struct str ca_key;         /* PEM; copied, wiped at the end; STR_NONE = nothing is signed */
	void (*synced)(void *arg); /* once, when the caches are filled; or NULL */
	void *arg;
};
/* NULL with err when an option makes no sense. */
struct controllers *controllers_start(struct client *c, const struct controllers_opts *o,
				      struct err *err);
/* Ends at once, as killed: running calls are cancelled. NULL is fine. */
void controllers_stop(struct controllers *c);
/* Nothing queued, no write under way: for tests. */
bool controllers_idle(const struct controllers *c);

/* The role's process. Returns the exit code. */
int controllers_main(int argc, char **argv);

#endif
