/* What fetching and pushing share: one mirror, one remote, one connection. Helper process only. */
#ifndef PLUMB_RECONCILER_GITREMOTE_INTERNAL_H
#define PLUMB_RECONCILER_GITREMOTE_INTERNAL_H

#include <git2/oid.h>
#include <git2/remote.h>
#include <git2/types.h>

#include "reconciler/gitauth.h"

struct gitsession {
	struct arena *a;
	git_repository *repo;
	git_remote *remote;
	const char *url; /* of the remote, without what may be secret: for messages */
	struct gitauth auth;
	git_remote_callbacks callbacks;
	git_strarray headers;        /* sent with each request: a bearer token */
	uint64_t max_bytes;          /* of one fetch */
	const struct json *branches; /* asked for … */
	struct json *there;          /* … and found */
	char refused[300];           /* what the remote said about a pushed reference */
	char limit[120];             /* why a transfer was ended by us */
	git_oid lease; /* where a branch must still be to be pushed to; zero = nowhere */
	bool moved;    /* it wasn't */
};

/* Opens the mirror (made when it isn't there) and prepares the remote. */
MUST_USE int gr_open(struct gitsession *s, const struct json *request, struct err *err);
void gr_close(struct gitsession *s);
/* The same mirror, another remote. */
MUST_USE int gr_turn_to(struct gitsession *s, const char *url, struct err *err);
/* What libgit2 said last, or what our callbacks know better. Returns -1. */
int gr_fail(struct gitsession *s, struct err *err, int rc, const char *what);
/* Connects and lists; the connection stays open for a fetch. */
MUST_USE int gr_list(struct gitsession *s, const git_remote_head ***heads, size_t *n,
		     struct err *err);
const git_oid *gr_find(const git_remote_head **heads, size_t n, const char *name);
MUST_USE int gr_download(struct gitsession *s, const char *refspec, struct err *err);
bool gr_have(struct gitsession *s, const git_oid *id);
bool gr_name_valid(const char *ref);
/* A text of the request, NULL when it is empty or absent. */
char *gr_text(struct gitsession *s, const struct json *request, const char *key);

#endif
