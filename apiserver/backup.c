/*
 * Bringing a backup back: copied into the data directory under another name, checked page by page
 * and Secret by Secret there, its revision moved forward, and only then put in the store's place
 * with a rename. Killed anywhere, the old store is in its place or kept beside it, whole. Must
 * never touch a store that somebody has open, nor the backup. Blocking, one thread.
 */
#include "apiserver/main.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/store/store.h"
#include "lib/json/json.h"
#include "lib/os/fs.h"
#include "secrets/atrest.h"

#define KEY_FILE_MAX 4096

/* ---- looking ---- */

struct looking {
	struct atrest *key; /* NULL = none */
	struct backup_facts *facts;
	bool collect;
	struct buf dropped; /* keys that don't come along, each ended by NUL */
	struct err *err;
};

static bool is_object(struct str bytes)
{
	AUTO(arena) struct arena a = {0};

	return json_is(json_at(json_parse(&a, bytes, NULL, NULL), "metadata"), JSON_OBJECT);
}

/* When tables were changed, and who leads in a cluster that is no more: nobody waits for it. */
static bool is_past(struct str key)
{
	return str_starts(key, STR("~")) ||
	       str_starts(key, STR("coordination.k8s.io/leases/kube-"));
}

static int look(void *arg, struct str key, struct str value, uint64_t revision)
{
	struct looking *l = arg;
	struct buf plain = {0};

	if (is_past(key)) {
		if (l->collect) {
			buf_str(&l->dropped, key);
			buf_putc(&l->dropped, 0);
		}
		return 0;
	}
	l->facts->objects++;
	(void)revision;
	if (!atrest_is_sealed(value))
		return is_object(value)
			       ? 0
			       : err_set(l->err, ERR_CORRUPT, "%.*s: not an object", STR_ARG(key));
	l->facts->secrets++;
	if (!l->key || atrest_open(l->key, key, value, &plain, NULL)) {
		l->facts->locked++;
		if (l->collect) {
			buf_str(&l->dropped, key);
			buf_putc(&l->dropped, 0);
		}
	}
	buf_wipe(&plain);
	return 0;
}

static int look_at(struct store *s, struct looking *l, struct err *err)
{
	*l->facts = (struct backup_facts){.revision = s->ops->revision(s)};
	return s->ops->load(s, look, l, err);
}

int backup_verify(const char *file, struct backup_facts *ret, struct err *err)
{
	struct looking l = {.facts = ret, .err = err};
	struct store *s = store_sqlite_verify(file, err);
	int rc = s ? look_at(s, &l, err) : -1;

	store_free(s);
	return rc;
}

int backup_stopped(const char *data_dir, const char *file, struct err *err)
{
	AUTO(free) char *db = xasprintf("%s/store.db", data_dir);
	struct store *s;
	int rc;

	if (!fs_exists(db))
		return err_set(err, ERR_NOT_FOUND, "%s: there is no store in it", data_dir);
	s = store_sqlite_verify(db, err);
	rc = s ? store_copy(s, file, err) : -1;
	store_free(s);
	return rc;
}

/* ---- bringing back ---- */

struct restoring {
	const struct restore_opts *o;
	char *db, *wal, *next, *next_wal, *key;
};

static int copy_file(const char *from, const char *to, struct err *err)
{
	AUTO(free) char *bytes = xrealloc(NULL, 1 << 20);
	AUTO(fd)
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;

	if (in < 0)
		return err_sys(err, "%s", from);
	if (out < 0)
		return err_sys(err, "%s", to);
	while ((n = read(in, bytes, 1 << 20)) > 0)
		for (ssize_t done = 0, w; done < n; done += w)
			if ((w = write(out, bytes + done, (size_t)(n - done))) < 0)
				return err_sys(err, "write %s", to);
	return n < 0 ? err_sys(err, "read %s", from) : fsync(out) ? err_sys(err, "sync %s", to) : 0;
}

/* Which key opens it, and whether it does. */
static struct atrest *load_key(struct restoring *r, struct err *err)
{
	if (r->o->root_key)
		return atrest_load(r->o->root_key, false, err);
	return atrest_load(r->key, !fs_exists(r->db), err);
}

static int drop(struct store *s, struct looking *l, uint64_t revision, struct err *err)
{
	for (size_t at = 0; at < l->dropped.n;) {
		struct store_write w = {str_c(l->dropped.p + at), STR_NONE, revision};

		if (s->ops->commit(s, &w, 1, revision, err))
			return -1;
		at += w.key.n + 1;
	}
	return 0;
}

