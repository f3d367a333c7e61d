/*
 * Named network namespaces: a namespace lives as long as something holds it, here a bind mount of
 * its /proc file. Made in a child process, so that no thread of ours ever unshares.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/os/net.h"

int netns_create(const char *path, struct err *err)
{
	int ready[2], go[2], status = 0;
	char byte = 0;

	AUTO(fd) int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return err_sys(err, "make %s", path);
	if (pipe2(ready, O_CLOEXEC))
		return err_sys(err, "pipe");
	if (pipe2(go, O_CLOEXEC)) {
		close(ready[0]);
		close(ready[1]);
		return err_sys(err, "pipe");
	}
	pid_t pid = fork();
	if (pid == 0) {
		/* Holds the namespace until it is mounted; only simple calls here. */
		byte = unshare(CLONE_NEWNET) == 0 ? 1 : 0;
		ssize_t n = write(ready[1], &byte, 1);
		close(go[1]);
		n = read(go[0], &byte, 1);
		_exit(n < 0);
	}
	close(ready[1]);
	close(go[0]);
	int rc = -1;
	if (pid < 0 || read(ready[0], &byte, 1) != 1 || !byte) {
		err_sys(err, "make a network namespace");
	} else {
		AUTO(free) char *from = xasprintf("/proc/%d/ns/net", pid);
		rc = mount(from, path, NULL, MS_BIND, NULL) ? err_sys(err, "mount %s", path) : 0;
	}
	close(ready[0]);
	close(go[1]);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	if (rc)
		unlink(path);
	return rc;
}

int netns_delete(const char *path, struct err *err)
{
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
		return err_sys(err, "unmount %s", path);
	if (unlink(path) && errno != ENOENT)
		return err_sys(err, "remove %s", path);
	return 0;
}

int netns_open(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(err, "network namespace %s", path);
	/* A plain file is a namespace whose mount is gone. */
	if (ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
		return fd;
	close(fd);
	return err_set(err, ERR_NOT_FOUND, "%s is no network namespace", path);
}

int netns_do(int netns_fd, int (*fn)(void *arg, struct err *err), void *arg, struct err *err)
{
	AUTO(fd) int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	if (home < 0 || setns(netns_fd, CLONE_NEWNET))
		return err_sys(err, "enter network namespace");
	int rc = fn(arg, err);
	/* Going on in the wrong namespace would be worse than not going on. */
	if (setns(home, CLONE_NEWNET))
		panic("cannot leave a network namespace: %s", strerror(errno));
	return rc;
}
