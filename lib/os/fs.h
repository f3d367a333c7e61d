/*
 * Files, with the care that hostile names and power cuts ask for. Blocking; small files only on a
 * loop's thread.
 */
#ifndef PLUMB_FS_H
#define PLUMB_FS_H

#include <sys/types.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Whole file, at most max bytes (ERR_LIMIT beyond). */
MUST_USE int fs_read(const char *path, size_t max, struct buf *ret, struct err *err);
/* Atomic and durable: temporary file beside it, fsync, rename, fsync of the directory. */
MUST_USE int fs_write(const char *path, struct str data, mode_t mode, struct err *err);
MUST_USE int fs_mkdirs(const char *path, mode_t mode, struct err *err);
/* Removes a tree without following links or crossing mounts. Absent is success. */
MUST_USE int fs_remove_tree(const char *path, struct err *err);
bool fs_exists(const char *path);
/* Opens `rel` below directory descriptor root with openat2(RESOLVE_IN_ROOT): no link leads out. -1
 * with err. O_CLOEXEC is added. */
MUST_USE int fs_open_in(int root, const char *rel, int flags, mode_t mode, struct err *err);
/* The same with RESOLVE_BENEATH: what would lead out isn't bent inwards, but refused with EXDEV. */
MUST_USE int fs_open_beneath(int root, const char *rel, int flags, struct err *err);
MUST_USE int fs_mkdirs_in(int root, const char *rel, mode_t mode, struct err *err);
/* Joins and checks: "a/b" below dir; refuses "..", absolute and empty parts. Caller frees. */
char *fs_join(const char *dir, struct str rel, struct err *err);

#endif
