/* The shell around host ports: follows the pods of this node. On the client's loop. */
#ifndef PLUMB_PROXY_HOSTPORTS_H
#define PLUMB_PROXY_HOSTPORTS_H

#include "lib/kube/client.h"
#include "proxy/ruleset.h"
#include "proxy/udp.h"

struct hostports_opts {
	struct client *client;
	struct ruleset *rules;      /* outlives it */
	const char *node;           /* ours */
	void (*changed)(void *arg); /* there is something to write, or all is known */
	void *arg;
};

struct hostports;
struct hostports *hostports_start(const struct hostports_opts *o);
void hostports_stop(struct hostports *h); /* NULL is fine */
bool hostports_synced(const struct hostports *h);
/* The addresses whose UDP flows the changes since the last call have made stale; into `a`. */
void hostports_left(struct hostports *h, struct arena *a, struct udp_fronts *f);
/* Does any pod of this node have one? */
bool hostports_any(const struct hostports *h);

#endif
