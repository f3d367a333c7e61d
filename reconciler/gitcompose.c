/*
 * Putting commits together: everything ends up as trees in the mirror, so that rendering, ignore
 * rules and drift know one way to read only. Content is hostile: counts, bytes and depth are
 * bounded, submodules come from the repository's own server only. Writes objects and references
 * below refs/plumb-*; helper process only; libgit2's objects are freed here.
 */
#include "reconciler/gitcompose.h"

#include <stdio.h>
#include <string.h>

#include <git2/blob.h>
#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/odb.h>
#include <git2/refs.h>
#include <git2/repository.h>
#include <git2/signature.h>
#include <git2/tree.h>

#include "lib/base/codec.h"
#include "reconciler/git.h"
#include "reconciler/gitmodules.h"
#include "reconciler/gitremote.h"

struct compose {
	struct gitsession *s;
	git_odb *from, *to; /* while an include is copied */
	size_t objects, modules;
	uint64_t bytes;
};

/* ---- trees ---- */

static int tree_of(struct gitsession *s, const git_oid *commit, git_oid *ret, struct err *err)
{
	git_commit *c;
	int rc = git_commit_lookup(&c, s->repo, commit);

	if (rc < 0)
		return gr_fail(s, err, rc, "look up the commit");
	git_oid_cpy(ret, git_commit_tree_id(c));
	git_commit_free(c);
	return 0;
}

/* Puts `what` at path, in place of whatever stands there. */
static int tree_put(struct gitsession *s, git_oid *tree, const char *path, const git_oid *what,
		    git_filemode_t mode, struct err *err)
{
	git_tree_update u = {.action = GIT_TREE_UPDATE_REMOVE, .path = path};
	git_tree *t = NULL;
	git_tree_entry *e = NULL;
	int rc = git_tree_lookup(&t, s->repo, tree);

	/* libgit2 does not change a submodule or file into a folder in one step. */
	if (rc >= 0 && git_tree_entry_bypath(&e, t, path) >= 0) {
		rc = git_tree_create_updated(tree, s->repo, t, 1, &u);
		git_tree_free(t);
		t = NULL;
		if (rc >= 0)
			rc = git_tree_lookup(&t, s->repo, tree);
	}
	u.action = GIT_TREE_UPDATE_UPSERT;
	u.filemode = mode;
	git_oid_cpy(&u.id, what);
	if (rc >= 0)
		rc = git_tree_create_updated(tree, s->repo, t, 1, &u);
	git_tree_entry_free(e);
	git_tree_free(t);
	return rc < 0 ? gr_fail(s, err, rc, path) : 0;
}

static int empty_tree(struct gitsession *s, git_oid *ret, struct err *err)
{
	git_treebuilder *b;
	int rc = git_treebuilder_new(&b, s->repo, NULL);

	if (rc >= 0) {
		rc = git_treebuilder_write(ret, b);
		git_treebuilder_free(b);
	}
	return rc < 0 ? gr_fail(s, err, rc, "make a folder") : 0;
}

/* ---- spec.sparseCheckout ---- */

static bool covers(const char *folder, const char *path)
{
	size_t n = strlen(folder);

	return !n || (!strncmp(folder, path, n) && (path[n] == '/' || !path[n]));
}

static int sparse_one(struct gitsession *s, git_tree *whole, const char *path, git_oid *tree,
		      struct err *err)
{
	git_tree_entry *e;
	int rc;

	if (git_tree_entry_bypath(&e, whole, path) < 0)
		return err_set(err, ERR_NOT_FOUND,
			       "spec.sparseCheckout: %s is not in the repository", path);
	rc = tree_put(s, tree, path, git_tree_entry_id(e), git_tree_entry_filemode(e), err);
	git_tree_entry_free(e);
	return rc;
}

static int sparse(struct gitsession *s, const struct json *list, git_oid *tree, struct err *err)
{
	size_t n = json_len(list);
	char **paths = arena_array(s->a, n + 1, sizeof(*paths));
	git_tree *whole;
	git_oid made;
	int rc;

	for (size_t i = 0; i < n; i++) {
		paths[i] = git_clean_path(s->a, json_str(json_item(list, i)), err);
		if (!paths[i])
			return err_wrap(err, "spec.sparseCheckout");
		if (!*paths[i])
			return 0;
	}
	if (!n)
		return 0;
	if (git_tree_lookup(&whole, s->repo, tree) < 0)
		return gr_fail(s, err, GIT_ENOTFOUND, "tree");
	rc = empty_tree(s, &made, err);
	for (size_t i = 0; !rc && i < n; i++) {
		bool covered = false;

		for (size_t k = 0; k < n; k++)
			covered |= k != i && covers(paths[k], paths[i]) &&
				   (strcmp(paths[k], paths[i]) || k < i);
		if (!covered)
			rc = sparse_one(s, whole, paths[i], &made, err);
	}
	git_tree_free(whole);
	if (!rc)
		git_oid_cpy(tree, &made);
	return rc;
}

