/*
 * Leader election over a Lease, as client-go's: acquired when free or expired (by our own
 * observation, not by its clock), renewed, released on a clean stop.
 */
#ifndef PLUMB_LEADER_H
#define PLUMB_LEADER_H

#include "lib/kube/client.h"

struct leader;
struct leader_opts {
	const char *namespace, *name; /* kube-system, kube-controller-manager */
	const char *identity;
	/* 0 = 60 s, 40 s, 2 s: longer than client-go's, since each renewal is a synced write, and
	 * whoever is started again takes its own lease back at once. */
	int64_t lease_ns, renew_ns, retry_ns;
	void (*started)(void *arg);
	void (*lost)(void *arg); /* the caller must stop writing at once: most roles exit */
	void *arg;
};
struct leader *leader_new(struct client *c, const struct leader_opts *o);
void leader_release(struct leader *l, void (*done)(void *arg),
		    void *arg); /* gives the lease back */
void leader_free(struct leader *l);
/*
 * Who we are in a Lease: host name and the instance of the data directory. The same after a
 * restart, so that a role that was killed takes its own lease back at once; the supervisor sees
 * to it that there is only one of it. Without a data directory the process id tells. Caller frees.
 */
char *leader_identity(const char *data_dir);

#endif
