/*
 * A disk for SQLite that lives in memory and can be made to lie: it keeps what was written since
 * the last sync apart, so that a power cut can lose, tear and reorder it; it fails the N-th
 * operation; it is full at a given size. Registered as SQLite's default file system by
 * faultfs_register(), so that the store runs over it unchanged. Included by one test program each.
 *
 * A power cut works on sectors: of each unsynced write every sector is on the disk, is not, or is
 * there in part, independently of all others. A file's name lasts from the first sync of any file
 * on, which is what a synced directory gives (SQLite's Unix layer syncs it for each new log).
 */
#ifndef PLUMB_TEST_FAULTFS_H
#define PLUMB_TEST_FAULTFS_H

#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/base/base.h"
#include "lib/base/codec.h"

#define FAULTFS_SECTOR 512
#define FAULTFS_FILES 8

struct faultfs_write {
	int64_t at;
	size_t n; /* SIZE_MAX: a truncation to `at` */
	uint8_t *bytes;
};

struct faultfs_file {
	char name[128];
	bool exists, lasts;
	uint8_t *live, *synced;
	size_t n, cap, nsynced;
	struct faultfs_write *w; /* since the last sync */
	size_t nw, capw;
};

struct faultfs {
	struct faultfs_file files[FAULTFS_FILES];
	struct rng rng;
	int64_t ops;        /* operations so far */
	int64_t cut_at;     /* that operation and all behind it meet no power; 0 = never */
	int64_t fail_at;    /* that operation fails; 0 = never */
	bool fail_for_ever; /* and all behind it */
	bool lies;          /* syncs do nothing */
	size_t room;        /* bytes of all files together; 0 = as many as you like */
	int fired;          /* faults so far */
};

static struct faultfs disk;

struct faultfs_handle {
	sqlite3_file base;
	struct faultfs_file *file;
};

/* ---- faults ---- */

static bool disk_fails(void)
{
	disk.ops++;
	if ((disk.cut_at && disk.ops >= disk.cut_at) ||
	    (disk.fail_at &&
	     (disk.ops == disk.fail_at || (disk.fail_for_ever && disk.ops > disk.fail_at)))) {
		disk.fired++;
		return true;
	}
	return false;
}

static size_t disk_used(void)
{
	size_t n = 0;

	for (size_t i = 0; i < FAULTFS_FILES; i++)
		n += disk.files[i].exists ? disk.files[i].n : 0;
	return n;
}

/* ---- files ---- */

static void file_resize(struct faultfs_file *f, size_t n)
{
	if (n > f->cap) {
		f->cap = MAX(n, 2 * f->cap + 4096);
		f->live = xrealloc(f->live, f->cap);
	}
	if (n > f->n)
		memset(f->live + f->n, 0, n - f->n);
	f->n = n;
}

static void file_note(struct faultfs_file *f, int64_t at, const void *p, size_t n)
{
	struct faultfs_write *w;

	if (f->nw == f->capw) {
		f->capw = f->capw ? 2 * f->capw : 64;
		f->w = xreallocarray(f->w, f->capw, sizeof(*f->w));
	}
	w = &f->w[f->nw++];
	*w = (struct faultfs_write){.at = at, .n = n};
	if (n != SIZE_MAX) {
		w->bytes = xalloc(n + 1);
		memcpy(w->bytes, p, n);
	}
}

static void file_forget(struct faultfs_file *f)
{
	while (f->nw)
		free(f->w[--f->nw].bytes);
}

static void file_sync(struct faultfs_file *f)
{
	f->synced = xrealloc(f->synced, f->n + 1);
	memcpy(f->synced, f->live, f->n);
	f->nsynced = f->n;
	file_forget(f);
}

static struct faultfs_file *file_named(const char *name)
{
	for (size_t i = 0; name && i < FAULTFS_FILES; i++)
		if (disk.files[i].exists && !strcmp(disk.files[i].name, name))
			return &disk.files[i];
	return NULL;
}

static struct faultfs_file *file_make(const char *name)
{
	for (size_t i = 0; i < FAULTFS_FILES; i++) {
		struct faultfs_file *f = &disk.files[i];
		if (f->exists)
			continue;
		f->exists = true;
		f->lasts = false;
		f->n = f->nsynced = 0;
		snprintf(f->name, sizeof(f->name), "%s", name);
		return f;
	}
	panic("faultfs: too many files");
}

/* ---- the power cut ---- */

