/*
 * Reads and writes layer archives with libarchive. What is in an archive is hostile: each name is
 * split, its folder opened below the root by openat2(RESOLVE_IN_ROOT), and the last part used
 * without following links. Must never create device files. Blocking; owns nothing between calls.
 */
#include "kubelet/image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/os/fs.h"
#include "lib/os/lazy.h"

#define BLOCK 65536
#define OPAQUE ".wh..wh..opq"

static int arch_err(struct archive *a, struct err *err, const char *what)
{
	const char *s = archive_error_string(a);

	return err_set(err, ERR_CORRUPT, "%s: %s", what, s ? s : "not an archive");
}

/* ---- digests ---- */

int file_sha256(const char *path, char ret_hex[65], struct err *err)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(err, "%s", path);
	if (st.st_size == 0) {
		sha256_hex(STR(""), ret_hex);
		return 0;
	}
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, "map %s", path);
	sha256_hex((struct str){p, (size_t)st.st_size}, ret_hex);
	munmap(p, (size_t)st.st_size);
	return 0;
}

static int copy_raw(struct archive *in, int out, struct err *err)
{
	int64_t sum = 0;
	char *chunk = xalloc(BLOCK);
	la_ssize_t n;

	while ((n = archive_read_data(in, chunk, BLOCK)) > 0) {
		sum += n;
		if (sum > LAYER_BYTES_MAX) {
			free(chunk);
			return err_set(err, ERR_LIMIT, "the layer is larger than 16 GiB");
		}
		for (la_ssize_t at = 0; at < n;) {
			ssize_t w = write(out, chunk + at, (size_t)(n - at));
			if (w < 0 && errno == EINTR)
				continue;
			if (w <= 0) {
				free(chunk);
				return err_sys(err, "write the layer");
			}
			at += w;
		}
	}
	free(chunk);
	return n < 0 ? arch_err(in, err, "decompress the layer") : 0;
}

int layer_expand(const char *src, const char *dst, char ret_hex[65], struct err *err)
{
	AUTO(fd) int out = open(dst, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct archive *in;
	struct archive_entry *e;
	int rc = 0;

	if (lazy_load(&lazy_archive, err))
		return -1;
	in = archive_read_new();
	archive_read_support_filter_all(in);
	archive_read_support_format_raw(in);
	archive_read_support_format_empty(in);
	if (out < 0)
		rc = err_sys(err, "%s", dst);
	else if (archive_read_open_filename(in, src, BLOCK) != ARCHIVE_OK)
		rc = arch_err(in, err, "open the layer");
	else if (archive_read_next_header(in, &e) == ARCHIVE_OK)
		rc = copy_raw(in, out, err);
	archive_read_free(in);
	return rc ? rc : file_sha256(dst, ret_hex, err);
}

/* ---- unpacking ---- */

struct unpack {
	int root;
	int64_t bytes;
	size_t files;
};

/* "./a//b/" to "a/b"; -1 for "..", NUL, or nothing (empty is the root itself). */
static int clean(const char *name, struct buf *out)
{
	struct str rest = str_c(name), part;

	buf_reset(out);
	while (str_next(&rest, '/', &part)) {
		if (part.n == 0 || str_is(part, "."))
			continue;
		if (str_is(part, ".."))
			return -1;
		if (out->n)
			buf_putc(out, '/');
		buf_str(out, part);
	}
	return out->n < PATH_MAX ? 0 : -1;
}

static int open_folder(struct unpack *u, struct str dir, struct err *err)
{
	AUTO(free) char *name = dir.n ? xstrndup(dir.p, dir.n) : xstrdup(".");
	int fd = fs_open_in(u->root, name, O_PATH | O_DIRECTORY, 0, NULL);

	if (fd >= 0)
		return fd;
	if (fs_mkdirs_in(u->root, name, 0755, err))
		return -1;
	return fs_open_in(u->root, name, O_PATH | O_DIRECTORY, 0, err);
}

static void proc_path(int fd, const char *name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "/proc/self/fd/%d/%s", fd, name);
}

static int remove_at(int dir, const char *name, struct err *err)
{
	char path[PATH_MAX];

	if (!unlinkat(dir, name, 0) || errno == ENOENT)
		return 0;
	proc_path(dir, name, path);
	return fs_remove_tree(path, err);
}

static int whiteout(int dir, const char *name, struct err *err)
{
	char path[PATH_MAX];

	if (!strcmp(name, OPAQUE)) {
		proc_path(dir, "", path);
		if (setxattr(path, "trusted.overlay.opaque", "y", 1, 0))
			return err_sys(err, "mark an opaque folder");
		return 0;
	}
	name += 4;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return err_set(err, ERR_CORRUPT, "the layer holds a nameless whiteout");
	if (remove_at(dir, name, err))
		return -1;
	if (mknodat(dir, name, S_IFCHR, 0))
		return err_sys(err, "whiteout %s", name);
	return 0;
}

