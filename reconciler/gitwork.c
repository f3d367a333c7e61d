/*
 * Checkouts, for `plumb diff`. Writes only into the store that it makes itself, never into the
 * checkout or its repository. Blocking; the command line's only thread.
 */
#include "reconciler/gitwork.h"

#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/object.h>
#include <git2/refs.h>
#include <git2/repository.h>
#include <git2/revparse.h>
#include <git2/signature.h>
#include <git2/tree.h>

#include "lib/os/lazy.h"

/* Of git2/index.h, which cannot be included: a member there has a name that banned.h takes. */
int git_index_add_all(git_index *index, const git_strarray *paths, unsigned flags,
		      int (*callback)(const char *path, const char *match, void *arg), void *arg);
int git_index_write_tree(git_oid *ret, git_index *index);
void git_index_free(git_index *index);
#define INDEX_ADD_DEFAULT 0

static int fail(struct err *err, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, ERR_IO, "%s: %s", what, e && e->message ? e->message : "unknown error");
}

static int start(struct err *err)
{
	if (lazy_load(&lazy_git2, err))
		return -1;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	return 0;
}

static int commit_of(git_repository *repo, git_oid *tree_id, git_oid *ret, struct err *err)
{
	git_tree *tree = NULL;
	git_signature *who = NULL;
	int rc = 0;

	if (git_tree_lookup(&tree, repo, tree_id) < 0 ||
	    git_signature_now(&who, "plumb", "plumb@localhost") < 0 ||
	    git_commit_create(ret, repo, NULL, who, who, "UTF-8", "checkout", tree, 0, NULL) < 0)
		rc = fail(err, "put the checkout together");
	git_signature_free(who);
	git_tree_free(tree);
	return rc;
}

int git_snapshot(const char *folder, const char *store, char ret[GIT_OID_TEXT], struct err *err)
{
	git_repository *repo = NULL;
	git_index *index = NULL;
	git_oid tree, commit;
	int rc = -1;

	if (start(err))
		return -1;
	if (git_repository_init(&repo, store, true) < 0 ||
	    git_repository_set_workdir(repo, folder, false) < 0 ||
	    git_repository_index(&index, repo) < 0 ||
	    git_index_add_all(index, NULL, INDEX_ADD_DEFAULT, NULL, NULL) < 0 ||
	    git_index_write_tree(&tree, index) < 0)
		fail(err, folder);
	else
		rc = commit_of(repo, &tree, &commit, err);
	if (!rc)
		git_oid_tostr(ret, GIT_OID_TEXT, &commit);
	git_index_free(index);
	git_repository_free(repo);
	git_libgit2_shutdown();
	return rc;
}

int git_resolve(struct arena *a, const char *folder, const char *rev, char **ret_repo,
		char ret[GIT_OID_TEXT], struct err *err)
{
	git_repository *repo = NULL;
	git_object *found = NULL, *commit = NULL;
	int rc = -1;

	if (start(err))
		return -1;
	if (git_repository_open_ext(&repo, folder, 0, NULL) < 0)
		fail(err, folder);
	else if (git_revparse_single(&found, repo, rev) < 0 ||
		 git_object_peel(&commit, found, GIT_OBJECT_COMMIT) < 0)
		fail(err, rev);
	else
		rc = 0;
	if (!rc) {
		git_oid_tostr(ret, GIT_OID_TEXT, git_object_id(commit));
		*ret_repo = arena_cstr(a, str_c(git_repository_commondir(repo)));
	}
	git_object_free(commit);
	git_object_free(found);
	git_repository_free(repo);
	git_libgit2_shutdown();
	return rc;
}