static void put_part(struct faultfs_file *f, size_t at, const uint8_t *p, size_t n)
{
	if (at + n > f->n)
		file_resize(f, at + n);
	memcpy(f->live + at, p, n);
}

static void lose_sectors(struct faultfs_file *f, const struct faultfs_write *w)
{
	for (size_t done = 0, n; done < w->n; done += n) {
		size_t at = (size_t)w->at + done;

		n = MIN(w->n - done, FAULTFS_SECTOR - at % FAULTFS_SECTOR);
		switch (rng_below(&disk.rng, 4)) {
		case 0: /* lost */
			break;
		case 1: /* torn */
			put_part(f, at, w->bytes + done, rng_below(&disk.rng, n + 1));
			break;
		default:
			put_part(f, at, w->bytes + done, n);
		}
	}
}

static void file_cut(struct faultfs_file *f)
{
	size_t n = f->nw, left = f->nw;
	/* Sometimes all of it, sometimes nothing: the edges are where mistakes are. */
	uint64_t mood = rng_below(&disk.rng, 8);

	if (!f->lasts)
		f->exists = false;
	file_resize(f, 0);
	file_resize(f, f->nsynced);
	if (f->nsynced)
		memcpy(f->live, f->synced, f->nsynced);
	/* In any order: each round takes one of those that are left. */
	while (left && mood != 0) {
		size_t i = mood == 1 ? n - left : rng_below(&disk.rng, left);
		struct faultfs_write w = f->w[i];

		if (mood > 3) {
			f->w[i] = f->w[left - 1];
			f->w[left - 1] = w;
		} else {
			i = n - left;
			w = f->w[i];
		}
		left--;
		if (w.n == SIZE_MAX) {
			if (mood == 1 || rng_below(&disk.rng, 2))
				file_resize(f, (size_t)w.at);
		} else if (mood == 1) {
			put_part(f, (size_t)w.at, w.bytes, w.n);
		} else {
			lose_sectors(f, &w);
		}
	}
	file_sync(f);
}

/* What the machine finds when it comes up again. Nothing may have the files open. */
static UNUSED void faultfs_power_cut(void)
{
	for (size_t i = 0; i < FAULTFS_FILES; i++)
		if (disk.files[i].exists)
			file_cut(&disk.files[i]);
	disk.cut_at = disk.fail_at = 0;
}

static UNUSED void faultfs_wipe(void)
{
	for (size_t i = 0; i < FAULTFS_FILES; i++) {
		file_forget(&disk.files[i]);
		free(disk.files[i].w);
		free(disk.files[i].live);
		free(disk.files[i].synced);
	}
	memset(&disk, 0, sizeof(disk));
}

/* ---- what SQLite calls ---- */

static struct faultfs_file *of_handle(sqlite3_file *h)
{
	return ((struct faultfs_handle *)(void *)h)->file;
}

static int fs_close(sqlite3_file *h)
{
	(void)h;
	return SQLITE_OK;
}