static int prepare_store(struct restoring *r, struct store *s, struct looking *l, struct err *err)
{
	if (look_at(s, l, err))
		return -1;
	if (l->facts->locked && !r->o->drop_secrets)
		return err_set(err, ERR_FORBIDDEN,
			       "%zu of its %zu encrypted objects do not open with %s: give the key "
			       "file of the instance that it comes from (--root-key), or go on "
			       "without them (--drop-secrets)",
			       l->facts->locked, l->facts->secrets,
			       r->o->root_key ? r->o->root_key : "this instance's root key");
	l->facts->revision += r->o->jump;
	if (drop(s, l, l->facts->revision, err))
		return -1;
	return s->ops->commit(s, NULL, 0, l->facts->revision, err);
}

static int prepare(struct restoring *r, struct backup_facts *facts, struct err *err)
{
	struct looking l = {.facts = facts, .collect = true, .err = err};
	struct store *s = NULL;
	int rc = -1;

	if (!copy_file(r->o->file, r->next, err) && (l.key = load_key(r, err)))
		s = store_sqlite_verify(r->next, err);
	if (s)
		rc = prepare_store(r, s, &l, err);
	store_free(s); /* its log goes into the file */
	atrest_free(l.key);
	buf_release(&l.dropped);
	if (!rc && fs_exists(r->next_wal))
		rc = err_set(err, ERR_IO, "%s could not be closed", r->next);
	return rc;
}

static int sync_dir(const char *path, struct err *err)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) ? err_sys(err, "sync %s", path) : 0;
}

static int move(const char *from, const char *to, struct err *err)
{
	return rename(from, to) && errno != ENOENT ? err_sys(err, "move %s", from) : 0;
}

static int install_key(struct restoring *r, struct err *err)
{
	struct buf bytes = {0};
	int rc;

	if (!r->o->root_key)
		return 0;
	rc = fs_read(r->o->root_key, KEY_FILE_MAX, &bytes, err);
	if (!rc && fs_exists(r->key)) {
		AUTO(free) char *before = xasprintf("%s.before", r->key);
		rc = move(r->key, before, err);
	}
	if (!rc)
		rc = fs_write(r->key, buf_view(&bytes), 0600, err);
	buf_wipe(&bytes);
	return rc;
}

/* A server that runs without `plumb up` shows in nothing but its lock. */
static int check_unused(struct restoring *r, struct err *err)
{
	struct err why = {0};
	struct store *s = fs_exists(r->db) ? store_sqlite_verify(r->db, &why) : NULL;

	store_free(s);
	return why.code == ERR_CONFLICT ? err_set(err, ERR_CONFLICT, "%s", why.msg) : 0;
}

/* The old log moves first: it must never be taken for the new store's. */
static int put_in_place(struct restoring *r, struct err *err)
{
	AUTO(free) char *before = xasprintf("%s.before", r->db);
	AUTO(free) char *before_wal = xasprintf("%s.before-wal", r->db);

	if (check_unused(r, err))
		return -1;
	if (fs_exists(r->db)) {
		(void)unlink(before);
		(void)unlink(before_wal);
	}
	if (move(r->wal, before_wal, err) || move(r->db, before, err) ||
	    sync_dir(r->o->data_dir, err) || install_key(r, err) || move(r->next, r->db, err))
		return -1;
	return sync_dir(r->o->data_dir, err);
}

int backup_restore(const struct restore_opts *o, struct backup_facts *ret, struct err *err)
{
	struct restoring r = {.o = o,
			      .db = xasprintf("%s/store.db", o->data_dir),
			      .wal = xasprintf("%s/store.db-wal", o->data_dir),
			      .next = xasprintf("%s/store.db.restoring", o->data_dir),
			      .next_wal = xasprintf("%s/store.db.restoring-wal", o->data_dir),
			      .key = xasprintf("%s/root.key", o->data_dir)};
	int rc;

	if (fs_exists(r.db) && !o->force)
		rc = err_set(err, ERR_EXISTS,
			     "%s holds a store: --force puts it aside as store.db.before",
			     o->data_dir);
	else
		rc = prepare(&r, ret, err) || put_in_place(&r, err) ? -1 : 0;
	if (rc) {
		(void)unlink(r.next);
		(void)unlink(r.next_wal);
	}
	free(r.db);
	free(r.wal);
	free(r.next);
	free(r.next_wal);
	free(r.key);
	return rc;
}
