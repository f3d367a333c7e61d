/*
 * Makes volumes. Must never follow a link that a container made, nor chmod or chown what isn't the
 * pod's own: hostPaths are used as they are. Secrets live in memory file systems only. Blocking, on
 * the kubelet's thread.
 */
#include "kubelet/volume/volume-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/quantity.h"
#include "lib/os/fs.h"

static int64_t fs_group(const struct pod_spec *pod)
{
	return json_int(json_at(pod->spec, "securityContext", "fsGroup"), -1);
}

static bool is_mounted(const char *path)
{
	AUTO(free) char *up = xasprintf("%s/..", path);
	struct stat a, b;

	return !stat(path, &a) && !stat(up, &b) && a.st_dev != b.st_dev;
}

static int make_folder(const char *path, mode_t mode, struct err *err)
{
	if (!mkdir(path, mode))
		return chmod(path, mode) ? err_sys(err, "%s", path) : 0;
	return errno == EEXIST ? 0 : err_sys(err, "make %s", path);
}

static int mount_memory(const char *path, const char *options, struct err *err)
{
	if (is_mounted(path))
		return 0;
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options))
		return err_sys(err, "mount memory at %s", path);
	return 0;
}

/* What is in it is the group's from now on; it keeps its mode otherwise, the sticky bit of memory
 * included. */
static int give_to(const char *path, int64_t gid, struct err *err)
{
	struct stat st;

	if (stat(path, &st) || chown(path, (uid_t)-1, (gid_t)gid) ||
	    chmod(path, (st.st_mode & 07777) | 02770))
		return err_sys(err, "give %s to group %lld", path, (long long)gid);
	return 0;
}

/* Memory is sticky as kube's is: that's the mode of a tmpfs that was told of none. */
static int set_up_empty(const char *path, const struct pod_spec *pod, const struct json *v,
			struct err *err)
{
	int64_t gid = fs_group(pod);
	char options[64] = "mode=1777";
	struct quantity q;
	bool fresh = !fs_exists(path);

	if (make_folder(path, 0777, err))
		return -1;
	if (str_is(json_str(json_at(v, "medium")), "Memory")) {
		if (!quantity_parse(json_str(json_at(v, "sizeLimit")), &q) && quantity_value(q) > 0)
			snprintf(options, sizeof(options), "mode=1777,size=%lld",
				 (long long)quantity_value(q));
		fresh |= !is_mounted(path);
		if (mount_memory(path, options, err))
			return -1;
	}
	return fresh && gid >= 0 ? give_to(path, gid, err) : 0;
}

static int set_up_payload(const char *path, const struct payload_in *in, const struct json *v,
			  bool secret, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct payload p;

	if (payload_of(&a, in, v, &p, err) || make_folder(path, 0755, err))
		return -1;
	if (secret && mount_memory(path, "mode=0755", err))
		return -1;
	return atomic_write(path, &p, fs_group(in->pod), err);
}

static int check_type(const char *path, struct str type, struct err *err)
{
	static const struct {
		const char *name;
		mode_t fmt;
		const char *what;
	} types[] = {{"Directory", S_IFDIR, "a directory"},
		     {"DirectoryOrCreate", S_IFDIR, "a directory"},
		     {"File", S_IFREG, "a file"},
		     {"FileOrCreate", S_IFREG, "a file"},
		     {"Socket", S_IFSOCK, "a socket file"},
		     {"CharDevice", S_IFCHR, "a character device"},
		     {"BlockDevice", S_IFBLK, "a block device"}};
	struct stat st = {0};
	bool found = !stat(path, &st);

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (str_is(type, types[i].name) && (st.st_mode & S_IFMT) != types[i].fmt)
			return err_set(err, ERR_INVALID, "hostPath type check failed: %s is not %s",
				       path, types[i].what);
	}
	return found ? 0 : err_sys(err, "hostPath %s", path);
}

