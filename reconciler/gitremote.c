/*
 * Fetching and pushing through libgit2. Runs only in the helper process: it blocks on networks and
 * reads what strangers send, and may die of it. Credentials come in the request, stay in memory,
 * and never reach a message. Memory: the caller's arena; libgit2's objects are freed here.
 */
#include "reconciler/gitremote.h"

#include <string.h>

#include <git2/blob.h>
#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/global.h>
#include <git2/odb.h>
#include <git2/refs.h>
#include <git2/remote.h>
#include <git2/repository.h>
#include <git2/signature.h>
#include <git2/tree.h>

#include "lib/os/lazy.h"
#include "reconciler/gitauth.h"

struct session {
	struct arena *a;
	git_repository *repo;
	git_remote *remote;
	struct gitauth auth;
	git_remote_callbacks callbacks;
	const struct json *branches; /* asked for … */
	struct json *there;          /* … and found */
	char refused[300];           /* what the remote said about a pushed reference */
};

static int fail(struct session *s, struct err *err, int rc, const char *what)
{
	const git_error *e = git_error_last();
	enum err_code code = rc == GIT_ENOTFOUND ? ERR_NOT_FOUND
			     : rc == GIT_EAUTH   ? ERR_UNAUTHORIZED
						 : ERR_UNAVAILABLE;

	if (s->auth.problem[0])
		return err_set(err, ERR_UNAUTHORIZED, "%s: %s", what, s->auth.problem);
	return err_set(err, code, "%s: %s", what, e && e->message ? e->message : "unknown error");
}

static int on_reference(const char *name, const char *status, void *arg)
{
	struct session *s = arg;

	if (status)
		snprintf(s->refused, sizeof(s->refused), "%s: %s", name, status);
	return 0;
}

static bool name_valid(const char *ref)
{
	int valid = 0;

	return git_reference_name_is_valid(&valid, ref) == 0 && valid;
}

static char *text(struct session *s, const struct json *request, const char *key)
{
	struct str v = json_str(json_get(request, str_c(key)));

	return v.n ? arena_cstr(s->a, v) : NULL;
}

static int session_open(struct session *s, const struct json *request, struct err *err)
{
	const char *mirror = text(s, request, "mirror"), *url = text(s, request, "url");
	int rc;

	if (lazy_load(&lazy_git2, err))
		return -1;
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	if (!mirror || !url)
		return err_set(err, ERR_BAD_REQUEST, "mirror and url are required");
	if (gitauth_init(&s->auth, s->a, json_get(request, STR("auth")), err))
		return -1;
	if (git_repository_open_bare(&s->repo, mirror) < 0) {
		rc = git_repository_init(&s->repo, mirror, true);
		if (rc < 0)
			return fail(s, err, rc, "make the mirror");
	}
	rc = git_remote_create_anonymous(&s->remote, s->repo, url);
	if (rc < 0)
		return fail(s, err, rc, url);
	git_remote_init_callbacks(&s->callbacks, GIT_REMOTE_CALLBACKS_VERSION);
	gitauth_callbacks(&s->auth, &s->callbacks);
	return 0;
}

static void session_close(struct session *s)
{
	git_remote_free(s->remote);
	git_repository_free(s->repo);
	git_libgit2_shutdown();
}

static int list(struct session *s, const git_remote_head ***heads, size_t *n, struct err *err)
{
	int rc = git_remote_connect(s->remote, GIT_DIRECTION_FETCH, &s->callbacks, NULL, NULL);

	if (rc < 0)
		return fail(s, err, rc, git_remote_url(s->remote));
	rc = git_remote_ls(heads, n, s->remote);
	return rc < 0 ? fail(s, err, rc, git_remote_url(s->remote)) : 0;
}

static const git_oid *head_find(const git_remote_head **heads, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(heads[i]->name, name))
			return &heads[i]->oid;
	}
	return NULL;
}

static bool have(struct session *s, const git_oid *id)
{
	git_odb *odb;
	bool found;

	if (git_repository_odb(&odb, s->repo) < 0)
		return false;
	found = git_odb_exists(odb, id);
	git_odb_free(odb);
	return found;
}

static int download(struct session *s, const char *refspec, struct err *err)
{
	git_fetch_options o;
	char *spec = arena_cstr(s->a, str_c(refspec));
	git_strarray specs = {.strings = &spec, .count = 1};
	int rc;

	git_fetch_options_init(&o, GIT_FETCH_OPTIONS_VERSION);
	o.callbacks = s->callbacks;
	o.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	o.update_fetchhead = 0;
	rc = git_remote_fetch(s->remote, &specs, &o, NULL);
	return rc < 0 ? fail(s, err, rc, git_remote_url(s->remote)) : 0;
}

