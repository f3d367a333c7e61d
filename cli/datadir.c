/*
 * The data directory of one instance. The lock is an open-file-description lock on DIR/lock: it
 * vanishes with its owner however that dies, and names it to others (fcntl F_OFD_GETLK can't, so
 * the file holds the process id too).
 */
#include "cli/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/os/fs.h"

static int read_instance(struct datadir *d, bool create, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	const char *path = datadir_path(d, "instance");

	if (fs_exists(path)) {
		if (fs_read(path, 64, &text, err))
			return -1;
		struct str id = str_trim(buf_view(&text));
		if (id.n != sizeof(d->instance) - 1)
			return err_set(err, ERR_CORRUPT, "%s does not hold 8 hex digits", path);
		memcpy(d->instance, id.p, id.n);
		return 0;
	}
	if (!create)
		return err_set(err, ERR_NOT_FOUND, "%s is not a data directory of plumb", d->path);
	/* From the path, so that an instance whose directory was emptied finds its leftovers. */
	snprintf(d->instance, sizeof(d->instance), "%08x", str_fnv32(str_c(d->path)));
	return fs_write(path, str_c(d->instance), 0600, err);
}

int datadir_open(struct datadir *d, const char *path, bool create, struct err *err)
{
	memset(d, 0, sizeof(*d));
	d->lock = -1;
	if (create && fs_mkdirs(path, 0700, err))
		return err_wrap(err, "data directory");
	AUTO(free) char *real = realpath(path, NULL);
	if (!real)
		return err_sys(err, "%s", path);
	if (strlen(real) > DATADIR_MAX)
		return err_set(err, ERR_LIMIT, "%s: the path is longer than %d bytes", real,
			       DATADIR_MAX);
	memcpy(d->path, real, strlen(real) + 1);
	return read_instance(d, create, err);
}

int datadir_lock(struct datadir *d, struct err *err)
{
	char pid[16];
	int fd = open(datadir_path(d, "lock"), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_sys(err, "lock %s", d->path);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return err_set(err, ERR_CONFLICT, "process %d runs on %s already", datadir_owner(d),
			       d->path);
	}
	int n = snprintf(pid, sizeof(pid), "%d\n", getpid());
	if (ftruncate(fd, 0) || write(fd, pid, (size_t)n) != n) {
		close(fd);
		return err_sys(err, "write %s/lock", d->path);
	}
	d->lock = fd;
	return 0;
}

int datadir_owner(const struct datadir *d)
{
	AUTO(buf) struct buf text = {0};
	AUTO(fd) int fd = open(datadir_path(d, "lock"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int64_t pid;

	if (fd < 0 || !flock(fd, LOCK_SH | LOCK_NB))
		return 0;
	if (fs_read(datadir_path(d, "lock"), 64, &text, NULL) ||
	    str_to_i64(str_trim(buf_view(&text)), &pid))
		return 0;
	return (int)pid;
}

void datadir_release(struct datadir *d)
{
	if (d->lock >= 0)
		close(d->lock);
	d->lock = -1;
}

const char *datadir_path(const struct datadir *d, const char *fmt, ...)
{
	static char ring[8][DATADIR_MAX + 512];
	static unsigned at;
	char *out = ring[at++ % 8];
	va_list ap;
	int n = snprintf(out, sizeof(ring[0]), "%s/", d->path);

	va_start(ap, fmt);
	vsnprintf(out + n, sizeof(ring[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return out;
}
