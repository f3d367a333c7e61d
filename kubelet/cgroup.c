/*
 * Clears a pod's cgroups away: the runtime makes them and removes the containers' own, the pod's
 * stays. On v1 that is one tree a controller. Blocking, microseconds; a cgroup that isn't empty
 * stays, and is tried again by whoever cleans up later.
 */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

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