/* ---- fetch ---- */

/* What to follow: the remote reference's full name, and how revisions call it. */
struct wanted {
	const char *ref;    /* refs/heads/main; NULL when only a commit is named */
	const char *label;  /* main; NULL for a bare commit */
	const char *commit; /* or NULL */
};

static int wanted_read(struct session *s, const struct json *ref, struct wanted *w, struct err *err)
{
	struct str branch = json_str_or(json_get(ref, STR("branch")), STR("master")),
		   tag = json_str(json_get(ref, STR("tag"))),
		   name = json_str(json_get(ref, STR("name"))),
		   commit = json_str(json_get(ref, STR("commit")));

	if (json_str(json_get(ref, STR("semver"))).n)
		return err_set(err, ERR_UNSUPPORTED, "spec.ref.semver is not supported");
	if (name.n) {
		w->ref = w->label = arena_cstr(s->a, name);
	} else if (tag.n) {
		w->label = arena_cstr(s->a, tag);
		w->ref = arena_printf(s->a, "refs/tags/%s", w->label);
	} else if (!commit.n || json_get(ref, STR("branch"))) {
		w->label = arena_cstr(s->a, branch);
		w->ref = arena_printf(s->a, "refs/heads/%s", w->label);
	}
	if (commit.n)
		w->commit = arena_cstr(s->a, commit);
	if (w->ref && !name_valid(w->ref))
		return err_set(err, ERR_INVALID, "not a reference: %s", w->ref);
	return 0;
}

static int peel(struct session *s, git_oid *id, struct err *err)
{
	git_object *o, *c;
	int rc = git_object_lookup(&o, s->repo, id, GIT_OBJECT_ANY);

	if (rc < 0)
		return fail(s, err, rc, "look up the commit");
	rc = git_object_peel(&c, o, GIT_OBJECT_COMMIT);
	git_object_free(o);
	if (rc < 0)
		return fail(s, err, rc, "the reference names no commit");
	git_oid_cpy(id, git_object_id(c));
	git_object_free(c);
	return 0;
}

static int fetch_commit(struct session *s, const struct wanted *w, git_oid *id, struct err *err)
{
	if (git_oid_fromstr(id, w->commit) < 0)
		return err_set(err, ERR_INVALID, "not a full commit id: %s", w->commit);
	if (have(s, id))
		return 0;
	if (download(s,
		     w->ref ? arena_printf(s->a, "+%s:%s", w->ref, w->ref)
			    : "+refs/heads/*:refs/heads/*",
		     err))
		return -1;
	if (!have(s, id))
		return err_set(err, ERR_NOT_FOUND, "commit %s is not in the repository", w->commit);
	return 0;
}

/* Which of the branches asked for stand there. */
static void list_branches(struct session *s, const git_remote_head **heads, size_t n)
{
	for (size_t i = 0; i < json_len(s->branches); i++) {
		struct str name = json_str(json_item(s->branches, i));

		if (head_find(heads, n, arena_printf(s->a, "refs/heads/%.*s", STR_ARG(name))))
			json_append_str(s->a, s->there, name);
	}
}

static int fetch_ref(struct session *s, const struct wanted *w, git_oid *id, bool *fetched,
		     struct err *err)
{
	const git_remote_head **heads;
	const git_oid *found;
	size_t n;

	if (list(s, &heads, &n, err))
		return -1;
	found = head_find(heads, n, w->ref);
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "%s: the repository has no %s",
			       git_remote_url(s->remote), w->ref);
	git_oid_cpy(id, found);
	list_branches(s, heads, n);
	if (have(s, id))
		return 0;
	*fetched = true;
	if (download(s, arena_printf(s->a, "+%s:%s", w->ref, w->ref), err))
		return -1;
	/* It may have moved between the two questions: what was fetched counts. */
	if (git_reference_name_to_id(id, s->repo, w->ref) < 0)
		return fail(s, err, GIT_ENOTFOUND, w->ref);
	return 0;
}

static struct json *fetch(struct session *s, const struct json *request, struct err *err)
{
	struct wanted w = {0};
	bool fetched = false;
	git_oid id;
	char hex[GIT_OID_HEXSZ + 1];

