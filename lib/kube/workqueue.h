/*
 * The work queue: keys, de-duplicated, each handled by at most one worker at a time; a key added
 * while it is being handled comes again afterwards. Delayed and rate-limited adds. On one loop.
 */
#ifndef PLUMB_WORKQUEUE_H
#define PLUMB_WORKQUEUE_H

#include "lib/base/str.h"
#include "lib/os/loop.h"

struct backoff {
	int64_t base_ns, max_ns;
};
/* base * 2^failures, capped. */
int64_t backoff_after(const struct backoff *b, unsigned failures);

struct workqueue;
struct workqueue *workqueue_new(struct loop *l, const char *name, struct backoff b);
void workqueue_free(struct workqueue *q);
/* fn is called (in a later turn) whenever the queue becomes non-empty. */
void workqueue_on_ready(struct workqueue *q, void (*fn)(void *arg), void *arg);

void workqueue_add(struct workqueue *q, struct str key);
void workqueue_add_after(struct workqueue *q, struct str key,
			 int64_t after_ns);                     /* the earliest of several wins */
void workqueue_add_failed(struct workqueue *q, struct str key); /* after the key's back-off */
void workqueue_forget(struct workqueue *q, struct str key);     /* success: resets the back-off */
unsigned workqueue_failures(const struct workqueue *q, struct str key);

/* Takes the next key (borrowed until workqueue_done of it); false when empty. */
bool workqueue_get(struct workqueue *q, struct str *ret_key);
void workqueue_done(struct workqueue *q, struct str key);
size_t workqueue_len(const struct workqueue *q);

#endif
