/*
 * The store on SQLite: one table, write-ahead log, synchronous=FULL, so that a commit that
 * returned has been fsynced. The only user of SQLite in Plumb. One thread.
 *
 * A batch is one transaction. After a failed commit the database is as it was before it: what it
 * left in the log counts for nothing, and the next commit writes over it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "apiserver/store/store.h"
#include "lib/base/fault.h"

#define FORMAT 2 /* PRAGMA user_version */
#define ADVICE "nothing was changed; bring back the last backup with plumb restore --force"
#define APPLICATION 0x506c6d62 /* "Plmb": PRAGMA application_id */

#define WAL_PAGES 16000 /* a log this long, 64 MB, is moved into the database between commits */
#define WAL_WORTH 400
#define WAL_LONG 1000
#define WAL_KEEP "16777216" /* bytes of log file that stay after a burst */
#define SLICE 256           /* pages of a backup or of tidying at a time */
#define FREE_MIN 1024       /* free pages that are kept for what comes next */

struct db {
	struct store store;
	sqlite3 *sqlite;
	sqlite3_stmt *put, *del, *set_revision, *begin, *commit, *rollback;
	uint64_t revision;
	int wal_pages; /* committed to the log and perhaps not yet in the database */
};

static struct db *of(struct store *s)
{
	return CONTAINER_OF(s, struct db, store);
}

