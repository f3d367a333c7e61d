/*
 * The image store on disk. Reads check what they read against its digest; writes rename. Must
 * never build a path from a name: names are hashed, digests checked to be hex. Blocking, any
 * process; writers hold the lock.
 */
#include "kubelet/image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

static const char *const folders[] = {"refs", "configs", "layers", "tmp"};

int image_store_init(const char *dir, struct err *err)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
		if (fs_mkdirs(path, 0700, err))
			return -1;
	}
	return 0;
}

int image_lock(const char *dir, struct image_lock *ret, struct err *err)
{
	char path[PATH_MAX];

	if (image_store_init(dir, err))
		return -1;
	snprintf(path, sizeof(path), "%s/lock", dir);
	ret->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (ret->fd < 0)
		return err_sys(err, "%s", path);
	while (flock(ret->fd, LOCK_EX)) {
		if (errno != EINTR)
			return err_sys(err, "lock %s", path);
	}
	return 0;
}

void image_unlock(struct image_lock *l)
{
	fd_cleanup(&l->fd);
	l->fd = -1;
}

static int hex_of(struct str digest, struct str *ret, struct err *err)
{
	struct str hex = str_starts(digest, STR("sha256:")) ? str_sub(digest, 7, digest.n) : digest;

	if (hex.n != 64)
		return err_set(err, ERR_INVALID, "not a sha256 digest");
	for (size_t i = 0; i < hex.n; i++) {
		char c = hex.p[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return err_set(err, ERR_INVALID, "not a sha256 digest");
	}
	*ret = hex;
	return 0;
}

int image_layer_dir(struct str digest, char out[LAYER_NAME_MAX], struct err *err)
{
	struct str hex;

	if (hex_of(digest, &hex, err))
		return -1;
	snprintf(out, LAYER_NAME_MAX, "%.32s", hex.p);
	return 0;
}

#define PULL_MAX_S 3600

static void pulled_path(const char *dir, struct str name, char out[PATH_MAX])
{
	char hex[65];

	sha256_hex(name, hex);
	snprintf(out, PATH_MAX, "%s/pulled/%s", dir, hex);
}

static void ref_path(const char *dir, struct str name, char out[PATH_MAX])
{
	char hex[65];

	sha256_hex(name, hex);
	snprintf(out, PATH_MAX, "%s/refs/%s", dir, hex);
}

static int layers_of(struct image *img, struct err *err)
{
	const struct json *ids = json_at(img->config, "rootfs", "diff_ids");
	struct str hex;

	if (json_len(ids) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_INVALID, "an image has at most %d layers",
			       IMAGE_LAYERS_MAX);
	for (size_t i = 0; i < json_len(ids); i++) {
		struct str digest = json_str(json_item(ids, i));
		if (hex_of(digest, &hex, err))
			return err_wrap(err, "layer %zu", i);
		img->layers[img->nlayers++] = digest;
	}
	return 0;
}

/* Reads the configuration that `id` names and checks it. */
static int read_config(struct arena *a, const char *dir, struct image *img, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	char path[PATH_MAX], have[65];
	struct str hex;

	if (hex_of(img->id, &hex, err))
		return -1;
	snprintf(path, sizeof(path), "%s/configs/%.64s", dir, hex.p);
	if (fs_read(path, IMAGE_CONFIG_MAX, &text, err))
		return -1;
	sha256_hex(buf_view(&text), have);
	if (memcmp(have, hex.p, 64))
		return err_set(err, ERR_CORRUPT, "image %.*s: its configuration is damaged",
			       STR_ARG(img->name));
	img->config = json_parse(a, arena_str(a, buf_view(&text)), NULL, err);
	return img->config ? layers_of(img, err) : -1;
}

static int read_ref(struct arena *a, const char *path, struct image *ret, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	const struct json *ref;

	if (fs_read(path, 4096, &text, err))
		return -1;
	ref = json_parse(a, arena_str(a, buf_view(&text)), NULL, err);
	if (!ref)
		return -1;
	*ret = (struct image){.name = json_str(json_at(ref, "name")),
			      .id = json_str(json_at(ref, "id"))};
	return 0;
}

int image_find(struct arena *a, const char *dir, struct str name, struct image *ret,
	       struct err *err)
{
	char path[PATH_MAX], part[LAYER_NAME_MAX];
	struct str normal;

	if (image_name_normal(a, name, &normal, err))
		return -1;
	ref_path(dir, normal, path);
	if (read_ref(a, path, ret, err)) {
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "image %.*s is not on this machine",
				       STR_ARG(normal));
		return -1;
	}
	if (!str_eq(ret->name, normal))
		return err_set(err, ERR_CORRUPT, "image %.*s: its reference is damaged",
			       STR_ARG(normal));
	if (read_config(a, dir, ret, err))
		return -1;
	for (size_t i = 0; i < ret->nlayers; i++) {
		if (image_layer_dir(ret->layers[i], part, err))
			return -1;
		if (!image_has_layer(dir, ret->layers[i]))
			return err_set(err, ERR_CORRUPT,
				       "image %.*s: layer %s is missing or damaged",
				       STR_ARG(normal), part);
	}
	return 0;
}

