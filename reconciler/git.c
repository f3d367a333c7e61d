/*
 * Reading bare mirrors. What a repository holds is hostile: sizes are looked at before bytes are
 * loaded, depth and counts are bounded, and links never lead out of the tree. Never touches the
 * network and never writes. Used on the role's loop; results live in the caller's arena.
 */
#include "reconciler/git.h"

#include <stdlib.h>
#include <string.h>

#include <git2/blob.h>
#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/odb.h>
#include <git2/repository.h>
#include <git2/tree.h>

#include "lib/base/codec.h"
#include "lib/os/lazy.h"
#include "reconciler/ignore.h"

#define LINKS_MAX 16
#define CACHED_TREE_MAX (1u << 20)
#define CACHE_MAX (4u << 20)

struct gitmirror {
	git_repository *repo;
	char *ignore; /* spec.ignore, or NULL */
};

struct walk {
	struct gitmirror *m;
	struct arena *a;
	git_tree *root;
	struct git_files files;
	size_t cap, links_cap, total;
	unsigned links;                  /* followed on the way to where we are */
	struct ignore in_files, in_spec; /* the latter are asked first */
	struct buf rules;                /* what tells these rules from others */
};

static int fail(struct err *err, enum err_code code, const char *what)
{
	const git_error *e = git_error_last();

	return err_set(err, code, "%s: %s", what, e && e->message ? e->message : "unknown error");
}

static enum err_code code_of(int rc)
{
	return rc == GIT_ENOTFOUND ? ERR_NOT_FOUND : ERR_IO;
}

char *git_mirror_path(struct arena *a, const char *data_dir, struct str url)
{
	char hex[65];

	sha256_hex(url, hex);
	return arena_printf(a, "%s/git/%.16s", data_dir, hex);
}

struct gitmirror *git_open(const char *path, struct err *err)
{
	struct gitmirror *m;
	git_repository *repo;
	int rc;

	if (lazy_load(&lazy_git2, err))
		return NULL;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	/* A folder with a thousand Kustomizations is one large tree, that each of them looks into.
	 */
	git_libgit2_opts(GIT_OPT_SET_CACHE_OBJECT_LIMIT, (int)GIT_OBJECT_TREE,
			 (size_t)CACHED_TREE_MAX);
	git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)CACHE_MAX);
	rc = git_repository_open_bare(&repo, path);
	if (rc < 0) {
		fail(err, code_of(rc), "open the mirror");
		git_libgit2_shutdown();
		return NULL;
	}
	m = xalloc(sizeof(*m));
	m->repo = repo;
	return m;
}

void git_close(struct gitmirror *m)
{
	if (!m)
		return;
	git_repository_free(m->repo);
	free(m->ignore);
	free(m);
	git_libgit2_shutdown();
}

void git_refresh(struct gitmirror *m)
{
	git_repository *again;

	if (!m || git_repository_open_bare(&again, git_repository_path(m->repo)) < 0)
		return;
	git_repository_free(m->repo);
	m->repo = again;
}

void gitmirror_cleanup(struct gitmirror **m)
{
	git_close(*m);
}

char *git_clean_path(struct arena *a, struct str path, struct err *err)
{
	char *out = arena_alloc(a, path.n + 1), *at = out;
	struct str rest = path, part;

	if (path.n && path.p[0] == '/') {
		rest = str_sub(path, 1, path.n);
	}
	while (str_next(&rest, '/', &part)) {
		if (!part.n || str_is(part, "."))
			continue;
		if (str_is(part, "..") || memchr(part.p, 0, part.n)) {
			err_set(err, ERR_INVALID, "path %.*s leaves the repository", STR_ARG(path));
			return NULL;
		}
		if (at != out)
			*at++ = '/';
		memcpy(at, part.p, part.n);
		at += part.n;
	}
	*at = 0;
	return out;
}

