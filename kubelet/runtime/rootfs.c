/*
 * Overlay mounts. Layers are named relative to the store's folder, since mount options are bounded
 * by a page: the working directory moves there and back. Must never leave it moved. Called on the
 * kubelet's one thread; owns nothing.
 */
#include "kubelet/runtime/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/os/fs.h"

#define OPTIONS_MAX 4000
/* What a container writes to its root is gone with it: no need to wait for the disk at its end. */
#define VOLATILE ",volatile"

static int make(const char *dir, const char *name, mode_t mode, struct err *err)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mkdir(path, mode) && errno != EEXIST)
		return err_sys(err, "make %s", name);
	return 0;
}

static int options(const struct image *img, const char *dir, struct buf *out, struct err *err)
{
	char part[LAYER_NAME_MAX];

	buf_puts(out, "lowerdir=");
	for (size_t i = img->nlayers; i-- > 0;) {
		if (image_layer_dir(img->layers[i], part, err))
			return -1;
		buf_printf(out, "%s/fs%s", part, i ? ":" : "");
	}
	buf_printf(out, ",upperdir=%s/upper,workdir=%s/work" VOLATILE, dir, dir);
	if (out->n > OPTIONS_MAX)
		return err_set(err, ERR_LIMIT,
			       "the image has too many layers for this data directory");
	return 0;
}

/* mount(2) with the layers' folder as working directory. */
static int mount_from(const char *layers, const char *target, const char *opts, struct err *err)
{
	AUTO(fd) int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (back < 0 || chdir(layers))
		return err_sys(err, "%s", layers);
	rc = mount("overlay", target, "overlay", 0, opts);
	if (rc && errno == EINVAL) { /* kernels before 5.10 */
		AUTO(free) char *plain = xstrndup(opts, strlen(opts) - strlen(VOLATILE));
		rc = mount("overlay", target, "overlay", 0, plain);
	}
	if (rc)
		err_sys(err, "mount the root file system");
	if (fchdir(back))
		panic("the working directory is gone");
	return rc;
}

int rootfs_mount(const char *images, const struct image *img, const char *dir, struct err *err)
{
	AUTO(buf) struct buf opts = {0};
	char target[PATH_MAX], layers[PATH_MAX];

	if (strpbrk(dir, ",:\\"))
		return err_set(err, ERR_INVALID, "the data directory's name holds one of , : \\");
	if (img->nlayers == 0)
		return err_set(err, ERR_INVALID, "image %.*s has no layers", STR_ARG(img->name));
	if (make(dir, "upper", 0755, err) || make(dir, "work", 0700, err) ||
	    make(dir, "rootfs", 0755, err) || options(img, dir, &opts, err))
		return -1;
	snprintf(target, sizeof(target), "%s/rootfs", dir);
	snprintf(layers, sizeof(layers), "%s/layers", images);
	return mount_from(layers, target, buf_cstr(&opts), err);
}

int rootfs_unmount(const char *dir, struct err *err)
{
	char target[PATH_MAX];

	snprintf(target, sizeof(target), "%s/rootfs", dir);
	if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW) && errno != EINVAL && errno != ENOENT)
		return err_sys(err, "unmount %s", target);
	return 0;
}
