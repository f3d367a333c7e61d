/*
 * The atomic writer: files live in a folder "..STAMP", a link "..data" points to it, and each name
 * in the volume is a link through "..data"; swapping that one link swaps everything. Containers
 * see the folder read-only, so what is found here was written here. Blocking.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/volume/volume.h"
#include "lib/os/fs.h"

static mode_t mode_of(const struct payload_file *f, int64_t gid)
{
	return f->mode | (gid >= 0 ? 0440 : 0);
}

static bool same(const char *folder, const struct payload_file *f, int64_t gid)
{
	AUTO(buf) struct buf have = {0};
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/..data/%.*s", folder, STR_ARG(f->path));
	bool is = !stat(path, &st) && (st.st_mode & 0777) == mode_of(f, gid) &&
		  !fs_read(path, PAYLOAD_BYTES_MAX, &have, NULL) &&
		  str_eq(buf_view(&have), f->data);
	buf_wipe(&have);
	return is;
}

static struct str first_part(struct str path)
{
	struct str head, tail;

	str_cut(path, '/', &head, &tail);
	return head;
}

static bool wanted(const struct payload *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		if (str_is(first_part(p->v[i].path), name))
			return true;
	}
	return false;
}

/* Removes links that no file of the payload needs; counts those that were there. */
static size_t sweep(const char *folder, const struct payload *p, bool remove)
{
	DIR *d = opendir(folder);
	size_t stale = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		if (!strncmp(e->d_name, "..", 2) || !strcmp(e->d_name, ".") || wanted(p, e->d_name))
			continue;
		stale++;
		if (remove)
			unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
	return stale;
}

static size_t count_files(const char *folder, int depth)
{
	DIR *d = depth > 40 ? NULL : opendir(folder);
	size_t n = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(free) char *path = xasprintf("%s/%s", folder, e->d_name);
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		n += e->d_type == DT_DIR ? count_files(path, depth + 1) : 1;
	}
	if (d)
		closedir(d);
	return n;
}

static bool up_to_date(const char *folder, const struct payload *p, int64_t gid)
{
	AUTO(free) char *data = xasprintf("%s/..data", folder);

	if (!fs_exists(data) || sweep(folder, p, false) || count_files(data, 0) != p->n)
		return false;
	for (size_t i = 0; i < p->n; i++) {
		if (!same(folder, &p->v[i], gid))
			return false;
	}
	return true;
}

static int put_file(int root, const struct payload_file *f, int64_t gid, struct err *err)
{
	struct str dir, base;
	AUTO(free) char *path = xstrndup(f->path.p, f->path.n);
	size_t done = 0;

	if (str_rcut(f->path, '/', &dir, &base)) {
		AUTO(free) char *parents = xstrndup(dir.p, dir.n);
		if (fs_mkdirs_in(root, parents, 0755, err))
			return -1;
	}
	AUTO(fd) int fd = fs_open_in(root, path, O_WRONLY | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0)
		return -1;
	while (done < f->data.n) {
		ssize_t n = write(fd, f->data.p + done, f->data.n - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "write %s", path);
		done += (size_t)n;
	}
	if ((gid >= 0 || f->owned) &&
	    fchown(fd, f->owned ? (uid_t)f->uid : (uid_t)-1, gid >= 0 ? (gid_t)gid : (gid_t)-1))
		return err_sys(err, "change owner of %s", path);
	if (fchmod(fd, mode_of(f, gid)))
		return err_sys(err, "change mode of %s", path);
	return 0;
}

static int put_link(const char *folder, struct str name, struct err *err)
{
	AUTO(free) char *to = xasprintf("..data/%.*s", STR_ARG(name));
	AUTO(free) char *at = xasprintf("%s/%.*s", folder, STR_ARG(name));

	if (symlink(to, at) && errno != EEXIST)
		return err_sys(err, "link %s", at);
	return 0;
}

static int fill(const char *fresh, const struct payload *p, int64_t gid, struct err *err)
{
	AUTO(fd) int root = -1;

	if (mkdir(fresh, 0755))
		return err_sys(err, "make %s", fresh);
	root = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, "%s", fresh);
	for (size_t i = 0; i < p->n; i++) {
		if (put_file(root, &p->v[i], gid, err))
			return -1;
	}
	return 0;
}

static int swap(const char *folder, const char *stamp, struct err *err)
{
	AUTO(free) char *tmp = xasprintf("%s/..data_tmp", folder);
	AUTO(free) char *data = xasprintf("%s/..data", folder);

	unlink(tmp);
	if (symlink(stamp, tmp) || rename(tmp, data))
		return err_sys(err, "swap %s", data);
	return 0;
}

/* Old versions, and what a killed process left. */
static void remove_others(const char *folder, const char *stamp)
{
	DIR *d = opendir(folder);

	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(free) char *path = xasprintf("%s/%s", folder, e->d_name);
		if (strncmp(e->d_name, "..", 2) || !e->d_name[2] || !strcmp(e->d_name, stamp) ||
		    !strcmp(e->d_name, "..data"))
			continue;
		(void)!fs_remove_tree(path, NULL);
	}
	if (d)
		closedir(d);
}

int atomic_write(const char *folder, const struct payload *p, int64_t gid, struct err *err)
{
	char stamp[32];
	static unsigned count;

	if (up_to_date(folder, p, gid))
		return 0;
	snprintf(stamp, sizeof(stamp), "..%d_%u", (int)getpid(), ++count);
	AUTO(free) char *fresh = xasprintf("%s/%s", folder, stamp);
	(void)!fs_remove_tree(fresh, NULL);
	if (fill(fresh, p, gid, err) || swap(folder, stamp, err)) {
		(void)!fs_remove_tree(fresh, NULL);
		return -1;
	}
	for (size_t i = 0; i < p->n; i++) {
		if (put_link(folder, first_part(p->v[i].path), err))
			return -1;
	}
	sweep(folder, p, true);
	remove_others(folder, stamp);
	return 0;
}
