/*
 * The store on SQLite: one table, write-ahead log, synchronous=FULL, so that a commit that
 * returned has been fsynced. The only user of SQLite in Plumb. One thread.
 *
 * A batch is one transaction. After a failed commit the database is as it was before it.
 */
#include <stdlib.h>

#include <sqlite3.h>

#include "apiserver/store/store.h"
#include "lib/base/fault.h"

#define FORMAT 1               /* PRAGMA user_version */
#define APPLICATION 0x506c6d62 /* "Plmb": PRAGMA application_id */

struct db {
	struct store store;
	sqlite3 *sqlite;
	sqlite3_stmt *put, *del, *set_revision, *begin, *commit, *rollback;
	uint64_t revision;
};

static struct db *of(struct store *s)
{
	return CONTAINER_OF(s, struct db, store);
}

static int fail(struct db *d, const char *what, struct err *err)
{
	int code = sqlite3_errcode(d->sqlite) & 0xff;
	enum err_code ours = code == SQLITE_FULL                               ? ERR_NO_SPACE
			     : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERR_CORRUPT
									       : ERR_IO;

	return err_set(err, ours, "%s: %s", what, sqlite3_errmsg(d->sqlite));
}

/* ---- opening ---- */

static int run(struct db *d, const char *sql, struct err *err)
{
	return sqlite3_exec(d->sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(d, sql, err);
}

static int64_t number(struct db *d, const char *sql, int64_t otherwise)
{
	sqlite3_stmt *st = NULL;
	int64_t ret = otherwise;

	if (sqlite3_prepare_v2(d->sqlite, sql, -1, &st, NULL) == SQLITE_OK &&
	    sqlite3_step(st) == SQLITE_ROW)
		ret = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return ret;
}

static int check_quick(struct db *d, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int ret = 0;

	if (sqlite3_prepare_v2(d->sqlite, "PRAGMA quick_check(1)", -1, &st, NULL) != SQLITE_OK)
		return fail(d, "check", err);
	if (sqlite3_step(st) != SQLITE_ROW)
		ret = fail(d, "check", err);
	else if (!str_is(str_c((const char *)sqlite3_column_text(st, 0)), "ok"))
		ret = err_set(err, ERR_CORRUPT, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return ret;
}

static int make_tables(struct db *d, struct err *err)
{
	return run(d,
		   "BEGIN IMMEDIATE;"
		   "CREATE TABLE object(key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value "
		   "BLOB NOT NULL) WITHOUT ROWID;"
		   "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
		   "INSERT INTO meta VALUES('revision', 0);"
		   "PRAGMA application_id=1349283170;" /* APPLICATION */
		   "PRAGMA user_version=1;"            /* FORMAT */
		   "COMMIT",
		   err);
}

static int prepare(struct db *d, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	if (sqlite3_prepare_v3(d->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) ==
	    SQLITE_OK)
		return 0;
	return fail(d, sql, err);
}

static int prepare_all(struct db *d, struct err *err)
{
	return prepare(d, "INSERT OR REPLACE INTO object(key, revision, value) VALUES(?,?,?)",
		       &d->put, err) ||
			       prepare(d, "DELETE FROM object WHERE key=?", &d->del, err) ||
			       prepare(d, "UPDATE meta SET value=? WHERE name='revision'",
				       &d->set_revision, err) ||
			       prepare(d, "BEGIN IMMEDIATE", &d->begin, err) ||
			       prepare(d, "COMMIT", &d->commit, err) ||
			       prepare(d, "ROLLBACK", &d->rollback, err)
		       ? -1
		       : 0;
}

static int check_format(struct db *d, struct err *err)
{
	int64_t format = number(d, "PRAGMA user_version", -1),
		app = number(d, "PRAGMA application_id", -1);

	if (number(d, "SELECT count(*) FROM sqlite_master", -1) == 0)
		return make_tables(d, err);
	if (app != APPLICATION)
		return err_set(err, ERR_CORRUPT, "not a Plumb store");
	if (format != FORMAT)
		return err_set(err, ERR_CORRUPT,
			       "store format %lld, this program reads %d: use the version of plumb "
			       "that wrote it",
			       (long long)format, FORMAT);
	return check_quick(d, err);
}

static int open_db(struct db *d, const char *path, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	if (sqlite3_open_v2(path, &d->sqlite, flags, NULL) != SQLITE_OK)
		return fail(d, "open", err);
	sqlite3_busy_timeout(d->sqlite, 2000); /* a predecessor that is still dying */
	if (run(d, "PRAGMA locking_mode=EXCLUSIVE", err) ||
	    run(d, "PRAGMA journal_mode=WAL", err) || run(d, "PRAGMA synchronous=FULL", err) ||
	    run(d, "PRAGMA wal_autocheckpoint=2000", err) ||
	    run(d, "PRAGMA cache_size=-2000", err) || check_format(d, err) || prepare_all(d, err))
		return -1;
	d->revision = (uint64_t)number(d, "SELECT value FROM meta WHERE name='revision'", 0);
	return 0;
}

/* ---- reading and writing ---- */

static struct str column(sqlite3_stmt *st, int i)
{
	const void *p = sqlite3_column_blob(st, i);

	return (struct str){p ? p : "", (size_t)sqlite3_column_bytes(st, i)};
}

static int sqlite_load(struct store *s,
		       int (*fn)(void *arg, struct str key, struct str value, uint64_t revision),
		       void *arg, struct err *err)
{
	struct db *d = of(s);
	sqlite3_stmt *st = NULL;
	int code, ret = 0;

	if (prepare(d, "SELECT key, value, revision FROM object ORDER BY key", &st, err))
		return -1;
	while (!ret && (code = sqlite3_step(st)) == SQLITE_ROW)
		ret = fn(arg, column(st, 0), column(st, 1), (uint64_t)sqlite3_column_int64(st, 2));
	if (!ret && code != SQLITE_DONE)
		ret = fail(d, "read", err);
	sqlite3_finalize(st);
	return ret;
}

static int step(struct db *d, sqlite3_stmt *st, const char *what, struct err *err)
{
	int code = sqlite3_step(st);
	int ret = code == SQLITE_DONE ? 0 : fail(d, what, err);

	sqlite3_reset(st);
	return ret;
}

static int write_row(struct db *d, const struct store_write *w, struct err *err)
{
	sqlite3_stmt *st = w->value.p ? d->put : d->del;
	int ret;

	sqlite3_bind_text(st, 1, w->key.p, (int)w->key.n, SQLITE_STATIC);
	if (w->value.p) {
		sqlite3_bind_int64(st, 2, (sqlite3_int64)w->revision);
		sqlite3_bind_blob(st, 3, w->value.p, (int)w->value.n, SQLITE_STATIC);
	}
	ret = step(d, st, "write", err);
	sqlite3_clear_bindings(st);
	return ret;
}

static int write_all(struct db *d, const struct store_write *w, size_t n, uint64_t revision,
		     struct err *err)
{
	for (size_t i = 0; i < n; i++)
		if (write_row(d, &w[i], err))
			return -1;
	sqlite3_bind_int64(d->set_revision, 1, (sqlite3_int64)revision);
	if (step(d, d->set_revision, "write", err))
		return -1;
	FAULT_POINT("store.commit");
	if (FAULT_ERR("store.full"))
		return err_set(err, ERR_NO_SPACE, "commit: no space left (fault)");
	return step(d, d->commit, "commit", err);
}

static int sqlite_commit(struct store *s, const struct store_write *w, size_t n, uint64_t revision,
			 struct err *err)
{
	struct db *d = of(s);

	if (step(d, d->begin, "begin", err))
		return -1;
	if (write_all(d, w, n, revision, err)) {
		struct err ignored = {0};

		if (!sqlite3_get_autocommit(d->sqlite))
			(void)step(d, d->rollback, "rollback", &ignored);
		return -1;
	}
	d->revision = revision;
	FAULT_POINT("store.committed");
	return 0;
}

static uint64_t sqlite_revision(const struct store *s)
{
	return CONTAINER_OF(s, const struct db, store)->revision;
}

static int sqlite_backup(struct store *s, const char *path, struct err *err)
{
	struct db *d = of(s);
	sqlite3_stmt *st = NULL;
	int ret;

	if (prepare(d, "VACUUM INTO ?", &st, err)) /* refuses an existing file by itself */
		return -1;
	sqlite3_bind_text(st, 1, path, -1, SQLITE_STATIC);
	ret = step(d, st, path, err);
	sqlite3_finalize(st);
	return ret;
}

static void sqlite_free(struct store *s)
{
	struct db *d = of(s);
	sqlite3_stmt *all[] = {d->put, d->del, d->set_revision, d->begin, d->commit, d->rollback};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		sqlite3_finalize(all[i]);
	sqlite3_close(d->sqlite);
	free(d);
}

static const struct store_ops sqlite_ops = {.load = sqlite_load,
					    .commit = sqlite_commit,
					    .revision = sqlite_revision,
					    .backup = sqlite_backup,
					    .free = sqlite_free};

struct store *store_sqlite_open(const char *path, struct err *err)
{
	struct db *d = xalloc(sizeof(*d));

	d->store.ops = &sqlite_ops;
	if (!open_db(d, path, err))
		return &d->store;
	err_wrap(err, "%s", path);
	sqlite_free(&d->store);
	return NULL;
}
