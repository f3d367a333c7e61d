/*
 * `plumb mount`, which a kubelet starts for volumes that are devices with a file system: makes one
 * on a device that is empty, as kube does, and mounts it for a pod. Must never make one on a device
 * that holds anything, nor two at a time. A process of its own, since disks may take their time.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/main.h"
#include "lib/base/timefmt.h"
#include "lib/os/proc.h"

#define TYPE_MAX 16
#define LOOK_TIMEOUT_NS (60 * NS_PER_S)
#define BLKID_NOTHING 2

static bool type_ok(const char *type)
{
	size_t n = 0;

	while (isalnum((unsigned char)type[n]))
		n++;
	return n > 0 && n <= TYPE_MAX && !type[n];
}

/* Runs a tool; its exit code, or -1 with err. */
static int tool(const char *const *argv, int64_t timeout_ns, struct err *err)
{
	struct proc_opts o = {.argv = argv, .timeout_ns = timeout_ns};
	struct proc_result r = {0};
	int rc;

	if (proc_run(&o, &r, err))
		return -1;
	rc = r.status;
	if (rc)
		err_set(err, ERR_IO, "%s: %s", argv[0], buf_cstr(&r.err));
	proc_result_release(&r);
	return rc;
}

/* A partition table or a file system of any kind counts as something. */
static int is_empty(const char *device, bool *ret, struct err *err)
{
	const char *argv[] = {"blkid", "-p", device, NULL};
	int rc = tool(argv, LOOK_TIMEOUT_NS, err);

	if (rc != 0 && rc != BLKID_NOTHING)
		return -1;
	*ret = rc == BLKID_NOTHING;
	return 0;
}

static int make(const char *device, const char *type, struct err *err)
{
	AUTO(free) char *mkfs = xasprintf("mkfs.%s", type);
	bool ext = !strncmp(type, "ext", 3);
	const char *argv[] = {mkfs, ext ? "-F" : device, ext ? "-m0" : NULL, device, NULL};

	return tool(argv, 0, err) ? -1 : 0;
}

static int mount_one(const char *device, const char *type, const char *at, struct err *err)
{
	AUTO(fd) int fd = open(device, O_RDONLY | O_CLOEXEC);
	bool empty = false;
	struct stat st;

	if (!type_ok(type))
		return err_set(err, ERR_INVALID, "no file system has the type %s", type);
	/* Another pod's may be at it: whoever is first makes the file system. */
	if (fd < 0 || fstat(fd, &st) || flock(fd, LOCK_EX))
		return err_sys(err, "%s", device);
	if (!S_ISBLK(st.st_mode))
		return err_set(err, ERR_INVALID, "%s is not a block device", device);
	if (is_empty(device, &empty, err) || (empty && make(device, type, err)))
		return -1;
	if (mount(device, at, type, MS_NODEV, NULL))
		return err_sys(err, "mount %s as %s", device, type);
	return 0;
}

int kubelet_mount_main(int argc, char **argv)
{
	if (argc < 4 || argc % 3 != 1) {
		fprintf(stderr, "plumb mount is started by kubelets\n");
		return 2;
	}
	for (int i = 1; i < argc; i += 3) {
		struct err err = {0};

		if (mount_one(argv[i], argv[i + 1], argv[i + 2], &err)) {
			fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
	}
	return 0;
}
