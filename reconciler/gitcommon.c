/* Where two commits of a mirror parted, and what lies between them. Blocking, touches only the
 * local object store. */
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/oid.h>
#include <git2/repository.h>
#include <string.h>

#include "lib/os/lazy.h"
#include "reconciler/prplan.h"
#include "reconciler/reads.h"

/* Of git2/merge.h, which cannot be included: a member there has a name that banned.h takes. */
int git_merge_base(git_oid *ret, git_repository *repo, const git_oid *one, const git_oid *two);

int git_common(const char *mirror, const char *one, const char *two, char ret[GIT_OID_TEXT],
	       struct err *err)
{
	git_repository *repo = NULL;
	git_oid a, b, base;
	int rc = -1;

	if (lazy_load(&lazy_git2, err))
		return -1;
	git_libgit2_init();
	if (git_oid_fromstr(&a, one) < 0 || git_oid_fromstr(&b, two) < 0 ||
	    git_repository_open_bare(&repo, mirror) < 0 ||
	    git_merge_base(&base, repo, &a, &b) < 0) {
		err_set(err, ERR_NOT_FOUND, "the commits have none in common");
	} else {
		git_oid_tostr(ret, GIT_OID_TEXT, &base);
		rc = 0;
	}
	git_repository_free(repo);
	git_libgit2_shutdown();
	return rc;
}

static bool differs(struct gitmirror *m, const char *one, const char *two, const char *path)
{
	char x[GIT_OID_TEXT] = "", y[GIT_OID_TEXT] = "";
	struct err err = {0};

	if (git_path_id(m, one, path, x, &err))
		x[0] = 0;
	if (git_path_id(m, two, path, y, &err))
		y[0] = 0;
	return strcmp(x, y) != 0;
}

bool unit_touched(struct gitmirror *m, const struct unit *u, const char *one, const char *two)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct json *spec = json_get(unit_tree(u, &a), STR("spec"));
	char *path = git_clean_path(&a, json_str(json_get(spec, STR("path"))), &err);
	struct str reads = str_c(u->reads), id, file;

	if (!reads.n)
		return path && differs(m, one, two, path);
	while (reads_next(&reads, &id, &file)) {
		if (differs(m, one, two, arena_cstr(&a, file)))
			return true;
	}
	return false;
}