/* ---- spec.recurseSubmodules ---- */

static int read_gitmodules(struct gitsession *s, const git_oid *tree, struct gitmodules *ret,
			   struct err *err)
{
	git_tree *t;
	git_blob *blob = NULL;
	const git_tree_entry *e;
	int rc = 0;

	ret->n = 0;
	if (git_tree_lookup(&t, s->repo, tree) < 0)
		return gr_fail(s, err, GIT_ENOTFOUND, "tree");
	e = git_tree_entry_byname(t, ".gitmodules");
	if (e && git_tree_entry_type(e) == GIT_OBJECT_BLOB &&
	    git_tree_entry_filemode(e) != GIT_FILEMODE_LINK &&
	    git_blob_lookup(&blob, s->repo, git_tree_entry_id(e)) >= 0) {
		struct str text = {git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob)};

		/* The blob goes, what was parsed stays. */
		rc = text.n > GITMODULES_TEXT_MAX
			     ? err_set(err, ERR_LIMIT, ".gitmodules is too large")
			     : gitmodules_parse(s->a, arena_str(s->a, text), ret, err);
		git_blob_free(blob);
	}
	git_tree_free(t);
	return rc;
}

static int fetch_module(struct gitsession *s, const char *url, const git_oid *id, struct err *err)
{
	static const char *const kinds[] = {"heads", "tags"};
	const git_remote_head **heads;
	char hex[65];
	size_t n;

	if (gr_turn_to(s, url, err) || gr_list(s, &heads, &n, err))
		return -1;
	sha256_hex(str_c(url), hex);
	for (size_t i = 0; i < ARRAY_LEN(kinds) && !gr_have(s, id); i++) {
		if (gr_download(s,
				arena_printf(s->a, "+refs/%s/*:refs/plumb-sub/%.16s/%s/*", kinds[i],
					     hex, kinds[i]),
				err))
			return -1;
	}
	return gr_have(s, id) ? 0
			      : err_set(err, ERR_NOT_FOUND,
					"%s: the commit that the repository asks for is in none "
					"of its branches",
					s->url);
}

static int submodules(struct compose *c, const char *url, git_oid *tree, unsigned depth,
		      struct err *err);

/* The commit that the tree holds for a module; false where it holds none. */
static bool gitlink(struct gitsession *s, const git_oid *tree, const char *path, git_oid *ret)
{
	git_tree_entry *e = NULL;
	git_tree *t = NULL;
	bool found = git_tree_lookup(&t, s->repo, tree) >= 0 &&
		     git_tree_entry_bypath(&e, t, path) >= 0 &&
		     git_tree_entry_filemode(e) == GIT_FILEMODE_COMMIT;

	if (found)
		git_oid_cpy(ret, git_tree_entry_id(e));
	git_tree_entry_free(e);
	git_tree_free(t);
	return found;
}

