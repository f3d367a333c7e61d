/*
 * Makes an image of one layer from a directory. The layer is packed and unpacked again, so what
 * is in the store went through the same gate as what comes from elsewhere. Blocking; holds the
 * store's lock while it puts things in place.
 */
#include <limits.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kubelet/image/image-internal.h"
#include "kubelet/image/unpack.h"
#include "lib/os/fs.h"

const char *image_architecture(void)
{
	static const struct {
		const char *machine, *go;
	} names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"}, {"i686", "386"}};
	static struct utsname u;

	if (uname(&u))
		return "unknown";
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(u.machine, names[i].machine))
			return names[i].go;
	}
	return u.machine;
}

int image_layer_add(const char *dir, const char *tar, const char *hex, struct err *err)
{
	AUTO(free) char *digest = xasprintf("sha256:%s", hex);
	AUTO(free) char *staged = NULL;
	char fs[PATH_MAX];
	int rc;

	if (image_has_layer(dir, str_c(digest)))
		return 0;
	if (image_layer_new(dir, &staged, err))
		return -1;
	snprintf(fs, sizeof(fs), "%s/fs", staged);
	rc = layer_unpack(tar, fs, err);
	if (!rc)
		rc = image_layer_put(dir, staged, str_c(digest), err);
	if (rc)
		(void)!fs_remove_tree(staged, NULL);
	return rc;
}

static void put_list(struct arena *a, struct json *o, const char *key, const char *const *list)
{
	if (!list || !*list)
		return;
	struct json *v = json_set_array(a, o, key);
	for (; *list; list++)
		json_append_str(a, v, str_c(*list));
}

static struct str make_config(struct arena *a, const struct image_import *in, const char *hex)
{
	static const char *const path[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	struct json *v = json_new(a, JSON_OBJECT), *c, *fs;
	AUTO(buf) struct buf out = {0};

	json_set_str(a, v, "architecture", str_c(image_architecture()));
	json_set_str(a, v, "os", STR("linux"));
	c = json_set_object(a, v, "config");
	put_list(a, c, "Env", in->env && *in->env ? in->env : path);
	put_list(a, c, "Entrypoint", in->entrypoint);
	put_list(a, c, "Cmd", in->cmd);
	if (in->workdir)
		json_set_str(a, c, "WorkingDir", str_c(in->workdir));
	if (in->user)
		json_set_str(a, c, "User", str_c(in->user));
	fs = json_set_object(a, v, "rootfs");
	json_set_str(a, fs, "type", STR("layers"));
	json_append_str(a, json_set_array(a, fs, "diff_ids"), arena_strf(a, "sha256:%s", hex));
	json_write(v, &out);
	return arena_str(a, buf_view(&out));
}

static int import(const char *dir, const struct image_import *in, const char *tar,
		  struct buf *ret_id, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct str name, id;
	char hex[65];

	if (image_name_normal(&a, str_c(in->name), &name, err) ||
	    layer_pack(in->rootfs, tar, err) || file_sha256(tar, hex, err) ||
	    image_layer_add(dir, tar, hex, err) ||
	    image_put(dir, name, make_config(&a, in, hex), &id, &a, err))
		return -1;
	buf_str(ret_id, id);
	return 0;
}

int image_import(const char *dir, const struct image_import *in, struct buf *ret_id,
		 struct err *err)
{
	struct image_lock lock;
	char tar[PATH_MAX];
	int rc;

	if (image_lock(dir, &lock, err))
		return -1;
	snprintf(tar, sizeof(tar), "%s/tmp/import-%d.tar", dir, (int)getpid());
	rc = import(dir, in, tar, ret_id, err);
	unlink(tar);
	image_unlock(&lock);
	return rc;
}