int host_path(const struct json *v, char **ret, struct err *err)
{
	struct str path = json_str(json_at(v, "path")), rest = path, part;

	if (path.n == 0 || path.n >= PATH_MAX || path.p[0] != '/' || memchr(path.p, 0, path.n))
		return err_set(err, ERR_INVALID, "a hostPath is an absolute path");
	while (str_next(&rest, '/', &part)) {
		if (str_is(part, ".."))
			return err_set(err, ERR_INVALID, "a hostPath must not hold ..");
	}
	*ret = xstrndup(path.p, path.n);
	return 0;
}

int set_up_host(const struct json *v, struct err *err)
{
	AUTO(free) char *path = NULL;
	struct str type = json_str(json_at(v, "type"));

	if (host_path(v, &path, err))
		return -1;
	if (!fs_exists(path) && str_is(type, "DirectoryOrCreate") && fs_mkdirs(path, 0755, err))
		return -1;
	/* Kube makes what is missing when no type is said, since the runtime does. */
	if (!fs_exists(path) && type.n == 0 && fs_mkdirs(path, 0755, err))
		return -1;
	if (!fs_exists(path) && str_is(type, "FileOrCreate")) {
		AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			return err_sys(err, "make %s", path);
	}
	return check_type(path, type, err);
}

static bool is_claim(const struct json *v)
{
	return json_at(v, "persistentVolumeClaim") || json_at(v, "ephemeral");
}

/* Where a device's file system is mounted for the pod, by `plumb mount`. */
static char *device_place(const char *dir, struct str name)
{
	return xasprintf("%s/devices/%.*s", dir, STR_ARG(name));
}

static int make_place(const char *dir, const char *place, struct err *err)
{
	AUTO(free) char *all = xasprintf("%s/devices", dir);

	return make_folder(all, 0700, err) || make_folder(place, 0700, err) ? -1 : 0;
}

static bool used_as(const struct pod_spec *pod, const char *list, struct str name)
{
	for (size_t i = 0; i < pod->n; i++) {
		const struct json *uses = json_at(pod->c[i].json, list);

		for (size_t k = 0; k < json_len(uses); k++) {
			if (str_eq(json_str(json_at(json_item(uses, k), "name")), name))
				return true;
		}
	}
	return false;
}

/* A device isn't mounted, nor is a folder a device. */
static int check_mode(const struct payload_in *in, const struct json *v, const struct persistent *p,
		      struct err *err)
{
	struct str mode = json_str_or(json_at(p->volume, "spec", "volumeMode"), STR("Filesystem"));
	const char *wrong = str_is(mode, "Block") ? "volumeMounts" : "volumeDevices";
	struct str name = json_str(json_at(v, "name"));

	if (!used_as(in->pod, wrong, name))
		return 0;
	return err_set(err, ERR_INVALID, "volume %.*s has volumeMode %.*s, but is specified in %s",
		       STR_ARG(name), STR_ARG(mode), wrong);
}

static int set_up_claim(const char *dir, const char *at, const struct payload_in *in,
			const struct json *v, struct err *err)
{
	AUTO(free) char *path = NULL, *place = device_place(dir, json_str(json_at(v, "name")));
	struct persistent p;

	if (!in->claim)
		return err_set(err, ERR_UNSUPPORTED, "claims are not supported");
	if (in->claim(in->arg, v, &p, err) || check_mode(in, v, &p, err) ||
	    persistent_setup(&p, &path, err))
		return -1;
	if (!persistent_mounts(&p, path))
		return persistent_link(at, path, err);
	return make_place(dir, place, err) ? -1 : persistent_link(at, place, err);
}

static int set_up(const char *dir, const struct payload_in *in, const struct json *v,
		  struct err *err)
{
	struct str name = json_str(json_at(v, "name"));
	const struct json_member *m = json_members(v);
	bool secret;

	if (!path_part_ok(name))
		return err_set(err, ERR_INVALID, "a volume's name is unusable");
	AUTO(free) char *path = xasprintf("%s/volumes/%.*s", dir, STR_ARG(name));
	if (payload_is(v, &secret))
		return set_up_payload(path, in, v, secret, err);
	if (json_at(v, "hostPath"))
		return set_up_host(json_at(v, "hostPath"), err);
	if (is_claim(v))
		return set_up_claim(dir, path, in, v, err);
	if (json_at(v, "emptyDir") || json_len(v) == 1)
		return set_up_empty(path, in->pod, json_at(v, "emptyDir"), err);
	for (size_t i = 0; i < json_len(v); i++) {
		if (!str_is(m[i].key, "name"))
			return err_set(err, ERR_UNSUPPORTED,
				       "volumes of type %.*s are not supported", STR_ARG(m[i].key));
	}
	return -1;
}