static int submodule(struct compose *c, const char *parent, const struct gitmodule *m,
		     git_oid *tree, unsigned depth, struct err *err)
{
	struct gitsession *s = c->s;
	char *path = git_clean_path(s->a, m->path, err), *url;
	git_oid id, inner;

	if (!path)
		return -1;
	if (!*path || !gitlink(s, tree, path, &id))
		return 0; /* not checked in, or left out */
	if (c->modules++ >= COMPOSE_MODULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d submodules", COMPOSE_MODULES_MAX);
	url = gitmodule_url(s->a, str_c(parent), m->url, err);
	if (!url || fetch_module(s, url, &id, err) || tree_of(s, &id, &inner, err) ||
	    submodules(c, url, &inner, depth + 1, err))
		return -1;
	return tree_put(s, tree, path, &inner, GIT_FILEMODE_TREE, err);
}

static int submodules(struct compose *c, const char *url, git_oid *tree, unsigned depth,
		      struct err *err)
{
	struct gitmodules *m = arena_alloc(c->s->a, sizeof(*m));

	if (read_gitmodules(c->s, tree, m, err))
		return -1;
	if (m->n && depth >= COMPOSE_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "submodules nested deeper than %d",
			       COMPOSE_DEPTH_MAX);
	for (size_t i = 0; i < m->n; i++) {
		if (submodule(c, url, &m->v[i], tree, depth, err))
			return err_wrap(err, "submodule %.*s",
					(int)MIN(m->v[i].name.n, (size_t)100), m->v[i].name.p);
	}
	return 0;
}

/* ---- spec.include ---- */

static int copy_object(struct compose *c, const git_oid *id, git_odb_object **ret_kept,
		       struct err *err)
{
	struct gitsession *s = c->s;
	size_t size;
	git_object_t type;
	git_oid made;
	int rc = git_odb_read_header(&size, &type, c->from, id);

	if (rc < 0)
		return gr_fail(s, err, rc, "read what is included");
	c->bytes += size;
	if (++c->objects > COMPOSE_OBJECTS_MAX || c->bytes > COMPOSE_BYTES_MAX)
		return err_set(err, ERR_LIMIT,
			       "what is included is larger than %llu MiB or %d files",
			       (unsigned long long)(COMPOSE_BYTES_MAX >> 20), COMPOSE_OBJECTS_MAX);
	rc = git_odb_read(ret_kept, c->from, id);
	if (rc >= 0)
		rc = git_odb_write(&made, c->to, git_odb_object_data(*ret_kept), size, type);
	if (rc < 0)
		return gr_fail(s, err, rc, "copy what is included");
	return 0;
}

/* What lies in a tree first: a tree that is here is here whole. */
static int copy_tree(struct compose *c, git_repository *other, const git_oid *id, unsigned depth,
		     struct err *err)
{
	git_odb_object *kept = NULL;
	git_tree *t;
	int rc = 0;

	if (git_odb_exists(c->to, id))
		return 0;
	if (depth > GIT_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "folders nested deeper than %d", GIT_DEPTH_MAX);
	if (git_tree_lookup(&t, other, id) < 0)
		return gr_fail(c->s, err, GIT_ENOTFOUND, "read what is included");
	for (size_t i = 0; !rc && i < git_tree_entrycount(t); i++) {
		const git_tree_entry *e = git_tree_entry_byindex(t, i);
		const git_oid *child = git_tree_entry_id(e);

		if (git_tree_entry_type(e) == GIT_OBJECT_TREE) {
			rc = copy_tree(c, other, child, depth + 1, err);
		} else if (git_tree_entry_type(e) == GIT_OBJECT_BLOB &&
			   !git_odb_exists(c->to, child)) {
			rc = copy_object(c, child, &kept, err);
			git_odb_object_free(kept);
			kept = NULL;
		}
	}
	git_tree_free(t);
	if (rc)
		return -1;
	rc = copy_object(c, id, &kept, err);
	git_odb_object_free(kept);
	return rc;
}

/* The folder of another repository that is meant. */
static int include_find(struct gitsession *s, git_repository *other, const struct json *what,
			git_oid *ret, struct err *err)
{
	const char *commit = gr_text(s, what, "commit") ?: "";
	char *path = git_clean_path(s->a, json_str(json_get(what, STR("fromPath"))), err);
	git_commit *c = NULL;
	git_tree *t = NULL;
	git_tree_entry *e = NULL;
	git_oid id;
	int rc = -1;

	if (!path)
		return -1;
	if (git_oid_fromstr(&id, commit) < 0 || git_commit_lookup(&c, other, &id) < 0 ||
	    git_commit_tree(&t, c) < 0) {
		gr_fail(s, err, GIT_ENOTFOUND, "read what is included");
	} else if (!*path) {
		git_oid_cpy(ret, git_tree_id(t));
		rc = 0;
	} else if (git_tree_entry_bypath(&e, t, path) < 0 ||
		   git_tree_entry_type(e) != GIT_OBJECT_TREE) {
		err_set(err, ERR_NOT_FOUND, "fromPath %s is no folder of that repository", path);
	} else {
		git_oid_cpy(ret, git_tree_entry_id(e));
		rc = 0;
	}
	git_tree_entry_free(e);
	git_tree_free(t);
	git_commit_free(c);
	return rc;
}

static int include(struct compose *c, const struct json *what, git_oid *tree, struct err *err)
{
	struct gitsession *s = c->s;
	const char *mirror = gr_text(s, what, "mirror") ?: "";
	char *path = git_clean_path(s->a, json_str(json_get(what, STR("toPath"))), err);
	git_repository *other;
	git_oid found;
	int rc;

	if (!path)
		return -1;
	if (!*path)
		return err_set(err, ERR_INVALID, "toPath must be a folder below the root");
	rc = git_repository_open_bare(&other, mirror);
	if (rc < 0)
		return gr_fail(s, err, rc, "open what is included");
	rc = include_find(s, other, what, &found, err);
	if (!rc &&
	    (git_repository_odb(&c->from, other) < 0 || git_repository_odb(&c->to, s->repo) < 0))
		rc = gr_fail(s, err, 0, "object store");
	if (!rc)
		rc = copy_tree(c, other, &found, 0, err);
	if (!rc)
		rc = tree_put(s, tree, path, &found, GIT_FILEMODE_TREE, err);
	git_odb_free(c->from);
	git_odb_free(c->to);
	c->from = c->to = NULL;
	git_repository_free(other);
	return rc;
}

static int includes(struct compose *c, const struct json *list, git_oid *tree, struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (include(c, json_item(list, i), tree, err))
			return err_wrap(err, "spec.include[%zu]", i);
	}
	return 0;
}