static git_tree *commit_tree(struct gitmirror *m, const char *oid, struct err *err)
{
	git_oid id;
	git_commit *commit;
	git_tree *tree = NULL;
	int rc;

	if (git_oid_fromstr(&id, oid) < 0) {
		err_set(err, ERR_INVALID, "not a commit: %s", oid);
		return NULL;
	}
	rc = git_commit_lookup(&commit, m->repo, &id);
	if (rc < 0) {
		fail(err, code_of(rc), oid);
		return NULL;
	}
	if (git_commit_tree(&tree, commit) < 0)
		fail(err, ERR_CORRUPT, oid);
	git_commit_free(commit);
	return tree;
}

static git_tree_entry *entry_at(git_tree *root, const char *path, struct err *err)
{
	git_tree_entry *e = NULL;
	int rc = git_tree_entry_bypath(&e, root, path);

	if (rc == GIT_ENOTFOUND)
		err_set(err, ERR_NOT_FOUND, "path %s is not in the repository", path);
	else if (rc < 0)
		fail(err, ERR_CORRUPT, path);
	return rc < 0 ? NULL : e;
}

/* ---- blobs ---- */

static int load(struct walk *w, const git_oid *id, struct str path, struct git_file *ret,
		struct err *err)
{
	git_odb *odb;
	git_blob *blob;
	git_object_t type;
	size_t size = 0;

	if (git_repository_odb(&odb, w->m->repo) < 0)
		return fail(err, ERR_CORRUPT, "object store");
	int rc = git_odb_read_header(&size, &type, odb, id);
	git_odb_free(odb);
	if (rc < 0)
		return fail(err, ERR_CORRUPT, "object store");
	if (size > GIT_BLOB_MAX)
		return err_set(err, ERR_LIMIT, "%.*s: %zu bytes is larger than the %u MiB allowed",
			       STR_ARG(path), size, GIT_BLOB_MAX >> 20);
	if (w->total + size > GIT_TOTAL_MAX)
		return err_set(err, ERR_LIMIT,
			       "%.*s: all manifests together are larger than %u MiB", STR_ARG(path),
			       GIT_TOTAL_MAX >> 20);
	if (git_blob_lookup(&blob, w->m->repo, id) < 0)
		return fail(err, ERR_CORRUPT, "object store");
	w->total += size;
	ret->path = arena_str(w->a, path);
	ret->data = arena_str(w->a, (struct str){git_blob_rawcontent(blob), size});
	git_oid_tostr(ret->oid, sizeof(ret->oid), id);
	git_blob_free(blob);
	return 0;
}

static bool is_manifest(struct str name)
{
	return str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml")) ||
	       str_ends(name, STR(".json")) || str_is(name, "Kustomization");
}

static int add(struct walk *w, const git_oid *id, struct str path, struct err *err)
{
	if (w->files.n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 64;
		struct git_file *v = arena_array(w->a, cap, sizeof(*v));

		if (w->files.n)
			memcpy(v, w->files.v, w->files.n * sizeof(*v));
		w->files.v = v;
		w->cap = cap;
	}
	if (w->files.n >= GIT_FILES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d manifests", GIT_FILES_MAX);
	if (load(w, id, path, &w->files.v[w->files.n], err))
		return -1;
	w->files.n++;
	return 0;
}

/* Where a link in folder `dir` points to, from the root; NULL when that is outside. */
static char *link_target(struct arena *a, struct str dir, struct str to)
{
	struct buf path = {0};
	struct str part;
	char *ret = NULL;

	if (!to.n || to.p[0] == '/' || memchr(to.p, 0, to.n))
		return NULL;
	buf_str(&path, dir);
	while (str_next(&to, '/', &part)) {
		struct str head = STR_NONE, tail;

		if (!part.n || str_is(part, "."))
			continue;
		if (!str_is(part, "..")) {
			if (path.n)
				buf_putc(&path, '/');
			buf_str(&path, part);
			continue;
		}
		if (!path.n)
			goto out;
		path.n = str_rcut(buf_view(&path), '/', &head, &tail) ? head.n : 0;
	}
	ret = arena_cstr(a, buf_view(&path));
out:
	buf_release(&path);
	return ret;
}

/* ---- what is left out ---- */

static struct str below(struct walk *w, struct str dir, struct str name)
{
	return dir.n ? arena_strf(w->a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name)) : name;
}