bool image_has_layer(const char *dir, struct str digest)
{
	AUTO(buf) struct buf text = {0};
	char path[PATH_MAX], part[LAYER_NAME_MAX];
	struct str hex, have;

	if (image_layer_dir(digest, part, NULL) || hex_of(digest, &hex, NULL))
		return false;
	snprintf(path, sizeof(path), "%s/layers/%s/digest", dir, part);
	if (fs_read(path, 128, &text, NULL))
		return false;
	/* Folder names hold half the digest; the file says the whole. */
	return !hex_of(str_trim(buf_view(&text)), &have, NULL) && str_eq(have, hex);
}

int image_file(const char *dir, const struct image *img, const char *path, size_t max,
	       struct buf *ret, struct err *err)
{
	for (size_t i = img->nlayers; i-- > 0;) {
		char part[LAYER_NAME_MAX], root[PATH_MAX], proc[64];
		struct stat st;
		struct err why = {0};
		if (image_layer_dir(img->layers[i], part, err))
			return -1;
		snprintf(root, sizeof(root), "%s/layers/%s/fs", dir, part);
		AUTO(fd) int rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (rootfd < 0)
			return err_sys(err, "%s", root);
		AUTO(fd) int fd = fs_open_in(rootfd, path, O_PATH, 0, &why);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) || S_ISCHR(st.st_mode))
			break; /* whiteout */
		if (!S_ISREG(st.st_mode))
			continue;
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		return fs_read(proc, max, ret, err);
	}
	return err_set(err, ERR_NOT_FOUND, "no /%s in the image", path);
}

int image_put(const char *dir, struct str name, struct str config, struct str *ret_id,
	      struct arena *a, struct err *err)
{
	AUTO(buf) struct buf ref = {0};
	char path[PATH_MAX], hex[65];

	if (config.n > IMAGE_CONFIG_MAX)
		return err_set(err, ERR_LIMIT, "the image's configuration is too big");
	sha256_hex(config, hex);
	snprintf(path, sizeof(path), "%s/configs/%s", dir, hex);
	if (fs_write(path, config, 0600, err))
		return -1;
	*ret_id = arena_strf(a, "sha256:%s", hex);
	struct json *v = json_build(a, "{s:S, s:S}", "name", name, "id", *ret_id);
	json_write(v, &ref);
	pulled_path(dir, name, path);
	(void)unlink(path); /* who pulled it says so afterwards */
	ref_path(dir, name, path);
	return fs_write(path, buf_view(&ref), 0600, err);
}

bool image_pulled(const char *dir, struct str normal, struct buf *ret)
{
	char path[PATH_MAX];

	pulled_path(dir, normal, path);
	return !fs_read(path, 128, ret, NULL);
}

int64_t image_pulled_ago(const char *dir, struct str normal, int64_t now_ns)
{
	char path[PATH_MAX];
	struct stat st;

	pulled_path(dir, normal, path);
	return stat(path, &st) ? 0 : MAX(now_ns / NS_PER_S - st.st_mtim.tv_sec, 0);
}

int image_set_pulled(const char *dir, struct str normal, struct str digest, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/pulled", dir);
	if (fs_mkdirs(path, 0700, err))
		return -1;
	pulled_path(dir, normal, path);
	return fs_write(path, digest, 0600, err);
}

int image_layer_new(const char *dir, char **ret_path, struct err *err)
{
	AUTO(free) char *path = xasprintf("%s/tmp/layer-XXXXXX", dir);
	char fs[PATH_MAX];

	if (!mkdtemp(path))
		return err_sys(err, "%s", path);
	snprintf(fs, sizeof(fs), "%s/fs", path);
	if (mkdir(fs, 0755))
		return err_sys(err, "%s", fs);
	*ret_path = path;
	path = NULL;
	return 0;
}

int image_layer_put(const char *dir, const char *staged, struct str digest, struct err *err)
{
	char path[PATH_MAX], part[LAYER_NAME_MAX];

	if (image_layer_dir(digest, part, err))
		return -1;
	if (!image_has_layer(dir, digest)) {
		snprintf(path, sizeof(path), "%s/digest", staged);
		if (fs_write(path, digest, 0600, err))
			return -1;
		snprintf(path, sizeof(path), "%s/layers/%s", dir, part);
		if (fs_remove_tree(path, err)) /* a damaged one */
			return -1;
		if (rename(staged, path))
			return err_sys(err, "put layer %s in place", part);
		return 0;
	}
	return fs_remove_tree(staged, err);
}

/* ---- listing and removing ---- */

