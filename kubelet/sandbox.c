/*
 * What the containers of a pod share beside the network: System V IPC, /dev/shm and, where the pod
 * asks for it, processes. An IPC namespace is kept by a mount, as the network's is; a PID namespace
 * lives by its first process, `plumb pause`, which is told from others by the pod's folder on its
 * command line. Must be able to go on from whatever an earlier kubelet left. Blocking,
 * milliseconds, on the kubelet's thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kubelet/kubelet.h"
#include "kubelet/main.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define NSFS_MAGIC_NR 0x6e736673
#define TMPFS_MAGIC_NR 0x01021994
#define PAUSE_TIMEOUT_NS (10 * NS_PER_S)

static bool holds(const char *path, unsigned long magic)
{
	struct statfs s;

	return statfs(path, &s) == 0 && (unsigned long)s.f_type == magic;
}

/* ---- IPC ---- */

static int keep_new_ipc(const char *path, struct err *err)
{
	AUTO(fd) int ours = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	int rc;

	if (ours < 0 || unshare(CLONE_NEWIPC))
		return err_sys(err, "make an IPC namespace");
	rc = mount("/proc/self/ns/ipc", path, NULL, MS_BIND, NULL) ? err_sys(err, "mount %s", path)
								   : 0;
	if (setns(ours, CLONE_NEWIPC))
		panic("the way back to our own IPC namespace is gone");
	return rc;
}

static int set_up_ipc(const char *dir, struct err *err)
{
	AUTO(free) char *ns = xasprintf("%s/ipcns", dir), *shm = xasprintf("%s/shm", dir);

	if (!holds(ns, NSFS_MAGIC_NR)) {
		AUTO(fd) int fd = open(ns, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
		if (fd < 0)
			return err_sys(err, "make %s", ns);
		if (keep_new_ipc(ns, err))
			return -1;
	}
	if (mkdir(shm, 0700) && errno != EEXIST)
		return err_sys(err, "make %s", shm);
	if (!holds(shm, TMPFS_MAGIC_NR) &&
	    mount("shm", shm, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k"))
		return err_sys(err, "mount %s", shm);
	return 0;
}

/* ---- processes ---- */

/* The pod's first process, 0 when there is none (any more). */
static pid_t pause_pid(const char *dir)
{
	AUTO(free) char *path = xasprintf("%s/pause.pid", dir);
	AUTO(buf) struct buf text = {0}, cmd = {0};
	char proc[64];
	int64_t pid;

	if (fs_read(path, 64, &text, NULL) || str_to_i64(str_trim(buf_view(&text)), &pid) ||
	    pid <= 1 || pid > INT32_MAX)
		return 0;
	snprintf(proc, sizeof(proc), "/proc/%d/cmdline", (int)pid);
	if (fs_read(proc, PATH_MAX * 4, &cmd, NULL) || str_find(buf_view(&cmd), str_c(path)) < 0)
		return 0;
	return (pid_t)pid;
}

static int set_up_processes(const char *program, const char *dir, struct err *err)
{
	AUTO(free) char *path = xasprintf("%s/pause.pid", dir);
	const char *argv[] = {program, "pause", path, NULL};
	struct proc_opts o = {.argv = argv, .new_session = true, .timeout_ns = PAUSE_TIMEOUT_NS};
	struct proc_result r = {0};
	int rc;

	if (pause_pid(dir))
		return 0;
	if (!program)
		return err_set(err, ERR_UNSUPPORTED, "there is no helper to share processes");
	rc = proc_run(&o, &r, err);
	if (!rc && (r.status || !pause_pid(dir)))
		rc = err_set(err, ERR_IO, "the pod's first process could not be started: %s",
			     buf_cstr(&r.err));
	proc_result_release(&r);
	return rc;
}

/* ---- a pod's ---- */

int sandbox_setup(struct pod *p, struct err *err)
{
	if (!p->spec.host_ipc && set_up_ipc(p->dir, err))
		return -1;
	return p->spec.share_pid ? set_up_processes(p->k->program, p->dir, err) : 0;
}

void sandbox_teardown(struct pod *p)
{
	AUTO(free) char *ns = xasprintf("%s/ipcns", p->dir), *shm = xasprintf("%s/shm", p->dir);
	pid_t pid = pause_pid(p->dir);
	AUTO(fd) int fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	/* Asked again: the number may have found another process in between. */
	if (fd >= 0 && pause_pid(p->dir) == pid)
		(void)syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	(void)umount2(ns, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)umount2(shm, MNT_DETACH | UMOUNT_NOFOLLOW);
	(void)unlink(ns);
	(void)rmdir(shm);
}

struct str sandbox_ipcns(struct arena *a, const struct pod *p)
{
	return p->spec.host_ipc ? STR_NONE : arena_strf(a, "%s/ipcns", p->dir);
}

struct str sandbox_shm(struct arena *a, const struct pod *p)
{
	return p->spec.host_ipc ? STR("/dev/shm") : arena_strf(a, "%s/shm", p->dir);
}

struct str sandbox_pidns(struct arena *a, const struct pod *p)
{
	pid_t pid = p->spec.share_pid ? pause_pid(p->dir) : 0;

	return pid ? arena_strf(a, "/proc/%d/ns/pid", (int)pid) : STR_NONE;
}

/* ---- the first process itself ---- */

/* Whatever it inherits it must not hold on to; whoever dies in the pod is its to bury. */
_Noreturn static void wait_for_ever(void)
{
	sigset_t all;
	int signo, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	(void)!chdir("/");
	(void)prctl(PR_SET_NAME, "pause");
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		(void)sigwait(&all, &signo);
	}
}

int kubelet_pause_main(int argc, char **argv)
{
	char text[16];
	struct err err = {0};

	if (argc != 2 || argv[1][0] != '/') {
		fprintf(stderr, "plumb pause is started by kubelets\n");
		return 2;
	}
	if (unshare(CLONE_NEWPID)) {
		fprintf(stderr, "unshare: %s\n", strerror(errno));
		return 1;
	}
	pid_t pid = fork();
	if (pid == 0)
		wait_for_ever();
	int n = snprintf(text, sizeof(text), "%d\n", (int)pid);
	if (pid < 0 || write_quick(argv[1], (struct str){text, (size_t)n}, 0600, &err)) {
		fprintf(stderr, "%s\n", pid < 0 ? strerror(errno) : err.msg);
		if (pid > 0)
			kill(pid, SIGKILL);
		return 1;
	}
	return 0;
}