int volumes_setup(const char *dir, const struct payload_in *in, struct err *err)
{
	const struct json *list = json_at(in->pod->spec, "volumes");
	AUTO(free) char *folder = xasprintf("%s/volumes", dir);

	if (make_folder(folder, 0755, err))
		return -1;
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		if (set_up(dir, in, v, err))
			return err_wrap(err, "MountVolume.SetUp failed for volume \"%.*s\" ",
					STR_ARG(json_str(json_at(v, "name"))));
	}
	return 0;
}

int volumes_update(const char *dir, const struct payload_in *in, struct err *err)
{
	const struct json *list = json_at(in->pod->spec, "volumes");
	int rc = 0;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct str name = json_str(json_at(v, "name"));
		bool secret;
		AUTO(free) char *path = xasprintf("%s/volumes/%.*s", dir, STR_ARG(name));
		/* One that lost what it refers to keeps what it has. */
		if (payload_is(v, &secret) && fs_exists(path) &&
		    set_up_payload(path, in, v, secret, err))
			rc = err_wrap(err, "volume \"%.*s\"", STR_ARG(name));
	}
	return rc;
}

void volumes_ungrouped(const char *dir, const struct payload_in *in,
		       void (*fn)(void *ctx, const char *path), void *ctx)
{
	const struct json *list = json_at(in->pod->spec, "volumes");
	struct persistent p;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct str name = json_str(json_at(v, "name"));
		AUTO(free) char *at = xasprintf("%s/volumes/%.*s", dir, STR_ARG(name));
		AUTO(free) char *path = is_claim(v) ? persistent_linked(at) : NULL;
		if (path && in->claim && !in->claim(in->arg, v, &p, NULL) &&
		    persistent_ungrouped(&p, path, in->pod))
			fn(ctx, path);
	}
}

void volumes_to_mount(const char *dir, const struct payload_in *in,
		      void (*fn)(void *ctx, const struct device_mount *m), void *ctx)
{
	const struct json *list = json_at(in->pod->spec, "volumes");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct str name = json_str(json_at(v, "name"));
		AUTO(free) char *place = device_place(dir, name), *path = NULL;
		struct persistent p;

		if (!is_claim(v) || !in->claim || is_mounted(place) ||
		    in->claim(in->arg, v, &p, NULL) || persistent_setup(&p, &path, NULL) ||
		    !persistent_mounts(&p, path))
			continue;
		fn(ctx, &(struct device_mount){path, persistent_fs(&p), place});
	}
}

static void unmount_below(const char *folder, int depth)
{
	DIR *d = opendir(folder);

	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(free) char *path = xasprintf("%s/%s", folder, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		if (depth > 0 && e->d_type == DT_DIR)
			unmount_below(path, depth - 1);
		if (depth == 0)
			umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	if (d)
		closedir(d);
}

/* Places to bind at are empty once nothing is bound there: one that isn't stays. */
static void remove_places(const char *folder, int depth)
{
	DIR *d = opendir(folder);

	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(free) char *path = xasprintf("%s/%s", folder, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		if (depth > 0 && e->d_type == DT_DIR)
			remove_places(path, depth - 1);
		else if (e->d_type == DT_DIR)
			(void)!rmdir(path);
		else
			(void)!unlink(path);
	}
	if (d)
		closedir(d);
	(void)!rmdir(folder);
}

void volumes_teardown(const char *dir)
{
	AUTO(free) char *sub = xasprintf("%s/subpaths", dir), *vol = xasprintf("%s/volumes", dir);
	AUTO(free) char *devices = xasprintf("%s/devices", dir);

	unmount_below(sub, 1);
	remove_places(sub, 1);
	unmount_below(vol, 0);
	(void)!fs_remove_tree(vol, NULL);
	unmount_below(devices, 0);
	remove_places(devices, 0);
}

/* mountinfo writes white space and backslashes as \\ooo. */
static struct str unescape(struct str s, struct buf *out)
{
	buf_reset(out);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '\\' || i + 3 >= s.n) {
			buf_putc(out, s.p[i]);
			continue;
		}
		buf_putc(out, (char)((s.p[i + 1] - '0') << 6 | (s.p[i + 2] - '0') << 3 |
				     (s.p[i + 3] - '0')));
		i += 3;
	}
	return buf_view(out);
}

