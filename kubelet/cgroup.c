/*
 * A pod's own cgroup: the runtime makes it and the containers' below it. What the pod as a whole
 * may have is written there, since shares weigh among siblings only; at its end it is cleared away.
 * On v1 that is one tree a controller. Blocking, microseconds; a cgroup that isn't empty stays, and
 * is tried again by whoever cleans up later.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "kubelet/admit_core.h"
#include "kubelet/kubelet.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define DEPTH_MAX 8

static void remove_tree(const char *path, int depth)
{
	DIR *d = depth > DEPTH_MAX ? NULL : opendir(path);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		AUTO(free) char *child = xasprintf("%s/%s", path, e->d_name);
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			remove_tree(child, depth + 1);
	}
	closedir(d);
	rmdir(path);
}

static void put(const char *dir, const char *file, int64_t value)
{
	AUTO(free) char *path = xasprintf("%s/%s", dir, file);
	char text[32];
	int n = snprintf(text, sizeof(text), "%lld", (long long)value);
	AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* A machine may lack the controller: its pods have what it gives. */
	if (fd >= 0)
		(void)!write(fd, text, (size_t)n);
}

void cgroup_limit(struct kubelet *k, const struct pod_spec *s)
{
	struct pod_share share = pod_share(s);
	AUTO(free)
	char *rel = xasprintf("plumb-%s/%s/pod%.*s", k->instance, k->node_name, STR_ARG(s->uid));

	if (k->cgroup_v2) {
		AUTO(free) char *dir = xasprintf(CGROUP_ROOT "/%s", rel);
		put(dir, "cpu.weight", 1 + (share.cpu_shares - 2) * 9999 / 262142);
		if (share.memory)
			put(dir, "memory.max", share.memory);
		return;
	}
	AUTO(free) char *cpu = xasprintf(CGROUP_ROOT "/cpu/%s", rel);
	AUTO(free) char *memory = xasprintf(CGROUP_ROOT "/memory/%s", rel);
	put(cpu, "cpu.shares", share.cpu_shares);
	if (share.memory)
		put(memory, "memory.limit_in_bytes", share.memory);
}

void cgroup_remove(struct kubelet *k, struct str uid)
{
	AUTO(free)
	char *rel = xasprintf("plumb-%s/%s/pod%.*s", k->instance, k->node_name, STR_ARG(uid));
	AUTO(free) char *unified = xasprintf(CGROUP_ROOT "/%s", rel);
	DIR *d = k->cgroup_v2 ? NULL : opendir(CGROUP_ROOT);

	remove_tree(unified, 0);
	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(free) char *path = xasprintf(CGROUP_ROOT "/%s/%s", e->d_name, rel);
		if (e->d_name[0] != '.')
			remove_tree(path, 0);
	}
	if (d)
		closedir(d);
}