	if (session_open(s, request, err) || wanted_read(s, json_get(request, STR("ref")), &w, err))
		return NULL;
	if (w.commit ? fetch_commit(s, &w, &id, err) : fetch_ref(s, &w, &id, &fetched, err))
		return NULL;
	if (peel(s, &id, err))
		return NULL;
	git_oid_tostr(hex, sizeof(hex), &id);
	return json_build(s->a, "{s:o,s:s,s:s,s:b}", "branches", s->there, "revision",
			  w.label ? arena_printf(s->a, "%s@sha1:%s", w.label, hex)
				  : arena_printf(s->a, "sha1:%s", hex),
			  "commit", hex, "fetched", fetched);
}

struct json *gitremote_fetch(struct arena *a, const struct json *request, struct err *err)
{
	struct session s = {.a = a,
			    .branches = json_get(request, STR("branches")),
			    .there = json_new(a, JSON_ARRAY)};
	struct json *answer = fetch(&s, request, err);

	session_close(&s);
	return answer;
}

/* ---- push ---- */

static int updates_read(struct session *s, const struct json *files, git_tree_update *u,
			struct err *err)
{
	for (size_t i = 0; i < json_len(files); i++) {
		const struct json *f = json_item(files, i);
		struct str content = json_str(json_get(f, STR("content")));

		u[i].path = text(s, f, "path");
		u[i].filemode = GIT_FILEMODE_BLOB;
		u[i].action = json_bool(json_get(f, STR("delete")), false) ? GIT_TREE_UPDATE_REMOVE
									   : GIT_TREE_UPDATE_UPSERT;
		if (u[i].action == GIT_TREE_UPDATE_UPSERT &&
		    git_blob_create_from_buffer(&u[i].id, s->repo, content.p, content.n) < 0)
			return fail(s, err, 0, "write a file");
	}
	return 0;
}

/* A path as it was in another commit: its tree or blob, or nothing where it wasn't there. */
static int restore_read(struct session *s, const struct json *what, git_tree_update *u,
			struct err *err)
{
	git_object *commit = NULL, *found = NULL;
	git_oid id;
	int rc = -1;

	u->path = text(s, what, "path");
	if (git_oid_fromstr(&id, text(s, what, "commit") ?: "") < 0 ||
	    git_object_lookup(&commit, s->repo, &id, GIT_OBJECT_COMMIT) < 0) {
		err_set(err, ERR_NOT_FOUND, "the commit to go back to is not in the repository");
	} else if (git_object_lookup_bypath(&found, commit, u->path, GIT_OBJECT_ANY) < 0) {
		u->action = GIT_TREE_UPDATE_REMOVE;
		rc = 0;
	} else {
		u->action = GIT_TREE_UPDATE_UPSERT;
		u->filemode = git_object_type(found) == GIT_OBJECT_TREE ? GIT_FILEMODE_TREE
									: GIT_FILEMODE_BLOB;
		git_oid_cpy(&u->id, git_object_id(found));
		rc = 0;
	}
	git_object_free(found);
	git_object_free(commit);
	return rc;
}

static int restores_read(struct session *s, const struct json *list, git_tree_update *u,
			 struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (restore_read(s, json_item(list, i), &u[i], err))
			return -1;
	}
	return 0;
}

static int commit_make(struct session *s, const struct json *request, git_oid *ret,
		       git_oid *tree_id, struct err *err)
{
	const struct json *files = json_get(request, STR("files")),
			  *restore = json_get(request, STR("restore"));
	size_t nfiles = json_len(files), n = nfiles + json_len(restore);
	git_tree_update *updates = arena_array(s->a, n + 1, sizeof(*updates));
	const char *name = text(s, request, "name") ?: "plumb";
	git_oid base_id;
	git_commit *base = NULL;
	git_tree *tree = NULL, *next = NULL;
	git_signature *who = NULL;
	int rc = -1;

	if (git_oid_fromstr(&base_id, text(s, request, "base") ?: "") < 0 ||
	    git_commit_lookup(&base, s->repo, &base_id) < 0 || git_commit_tree(&tree, base) < 0)
		fail(s, err, GIT_ENOTFOUND, "the commit that was applied");
	else if (updates_read(s, files, updates, err) ||
		 restores_read(s, restore, updates + nfiles, err))
		;
	else if (git_tree_create_updated(tree_id, s->repo, tree, n, updates) < 0 ||
		 git_tree_lookup(&next, s->repo, tree_id) < 0 ||
		 git_signature_now(&who, name, "plumb@localhost") < 0 ||
		 git_commit_create_v(ret, s->repo, NULL, who, who, "UTF-8",
				     text(s, request, "message") ?: "", next, 1, base) < 0)
		fail(s, err, 0, "make the commit");
	else
		rc = 0;
	git_signature_free(who);
	git_tree_free(next);
	git_tree_free(tree);
	git_commit_free(base);
	return rc;
}

