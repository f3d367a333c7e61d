/*
 * `plumb build`: the reconciler's rendering over a directory of this machine, for people, tests
 * and timing. Files are opened below a root that no path and no link leaves. Blocking; for the
 * command line only. Memory: one arena, released at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/json/yaml.h"
#include "lib/os/fs.h"
#include "reconciler/main.h"
#include "reconciler/render.h"

struct dir {
	struct arena a;
	int root;
	struct git_files files; /* gathered by one load */
	size_t cap, total;
};

static int read_fd(struct dir *d, int fd, size_t size, const char *path, struct str *ret,
		   struct err *err)
{
	char *p = arena_room(&d->a, size + 1);
	size_t n = 0;

	if (size > GIT_BLOB_MAX || d->total + size > GIT_TOTAL_MAX)
		return err_set(err, ERR_LIMIT, "%s: too big", path);
	while (n < size) {
		ssize_t got = read(fd, p + n, size - n);

		if (got < 0)
			return err_sys(err, "%s", path);
		if (!got)
			break;
		n += (size_t)got;
	}
	d->total += n;
	*ret = (struct str){p, n};
	return 0;
}

static int add(struct dir *d, int fd, const struct stat *st, const char *path, struct err *err)
{
	struct git_files *l = &d->files;
	struct git_file *f;

	if (l->n >= GIT_FILES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d files", GIT_FILES_MAX);
	if (l->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 16;
		struct git_file *v = arena_array(&d->a, cap, sizeof(*v));

		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		d->cap = cap;
	}
	f = &l->v[l->n];
	*f = (struct git_file){.path = arena_str(&d->a, str_c(path))};
	if (read_fd(d, fd, (size_t)st->st_size, path, &f->data, err))
		return -1;
	l->n++;
	return 0;
}

static bool is_manifest(struct str name)
{
	return str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
	       str_ends(name, STR(".json")) || str_is(name, "Kustomization");
}

static int walk(struct dir *d, int fd, const char *path, unsigned depth, struct err *err);

static int entry(struct dir *d, const char *dir, const char *name, unsigned depth, struct err *err)
{
	char *path =
		*dir ? arena_printf(&d->a, "%s/%s", dir, name) : arena_cstr(&d->a, str_c(name));
	AUTO(fd) int fd = fs_open_in(d->root, path, O_RDONLY | O_NONBLOCK, 0, err);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fd < 0 ? -1 : err_sys(err, "%s", path);
	if (S_ISDIR(st.st_mode))
		return walk(d, fd, path, depth + 1, err);
	return S_ISREG(st.st_mode) && is_manifest(str_c(name)) ? add(d, fd, &st, path, err) : 0;
}

static int walk(struct dir *d, int fd, const char *path, unsigned depth, struct err *err)
{
	int copy = dup(fd);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int rc = 0;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return err_sys(err, "%s", path);
	}
	if (depth > GIT_DEPTH_MAX)
		rc = err_set(err, ERR_LIMIT, "%s: nested too deep", path);
	while (!rc && (e = readdir(dir))) {
		if (e->d_name[0] != '.')
			rc = entry(d, path, e->d_name, depth, err);
	}
	closedir(dir);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return str_cmp(((const struct git_file *)a)->path, ((const struct git_file *)b)->path);
}

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct dir *d = ctx;
	AUTO(fd) int fd = fs_open_in(d->root, *path ? path : ".", O_RDONLY | O_NONBLOCK, 0, err);
	struct stat st;
	int rc;

	if (fd < 0) {
		/* Below a file there is nothing, which is what a revision's tree would say. */
		if (err && err->sys == ENOTDIR)
			err->code = ERR_NOT_FOUND;
		return -1;
	}
	if (fstat(fd, &st))
		return err_sys(err, "%s", path);
	d->files = (struct git_files){0};
	d->cap = 0;
	if (S_ISDIR(st.st_mode))
		rc = walk(d, fd, path, 0, err);
	else
		rc = S_ISREG(st.st_mode) ? add(d, fd, &st, path, err)
					 : err_set(err, ERR_INVALID, "%s is no file", path);
	if (!rc && d->files.n)
		qsort(d->files.v, d->files.n, sizeof(*d->files.v), by_path);
	*ret = d->files;
	return rc;
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	(void)kind;
	return SCOPE_UNKNOWN;
}

int reconciler_build(const char *root, const char *path, struct buf *out, struct err *err)
{
	struct dir d = {.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	const struct render_env env = {.load = load, .scope = scope, .ctx = &d};
	const struct render_opts o = {.path = path, .build_only = true};
	struct rendered r = {0};
	int rc;

	if (d.root < 0)
		return err_sys(err, "%s", root);
	rc = render(&d.a, &env, &o, &r, err);
	for (size_t i = 0; !rc && i < r.n; i++) {
		if (i)
			buf_puts(out, "---\n");
		yaml_write(r.v[i].tree, out);
	}
	rendered_release(&r);
	arena_release(&d.a);
	close(d.root);
	return rc;
}