static int fs_get(sqlite3_file *h, void *to, int n, sqlite3_int64 at)
{
	struct faultfs_file *f = of_handle(h);
	size_t there = (size_t)at < f->n ? MIN((size_t)n, f->n - (size_t)at) : 0;

	if (disk_fails())
		return SQLITE_IOERR_READ;
	if (there)
		memcpy(to, f->live + at, there);
	memset((char *)to + there, 0, (size_t)n - there);
	return there == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int fs_put(sqlite3_file *h, const void *p, int n, sqlite3_int64 at)
{
	struct faultfs_file *f = of_handle(h);
	size_t end = (size_t)at + (size_t)n, part = (size_t)n;
	bool fails = disk_fails();

	if (fails) /* some of it may have got there */
		part = rng_below(&disk.rng, (uint64_t)n + 1);
	if (disk.room && end > f->n && disk_used() + (end - f->n) > disk.room)
		return SQLITE_FULL;
	if (part) {
		if ((size_t)at + part > f->n)
			file_resize(f, (size_t)at + part);
		memcpy(f->live + at, p, part);
		file_note(f, at, p, part);
	}
	return fails ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int fs_truncate(sqlite3_file *h, sqlite3_int64 n)
{
	struct faultfs_file *f = of_handle(h);

	if (disk_fails())
		return SQLITE_IOERR_TRUNCATE;
	file_resize(f, (size_t)n);
	file_note(f, n, NULL, SIZE_MAX);
	return SQLITE_OK;
}

static int fs_sync(sqlite3_file *h, int flags)
{
	(void)flags;
	if (disk_fails())
		return SQLITE_IOERR_FSYNC;
	if (disk.lies)
		return SQLITE_OK;
	file_sync(of_handle(h));
	for (size_t i = 0; i < FAULTFS_FILES; i++)
		disk.files[i].lasts = disk.files[i].exists;
	return SQLITE_OK;
}

static int fs_size(sqlite3_file *h, sqlite3_int64 *ret)
{
	if (disk_fails())
		return SQLITE_IOERR_FSTAT;
	*ret = (sqlite3_int64)of_handle(h)->n;
	return SQLITE_OK;
}

static int fs_lock(sqlite3_file *h, int how)
{
	(void)h;
	(void)how;
	return SQLITE_OK;
}

static int fs_reserved(sqlite3_file *h, int *ret)
{
	(void)h;
	*ret = 0;
	return SQLITE_OK;
}

static int fs_control(sqlite3_file *h, int what, void *arg)
{
	(void)h;
	(void)what;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int fs_sector(sqlite3_file *h)
{
	(void)h;
	return 4096;
}

/* As SQLite's Unix layer says of every disk: a torn write hurts nothing beside itself. */
static int fs_traits(sqlite3_file *h)
{
	(void)h;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods fs_methods = {.iVersion = 1,
					      .xClose = fs_close,
					      .xRead = fs_get,
					      .xWrite = fs_put,
					      .xTruncate = fs_truncate,
					      .xSync = fs_sync,
					      .xFileSize = fs_size,
					      .xLock = fs_lock,
					      .xUnlock = fs_lock,
					      .xCheckReservedLock = fs_reserved,
					      .xFileControl = fs_control,
					      .xSectorSize = fs_sector,
					      .xDeviceCharacteristics = fs_traits};

static int fs_open(sqlite3_vfs *v, const char *name, sqlite3_file *h, int flags, int *ret_flags)
{
	struct faultfs_handle *fh = (struct faultfs_handle *)(void *)h;

	(void)v;
	h->pMethods = NULL;
	if (disk_fails())
		return SQLITE_CANTOPEN;
	fh->file = file_named(name);
	if (!fh->file && !(flags & SQLITE_OPEN_CREATE))
		return SQLITE_CANTOPEN;
	if (!fh->file)
		fh->file = file_make(name ? name : "unnamed");
	h->pMethods = &fs_methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int fs_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
	struct faultfs_file *f = file_named(name);

	(void)v;
	(void)sync_dir; /* a name that a cut brings back was never in the way: not played */
	if (disk_fails())
		return SQLITE_IOERR_DELETE;
	if (!f)
		return SQLITE_IOERR_DELETE_NOENT;
	f->exists = false;
	file_forget(f);
	return SQLITE_OK;
}

static int fs_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
	const struct faultfs_file *f = file_named(name);

	(void)v;
	(void)flags;
	if (disk_fails())
		return SQLITE_IOERR_ACCESS;
	*ret = f && f->n;
	return SQLITE_OK;
}

static int fs_full(sqlite3_vfs *v, const char *name, int n, char *out)
{
	(void)v;
	sqlite3_snprintf(n, out, "%s", name);
	return SQLITE_OK;
}

static int fs_random(sqlite3_vfs *v, int n, char *out)
{
	(void)v;
	for (int i = 0; i < n; i++)
		out[i] = (char)rng_u64(&disk.rng);
	return n;
}

static int fs_sleep(sqlite3_vfs *v, int us)
{
	(void)v;
	return us;
}

static int fs_time(sqlite3_vfs *v, double *ret)
{
	(void)v;
	*ret = 2460000.5;
	return SQLITE_OK;
}

static UNUSED void faultfs_register(uint64_t seed)
{
	static sqlite3_vfs vfs = {.iVersion = 1,
				  .szOsFile = sizeof(struct faultfs_handle),
				  .mxPathname = 120,
				  .zName = "faultfs",
				  .xOpen = fs_open,
				  .xDelete = fs_delete,
				  .xAccess = fs_access,
				  .xFullPathname = fs_full,
				  .xRandomness = fs_random,
				  .xSleep = fs_sleep,
				  .xCurrentTime = fs_time};

	faultfs_wipe();
	rng_seed(&disk.rng, seed);
	sqlite3_vfs_register(&vfs, 1);
}

#endif
