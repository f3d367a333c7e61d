/*
 * Housekeeping waits until no write has come for a while (but for a new root key, which goes on
 * meanwhile, slowly) and then goes in slices of a few milliseconds, so that requests are hardly
 * held up by it; idle, it does nothing at all. Errors
 * are told and tried again later: all of it can wait. The core's thread.
 */
#include "apiserver/tidy.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"

#define QUIET (2 * NS_PER_S)
#define SLICE (5 * NS_PER_MS) /* between two of them, for requests */
#define BUSY (50 * NS_PER_MS) /* the same while others write */
#define AGAIN (60 * NS_PER_S) /* after an error */

struct tidy {
	struct loop *loop;
	struct core *core;
	struct store *store;
	struct loop_timer timer;
	uint64_t revision; /* when the timer was set */
};

static void on_timer(struct loop *l, struct loop_timer *timer);

static void plan(struct tidy *t, int64_t after_ns)
{
	t->revision = core_revision(t->core);
	loop_timer_set(t->loop, &t->timer, after_ns, on_timer);
}

static void on_timer(struct loop *l, struct loop_timer *timer)
{
	struct tidy *t = CONTAINER_OF(timer, struct tidy, timer);
	struct err err = {0};
	int more;

	(void)l;
	bool busy = core_revision(t->core) != t->revision;

	if (busy && !core_reseal_wanted(t->core)) {
		plan(t, QUIET);
		return;
	}
	/* A new key can't wait for a quiet moment that may never come. */
	bool wanted = core_reseal_wanted(t->core);
	more = core_reseal(t->core, &err);
	if (wanted && !more)
		log_info("all that is encrypted is under the newest root key: older ones aren't "
			 "needed here any more");
	if (busy && more >= 0) {
		plan(t, more ? BUSY : QUIET);
		return;
	}
	if (!more)
		more = t->store->ops->maintain(t->store, &err);
	if (more < 0)
		log_warn("housekeeping of the store failed, trying again in a minute", "error",
			 err.msg);
	if (more)
		plan(t, more > 0 ? SLICE : AGAIN);
}

void tidy_turned(void *arg)
{
	struct tidy *t = arg;

	if (t && core_revision(t->core) != t->revision && !loop_timer_armed(&t->timer))
		plan(t, QUIET);
}

void tidy_wake(struct tidy *t)
{
	plan(t, 0);
}

struct tidy *tidy_new(struct loop *l, struct core *c, struct store *s)
{
	struct tidy *t = xalloc(sizeof(*t));

	t->loop = l;
	t->core = c;
	t->store = s;
	plan(t, QUIET); /* what a predecessor left */
	return t;
}

void tidy_free(struct tidy *t)
{
	if (t)
		loop_timer_cancel(t->loop, &t->timer);
	free(t);
}
