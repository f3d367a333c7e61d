/*
 * The books of ResourceQuotas: per namespace that has one, what is used, kept by every change as it
 * is made, so that the next request of the same turn already sees it. Nothing here grows with the
 * cluster: a namespace is counted when one of its quotas changes, and added up from then on. The
 * core's thread.
 */
#ifndef PLUMB_APISERVER_QUOTA_H
#define PLUMB_APISERVER_QUOTA_H

#include "apiserver/core-internal.h"

struct quota_books;
struct quota_books *quota_new(void);
void quota_free(struct quota_books *b);
/* A row of the table became another: at every put, removal, and when one is taken back. old NULL =
 * created, new NULL = gone. */
void quota_change(struct core *c, const struct table *t, const struct obj *old,
		  const struct obj *new);
/* admission_reader's `quota`. */
int quota_admit(void *core, struct admission_req *r, struct err *err);
/* Before the commit: quotas whose use changed get their status. */
void quota_settle(struct core *c);

#endif
