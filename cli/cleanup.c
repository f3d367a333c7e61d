/*
 * The broom. Works from what the kernel shows (cgroup.procs, /proc, mountinfo), not from our own
 * records, so it also finds what a killed start half made. Order: processes, mounts, links,
 * cgroups. Runs as root, blocking, on the supervisor's thread.
 */
#include "cli/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/hostnet.h"
#include "lib/base/arena.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define DEPTH_MAX 16
#define PROC_TEXT_MAX (4 << 20)

/* ---- cgroups: one tree on v2, one per controller on v1 ---- */

typedef void cgroup_fn(const char *path, void *arg);

/* Calls fn for path and all below it, deepest first. */
static void cgroup_walk(const char *path, int depth, cgroup_fn *fn, void *arg)
{
	DIR *dir = depth > DEPTH_MAX ? NULL : opendir(path);

	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		char child[PATH_MAX];
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (snprintf(child, sizeof(child), "%s/%s", path, e->d_name) < (int)sizeof(child))
			cgroup_walk(child, depth + 1, fn, arg);
	}
	closedir(dir);
	fn(path, arg);
}

static void each_cgroup(const struct datadir *d, cgroup_fn *fn, void *arg)
{
	char path[PATH_MAX];
	DIR *dir = opendir(CGROUP_ROOT);

	snprintf(path, sizeof(path), "%s/plumb-%s", CGROUP_ROOT, d->instance);
	cgroup_walk(path, 0, fn, arg);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (e->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s/plumb-%s", CGROUP_ROOT, e->d_name,
			     d->instance) >= (int)sizeof(path))
			continue;
		cgroup_walk(path, 0, fn, arg);
	}
	if (dir)
		closedir(dir);
}

struct killing {
	int signo;
	size_t found;
};

static void signal_pid(pid_t pid, int signo)
{
	/* Through a pidfd, so that a number used again is not hit between look and kill. */
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return;
	syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0);
	close(fd);
}

static void signal_cgroup(const char *path, void *arg)
{
	struct killing *k = arg;
	AUTO(buf) struct buf text = {0};
	char procs[PATH_MAX];
	struct str rest, line;

	if (snprintf(procs, sizeof(procs), "%s/cgroup.procs", path) >= (int)sizeof(procs) ||
	    fs_read(procs, PROC_TEXT_MAX, &text, NULL))
		return;
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		int64_t pid;
		if (line.n == 0 || str_to_i64(line, &pid) || pid <= 1 || pid == getpid())
			continue;
		k->found++;
		signal_pid((pid_t)pid, k->signo);
	}
}

static void remove_cgroup(const char *path, void *arg)
{
	size_t *left = arg;

	if (rmdir(path) && errno != ENOENT)
		(*left)++;
}

/* ---- monitors and helpers: processes that name our directory on their command line ---- */

static bool names_us(pid_t pid, const struct datadir *d)
{
	AUTO(buf) struct buf cmd = {0};
	char path[64], exe[PATH_MAX];
	char needle[PATH_MAX + 8];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	if (n <= 0)
		return false;
	exe[n] = 0;
	struct str name = str_c(exe), base = name;
	if (str_rcut(name, '/', &(struct str){0}, &base))
		name = base;
	if (!str_is(name, "conmon") && !str_is(name, "crun") && !str_is(name, "runc") &&
	    !str_starts(name, STR("plumb")))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	snprintf(needle, sizeof(needle), "%s/nodes/", d->path);
	return !fs_read(path, PROC_TEXT_MAX, &cmd, NULL) &&
	       str_find(buf_view(&cmd), str_c(needle)) >= 0;
}

static size_t signal_named(const struct datadir *d, int signo)
{
	DIR *dir = opendir("/proc");
	size_t found = 0;

	for (struct dirent *e; dir && (e = readdir(dir));) {
		int64_t pid;
		if (str_to_i64(str_c(e->d_name), &pid) || pid <= 1 || pid == getpid() ||
		    !names_us((pid_t)pid, d))
			continue;
		found++;
		signal_pid((pid_t)pid, signo);
	}
	if (dir)
		closedir(dir);
	return found;
}

static size_t signal_all(const struct datadir *d, int signo)
{
	struct killing k = {.signo = signo};

	each_cgroup(d, signal_cgroup, &k);
	return k.found;
}

static void pause_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

static void end_processes(const struct datadir *d, int64_t grace_ns)
{
	if (grace_ns > 0 && signal_all(d, SIGTERM)) {
		for (int64_t waited = 0; waited < grace_ns; waited += 20 * NS_PER_MS) {
			pause_ms(20);
			if (!signal_all(d, 0))
				break;
		}
	}
	for (int round = 0; round < 100; round++) {
		size_t left = signal_all(d, SIGKILL) + signal_named(d, SIGKILL);
		if (!left)
			return;
		pause_ms(round < 10 ? 5 : 50);
	}
}

/* ---- mounts ---- */

/* The mount points below DIR, in the order they were made. */
static size_t mounts_below(const struct datadir *d, struct arena *a, char ***ret)
{
	AUTO(buf) struct buf text = {0};
	struct str rest, line;
	size_t n = 0, cap = 0;
	char **v = NULL;
	size_t dirlen = strlen(d->path);

	if (fs_read("/proc/self/mountinfo", PROC_TEXT_MAX * 4, &text, NULL))
		return 0;
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		struct str field = STR_NONE;
		for (int i = 0; i < 5 && str_next(&line, ' ', &field); i++)
			;
		if (field.n <= dirlen || memcmp(field.p, d->path, dirlen) || field.p[dirlen] != '/')
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 64;
			char **more = arena_array(a, cap, sizeof(*more));
			if (n)
				memcpy(more, v, n * sizeof(*v));
			v = more;
		}
		v[n++] = arena_cstr(a, field);
	}
	*ret = v;
	return n;
}

static size_t remove_mounts(const struct datadir *d)
{
	struct arena a = {0};
	char **v = NULL;
	size_t n = mounts_below(d, &a, &v), left = 0;

	while (n-- > 0) {
		if (umount2(v[n], MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL)
			left++;
	}
	arena_release(&a);
	return left;
}

/* ---- namespaces ---- */

static void remove_namespaces(const struct datadir *d)
{
	DIR *dir = opendir(datadir_path(d, "nodes"));

	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (e->d_name[0] != '.')
			(void)!netns_delete(datadir_path(d, "nodes/%s/netns", e->d_name), NULL);
	}
	if (dir)
		closedir(dir);
}

int host_cleanup(const struct datadir *d, int64_t grace_ns, struct err *err)
{
	size_t mounts, groups = 0;

	end_processes(d, grace_ns);
	mounts = remove_mounts(d);
	remove_namespaces(d);
	hostnet_down(d);
	agent_clean(d);
	for (int round = 0; round < 50; round++) {
		groups = 0;
		each_cgroup(d, remove_cgroup, &groups);
		if (!groups)
			break;
		pause_ms(20); /* the kernel counts a dying process for a moment longer */
	}
	unlink(datadir_path(d, "ready"));
	if (mounts || groups)
		return err_set(err, ERR_INTERNAL, "%zu mounts and %zu cgroups could not be removed",
			       mounts, groups);
	return 0;
}
