/*
 * One pull request for a branch of ours that was pushed: opened unless there is one, and left to
 * people from then on. Found again by its branch, so that nothing of it has to be remembered over a
 * restart. On the role's loop.
 */
#ifndef PLUMB_RECONCILER_PULLREQ_H
#define PLUMB_RECONCILER_PULLREQ_H

#include "reconciler/engine.h"

struct pullreq_text {
	const char *branch, *title, *body;
	/*
	 * Stands in the body; tells what it is about. One that is open and about something else is
	 * reworded; one that somebody closed isn't opened again. NULL = neither is looked at.
	 */
	const char *mark;
};

enum pullreq_end {
	PULLREQ_NONE, /* the source has no forge */
	PULLREQ_OPEN,
	PULLREQ_REJECTED, /* somebody closed it */
	PULLREQ_FAILED,
	PULLREQ_CLOSED, /* by pullreq_close: none is open */
};
/* Called once, in a later turn. url is for people; both are valid during
 * the call. */
typedef void pullreq_done(void *arg, enum pullreq_end end, struct str url, const struct err *err);

struct pullreq;
/* Texts are copied. Never NULL. */
struct pullreq *pullreq_start(struct source *s, const struct pullreq_text *t, pullreq_done *done,
			      void *arg);
/* Closes the branch's pull request where one is open, with t's body as a comment, and without the
 * mark in its own: nobody decided against it. */
struct pullreq *pullreq_close(struct source *s, const struct pullreq_text *t, pullreq_done *done,
			      void *arg);
void pullreq_free(struct pullreq *p); /* done is not called; NULL is fine */

#endif