static int put_file(struct unpack *u, struct archive *in, int dir, const char *name,
		    struct err *err)
{
	AUTO(fd)
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	const void *p;
	size_t n;
	la_int64_t off;
	int rc;

	if (fd < 0)
		return err_sys(err, "make %s", name);
	while ((rc = archive_read_data_block(in, &p, &n, &off)) == ARCHIVE_OK) {
		u->bytes += (int64_t)n;
		if (u->bytes > LAYER_BYTES_MAX || off < 0 || off > LAYER_BYTES_MAX)
			return err_set(err, ERR_LIMIT, "the layer is larger than 16 GiB");
		if (pwrite(fd, p, n, off) != (ssize_t)n)
			return err_sys(err, "write %s", name);
	}
	return rc == ARCHIVE_EOF ? 0 : arch_err(in, err, name);
}

static int put_hardlink(struct unpack *u, const char *target, int dir, const char *name,
			struct err *err)
{
	AUTO(buf) struct buf path = {0};
	struct str folder, base;

	if (clean(target, &path) || path.n == 0)
		return err_set(err, ERR_CORRUPT, "%s is a link to a bad name", name);
	if (!str_rcut(buf_view(&path), '/', &folder, &base)) {
		base = buf_view(&path);
		folder = STR_NONE;
	}
	AUTO(fd) int from = open_folder(u, folder, err);
	AUTO(free) char *last = xstrndup(base.p, base.n);
	if (from < 0)
		return -1;
	if (linkat(from, last, dir, name, 0))
		return err_sys(err, "link %s to %s", name, target);
	return 0;
}

static void put_meta(struct archive_entry *e, int dir, const char *name)
{
	struct timespec times[2] = {{0}};
	char path[PATH_MAX];
	const char *key;
	const void *value;
	size_t n;

	(void)!fchownat(dir, name, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e),
			AT_SYMLINK_NOFOLLOW);
	if (archive_entry_filetype(e) != AE_IFLNK) {
		(void)!fchmodat(dir, name, archive_entry_perm(e) & 07777, 0);
		proc_path(dir, name, path);
		archive_entry_xattr_reset(e);
		while (archive_entry_xattr_next(e, &key, &value, &n) == ARCHIVE_OK) {
			/* overlayfs' own attributes could point anywhere. */
			if (!strcmp(key, "security.capability") || !strncmp(key, "user.", 5))
				(void)!lsetxattr(path, key, value, n, 0);
		}
	}
	times[0].tv_sec = times[1].tv_sec = archive_entry_mtime(e);
	times[1].tv_nsec = archive_entry_mtime_nsec(e);
	(void)!utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
}

static int put_folder(int dir, const char *name, struct err *err)
{
	struct stat st;

	if (!fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) && S_ISDIR(st.st_mode))
		return 0;
	if (remove_at(dir, name, err))
		return -1;
	return mkdirat(dir, name, 0755) ? err_sys(err, "make folder %s", name) : 0;
}

static int put_entry(struct unpack *u, struct archive *in, struct archive_entry *e, int dir,
		     const char *name, struct err *err)
{
	const char *hard = archive_entry_hardlink(e), *soft = archive_entry_symlink(e);
	unsigned type = archive_entry_filetype(e);
	int rc = 0;

	if (!strncmp(name, ".wh.", 4))
		return whiteout(dir, name, err);
	if (type == AE_IFDIR)
		rc = put_folder(dir, name, err);
	else if (remove_at(dir, name, err))
		return -1;
	else if (hard)
		return put_hardlink(u, hard, dir, name, err);
	else if (type == AE_IFREG)
		rc = put_file(u, in, dir, name, err);
	else if (type == AE_IFLNK && soft)
		rc = symlinkat(soft, dir, name) ? err_sys(err, "make link %s", name) : 0;
	else if (type == AE_IFIFO)
		rc = mkfifoat(dir, name, 0600) ? err_sys(err, "make pipe %s", name) : 0;
	else
		return 0; /* devices and sockets: a container gets its own */
	if (!rc)
		put_meta(e, dir, name);
	return rc;
}

static int unpack_entry(struct unpack *u, struct archive *in, struct archive_entry *e,
			struct err *err)
{
	AUTO(buf) struct buf path = {0};
	const char *raw = archive_entry_pathname(e);
	struct str folder, base;

