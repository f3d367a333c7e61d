/*
 * Reads `docker save` archives and OCI layouts in tar form. The archive's members are first put
 * into a folder under the hashes of their names, so that no name of theirs is ever a path; then
 * manifests are followed from index to layer, each checked against its digest. Blocking.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/image/image-internal.h"
#include "kubelet/image/unpack.h"
#include "lib/base/codec.h"
#include "lib/os/fs.h"
#include "lib/os/lazy.h"

#define MEMBERS_MAX 10000
#define MANIFEST_MAX (4 << 20)
#define MANIFESTS_MAX 100

struct load {
	struct arena a;
	const char *dir; /* the store */
	char *stage;     /* members by hash */
	struct str name_override;
	void (*loaded)(void *arg, struct str name, struct str id);
	void *arg;
	size_t found;
	unsigned nlayer;
};

static void member_path(const struct load *l, struct str name, char out[PATH_MAX])
{
	char hex[65];

	if (str_starts(name, STR("./")))
		name = str_sub(name, 2, name.n);
	sha256_hex(name, hex);
	snprintf(out, PATH_MAX, "%s/%s", l->stage, hex);
}

static int put_member(struct load *l, struct archive *in, struct archive_entry *e, int64_t *sum,
		      struct err *err)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *name = archive_entry_pathname(e), *link = archive_entry_symlink(e);
	const char *hard = archive_entry_hardlink(e);
	const void *p;
	size_t n;
	la_int64_t off;
	int rc;

	if (!name)
		return 0;
	member_path(l, str_c(name), path);
	if (link || hard) {
		/* Old docker: layers that repeat are links "../HEX/layer.tar". */
		struct str to = str_c(link ? link : hard);
		while (str_starts(to, STR("../")))
			to = str_sub(to, 3, to.n);
		member_path(l, to, target);
		(void)!linkat(AT_FDCWD, target, AT_FDCWD, path, 0);
		return 0;
	}
	if (archive_entry_filetype(e) != AE_IFREG)
		return 0;
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, "stage %s", name);
	while ((rc = archive_read_data_block(in, &p, &n, &off)) == ARCHIVE_OK) {
		*sum += (int64_t)n;
		if (*sum > LAYER_BYTES_MAX || off < 0 || off > LAYER_BYTES_MAX)
			return err_set(err, ERR_LIMIT, "the archive is larger than 16 GiB");
		if (pwrite(fd, p, n, off) != (ssize_t)n)
			return err_sys(err, "stage %s", name);
	}
	if (rc != ARCHIVE_EOF)
		return err_set(err, ERR_CORRUPT, "%s: %s", name, archive_error_string(in));
	return 0;
}

static int stage_archive(struct load *l, const char *file, struct err *err)
{
	struct archive *in;
	struct archive_entry *e;
	int rc = 0, next = ARCHIVE_OK;
	int64_t sum = 0;
	size_t count = 0;

	if (lazy_load(&lazy_archive, err))
		return -1;
	in = archive_read_new();
	archive_read_support_filter_all(in);
	archive_read_support_format_tar(in);
	if (archive_read_open_filename(in, file, 65536) != ARCHIVE_OK)
		rc = err_set(err, ERR_CORRUPT, "%s: %s", file, archive_error_string(in));
	while (!rc &&
	       ((next = archive_read_next_header(in, &e)) == ARCHIVE_OK || next == ARCHIVE_WARN)) {
		if (++count > MEMBERS_MAX)
			rc = err_set(err, ERR_LIMIT, "%s has too many members", file);
		else
			rc = put_member(l, in, e, &sum, err);
	}
	if (!rc && next != ARCHIVE_EOF)
		rc = err_set(err, ERR_CORRUPT, "%s: %s", file, archive_error_string(in));
	archive_read_free(in);
	return rc;
}