static int fail(struct db *d, const char *what, struct err *err)
{
	int code = sqlite3_errcode(d->sqlite) & 0xff;
	enum err_code ours = code == SQLITE_FULL                               ? ERR_NO_SPACE
			     : code == SQLITE_BUSY                             ? ERR_CONFLICT
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

static int check(struct db *d, const char *how, struct err *err)
{
	sqlite3_stmt *st = NULL;
	int ret = 0;

	if (sqlite3_prepare_v2(d->sqlite, how, -1, &st, NULL) != SQLITE_OK)
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
		   "BLOB NOT NULL, sum INTEGER) WITHOUT ROWID;"
		   "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
		   "INSERT INTO meta VALUES('revision', 0);"
		   "PRAGMA application_id=1349283170;" /* APPLICATION */
		   "PRAGMA user_version=2;"            /* FORMAT */
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
	return prepare(d,
		       "INSERT OR REPLACE INTO object(key, revision, value, sum) VALUES(?,?,?,?)",
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

static int check_format(struct db *d, bool thorough, struct err *err)
{
	int64_t format = number(d, "PRAGMA user_version", -1),
		app = number(d, "PRAGMA application_id", -1);

	if (number(d, "SELECT count(*) FROM sqlite_master", -1) == 0)
		return make_tables(d, err);
	if (app != APPLICATION)
		return err_set(err, ERR_CORRUPT, "not a Plumb store");
	if (format == 1) { /* rows without sums: they get theirs when they are written next */
		if (run(d,
			"BEGIN IMMEDIATE; ALTER TABLE object ADD COLUMN sum INTEGER;"
			"PRAGMA user_version=2; COMMIT",
			err))
			return -1;
		format = FORMAT;
	}
	if (format != FORMAT)
		return err_set(err, ERR_CORRUPT,
			       "store format %lld, this program reads %d: use the version of plumb "
			       "that wrote it",
			       (long long)format, FORMAT);
	return check(d, thorough ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)", err);
}

/* Instead of SQLite's own automatic checkpoint: sqlite_maintain does it when it is quiet, and only
 * a burst that never is meets one in its way. A failure costs nothing but the log's length. */
static int on_wal(void *arg, sqlite3 *sqlite, const char *name, int pages)
{
	struct db *d = arg;

	d->wal_pages = pages;
	if (pages >= WAL_PAGES)
		(void)sqlite3_wal_checkpoint_v2(sqlite, name, SQLITE_CHECKPOINT_PASSIVE, NULL,
						NULL);
	return SQLITE_OK;
}

static int open_db(struct db *d, const char *path, bool existing, struct err *err)
{
	int flags =
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (existing ? 0 : SQLITE_OPEN_CREATE);

	if (sqlite3_open_v2(path, &d->sqlite, flags, NULL) != SQLITE_OK)
		return fail(d, "open", err);
	sqlite3_busy_timeout(d->sqlite, 2000); /* a predecessor that is still dying */
	if (run(d, "PRAGMA locking_mode=EXCLUSIVE", err))
		return -1;
	/* Only then: it writes, and a start must do without where the disk is full. */
	if (!number(d, "PRAGMA page_count", -1) && run(d, "PRAGMA auto_vacuum=INCREMENTAL", err))
		return -1;
	if (run(d, "PRAGMA journal_mode=WAL", err) || run(d, "PRAGMA synchronous=FULL", err) ||
	    run(d, "PRAGMA journal_size_limit=" WAL_KEEP, err) ||
	    run(d, "PRAGMA cache_size=-2000", err) || check_format(d, existing, err) ||
	    prepare_all(d, err))
		return -1;
	sqlite3_wal_hook(d->sqlite, on_wal, d);
	d->wal_pages = WAL_WORTH; /* a predecessor's */
	d->revision = (uint64_t)number(d, "SELECT value FROM meta WHERE name='revision'", 0);
	return 0;
}

/* ---- reading and writing ---- */

/*
 * SQLite checks its pages' structure, not what is in a row. Not cryptographic: against disks and
 * memory, not against people.
 */
static uint64_t sum_bytes(uint64_t h, struct str s)
{
	uint64_t word = 0;

	for (; s.n >= sizeof(word); s.p += sizeof(word), s.n -= sizeof(word)) {
		memcpy(&word, s.p, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	word = s.n;
	memcpy((char *)&word + 1, s.p, s.n);
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 32;
}

static int64_t sum_row(struct str key, struct str value, uint64_t revision)
{
	return (int64_t)sum_bytes(sum_bytes(revision, key), value);
}

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

	if (prepare(d, "SELECT key, value, revision, sum FROM object ORDER BY key", &st, err))
		return -1;
	while (!ret && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct str key = column(st, 0), value = column(st, 1);
		uint64_t revision = (uint64_t)sqlite3_column_int64(st, 2);

		if (sqlite3_column_type(st, 3) != SQLITE_NULL &&
		    sqlite3_column_int64(st, 3) != sum_row(key, value, revision))
			ret = err_set(err, ERR_CORRUPT, "%.*s: damaged: " ADVICE, STR_ARG(key));
		else
			ret = fn(arg, key, value, revision);
	}
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
		sqlite3_bind_int64(st, 4, sum_row(w->key, w->value, w->revision));
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

/* ---- what may wait ---- */

static int sqlite_maintain(struct store *s, struct err *err)
{
	struct db *d = of(s);
	int code;

	/* Not for a Lease now and then: that would be two more syncs for each. */
	if (d->wal_pages >= WAL_WORTH) {
		/* A long log gives its space back. */
		code = sqlite3_wal_checkpoint_v2(d->sqlite, NULL,
						 d->wal_pages < WAL_LONG
							 ? SQLITE_CHECKPOINT_PASSIVE
							 : SQLITE_CHECKPOINT_TRUNCATE,
						 NULL, NULL);
		if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED)
			return fail(d, "checkpoint", err);
		d->wal_pages = 0;
	}
	int64_t spare = number(d, "PRAGMA freelist_count", 0);
	if (spare < FREE_MIN || spare < number(d, "PRAGMA page_count", 0) / 4 ||
	    number(d, "PRAGMA auto_vacuum", 0) != 2) /* a store of an earlier version */
		return 0;
	/* SLICE; its own transaction, like a commit's */
	if (run(d, "PRAGMA incremental_vacuum(256)", err))
		return -1;
	d->wal_pages = MAX(d->wal_pages, WAL_WORTH); /* the file gets shorter only then */
	return 1;
}

struct store_backup {
	struct db *from;
	sqlite3 *to;
	sqlite3_backup *copy;
	char *path;
	bool whole;
};

static void sqlite_backup_end(struct store_backup *b)
{
	if (b->copy)
		sqlite3_backup_finish(b->copy);
	sqlite3_close(b->to);
	if (!b->whole)
		(void)unlink(b->path);
	free(b->path);
	free(b);
}

static int backup_fail(struct store_backup *b, struct err *err)
{
	int code = sqlite3_errcode(b->to) & 0xff;

	return err_set(err, code == SQLITE_FULL ? ERR_NO_SPACE : ERR_IO, "%s: %s", b->path,
		       sqlite3_errmsg(b->to));
}

static struct store_backup *sqlite_backup(struct store *s, const char *path, struct err *err)
{
	struct store_backup *b;
	/* Ours from the first byte, or not at all: also against a link that stands there. */
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		err_sys(err, "%s", path);
		return NULL;
	}
	close(fd);
	b = xalloc(sizeof(*b));
	b->from = of(s);
	b->path = xstrdup(path);
	if (sqlite3_open_v2(path, &b->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
	    SQLITE_OK)
		b->copy = sqlite3_backup_init(b->to, "main", b->from->sqlite, "main");
	if (b->copy)
		return b;
	backup_fail(b, err);
	sqlite_backup_end(b);
	return NULL;
}

static int sqlite_backup_step(struct store_backup *b, struct err *err)
{
	int code = sqlite3_backup_step(b->copy, SLICE);

	if (code == SQLITE_OK)
		return 1;
	if (code != SQLITE_DONE) {
		(void)sqlite3_backup_finish(b->copy); /* says it to b->to */
		b->copy = NULL;
		return backup_fail(b, err);
	}
	code = sqlite3_backup_finish(b->copy);
	b->copy = NULL;
	if (code != SQLITE_OK)
		return backup_fail(b, err);
	b->whole = true;
	return 0;
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
					    .maintain = sqlite_maintain,
					    .backup = sqlite_backup,
					    .backup_step = sqlite_backup_step,
					    .backup_end = sqlite_backup_end,
					    .free = sqlite_free};

static struct store *open_store(const char *path, bool existing, struct err *err)
{
	struct db *d = xalloc(sizeof(*d));
	struct err why = {0};

	d->store.ops = &sqlite_ops;
	if (!open_db(d, path, existing, &why))
		return &d->store;
	err_set(err, why.code, "%s: %s%s", path, why.msg,
		why.code == ERR_CORRUPT && !existing ? ": " ADVICE : "");
	sqlite_free(&d->store);
	return NULL;
}

struct store *store_sqlite_open(const char *path, struct err *err)
{
	return open_store(path, false, err);
}

struct store *store_sqlite_verify(const char *path, struct err *err)
{
	return open_store(path, true, err);
}