/* ---- the commit ---- */

static int commit_make(struct gitsession *s, const git_oid *base, const git_oid *tree_id,
		       git_oid *ret, struct err *err)
{
	char hex[GIT_OID_HEXSZ + 1];
	git_commit *on = NULL;
	git_tree *tree = NULL;
	git_signature *who = NULL;
	int rc;

	git_oid_tostr(hex, sizeof(hex), base);
	rc = git_commit_lookup(&on, s->repo, base);
	if (rc >= 0)
		rc = git_tree_lookup(&tree, s->repo, tree_id);
	if (rc >= 0)
		rc = git_signature_new(&who, "plumb", "plumb@localhost", git_commit_time(on), 0);
	if (rc >= 0)
		rc = git_commit_create_v(ret, s->repo, NULL, who, who, "UTF-8",
					 arena_printf(s->a, "%s\n\n" GIT_COMPOSED "%s\n",
						      git_commit_summary(on) ?: "", hex),
					 tree, 1, on);
	git_signature_free(who);
	git_tree_free(tree);
	git_commit_free(on);
	return rc < 0 ? gr_fail(s, err, rc, "put the parts together") : 0;
}

void gitcompose_base(git_repository *repo, git_oid *id)
{
	git_commit *c;
	const git_oid *parent;
	char hex[GIT_OID_HEXSZ + 1], text[sizeof(GIT_COMPOSED) + sizeof(hex) + 1];

	if (git_commit_lookup(&c, repo, id) < 0)
		return;
	parent = git_commit_parentcount(c) == 1 ? git_commit_parent_id(c, 0) : NULL;
	if (parent) {
		git_oid_tostr(hex, sizeof(hex), parent);
		snprintf(text, sizeof(text), "\n" GIT_COMPOSED "%s", hex);
		/* Whoever writes such a trailer by hand names the parent, which is theirs as well.
		 */
		if (strstr(git_commit_message(c), text))
			git_oid_cpy(id, parent);
	}
	git_commit_free(c);
}

/* Equal parts, equal name. */
static char *name_of(struct gitsession *s, const struct json *request, const git_oid *commit)
{
	static const char *const parts[] = {"include", "submodules", "sparse"};
	AUTO(buf) struct buf text = {0};
	char hex[65];

	buf_put(&text, commit->id, GIT_OID_RAWSZ);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct json *v = json_get(request, str_c(parts[i]));

		buf_putc(&text, '\n');
		if (v)
			json_write_sorted(v, &text);
	}
	sha256_hex(buf_view(&text), hex);
	return arena_printf(s->a, "refs/plumb-composed/%.32s", hex);
}

int gitcompose(struct gitsession *s, const struct json *request, const git_oid *commit,
	       git_oid *ret, struct err *err)
{
	const struct json *list = json_get(request, STR("include")),
			  *folders = json_get(request, STR("sparse"));
	bool modules = json_bool(json_get(request, STR("submodules")), false);
	struct compose c = {.s = s};
	git_reference *kept = NULL;
	char *name;
	git_oid tree;

	git_oid_cpy(ret, commit);
	if (!json_len(list) && !json_len(folders) && !modules)
		return 0;
	name = name_of(s, request, commit);
	if (git_reference_name_to_id(ret, s->repo, name) >= 0 && gr_have(s, ret))
		return 0;
	if (tree_of(s, commit, &tree, err))
		return -1;
	if (modules && submodules(&c, gr_text(s, request, "url"), &tree, 0, err))
		return -1;
	if (sparse(s, folders, &tree, err) || includes(&c, list, &tree, err) ||
	    commit_make(s, commit, &tree, ret, err))
		return -1;
	if (git_reference_create(&kept, s->repo, name, ret, true, NULL) < 0)
		return gr_fail(s, err, 0, name);
	git_reference_free(kept);
	return 0;
}
