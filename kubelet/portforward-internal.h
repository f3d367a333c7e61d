/* What port-forward's two files share: the client's connection, and its pairs of streams. */
#ifndef PLUMB_KUBELET_PORTFORWARD_INTERNAL_H
#define PLUMB_KUBELET_PORTFORWARD_INTERNAL_H

#include "kubelet/kubelet.h"
#include "kubelet/upgrade.h"
#include "lib/http/spdy.h"

#define REQUEST_MAX 64

struct forward {
	struct kubelet *k;
	struct upgrade *up;
	struct spdy *spdy;       /* NULL = channels */
	char *pod, *uid, *netns; /* netns NULL = the node's own */
	struct list pairs;
	size_t npairs, buffered;
	bool base64, full, paused;
	struct loop_timer start; /* channels: connects in a turn of its own */
};

/* One connection. Streams are SPDY's numbers, or channels + 1; 0 = not there yet. */
struct pair {
	struct forward *f;
	struct list node;
	char request[REQUEST_MAX];
	uint32_t data, error;
	uint16_t port;
	struct loop_fd sock;
	struct loop_timer late;
	struct buf to_pod;
	bool connecting, v6, in_ends, in_ended;
};

/* ---- portforward.c ---- */
/* By whichever way the client speaks. */
void forward_send(struct forward *f, uint32_t stream, struct str data);
void forward_flush(struct forward *f); /* SPDY: what has gathered */
void forward_free(struct forward *f);

/* ---- portforward_pair.c ---- */
struct pair *pair_new(struct forward *f, uint16_t port);
void pair_free(struct pair *p);
/* Both of these may end the client's connection, if it is one of channels. */
void pair_finish(struct pair *p);
void pair_fail(struct pair *p, const char *why);
/* sys: what came of the last try, 0 = none yet. The pair may be gone afterwards. */
void pair_connect(struct pair *p, int sys);
void pair_input(struct pair *p, struct str data);
void pair_watch(struct pair *p); /* for what can be done now */

#endif
