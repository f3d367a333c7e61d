/* The data directory: where things are in it, who may use it, and what names its instance on the
 * host. */
#ifndef PLUMB_CLI_DATADIR_H
#define PLUMB_CLI_DATADIR_H

#include "lib/base/err.h"

#define DATADIR_DEFAULT "/var/lib/plumb"
#define DATADIR_MAX 200 /* Unix sockets and mount options below it must fit their limits */

struct datadir {
	char path[DATADIR_MAX + 1]; /* absolute, without links */
	char instance[9]; /* 8 hex digits: names bridges, tables and cgroups on the host */
	int lock;         /* held while the instance runs; -1 = not held */
};

/* Makes the directory (0700) and its instance file where missing. create false: ERR_NOT_FOUND when
 * it isn't one of ours. */
MUST_USE int datadir_open(struct datadir *d, const char *path, bool create, struct err *err);
/* Takes the lock; ERR_CONFLICT when another `plumb up` has it. Released by datadir_release or
 * death. */
MUST_USE int datadir_lock(struct datadir *d, struct err *err);
/* The process id of whoever holds the lock; 0 = nobody. */
int datadir_owner(const struct datadir *d);
void datadir_release(struct datadir *d);

/* DIR/fmt…, in a ring of buffers: valid until 8 further calls. */
const char *datadir_path(const struct datadir *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