/* An OCI layout directory: its few known files, linked or named by what the index says. */
static int stage_folder(struct load *l, const char *folder, struct err *err)
{
	static const char *const names[] = {"index.json", "manifest.json"};
	char from[PATH_MAX], to[PATH_MAX];
	DIR *d;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(from, sizeof(from), "%s/%s", folder, names[i]);
		member_path(l, str_c(names[i]), to);
		if (fs_exists(from) && symlink(from, to))
			return err_sys(err, "%s", from);
	}
	snprintf(from, sizeof(from), "%s/blobs/sha256", folder);
	d = opendir(from);
	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(free) char *name = xasprintf("blobs/sha256/%s", e->d_name);
		if (e->d_name[0] == '.')
			continue;
		snprintf(from, sizeof(from), "%s/%s", folder, name);
		member_path(l, str_c(name), to);
		if (symlink(from, to)) {
			closedir(d);
			return err_sys(err, "%s", from);
		}
	}
	if (d)
		closedir(d);
	return 0;
}

/* ---- from members to the store ---- */

static int read_member(struct load *l, struct str name, struct str *ret, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	char path[PATH_MAX];

	member_path(l, name, path);
	if (fs_read(path, MANIFEST_MAX, &text, err)) {
		if (err->code == ERR_NOT_FOUND)
			return err_set(err, ERR_NOT_FOUND, "the archive has no %.*s",
				       STR_ARG(name));
		return -1;
	}
	*ret = arena_str(&l->a, buf_view(&text));
	return 0;
}

static int add_layer(struct load *l, struct str member, struct str diff_id, struct err *err)
{
	char from[PATH_MAX], hex[65];
	AUTO(free) char *tar = xasprintf("%s/layer-%u.tar", l->stage, l->nlayer++);
	int rc;

	if (image_has_layer(l->dir, diff_id))
		return 0;
	member_path(l, member, from);
	if (!fs_exists(from))
		return err_set(err, ERR_CORRUPT, "the archive lacks layer %.*s", STR_ARG(member));
	rc = layer_expand(from, tar, hex, err);
	if (!rc && (diff_id.n != 71 || memcmp(diff_id.p + 7, hex, 64)))
		rc = err_set(err, ERR_CORRUPT, "layer %.*s is not what its digest says",
			     STR_ARG(member));
	if (!rc)
		rc = image_layer_add(l->dir, tar, hex, err);
	unlink(tar);
	return rc;
}

static int add_image(struct load *l, struct str config, const struct json *layers, const char *key,
		     struct err *err)
{
	const struct json *c = json_parse(&l->a, config, NULL, err);
	const struct json *ids = json_at(c, "rootfs", "diff_ids");

	if (!c)
		return -1;
	if (json_len(ids) != json_len(layers) || !json_len(ids) || json_len(ids) > IMAGE_LAYERS_MAX)
		return err_set(err, ERR_CORRUPT, "the image's layers do not fit its configuration");
	for (size_t i = 0; i < json_len(ids); i++) {
		const struct json *layer = json_item(layers, i);
		struct str member = json_str(layer);
		if (key) {
			struct str digest = json_str(json_get(layer, str_c(key)));
			member = arena_strf(&l->a, "blobs/sha256/%.*s",
					    STR_ARG(str_sub(digest, 7, digest.n)));
		}
		if (add_layer(l, member, json_str(json_item(ids, i)), err))
			return -1;
	}
	return 0;
}

static int name_image(struct load *l, struct str name, struct str config, struct err *err)
{
	struct str normal, id;

	if (l->name_override.n)
		name = l->name_override;
	if (!name.n)
		return err_set(err, ERR_INVALID, "the archive names no image: say --name");
	if (image_name_normal(&l->a, name, &normal, err) ||
	    image_put(l->dir, normal, config, &id, &l->a, err))
		return -1;
	l->found++;
	if (l->loaded)
		l->loaded(l->arg, normal, id);
	return 0;
}

static int load_docker(struct load *l, const struct json *manifest, struct err *err)
{
	for (size_t i = 0; i < json_len(manifest) && i < MANIFESTS_MAX; i++) {
		const struct json *m = json_item(manifest, i), *tags = json_at(m, "RepoTags");
		struct str config;
		if (read_member(l, json_str(json_at(m, "Config")), &config, err) ||
		    add_image(l, config, json_at(m, "Layers"), NULL, err))
			return -1;
		if (!json_len(tags) || l->name_override.n) {
			if (name_image(l, STR_NONE, config, err))
				return -1;
			continue;
		}
		for (size_t t = 0; t < json_len(tags); t++) {
			if (name_image(l, json_str(json_item(tags, t)), config, err))
				return -1;
		}
	}
	return 0;
}