int image_each(const char *dir, image_each_fn *fn, void *arg, struct err *err)
{
	char path[PATH_MAX];
	DIR *d;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/refs", dir);
	d = opendir(path);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, "%s", path);
	for (struct dirent *e; !rc && (e = readdir(d));) {
		AUTO(arena) struct arena a = {0};
		struct image img;
		if (strlen(e->d_name) != 64)
			continue;
		snprintf(path, sizeof(path), "%s/refs/%s", dir, e->d_name);
		if (read_ref(&a, path, &img, err) || read_config(&a, dir, &img, err))
			continue; /* damaged: not listed, and told when asked for by name */
		rc = fn(arg, &img);
	}
	closedir(d);
	return rc;
}

static int64_t tree_size(int at, const char *name, int depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 || depth > 256 ? NULL : fdopendir(fd);
	int64_t sum = 0;

	if (!d) {
		fd_cleanup(&fd);
		return 0;
	}
	for (struct dirent *e; (e = readdir(d));) {
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		sum += S_ISREG(st.st_mode) ? st.st_size : 0;
		if (S_ISDIR(st.st_mode))
			sum += tree_size(fd, e->d_name, depth + 1);
	}
	closedir(d);
	return sum;
}

int64_t image_size(const char *dir, const struct image *img)
{
	int64_t sum = 0;

	for (size_t i = 0; i < img->nlayers; i++) {
		char path[PATH_MAX], part[LAYER_NAME_MAX];
		if (image_layer_dir(img->layers[i], part, NULL))
			continue;
		snprintf(path, sizeof(path), "%s/layers/%s/fs", dir, part);
		sum += tree_size(AT_FDCWD, path, 0);
	}
	return sum;
}

struct kept {
	struct arena *a;
	struct str text; /* every digest in use, one behind the other */
	struct buf used;
};

static int keep(void *arg, const struct image *img)
{
	struct kept *k = arg;
	char part[LAYER_NAME_MAX];

	for (size_t i = 0; i < img->nlayers; i++) {
		if (!image_layer_dir(img->layers[i], part, NULL))
			buf_printf(&k->used, "%s\n", part);
	}
	buf_printf(&k->used, "%.*s\n", STR_ARG(img->id));
	return 0;
}

/* Overlay mounts name the layers that containers stand on; containers' namespaces hold them, so ask
 * each process's view. */
static void keep_mounted(struct kept *k)
{
	DIR *d = opendir("/proc");

	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(buf) struct buf text = {0};
		char path[64];
		struct str rest, line;
		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/mountinfo", e->d_name);
		if (fs_read(path, 16 << 20, &text, NULL))
			continue;
		rest = buf_view(&text);
		while (str_next(&rest, '\n', &line)) {
			ptrdiff_t at = str_find(line, STR("lowerdir="));
			if (at >= 0) {
				buf_str(&k->used, str_sub(line, (size_t)at, line.n));
				buf_putc(&k->used, '\n');
			}
		}
	}
	if (d)
		closedir(d);
}

/* What is being fetched isn't rubbish, as long as that may take. */
static bool in_the_making(const char *path, const char *name)
{
	struct stat st;

	return !strncmp(name, "pull-", 5) && !lstat(path, &st) &&
	       time(NULL) - st.st_mtim.tv_sec < PULL_MAX_S;
}

static int sweep(const char *dir, const char *folder, const char *prefix, const struct kept *k,
		 struct err *err)
{
	char path[PATH_MAX];
	DIR *d;
	int rc = 0;

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	d = opendir(path);
	for (struct dirent *e; d && !rc && (e = readdir(d));) {
		AUTO(free) char *needle = xasprintf("%s%s", prefix, e->d_name);
		if (e->d_name[0] == '.' || str_find(buf_view(&k->used), str_c(needle)) >= 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, folder, e->d_name);
		if (!in_the_making(path, e->d_name))
			rc = fs_remove_tree(path, err);
	}
	if (d)
		closedir(d);
	return rc;
}

int image_remove(const char *dir, struct str name, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct kept k = {.a = &a};
	struct image_lock lock;
	char path[PATH_MAX];
	struct str normal;
	int rc;

	if (image_name_normal(&a, name, &normal, err) || image_lock(dir, &lock, err))
		return -1;
	ref_path(dir, normal, path);
	if (unlink(path)) {
		rc = errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "no image %.*s", STR_ARG(normal))
				     : err_sys(err, "%s", path);
		image_unlock(&lock);
		return rc;
	}
	rc = image_each(dir, keep, &k, err);
	keep_mounted(&k);
	if (!rc)
		rc = sweep(dir, "layers", "", &k, err);
	if (!rc)
		rc = sweep(dir, "configs", "sha256:", &k, err);
	if (!rc)
		rc = sweep(dir, "tmp", "", &k, err);
	buf_release(&k.used);
	image_unlock(&lock);
	return rc;
}
