/* The role's process: `plumb apiserver`. Returns the exit code. */
#ifndef PLUMB_APISERVER_MAIN_H
#define PLUMB_APISERVER_MAIN_H

#include "lib/base/err.h"

int apiserver_main(int argc, char **argv);

/* ---- backups as files: looked at, taken from a stopped instance, brought back; blocking ---- */
struct backup_facts {
	uint64_t revision;
	size_t objects, secrets; /* secrets: rows that are encrypted */
	size_t locked;           /* of them, how many the root key at hand does not open */
};

/* Checks every page and object of a backup. */
MUST_USE int backup_verify(const char *file, struct backup_facts *ret, struct err *err);
/* The store of an instance that doesn't run, into a file that must not exist. */
MUST_USE int backup_stopped(const char *data_dir, const char *file, struct err *err);

struct restore_opts {
	const char *file, *data_dir; /* data_dir exists, and nothing runs on it */
	const char *root_key;        /* brought along; NULL = the one that is there */
	bool force;        /* over a store that is there: kept beside as store.db.before */
	bool drop_secrets; /* go on without what the key does not open */
	uint64_t jump;     /* added to the revision: no watcher goes on from a past that
			      this store never had */
};
MUST_USE int backup_restore(const struct restore_opts *o, struct backup_facts *ret,
			    struct err *err);

#endif