	if (++u->files > LAYER_FILES_MAX)
		return err_set(err, ERR_LIMIT, "the layer holds too many files");
	if (!raw || clean(raw, &path))
		return err_set(err, ERR_CORRUPT, "the layer holds a name that leads out of it");
	if (path.n == 0) {
		put_meta(e, u->root, ".");
		return 0;
	}
	if (!str_rcut(buf_view(&path), '/', &folder, &base)) {
		base = buf_view(&path);
		folder = STR_NONE;
	}
	AUTO(fd) int dir = open_folder(u, folder, err);
	AUTO(free) char *name = xstrndup(base.p, base.n);
	return dir < 0 ? -1 : put_entry(u, in, e, dir, name, err);
}

int layer_unpack(const char *tar, const char *folder, struct err *err)
{
	struct archive *in;
	struct archive_entry *e;
	struct unpack u = {0};
	int rc = 0, next = ARCHIVE_OK;

	if (lazy_load(&lazy_archive, err))
		return -1;
	u.root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	in = archive_read_new();
	archive_read_support_format_tar(in);
	archive_read_support_format_empty(in);
	if (u.root < 0)
		rc = err_sys(err, "%s", folder);
	else if (archive_read_open_filename(in, tar, BLOCK) != ARCHIVE_OK)
		rc = arch_err(in, err, "open the layer");
	while (!rc &&
	       ((next = archive_read_next_header(in, &e)) == ARCHIVE_OK || next == ARCHIVE_WARN))
		rc = unpack_entry(&u, in, e, err);
	if (!rc && next != ARCHIVE_EOF)
		rc = arch_err(in, err, "read the layer");
	archive_read_free(in);
	fd_cleanup(&u.root);
	return rc;
}

/* ---- packing ---- */

static int pack_file(struct archive *out, struct archive_entry *e, struct err *err)
{
	AUTO(fd) int fd = open(archive_entry_sourcepath(e), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *chunk = xalloc(BLOCK);
	ssize_t n = 0;
	int rc = fd < 0 ? err_sys(err, "%s", archive_entry_sourcepath(e)) : 0;

	while (!rc && (n = read(fd, chunk, BLOCK)) > 0) {
		if (archive_write_data(out, chunk, (size_t)n) < 0)
			rc = arch_err(out, err, "write the layer");
	}
	if (!rc && n < 0)
		rc = err_sys(err, "%s", archive_entry_sourcepath(e));
	free(chunk);
	return rc;
}

static int pack_tree(struct archive *disk, struct archive *out, const char *folder, struct err *err)
{
	struct archive_entry *e;
	size_t skip = strlen(folder);
	int next = ARCHIVE_OK, rc = 0;

	while (!rc) {
		e = archive_entry_new();
		next = archive_read_next_header2(disk, e);
		if (next != ARCHIVE_OK && next != ARCHIVE_WARN) {
			archive_entry_free(e);
			break;
		}
		archive_read_disk_descend(disk);
		const char *name = archive_entry_pathname(e);
		AUTO(free) char *inside = xasprintf(".%s", strlen(name) > skip ? name + skip : "/");
		archive_entry_set_pathname(e, inside);
		unsigned type = archive_entry_filetype(e);
		if (type == AE_IFREG || type == AE_IFDIR || type == AE_IFLNK) {
			if (archive_write_header(out, e) != ARCHIVE_OK)
				rc = arch_err(out, err, inside);
			else if (type == AE_IFREG && archive_entry_size(e) > 0)
				rc = pack_file(out, e, err);
		}
		archive_entry_free(e);
	}
	if (!rc && next != ARCHIVE_EOF)
		rc = arch_err(disk, err, folder);
	return rc;
}

int layer_pack(const char *folder, const char *tar, struct err *err)
{
	AUTO(free) char *real = realpath(folder, NULL);
	struct archive *disk, *out;
	struct stat st;
	int rc;

	if (lazy_load(&lazy_archive, err))
		return -1;
	disk = archive_read_disk_new();
	out = archive_write_new();
	if (!real || stat(real, &st))
		rc = err_sys(err, "%s", folder);
	else if (!S_ISDIR(st.st_mode))
		rc = err_set(err, ERR_INVALID, "%s is not a directory", folder);
	/* Names are bytes to a file system: none of them is held against a locale's charset. */
	else if (archive_write_set_format_pax_restricted(out) != ARCHIVE_OK ||
		 archive_write_set_options(out, "hdrcharset=BINARY") != ARCHIVE_OK ||
		 archive_write_open_filename(out, tar) != ARCHIVE_OK)
		rc = arch_err(out, err, tar);
	else if (archive_read_disk_set_behavior(disk, ARCHIVE_READDISK_NO_TRAVERSE_MOUNTS) !=
			 ARCHIVE_OK ||
		 archive_read_disk_open(disk, real) != ARCHIVE_OK)
		rc = arch_err(disk, err, folder);
	else
		rc = pack_tree(disk, out, real, err);
	if (!rc && archive_write_close(out) != ARCHIVE_OK)
		rc = arch_err(out, err, tar);
	archive_read_free(disk);
	archive_write_free(out);
	return rc;
}
