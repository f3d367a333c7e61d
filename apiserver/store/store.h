/*
 * What the API server's state rests on: a table of keys with revisions, written in batches that
 * are durable before store_commit returns. Two implementations: SQLite (WAL, synchronous=FULL) and
 * memory (tests, simulation). Not thread-safe: one thread owns a store.
 */
#ifndef PLUMB_STORE_H
#define PLUMB_STORE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

struct store_write {
	struct str key;    /* "/registry-like": GROUP/PLURAL/NAMESPACE/NAME, made by the core; what
			      begins with '~' is no object but of this store alone */
	struct str value;  /* stored bytes; STR_NONE (s NULL) = delete */
	uint64_t revision; /* the write's */
};

struct store;
struct store_backup;
struct store_ops {
	/* Every row, in key order; fn's memory is valid during the call. A non-zero answer stops.
	 */
	int (*load)(struct store *s,
		    int (*fn)(void *arg, struct str key, struct str value, uint64_t revision),
		    void *arg, struct err *err);
	/* All or nothing, fsynced. `revision` is the highest of the batch and becomes
	 * store_revision. After an error the store is as it was before, and goes on. */
	int (*commit)(struct store *s, const struct store_write *w, size_t n, uint64_t revision,
		      struct err *err);
	uint64_t (*revision)(const struct store *s);
	/* What may wait until nobody asks: the log goes into the database, space that deleted rows
	 * leave goes back. A slice at a time: 1 = there is more to do, 0 = nothing, -1 = error. */
	int (*maintain)(struct store *s, struct err *err);
	/*
	 * A consistent copy into a file that must not exist, a slice at a time between commits:
	 * what is committed meanwhile is in it. step: 1 = go on, 0 = the copy is whole and durable,
	 * -1 = error. end removes what isn't whole; the store must outlive it. NULL on error.
	 */
	struct store_backup *(*backup)(struct store *s, const char *path, struct err *err);
	int (*backup_step)(struct store_backup *b, struct err *err);
	void (*backup_end)(struct store_backup *b);
	void (*free)(struct store *s);
};
struct store {
	const struct store_ops *ops;
};

/* Opens or makes the database file; checks its integrity (a torn or foreign file is an error that
 * says what to do). */
struct store *store_sqlite_open(const char *path, struct err *err);
struct store *store_memory_new(void);
void store_free(struct store *s); /* NULL is fine */

/* The whole of a backup in one go. */
MUST_USE int store_copy(struct store *s, const char *path, struct err *err);

/* Opens an existing database for a restore: every page and index is checked, not only those that a
 * start looks at. */
struct store *store_sqlite_verify(const char *path, struct err *err);

#endif
