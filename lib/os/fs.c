/* Files, carefully. Blocking system calls; any thread. */
#include "lib/os/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fs_read(const char *path, size_t max, struct buf *ret, struct err *err)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t start = ret->n;

	if (fd < 0)
		return err_sys(err, "%s", path);
	for (;;) {
		size_t have = ret->n - start;
		if (have > max)
			return err_set(err, ERR_LIMIT, "%s is larger than %zu bytes", path, max);
		char *to = buf_reserve(ret, 4096); /* first: it changes cap */
		ssize_t n = read(fd, to, MIN((size_t)65536, ret->cap - ret->n));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %s", path);
		if (n == 0)
			return 0;
		ret->n += (size_t)n;
	}
}

static int write_all(int fd, struct str data)
{
	while (data.n) {
		ssize_t n = write(fd, data.p, data.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data = str_sub(data, (size_t)n, data.n);
	}
	return 0;
}

static int sync_directory(const char *path)
{
	struct str dir, name;
	AUTO(free) char *copy = NULL;

	if (!str_rcut(str_c(path), '/', &dir, &name))
		dir = STR(".");
	copy = dir.n ? xstrndup(dir.p, dir.n) : xstrdup("/");
	AUTO(fd) int fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -1 : fsync(fd);
}

int fs_write(const char *path, struct str data, mode_t mode, struct err *err)
{
	AUTO(free) char *tmp = xasprintf("%s.tmp%d", path, getpid());

	unlink(tmp);
	AUTO(fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, "make %s", tmp);
	if (write_all(fd, data) || fchmod(fd, mode) || fsync(fd) || rename(tmp, path) ||
	    sync_directory(path)) {
		err_sys(err, "write %s", path);
		unlink(tmp);
		return -1;
	}
	return 0;
}

int fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
	AUTO(free) char *p = xstrdup(path);
	size_t n = strlen(p);

	while (n > 1 && p[n - 1] == '/')
		p[--n] = 0;
	for (size_t i = 1; i <= n; i++) {
		if (p[i] != '/' && p[i] != 0)
			continue;
		char was = p[i];
		p[i] = 0;
		if (mkdir(p, mode) && errno != EEXIST)
			return err_sys(err, "make directory %s", p);
		p[i] = was;
	}
	struct stat st;
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_EXISTS, "%s is not a directory", path);
	return 0;
}

/* ---- removing a tree, by descriptors: a name swapped for a link leads nowhere ---- */

static int remove_below(int dir, dev_t dev, int depth);

static int remove_entry(int dir, const char *name, dev_t dev, int depth)
{
	struct stat st;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st)) {
		close(fd);
		return -1;
	}
	if (st.st_dev != dev) { /* something is mounted there: not ours to empty */
		close(fd);
		errno = EBUSY;
		return -1;
	}
	int rc = remove_below(fd, dev, depth + 1);
	return rc ? rc : unlinkat(dir, name, AT_REMOVEDIR);
}

/* Takes over `dir`. */
static int remove_below(int dir, dev_t dev, int depth)
{
	DIR *d = depth > 512 ? NULL : fdopendir(dir);
	int rc = 0;

	if (!d) {
		close(dir);
		return -1;
	}
	for (struct dirent *e; !rc && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = remove_entry(dir, e->d_name, dev, depth);
	}
	int saved = errno;
	closedir(d);
	errno = saved;
	return rc;
}

int fs_remove_tree(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_sys(err, "%s", path);
	if (remove_entry(AT_FDCWD, path, st.st_dev, 0))
		return err_sys(err, "remove %s", path);
	return 0;
}

bool fs_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static int open_resolved(int root, const char *rel, struct open_how *how, struct err *err)
{
	how->flags |= O_CLOEXEC;
	how->resolve |= RESOLVE_NO_MAGICLINKS;
	int fd = (int)syscall(SYS_openat2, root, rel, how, sizeof(*how));

	return fd < 0 ? err_sys(err, "open %s", rel) : fd;
}

int fs_open_in(int root, const char *rel, int flags, mode_t mode, struct err *err)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)flags,
		.mode = (flags & (O_CREAT | __O_TMPFILE)) ? mode : 0,
		.resolve = RESOLVE_IN_ROOT,
	};

	return open_resolved(root, rel, &how, err);
}

int fs_open_beneath(int root, const char *rel, int flags, struct err *err)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = RESOLVE_BENEATH};

	return open_resolved(root, rel, &how, err);
}

int fs_mkdirs_in(int root, const char *rel, mode_t mode, struct err *err)
{
	struct str rest = str_c(rel), part;
	int at = fcntl(root, F_DUPFD_CLOEXEC, 3);

	if (at < 0)
		return err_sys(err, "open root");
	AUTO(buf) struct buf done = {0};
	while (str_next(&rest, '/', &part)) {
		if (part.n == 0 || str_is(part, "."))
			continue;
		/* Each step resolves from the root again, so ".." and links stay inside. */
		AUTO(free) char *name = xstrndup(part.p, part.n);
		if (!str_is(part, "..") && mkdirat(at, name, mode) && errno != EEXIST) {
			err_sys(err, "make directory %s", rel);
			close(at);
			return -1;
		}
		buf_printf(&done, "/%s", name);
		close(at);
		at = fs_open_in(root, buf_cstr(&done), O_PATH | O_DIRECTORY, 0, err);
		if (at < 0)
			return -1;
	}
	close(at);
	return 0;
}

char *fs_join(const char *dir, struct str rel, struct err *err)
{
	struct str rest = rel, part;

	while (str_next(&rest, '/', &part)) {
		if (part.n == 0 || str_is(part, "..") || str_is(part, ".") ||
		    memchr(part.p, 0, part.n)) {
			err_set(err, ERR_BAD_REQUEST, "path '%.*s' is not allowed", STR_ARG(rel));
			return NULL;
		}
	}
	return xasprintf("%s/%.*s", dir, STR_ARG(rel));
}