static int read_blob(struct load *l, struct str digest, struct str *ret, struct err *err)
{
	char hex[65];

	if (!str_starts(digest, STR("sha256:")) || digest.n != 71)
		return err_set(err, ERR_CORRUPT, "%.*s is not a sha256 digest", STR_ARG(digest));
	struct str want = str_sub(digest, 7, 64);
	if (read_member(l, arena_strf(&l->a, "blobs/sha256/%.*s", STR_ARG(want)), ret, err))
		return -1;
	sha256_hex(*ret, hex);
	if (memcmp(hex, want.p, 64))
		return err_set(err, ERR_CORRUPT, "%.*s is not what its digest says",
			       STR_ARG(digest));
	return 0;
}

static bool for_us(const struct json *descriptor)
{
	struct str arch = json_str(json_at(descriptor, "platform", "architecture"));
	struct str os = json_str(json_at(descriptor, "platform", "os"));

	return (!arch.n || str_is(arch, image_architecture())) && (!os.n || str_is(os, "linux"));
}

static int load_oci(struct load *l, const struct json *index, struct str name, int depth,
		    struct err *err)
{
	const struct json *list = json_at(index, "manifests");

	for (size_t i = 0; i < json_len(list) && i < MANIFESTS_MAX; i++) {
		const struct json *d = json_item(list, i), *m;
		const struct json *notes = json_at(d, "annotations");
		struct str text, config;
		struct str full = json_str(json_get(notes, STR("io.containerd.image.name")));
		if (!full.n)
			full = json_str(json_get(notes, STR("org.opencontainers.image.ref.name")));
		if (!full.n)
			full = name;
		if (!for_us(d))
			continue;
		if (read_blob(l, json_str(json_at(d, "digest")), &text, err))
			return -1;
		m = json_parse(&l->a, text, NULL, err);
		if (!m)
			return -1;
		if (json_at(m, "manifests")) {
			if (depth > 3)
				return err_set(err, ERR_CORRUPT,
					       "the image's index is nested too deep");
			if (load_oci(l, m, full, depth + 1, err))
				return -1;
			continue;
		}
		if (read_blob(l, json_str(json_at(m, "config", "digest")), &config, err) ||
		    add_image(l, config, json_at(m, "layers"), "digest", err) ||
		    name_image(l, full, config, err))
			return -1;
	}
	return 0;
}

static int load_staged(struct load *l, struct err *err)
{
	struct err missing = {0};
	struct str text;
	const struct json *v;

	if (!read_member(l, STR("manifest.json"), &text, &missing)) {
		v = json_parse(&l->a, text, NULL, err);
		if (!v || load_docker(l, v, err))
			return -1;
	} else {
		if (read_member(l, STR("index.json"), &text, err))
			return err_set(
				err, ERR_CORRUPT,
				"neither manifest.json nor index.json is there: no image archive");
		v = json_parse(&l->a, text, NULL, err);
		if (!v || load_oci(l, v, STR_NONE, 0, err))
			return -1;
	}
	return l->found ? 0
			: err_set(err, ERR_NOT_FOUND, "no image for this machine in the archive");
}

int image_load(const char *dir, const char *file, struct str name_override,
	       void (*loaded)(void *arg, struct str name, struct str id), void *arg,
	       struct err *err)
{
	struct load l = {.dir = dir, .name_override = name_override, .loaded = loaded, .arg = arg};
	struct image_lock lock;
	struct stat st;
	int rc;

	if (stat(file, &st))
		return err_sys(err, "%s", file);
	if (image_lock(dir, &lock, err))
		return -1;
	l.stage = xasprintf("%s/tmp/load-XXXXXX", dir);
	AUTO(free) char *real = realpath(file, NULL);
	if (!mkdtemp(l.stage))
		rc = err_sys(err, "%s", l.stage);
	else
		rc = S_ISDIR(st.st_mode) ? stage_folder(&l, real ? real : file, err)
					 : stage_archive(&l, file, err);
	if (!rc)
		rc = load_staged(&l, err);
	(void)!fs_remove_tree(l.stage, NULL);
	free(l.stage);
	arena_release(&l.a);
	image_unlock(&lock);
	return rc;
}
