/*
 * Reads an archive with libarchive and writes blobs and trees with libgit2. Archives are hostile:
 * names that lead out are refused, sizes are counted as they come (a bomb is small when it
 * arrives), devices and the like are passed over, and nothing is ever written into a folder.
 * Blocking; helper process only.
 */
#include "reconciler/gitunpack.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <archive.h>
#include <archive_entry.h>
#include <git2/blob.h>
#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/refs.h>
#include <git2/repository.h>
#include <git2/signature.h>
#include <git2/tree.h>

#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/os/lazy.h"

struct file {
	git_oid id;
	git_filemode_t mode;
};

struct unpack {
	struct arena a;
	git_repository *repo;
	struct archive *in;
	struct map files; /* path → struct file, in `a` */
	uint64_t bytes;
	size_t entries;
};

static int git_fail(struct err *err, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_IO, "%s: %s", what, e && e->message ? e->message : "unknown error");
}

static int archive_fail(struct unpack *u, struct err *err)
{
	const char *s = archive_error_string(u->in);

	return err_set(err, ERR_INVALID, "the layer cannot be unpacked: %s",
		       s ? s : "not an archive");
}

/* Nothing that git itself would read settings from. */
static bool is_git_folder(const char *path)
{
	struct str rest = str_c(path), part;

	while (str_next(&rest, '/', &part)) {
		if (str_ieq(part, STR(".git")))
			return true;
	}
	return false;
}

static int put(struct unpack *u, const char *path, const git_oid *id, git_filemode_t mode)
{
	struct file *f = arena_alloc(&u->a, sizeof(*f));

	git_oid_cpy(&f->id, id);
	f->mode = mode;
	map_set(&u->files, str_c(path), f);
	return 0;
}

static int content(struct unpack *u, const char *path, struct buf *out, struct err *err)
{
	char block[65536];
	ssize_t n;

	while ((n = archive_read_data(u->in, block, sizeof(block))) > 0) {
		u->bytes += (uint64_t)n;
		if (out->n + (size_t)n > UNPACK_FILE_MAX)
			return err_set(err, ERR_LIMIT, "%s is larger than %u MiB", path,
				       UNPACK_FILE_MAX >> 20);
		if (u->bytes > UNPACK_BYTES_MAX)
			return err_set(err, ERR_LIMIT, "the files are larger than %llu MiB",
				       (unsigned long long)(UNPACK_BYTES_MAX >> 20));
		buf_put(out, block, (size_t)n);
	}
	return n < 0 ? archive_fail(u, err) : 0;
}

/* A second name of a file that came before. */
static int hard_link(struct unpack *u, const char *path, const char *to, struct err *err)
{
	char *target = git_clean_path(&u->a, str_c(to), err);
	const struct file *f = target ? map_get(&u->files, str_c(target)) : NULL;

	if (!target)
		return -1;
	if (!f)
		return err_set(err, ERR_INVALID, "%s is a link to %s, which is not there", path,
			       target);
	return put(u, path, &f->id, f->mode);
}