/* Unmounts what is mounted below; true when nothing was. */
static bool unmount_all(const char *below)
{
	AUTO(buf) struct buf text = {0}, path = {0};
	struct str rest, line, part = STR_NONE;
	bool none = true;

	if (fs_read("/proc/self/mountinfo", 64 << 20, &text, NULL))
		return false;
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		for (int i = 0; i < 5; i++)
			if (!str_next(&line, ' ', &part))
				part = STR_NONE;
		if (!str_starts(unescape(part, &path), str_c(below)))
			continue;
		none = false;
		umount2(buf_cstr(&path), MNT_DETACH | UMOUNT_NOFOLLOW);
	}
	return none;
}

bool volumes_unmounted(const char *dir)
{
	AUTO(free) char *below = xasprintf("%s/", dir);

	return unmount_all(below) || unmount_all(below);
}

void subpaths_teardown(const char *dir, struct str container)
{
	AUTO(free) char *sub = xasprintf("%s/subpaths/%.*s", dir, STR_ARG(container));

	unmount_below(sub, 0);
	remove_places(sub, 0);
}

/* ---- mounts ---- */

static const struct json *volume_named(const struct pod_spec *pod, struct str name)
{
	const struct json *list = json_at(pod->spec, "volumes");

	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_str(json_at(json_item(list, i), "name")), name))
			return json_item(list, i);
	}
	return NULL;
}

static bool sub_path_ok(struct str path)
{
	struct str rest = path, part;

	while (str_next(&rest, '/', &part)) {
		if (str_is(part, ".."))
			return false;
	}
	return path.n < PATH_MAX && path.p[0] != '/' && !memchr(path.p, 0, path.n);
}

/* Opens sub inside volume, making folders that are missing, never leaving it. Whoever may write to
 * the volume may write there: as kube, new folders have the volume's mode. */
static int open_sub(const char *volume, const char *sub, struct err *err)
{
	AUTO(fd) int root = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct err why = {0};
	struct stat st;
	int fd, rc;

	if (root < 0)
		return err_sys(err, "%s", volume);
	fd = fs_open_beneath(root, sub, O_PATH, &why);
	if (fd >= 0)
		return fd;
	if (why.sys == EXDEV)
		return err_set(err, ERR_INVALID, "subPath \"%s\" leads out of its volume", sub);
	if (fstat(root, &st))
		return err_sys(err, "%s", volume);
	mode_t mask = umask(0);
	rc = fs_mkdirs_in(root, sub, st.st_mode & 07777, err);
	(void)umask(mask);
	if (rc)
		return err_wrap(err, "failed to create subPath \"%s\"", sub);
	return fs_open_beneath(root, sub, O_PATH, err);
}

static int bind_sub(int fd, const char *at, struct err *err)
{
	AUTO(free) char *from = xasprintf("/proc/self/fd/%d", fd);
	struct stat st;

	if (fstat(fd, &st))
		return err_sys(err, "subPath");
	umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(at, 0700) && errno != EEXIST)
			return err_sys(err, "make %s", at);
	} else {
		AUTO(fd) int file = open(at, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (file < 0)
			return err_sys(err, "make %s", at);
	}
	return mount(from, at, NULL, MS_BIND, NULL) ? err_sys(err, "bind subPath") : 0;
}

static int sub_path(const char *dir, const struct container_spec *c, size_t index, struct str sub,
		    struct volume_mount *m, struct err *err)
{
	AUTO(free) char *folder = xasprintf("%s/subpaths/%.*s", dir, STR_ARG(c->name));
	AUTO(free) char *rel = xstrndup(sub.p, sub.n);
	char *at;