void git_ignore(struct gitmirror *m, struct str rules)
{
	free(m->ignore);
	m->ignore = rules.p ? xstrndup(rules.p, rules.n) : NULL;
}

static bool left_out(const struct walk *w, struct str path, bool folder)
{
	enum ignore_verdict v = ignore_verdict(&w->in_spec, path, folder);

	if (v == IGNORE_UNSAID)
		v = ignore_verdict(&w->in_files, path, folder);
	return v == IGNORE_OUT;
}

/* The rules in a folder's own file, if there is one. */
static int ignore_file(struct walk *w, git_tree *tree, struct str dir, struct err *err)
{
	const git_tree_entry *e = git_tree_entry_byname(tree, IGNORE_FILE);
	struct git_file file;

	if (!e || git_tree_entry_type(e) != GIT_OBJECT_BLOB ||
	    git_tree_entry_filemode(e) == GIT_FILEMODE_LINK)
		return 0;
	if (load(w, git_tree_entry_id(e), below(w, dir, STR(IGNORE_FILE)), &file, err))
		return -1;
	if (ignore_add(w->a, &w->in_files, arena_str(w->a, dir), file.data, err))
		return err_wrap(err, "%.*s", STR_ARG(file.path));
	buf_printf(&w->rules, "%.*s %s\n", STR_ARG(file.path), file.oid);
	return 0;
}

static int ignore_at(struct walk *w, struct str dir, struct err *err)
{
	git_tree_entry *e = NULL;
	git_tree *tree = NULL;
	int rc = 0;

	if (!dir.n)
		return ignore_file(w, w->root, dir, err);
	if (git_tree_entry_bypath(&e, w->root, arena_cstr(w->a, dir)) < 0)
		return 0;
	if (git_tree_entry_type(e) == GIT_OBJECT_TREE &&
	    !git_tree_lookup(&tree, w->m->repo, git_tree_entry_id(e)))
		rc = ignore_file(w, tree, dir, err);
	git_tree_free(tree);
	git_tree_entry_free(e);
	return rc;
}

/* All rules that hold at `path`; those of folders below come with the walk. */
static int ignore_start(struct walk *w, const char *path, struct err *err)
{
	struct str p = str_c(path), spec = str_c(w->m->ignore);

	if (ignore_at(w, STR(""), err))
		return -1;
	for (size_t i = 1; i <= p.n; i++) {
		if ((i == p.n || p.p[i] == '/') && ignore_at(w, str_sub(p, 0, i), err))
			return -1;
	}
	if (ignore_add(w->a, &w->in_spec, STR(""), spec, err))
		return err_wrap(err, "spec.ignore");
	if (!w->in_spec.n && !w->in_files.n)
		ignore_add_defaults(w->a, &w->in_spec);
	return 0;
}

/* What is built depends on the rules, too. */
static int mix_rules(struct walk *w, const char *path, char ret[GIT_OID_TEXT], struct err *err)
{
	char hex[65];

	if (ignore_start(w, path, err))
		return -1;
	if (w->m->ignore)
		buf_puts(&w->rules, w->m->ignore);
	if (w->rules.n) {
		buf_puts(&w->rules, ret);
		sha256_hex(buf_view(&w->rules), hex);
		memcpy(ret, hex, GIT_OID_TEXT - 1);
	}
	return 0;
}

int git_path_id(struct gitmirror *m, const char *oid, const char *path, char ret[GIT_OID_TEXT],
		struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct walk w = {.m = m, .a = &a, .root = commit_tree(m, oid, err)};
	git_tree_entry *e = NULL;
	int rc;

	if (!w.root)
		return -1;
	if (*path)
		e = entry_at(w.root, path, err);
	rc = *path && !e ? -1 : 0;
	if (!rc)
		git_oid_tostr(ret, GIT_OID_TEXT, e ? git_tree_entry_id(e) : git_tree_id(w.root));
	if (!rc)
		rc = mix_rules(&w, path, ret, err);
	buf_release(&w.rules);
	git_tree_entry_free(e);
	git_tree_free(w.root);
	return rc;
}