/* The tip that stands on the remote branch: ours, and does it say the same already? */
static int tip_check(struct session *s, const git_oid *tip, const char *ref, bool *ret_ours,
		     git_oid *ret_tree, struct err *err)
{
	git_commit *c;

	if (!have(s, tip) && download(s, arena_printf(s->a, "+%s:%s", ref, ref), err))
		return -1;
	if (git_commit_lookup(&c, s->repo, tip) < 0)
		return fail(s, err, GIT_ENOTFOUND, ref);
	*ret_ours = strstr(git_commit_message(c), "\n" GIT_TRAILER) != NULL;
	git_oid_cpy(ret_tree, git_commit_tree_id(c));
	git_commit_free(c);
	if (!*ret_ours)
		return err_set(err, ERR_CONFLICT, "somebody committed to %s: left as it is", ref);
	return 0;
}

static int send(struct session *s, const char *refspec, struct err *err)
{
	git_push_options o;
	char *spec = arena_cstr(s->a, str_c(refspec));
	git_strarray specs = {.strings = &spec, .count = 1};
	int rc;

	git_push_options_init(&o, GIT_PUSH_OPTIONS_VERSION);
	o.callbacks = s->callbacks;
	o.callbacks.push_update_reference = on_reference;
	rc = git_remote_push(s->remote, &specs, &o);
	if (rc < 0)
		return fail(s, err, rc, "push");
	if (s->refused[0])
		return err_set(err, ERR_FORBIDDEN, "push refused: %s", s->refused);
	return 0;
}

static struct json *answer_commit(struct session *s, const git_oid *id)
{
	char hex[GIT_OID_HEXSZ + 1];

	git_oid_tostr(hex, sizeof(hex), id);
	return json_build(s->a, "{s:s}", "commit", hex);
}

static struct json *push(struct session *s, const struct json *request, struct err *err)
{
	const char *branch = text(s, request, "branch") ?: "", *ref, *out;
	bool gone = json_bool(json_get(request, STR("delete")), false), ours;
	bool onto = json_bool(json_get(request, STR("onto")), false);
	const git_remote_head **heads;
	const git_oid *found;
	git_oid id, tree, tip, tip_tree;
	git_reference *kept;
	size_t n;

	ref = arena_printf(s->a, "refs/heads/%s", branch);
	out = arena_printf(s->a, "refs/plumb/%s", branch);
	if (session_open(s, request, err))
		return NULL;
	if (!name_valid(ref)) {
		err_set(err, ERR_INVALID, "not a branch: %s", branch);
		return NULL;
	}
	if ((!gone && commit_make(s, request, &id, &tree, err)) || list(s, &heads, &n, err))
		return NULL;
	found = head_find(heads, n, ref);
	if (onto) {
		if (!found || git_oid_streq(found, text(s, request, "base") ?: "") != 0) {
			err_set(err, ERR_CONFLICT, "%s moved meanwhile", ref);
			return NULL;
		}
	} else if (found) {
		git_oid_cpy(&tip, found);
		git_remote_disconnect(s->remote);
		if (tip_check(s, &tip, ref, &ours, &tip_tree, err))
			return NULL;
		if (!gone && git_oid_equal(&tree, &tip_tree))
			return answer_commit(s, &tip);
	}
	git_remote_disconnect(s->remote);
	if (gone)
		return !found || !send(s, arena_printf(s->a, ":%s", ref), err)
			       ? json_new(s->a, JSON_OBJECT)
			       : NULL;
	if (git_reference_create(&kept, s->repo, out, &id, true, NULL) < 0) {
		fail(s, err, 0, out);
		return NULL;
	}
	git_reference_free(kept);
	if (send(s, arena_printf(s->a, "%s%s:%s", onto ? "" : "+", out, ref), err))
		return NULL;
	return answer_commit(s, &id);
}

struct json *gitremote_push(struct arena *a, const struct json *request, struct err *err)
{
	struct session s = {.a = a};
	struct json *answer = push(&s, request, err);

	session_close(&s);
	return answer;
}
