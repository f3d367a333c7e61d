/*
 * Persistent volumes on disk: folders of this node. Ours, DIR/nodes/NODE/volumes/NAME, are made
 * here when a pod first needs them; where an administrator's are is taken from the volume. Must
 * never follow a link that a container left in a volume, nor make a folder of somebody else's.
 * Blocking, on the kubelet's thread.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/volume/volume-internal.h"
#include "lib/kube/obj.h"
#include "lib/kube/pvnames.h"
#include "lib/os/fs.h"

#define DEPTH_MAX 100

/* ---- the pod's group ---- */

/* A file that may not be given stays as it is, as with kube: no pod waits for one that somebody has
 * made immutable. */
static int left(void)
{
	return errno == EPERM || errno == EROFS || errno == EOPNOTSUPP ? 0 : -1;
}

static int give_group(int fd, int64_t gid, const struct stat *st)
{
	char path[64];
	mode_t mode = st->st_mode & 07777;

	mode |= S_ISDIR(st->st_mode) ? 02770 : 0660;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (st->st_gid != (gid_t)gid && fchownat(fd, "", (uid_t)-1, (gid_t)gid, AT_EMPTY_PATH))
		return left();
	/* Changing the group takes the set-id bits away; they come back with the mode. */
	if (mode == (st->st_mode & 07777) && st->st_gid == (gid_t)gid)
		return 0;
	return chmod(path, mode) ? left() : 0;
}

static int group_below(int at, const char *name, int64_t gid, int depth)
{
	AUTO(fd) int fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	DIR *d;
	int rc = 0, in;

	if (fd < 0)
		return errno == ENOENT ? 0 : -1; /* others write while we look */
	if (fstat(fd, &st))
		return -1;
	if (S_ISLNK(st.st_mode))
		return fchownat(fd, "", (uid_t)-1, (gid_t)gid, AT_EMPTY_PATH) ? left() : 0;
	if (!S_ISDIR(st.st_mode))
		return give_group(fd, gid, &st);
	if (depth == 0) {
		errno = ELOOP;
		return -1;
	}
	in = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = in < 0 ? NULL : fdopendir(in);
	if (!d)
		return -1;
	for (struct dirent *e; !rc && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = group_below(in, e->d_name, gid, depth - 1);
	closedir(d);
	return rc ? rc : give_group(fd, gid, &st);
}

static bool is_block(const struct persistent *v)
{
	return str_is(json_str(json_at(v->volume, "spec", "volumeMode")), "Block");
}

static bool root_matches(const char *path, int64_t gid)
{
	struct stat st;

	return !stat(path, &st) && st.st_gid == (gid_t)gid && (st.st_mode & 02770) == 02770;
}

bool persistent_ungrouped(const struct persistent *v, const char *path, const struct pod_spec *pod)
{
	const struct json *context = json_at(pod->spec, "securityContext");
	int64_t gid = json_int(json_at(context, "fsGroup"), -1);
	struct str policy = json_str(json_at(context, "fsGroupChangePolicy"));

	/* hostPaths and devices stay as they are: kube gives such to no group either. */
	if (gid < 0 || json_at(v->volume, "spec", "hostPath") || is_block(v))
		return false;
	return !str_is(policy, "OnRootMismatch") || !root_matches(path, gid);
}

/* The root last, as it says that all below it is done. */
int volume_give(const char *path, int64_t gid, struct err *err)
{
	/* The volume itself may be a link of an administrator's, as none in it may. */
	AUTO(fd) int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || group_below(root, ".", gid, DEPTH_MAX))
		return err_sys(err, "give %s to group %lld", path, (long long)gid);
	return 0;
}

/* ---- where it is ---- */

