/*
 * Keeping a mirror's packs few: every fetch that brings something leaves one, and each costs every
 * lookup. The small ones become one; the objects are the same, so readers who look a second time
 * find what they look for, and a fetch may run meanwhile. Killed at any time it leaves more packs,
 * never fewer objects: old ones go only after the new one is complete. Helper process only.
 */
#include "reconciler/gitpack.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <git2/errors.h>
#include <git2/global.h>
#include <git2/odb.h>
#include <git2/odb_backend.h>
#include <git2/pack.h>
#include <git2/repository.h>

#include "lib/os/fs.h"
#include "lib/os/lazy.h"
#include "reconciler/gitremote.h"

#define SMALL_MAX (32 << 20)
#define PACKS_AT_ONCE 1000

struct packs {
	char *v[PACKS_AT_ONCE]; /* paths without their ending */
	size_t n;
};

static void find(struct arena *a, const char *mirror, struct packs *ret)
{
	char *dir = arena_printf(a, "%s/objects/pack", mirror);
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;

	ret->n = 0;
	while (d && ret->n < PACKS_AT_ONCE && (e = readdir(d))) {
		struct str name = str_c(e->d_name);

		if (!str_ends(name, STR(".pack")) ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode) || st.st_size > SMALL_MAX)
			continue;
		ret->v[ret->n++] = arena_printf(a, "%s/%.*s", dir, (int)name.n - 5, name.p);
	}
	if (d)
		closedir(d);
}

size_t gitpack_count(const char *mirror)
{
	AUTO(arena) struct arena a = {0};
	struct packs *p = arena_alloc(&a, sizeof(*p));

	if (mirror)
		find(&a, mirror, p);
	return p->n;
}

void gitpack_bury(const char *mirror)
{
	AUTO(arena) struct arena a = {0};
	struct str dir, name;
	struct dirent *e;
	struct err ignored = {0};
	DIR *d;

	if (!str_rcut(str_c(mirror), '/', &dir, &name))
		return;
	d = opendir(arena_cstr(&a, dir));
	while (d && (e = readdir(d))) {
		if (str_starts(str_c(e->d_name), STR(GIT_GONE)))
			(void)!fs_remove_tree(arena_printf(&a, "%.*s/%s", STR_ARG(dir), e->d_name),
					      &ignored);
	}
	if (d)
		closedir(d);
}

static int on_object(const git_oid *id, void *arg)
{
	return git_packbuilder_insert(arg, id, NULL);
}

static int insert_pack(git_packbuilder *b, const char *index)
{
	git_odb *odb;
	git_odb_backend *backend;
	int rc = git_odb_new(&odb);

	if (rc < 0)
		return rc;
	rc = git_odb_backend_one_pack(&backend, index);
	if (rc >= 0)
		rc = git_odb_add_backend(odb, backend, 1);
	if (rc >= 0)
		rc = git_odb_foreach(odb, on_object, b);
	git_odb_free(odb);
	return rc;
}

static int repack(struct arena *a, git_repository *repo, const char *mirror, struct packs *p)
{
	git_packbuilder *b;
	char *made = NULL;
	int rc = git_packbuilder_new(&b, repo);

	if (rc < 0)
		return rc;
	git_packbuilder_set_threads(b, 1);
	for (size_t i = 0; rc >= 0 && i < p->n; i++)
		rc = insert_pack(b, arena_printf(a, "%s.idx", p->v[i]));
	if (rc >= 0)
		rc = git_packbuilder_write(b, arena_printf(a, "%s/objects/pack", mirror), 0444,
					   NULL, NULL);
	if (rc >= 0)
		made = arena_printf(a, "%s/objects/pack/pack-%s", mirror,
				    git_packbuilder_name(b) ?: "");
	git_packbuilder_free(b);
	/* The new one must be there before any other goes. */
	if (rc < 0 || access(arena_printf(a, "%s.pack", made), R_OK) ||
	    access(arena_printf(a, "%s.idx", made), R_OK))
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		if (!strcmp(p->v[i], made))
			continue;
		unlink(arena_printf(a, "%s.idx", p->v[i]));
		unlink(arena_printf(a, "%s.pack", p->v[i]));
	}
	return 0;
}

struct json *gitremote_repack(struct arena *a, const struct json *request, struct err *err)
{
	struct str mirror = json_str(json_get(request, STR("mirror")));
	const char *path = mirror.n ? arena_cstr(a, mirror) : "";
	struct packs *p = arena_alloc(a, sizeof(*p));
	git_repository *repo = NULL;
	const git_error *e;
	int rc;

	if (lazy_load(&lazy_git2, err))
		return NULL;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	find(a, path, p);
	rc = git_repository_open_bare(&repo, path);
	if (rc >= 0 && p->n > 1)
		rc = repack(a, repo, path, p);
	if (rc < 0) {
		e = git_error_last();
		err_set(err, ERR_IO, "repack: %s", e && e->message ? e->message : "failed");
	}
	git_repository_free(repo);
	git_libgit2_shutdown();
	return rc < 0 ? NULL : json_build(a, "{s:i}", "packs", (int)gitpack_count(path));
}
