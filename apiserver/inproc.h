/* An API client that talks to a core on the same loop: the simulation's, and the API server's own
 * for its bootstrap objects. */
#ifndef PLUMB_APISERVER_INPROC_H
#define PLUMB_APISERVER_INPROC_H

#include "apiserver/core.h"
#include "lib/kube/client.h"

/* What the simulation does to deliveries; NULL members = nothing. Each may look at its own
 * generator. */
struct inproc_faults {
	int64_t (*delay)(void *arg, bool watch); /* ns until an answer or event is delivered */
	bool (*cut)(void *arg);         /* end this watch now, as if the connection broke */
	bool (*lose_answer)(void *arg); /* the write happened, its answer is lost (status 0) */
	void *arg;
};
struct inproc; /* one per core and loop: runs core_turn when something is submitted or due */
struct inproc *inproc_new(struct core *c, struct loop *l, const struct inproc_faults *f);
void inproc_free(struct inproc *i);
/* user and groups as the authorizer would see them; groups NULL-terminated or NULL. */
struct client *inproc_client(struct inproc *i, const char *user, const char *const *groups,
			     const char *field_manager);

#endif