static int our_folder(const struct persistent *v, char **ret, struct err *err)
{
	struct str name = meta_name(v->volume);
	AUTO(free) char *path = NULL;

	if (!path_part_ok(name) || !str_starts(name, STR("pvc-")))
		return err_set(err, ERR_INVALID, "volume %.*s is none of ours", STR_ARG(name));
	path = xasprintf("%s/%.*s", v->ours, STR_ARG(name));
	if (fs_mkdirs(v->ours, 0700, err))
		return -1;
	/* Whoever the containers run as; nobody else gets past the folder above. */
	if (!mkdir(path, 0777)) {
		if (chmod(path, 0777))
			return err_sys(err, "%s", path);
	} else if (errno != EEXIST) {
		return err_sys(err, "make %s", path);
	}
	*ret = path;
	path = NULL;
	return 0;
}

/* What an administrator made: a folder, or a device, with a file system unless it is to be used as
 * it is. */
static int theirs(const struct json *local, bool block, char **ret, struct err *err)
{
	AUTO(free) char *path = NULL;
	struct stat st;

	if (host_path(local, &path, err))
		return -1;
	if (stat(path, &st))
		return err_sys(err, "local volume %s", path);
	if (!S_ISBLK(st.st_mode) && (block || !S_ISDIR(st.st_mode)))
		return err_set(err, ERR_INVALID, "local volume %s is not a %s", path,
			       block ? "block device" : "directory, nor a block device");
	*ret = path;
	path = NULL;
	return 0;
}

static int unsupported(const struct json *spec, struct err *err)
{
	static const char *const known[] = {"capacity",     "accessModes",
					    "claimRef",     "storageClassName",
					    "volumeMode",   "persistentVolumeReclaimPolicy",
					    "mountOptions", "nodeAffinity"};
	const struct json_member *m = json_members(spec);

	for (size_t i = 0; i < json_len(spec); i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(known) && !str_is(m[i].key, known[k]))
			k++;
		if (k == ARRAY_LEN(known))
			return err_set(err, ERR_UNSUPPORTED,
				       "persistent volumes of type %.*s are not supported",
				       STR_ARG(m[i].key));
	}
	return err_set(err, ERR_INVALID, "the persistent volume has no source");
}

int persistent_setup(const struct persistent *v, char **ret, struct err *err)
{
	const struct json *spec = json_at(v->volume, "spec"), *host = json_at(spec, "hostPath"),
			  *local = json_at(spec, "local");
	bool block = is_block(v);
	bool ours = str_is(meta_annotation(v->volume, ANN_PROVISIONED_BY), LOCAL_PROVISIONER);

	if (json_len(json_at(spec, "mountOptions")))
		return err_set(err, ERR_UNSUPPORTED, "mountOptions are not supported");
	if (block && (host || ours))
		return err_set(err, ERR_UNSUPPORTED,
			       "only local volumes that are devices can be of volumeMode Block");
	if (host)
		return set_up_host(host, err) || host_path(host, ret, err) ? -1 : 0;
	if (!local)
		return unsupported(spec, err);
	return ours ? our_folder(v, ret, err) : theirs(local, block, ret, err);
}

bool persistent_mounts(const struct persistent *v, const char *path)
{
	struct stat st;

	return !is_block(v) && !stat(path, &st) && S_ISBLK(st.st_mode);
}

struct str persistent_fs(const struct persistent *v)
{
	return json_str_or(json_at(v->volume, "spec", "local", "fsType"), STR("ext4"));
}

/* ---- in the pod's folder ---- */

int persistent_link(const char *at, const char *path, struct err *err)
{
	AUTO(free) char *had = persistent_linked(at);

	if (had && !strcmp(had, path))
		return 0;
	if (had && unlink(at))
		return err_sys(err, "unlink %s", at);
	return symlink(path, at) ? err_sys(err, "link %s", at) : 0;
}

char *persistent_linked(const char *at)
{
	char path[PATH_MAX];
	ssize_t n = readlink(at, path, sizeof(path) - 1);

	return n > 0 ? xstrndup(path, (size_t)n) : NULL;
}