static int none_left(const char *path, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "path %s is left out by ignore rules", path);
}

/* Where the walk is: path as it is called, real where it stands when links are followed. */
struct spot {
	struct str path, real;
	unsigned depth;
};

static int walk_tree(struct walk *w, const git_oid *id, struct spot at, struct err *err);

static void add_link(struct walk *w, struct str target)
{
	struct git_files *f = &w->files;

	if (f->nlinks == w->links_cap) {
		size_t cap = w->links_cap ? w->links_cap * 2 : 8;
		struct str *v = arena_array(w->a, cap, sizeof(*v));

		if (f->nlinks)
			memcpy(v, f->links, f->nlinks * sizeof(*v));
		f->links = v;
		w->links_cap = cap;
	}
	f->links[f->nlinks++] = target;
}

static int walk_link(struct walk *w, const git_tree_entry *e, struct spot at, struct err *err)
{
	struct git_file link;
	struct str path = at.path;
	struct str dir = STR_NONE, tail;
	git_tree_entry *to;
	char *target;
	int rc;

	if (load(w, git_tree_entry_id(e), path, &link, err))
		return -1;
	if (!str_rcut(at.real, '/', &dir, &tail))
		dir = STR_NONE;
	target = link_target(w->a, dir, link.data);
	if (!target)
		return err_set(err, ERR_INVALID, "%.*s: a symbolic link that leaves the repository",
			       STR_ARG(path));
	if (w->links >= LINKS_MAX)
		return err_set(err, ERR_INVALID, "%.*s: too many symbolic links in a row",
			       STR_ARG(path));
	if (!*target || git_tree_entry_bypath(&to, w->root, target) < 0)
		return err_set(err, ERR_INVALID, "%.*s: a symbolic link to %s, which isn't there",
			       STR_ARG(path), *target ? target : "the root");
	add_link(w, str_c(target));
	w->links++;
	at.real = str_c(target);
	at.depth++;
	if (git_tree_entry_type(to) == GIT_OBJECT_TREE)
		rc = walk_tree(w, git_tree_entry_id(to), at, err);
	else if (git_tree_entry_filemode(to) == GIT_FILEMODE_LINK)
		rc = walk_link(w, to, at, err);
	else
		rc = git_tree_entry_type(to) == GIT_OBJECT_BLOB
			     ? add(w, git_tree_entry_id(to), path, err)
			     : 0;
	w->links--;
	git_tree_entry_free(to);
	return rc;
}

static void note_jsonnet(struct walk *w, struct str path)
{
	struct git_files *f = &w->files;

	if (!f->jsonnet)
		f->jsonnet = arena_array(w->a, GIT_JSONNET_MAX, sizeof(*f->jsonnet));
	if (f->njsonnet < GIT_JSONNET_MAX)
		f->jsonnet[f->njsonnet++] = arena_str(w->a, path);
}

static int walk_entry(struct walk *w, const git_tree_entry *e, struct spot dir, struct err *err)
{
	struct str name = str_c(git_tree_entry_name(e));
	struct spot at = {below(w, dir.path, name), below(w, dir.real, name), dir.depth + 1};
	bool folder = git_tree_entry_type(e) == GIT_OBJECT_TREE;

	/* Hidden folders hold what tools keep beside manifests, our own reports among them. */
	if (name.n && name.p[0] == '.')
		return 0;
	if (left_out(w, at.path, folder) &&
	    !(folder && (w->in_spec.negated || w->in_files.negated)))
		return 0;
	if (folder)
		return walk_tree(w, git_tree_entry_id(e), at, err);
	if (git_tree_entry_filemode(e) == GIT_FILEMODE_LINK)
		return walk_link(w, e, at, err);
	if (git_tree_entry_type(e) == GIT_OBJECT_BLOB && is_manifest(name))
		return add(w, git_tree_entry_id(e), at.path, err);
	if (git_tree_entry_type(e) == GIT_OBJECT_BLOB && str_ends(name, STR(".jsonnet")))
		note_jsonnet(w, at.path);
	return 0;
}