static int entry(struct unpack *u, struct archive_entry *e, struct err *err)
{
	const char *name = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
	AUTO(buf) struct buf data = {0};
	git_filemode_t mode = GIT_FILEMODE_BLOB;
	char *path;
	git_oid id;

	if (++u->entries > UNPACK_FILES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files", UNPACK_FILES_MAX);
	if (!name || strlen(name) > 4096)
		return err_set(err, ERR_INVALID, "a file without a usable name");
	path = git_clean_path(&u->a, str_c(name), err);
	if (!path)
		return -1;
	if (!*path || is_git_folder(path))
		return 0;
	if (link)
		return hard_link(u, path, link, err);
	if (archive_entry_filetype(e) == AE_IFLNK) {
		buf_puts(&data, archive_entry_symlink(e) ?: "");
		mode = GIT_FILEMODE_LINK;
	} else if (archive_entry_filetype(e) != AE_IFREG) {
		return 0;
	} else if (content(u, path, &data, err)) {
		return -1;
	} else if (archive_entry_perm(e) & S_IXUSR) {
		mode = GIT_FILEMODE_BLOB_EXECUTABLE;
	}
	if (git_blob_create_from_buffer(&id, u->repo, data.p ? data.p : "", data.n) < 0)
		return git_fail(err, path);
	return put(u, path, &id, mode);
}

static int read_all(struct unpack *u, struct str bytes, struct err *err)
{
	struct archive_entry *e;
	int rc;

	u->in = archive_read_new();
	archive_read_support_format_tar(u->in);
	archive_read_support_filter_gzip(u->in);
	archive_read_support_filter_zstd(u->in);
	if (archive_read_open_memory(u->in, bytes.p, bytes.n) != ARCHIVE_OK)
		return archive_fail(u, err);
	while ((rc = archive_read_next_header(u->in, &e)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		if (entry(u, e, err))
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : archive_fail(u, err);
}

static int tree_make(struct unpack *u, git_oid *ret, struct err *err)
{
	git_tree_update *updates = arena_array(&u->a, u->files.n + 1, sizeof(*updates));
	struct map_iter it = {0};
	git_treebuilder *b = NULL;
	git_tree *empty = NULL;
	git_oid id;
	size_t n = 0;
	int rc;

	while (map_next(&u->files, &it)) {
		const struct file *f = it.value;

		updates[n].action = GIT_TREE_UPDATE_UPSERT;
		updates[n].path = arena_cstr(&u->a, it.key);
		updates[n].filemode = f->mode;
		git_oid_cpy(&updates[n++].id, &f->id);
	}
	rc = git_treebuilder_new(&b, u->repo, NULL);
	if (rc >= 0)
		rc = git_treebuilder_write(&id, b);
	if (rc >= 0)
		rc = git_tree_lookup(&empty, u->repo, &id);
	if (rc >= 0 && n)
		rc = git_tree_create_updated(ret, u->repo, empty, n, updates);
	else
		git_oid_cpy(ret, &id);
	git_tree_free(empty);
	git_treebuilder_free(b);
	return rc < 0 ? git_fail(err, "put the files together") : 0;
}

static int commit_make(struct unpack *u, const git_oid *tree_id, char ret[GIT_OID_TEXT],
		       struct err *err)
{
	git_signature *who = NULL;
	git_reference *kept = NULL;
	git_tree *tree = NULL;
	git_oid id;
	int rc = git_tree_lookup(&tree, u->repo, tree_id);

	if (rc >= 0)
		rc = git_signature_new(&who, "plumb", "plumb@localhost", 0, 0);
	if (rc >= 0)
		rc = git_commit_create(&id, u->repo, NULL, who, who, "UTF-8", "artifact\n", tree, 0,
				       NULL);
	if (rc >= 0) {
		git_oid_tostr(ret, GIT_OID_TEXT, &id);
		rc = git_reference_create(&kept, u->repo,
					  arena_printf(&u->a, "refs/plumb-artifact/%s", ret), &id,
					  true, NULL);
	}
	git_reference_free(kept);
	git_tree_free(tree);
	git_signature_free(who);
	return rc < 0 ? git_fail(err, "keep the artifact") : 0;
}

int gitunpack(const char *mirror, struct str bytes, char ret_commit[GIT_OID_TEXT], struct err *err)
{
	struct unpack u = {0};
	git_oid tree;
	int rc = -1;

	if (lazy_load(&lazy_git2, err) || lazy_load(&lazy_archive, err))
		return -1;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	if (git_repository_open_bare(&u.repo, mirror) < 0 &&
	    git_repository_init(&u.repo, mirror, true) < 0)
		git_fail(err, "make the mirror");
	else if (!read_all(&u, bytes, err) && !tree_make(&u, &tree, err))
		rc = commit_make(&u, &tree, ret_commit, err);
	if (u.in)
		archive_read_free(u.in);
	git_repository_free(u.repo);
	git_libgit2_shutdown();
	map_release(&u.files);
	arena_release(&u.a);
	return rc;
}
