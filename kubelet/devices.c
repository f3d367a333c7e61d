/*
 * The machine's devices, for privileged containers: they have the right to them, and look for them
 * in /dev. And those that are a container's volumes. Must never go where other file systems hang
 * below /dev. Blocking, a millisecond; the
 * list is the caller's arena's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kubelet/kubelet.h"
#include "kubelet/volume/volume.h"

#define DEVICES_MAX 2000
#define DEPTH_MAX 6

/* What a container has of its own. */
static bool skipped(const char *name)
{
	static const char *const names[] = {".",      "..",      "pts",  "shm",      "fd",
					    "mqueue", "console", "ptmx", "hugepages"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return name[0] == '.';
}

static void add(struct arena *a, struct json *list, const char *path, const struct stat *st)
{
	struct json *o = json_append_object(a, list);

	json_set_str(a, o, "path", str_c(path));
	json_set_str(a, o, "type", S_ISBLK(st->st_mode) ? STR("b") : STR("c"));
	json_set_int(a, o, "major", (int64_t)major(st->st_rdev));
	json_set_int(a, o, "minor", (int64_t)minor(st->st_rdev));
	json_set_int(a, o, "fileMode", st->st_mode & 0777);
	json_set_int(a, o, "uid", st->st_uid);
	json_set_int(a, o, "gid", st->st_gid);
}

static void walk(struct arena *a, struct json *list, const char *folder, dev_t on, int depth)
{
	DIR *d = depth > DEPTH_MAX ? NULL : opendir(folder);

	for (struct dirent *e; d && (e = readdir(d)) && json_len(list) < DEVICES_MAX;) {
		char *path = arena_printf(a, "%s/%s", folder, e->d_name);
		struct stat st;
		if (skipped(e->d_name) || lstat(path, &st) || st.st_dev != on)
			continue;
		if (S_ISDIR(st.st_mode))
			walk(a, list, path, on, depth + 1);
		else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			add(a, list, path, &st);
	}
	if (d)
		closedir(d);
}

struct json *devices_list(struct arena *a)
{
	struct json *list = json_new(a, JSON_ARRAY);
	struct stat st;

	if (!stat("/dev", &st))
		walk(a, list, "/dev", st.st_dev, 0);
	return list;
}

int devices_claimed(struct arena *a, const struct pod *p, const struct container_spec *c,
		    struct json **ret, struct err *err)
{
	const struct json *list = json_at(c->json, "volumeDevices");
	struct json *devices = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(list); i++) {
		struct volume_mount m;
		struct stat st;

		if (volume_device_source(p->dir, &p->spec, json_item(list, i), &m, err))
			return -1;
		int rc = stat(m.source, &st);
		free(m.source);
		if (rc || !S_ISBLK(st.st_mode))
			return err_sys(err, "device %.*s", STR_ARG(m.target));
		add(a, devices, arena_cstr(a, m.target), &st);
		json_set_str(a, json_item(devices, i), "access",
			     m.readonly ? STR("r") : STR("rwm"));
	}
	*ret = devices;
	return 0;
}