static int walk_tree(struct walk *w, const git_oid *id, struct spot at, struct err *err)
{
	git_tree *tree;
	int rc = 0;

	if (at.depth > GIT_DEPTH_MAX)
		return err_set(err, ERR_LIMIT, "%.*s: folders nested deeper than %d",
			       STR_ARG(at.path), GIT_DEPTH_MAX);
	if (git_tree_lookup(&tree, w->m->repo, id) < 0)
		return fail(err, ERR_CORRUPT, "tree");
	if (at.depth) /* where the walk starts it has been read */
		rc = ignore_file(w, tree, at.path, err);
	for (size_t i = 0; !rc && i < git_tree_entrycount(tree); i++)
		rc = walk_entry(w, git_tree_entry_byindex(tree, i), at, err);
	git_tree_free(tree);
	return rc;
}

static int by_path(const void *a, const void *b)
{
	return str_cmp(((const struct git_file *)a)->path, ((const struct git_file *)b)->path);
}

static int walk_path(struct walk *w, const char *path, struct err *err)
{
	struct spot at = {str_c(path), str_c(path), 0};
	git_tree_entry *e;
	int rc;

	if (ignore_start(w, path, err))
		return -1;
	if (!*path)
		return walk_tree(w, git_tree_id(w->root), at, err);
	e = entry_at(w->root, path, err);
	if (!e)
		return -1;
	if (git_tree_entry_type(e) == GIT_OBJECT_TREE)
		rc = walk_tree(w, git_tree_entry_id(e), at, err);
	else if (git_tree_entry_filemode(e) == GIT_FILEMODE_LINK)
		rc = walk_link(w, e, at, err);
	else if (left_out(w, str_c(path), false))
		rc = none_left(path, err);
	else
		rc = add(w, git_tree_entry_id(e), str_c(path), err);
	if (!rc && !w->files.n && left_out(w, str_c(path), true))
		rc = none_left(path, err);
	git_tree_entry_free(e);
	return rc;
}

int git_manifests(struct gitmirror *m, struct arena *a, const char *oid, const char *path,
		  struct git_files *ret, struct err *err)
{
	struct walk w = {.m = m, .a = a, .root = commit_tree(m, oid, err)};
	int rc;

	if (!w.root)
		return -1;
	rc = walk_path(&w, path, err);
	buf_release(&w.rules);
	git_tree_free(w.root);
	if (rc)
		return -1;
	if (w.files.n)
		qsort(w.files.v, w.files.n, sizeof(*w.files.v), by_path);
	*ret = w.files;
	return 0;
}

int git_file(struct gitmirror *m, struct arena *a, const char *oid, const char *path,
	     struct git_file *ret, struct err *err)
{
	struct walk w = {.m = m, .a = a, .root = commit_tree(m, oid, err)};
	git_tree_entry *e;
	int rc = -1;

	if (!w.root)
		return -1;
	e = entry_at(w.root, path, err);
	if (e && git_tree_entry_type(e) != GIT_OBJECT_BLOB)
		err_set(err, ERR_NOT_FOUND, "%s is not a file", path);
	else if (e)
		rc = load(&w, git_tree_entry_id(e), str_c(path), ret, err);
	git_tree_entry_free(e);
	git_tree_free(w.root);
	return rc;
}

struct str git_subject(struct gitmirror *m, struct arena *a, const char *oid)
{
	git_oid id;
	git_commit *commit;
	struct str s;

	if (git_oid_fromstr(&id, oid) < 0 || git_commit_lookup(&commit, m->repo, &id) < 0)
		return STR_NONE;
	const char *text = git_commit_summary(commit);
	s = arena_str(a, str_sub(str_c(text), 0, 200));
	git_commit_free(commit);
	return s;
}
