/*
 * How a machine becomes a node and stays one: it learns the cluster's authority, whose hash its
 * token names, asks by that token for a certificate, and by that certificate for those that its
 * kubelet and proxy show. All of it is below DIR/pki, as `plumb up` has it for its own nodes.
 * Blocking.
 */
#ifndef PLUMB_CLI_JOIN_H
#define PLUMB_CLI_JOIN_H

#include "cli/datadir.h"
#include "lib/base/str.h"

struct join {
	const struct datadir *dir;
	const char *server; /* "https://ADDR:PORT" */
	const char *token;  /* "ID.SECRET.HASH"; NULL or empty when it has joined before */
	const char *node;
	int64_t renew_ns; /* certificates that end within that time are made anew */
};

/* Whatever is missing or about to end. *ret_changed (may be NULL): something was made. ERR_INVALID
 * and ERR_UNAUTHORIZED won't change by trying again. */
MUST_USE int join_cluster(const struct join *j, bool *ret_changed, struct err *err);

/* The hash of a certificate's key in hex, as tokens bear it. */
MUST_USE int join_hash(struct str pem, char ret[65], struct err *err);

#endif