	if (!sub_path_ok(sub))
		return err_set(err, ERR_INVALID, "subPath %s must be relative and must not hold ..",
			       rel);
	AUTO(fd) int fd = open_sub(m->source, rel, err);
	if (fd < 0 || fs_mkdirs(folder, 0700, err))
		return -1;
	at = xasprintf("%s/%zu", folder, index);
	if (bind_sub(fd, at, err)) {
		free(at);
		return -1;
	}
	free(m->source);
	m->source = at;
	return 0;
}

/* A claimed volume's folder, or its device, in place of the link to it; NULL after an error. */
static int find_claimed(const char *dir, char **source, bool block, struct err *err)
{
	AUTO(free) char *devices = xasprintf("%s/devices/", dir);
	AUTO(free) char *path = persistent_linked(*source);
	struct stat st;

	free(*source);
	*source = NULL;
	if (!path || stat(path, &st) ||
	    (str_starts(str_c(path), str_c(devices)) && !is_mounted(path)))
		return err_set(err, ERR_NOT_FOUND, "it has not been set up");
	if (S_ISBLK(st.st_mode) != block)
		return err_set(err, ERR_INVALID, "it has volumeMode %s, but is specified in %s",
			       block ? "Filesystem" : "Block",
			       block ? "volumeDevices" : "volumeMounts");
	*source = path;
	path = NULL;
	return 0;
}

int volume_device_source(const char *dir, const struct pod_spec *pod, const struct json *device,
			 struct volume_mount *ret, struct err *err)
{
	struct str name = json_str(json_at(device, "name"));
	const struct json *v = volume_named(pod, name);

	*ret = (struct volume_mount){.target = json_str(json_at(device, "devicePath"))};
	if (!v || !is_claim(v))
		return err_set(err, ERR_INVALID, "no claim's volume is named %.*s", STR_ARG(name));
	if (ret->target.n < 2 || ret->target.p[0] != '/' || memchr(ret->target.p, 0, ret->target.n))
		return err_set(err, ERR_INVALID, "devicePath of %.*s is unusable", STR_ARG(name));
	ret->source = xasprintf("%s/volumes/%.*s", dir, STR_ARG(name));
	ret->readonly = json_bool(json_at(v, "persistentVolumeClaim", "readOnly"), false);
	if (find_claimed(dir, &ret->source, true, err))
		return err_wrap(err, "volume %.*s", STR_ARG(name));
	return 0;
}

int volume_mount_source(const char *dir, const struct pod_spec *pod, const struct container_spec *c,
			size_t index, struct str sub, struct volume_mount *ret, struct err *err)
{
	const struct json *m = json_item(json_at(c->json, "volumeMounts"), index);
	struct str name = json_str(json_at(m, "name"));
	const struct json *v = volume_named(pod, name);
	bool secret;

	*ret = (struct volume_mount){.target = json_str(json_at(m, "mountPath"))};
	if (!v)
		return err_set(err, ERR_INVALID, "no volume is named %.*s", STR_ARG(name));
	if (ret->target.n == 0 || memchr(ret->target.p, 0, ret->target.n))
		return err_set(err, ERR_INVALID, "mountPath of %.*s is unusable", STR_ARG(name));
	if (json_at(v, "hostPath")) {
		if (host_path(json_at(v, "hostPath"), &ret->source, err))
			return -1;
	} else {
		ret->source = xasprintf("%s/volumes/%.*s", dir, STR_ARG(name));
	}
	if (is_claim(v) && find_claimed(dir, &ret->source, false, err))
		return err_wrap(err, "volume %.*s", STR_ARG(name));
	/* As kube since 1.9.4: what the kubelet writes into, containers only read. */
	ret->readonly = json_bool(json_at(m, "readOnly"), false) || payload_is(v, &secret) ||
			json_bool(json_at(v, "persistentVolumeClaim", "readOnly"), false);
	if (sub.n && sub_path(dir, c, index, sub, ret, err)) {
		free(ret->source);
		ret->source = NULL;
		return -1;
	}
	return 0;
}
