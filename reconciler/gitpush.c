/*
 * Committing and pushing: drift branches, reverts, sealed secrets. Helper process only. Never
 * forces over what a person committed. Memory: the caller's arena; libgit2's objects are freed
 * here.
 */
#include "reconciler/gitremote.h"

#include <stdio.h>
#include <string.h>

#include <git2/blob.h>
#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/refs.h>
#include <git2/signature.h>
#include <git2/tree.h>

#include "lib/base/fault.h"
#include "reconciler/gitcompose.h"
#include "reconciler/gitremote-internal.h"

static int on_reference(const char *name, const char *status, void *arg)
{
	struct gitauth *g = arg;
	struct gitsession *s = CONTAINER_OF(g, struct gitsession, auth);

	if (status)
		snprintf(s->refused, sizeof(s->refused), "%s: %s", name, status);
	return 0;
}

/* Between looking and pushing somebody may have pushed: what the remote says now must be what was
 * decided upon. */
static int on_negotiation(const git_push_update **updates, size_t n, void *arg)
{
	struct gitauth *g = arg;
	struct gitsession *s = CONTAINER_OF(g, struct gitsession, auth);

	for (size_t i = 0; i < n; i++)
		s->moved |= !git_oid_equal(&updates[i]->src, &s->lease);
	return s->moved ? GIT_EUSER : 0;
}

static int updates_read(struct gitsession *s, const struct json *files, git_tree_update *u,
			struct err *err)
{
	for (size_t i = 0; i < json_len(files); i++) {
		const struct json *f = json_item(files, i);
		struct str content = json_str(json_get(f, STR("content")));

		u[i].path = gr_text(s, f, "path");
		u[i].filemode = GIT_FILEMODE_BLOB;
		u[i].action = json_bool(json_get(f, STR("delete")), false) ? GIT_TREE_UPDATE_REMOVE
									   : GIT_TREE_UPDATE_UPSERT;
		if (u[i].action == GIT_TREE_UPDATE_UPSERT &&
		    git_blob_create_from_buffer(&u[i].id, s->repo, content.p, content.n) < 0)
			return gr_fail(s, err, 0, "write a file");
	}
	return 0;
}

/* A path as it was in another commit: its tree or blob, or nothing where it wasn't there. */
static int restore_read(struct gitsession *s, const struct json *what, git_tree_update *u,
			struct err *err)
{
	git_object *commit = NULL, *found = NULL;
	git_oid id;
	int rc = -1;

	u->path = gr_text(s, what, "path");
	if (git_oid_fromstr(&id, gr_text(s, what, "commit") ?: "") < 0 ||
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

static int restores_read(struct gitsession *s, const struct json *list, git_tree_update *u,
			 struct err *err)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (restore_read(s, json_item(list, i), &u[i], err))
			return -1;
	}
	return 0;
}

/* The remote's commit that the request starts from: what was rendered may be put together from it.
 */
static int base_read(struct gitsession *s, const struct json *request, git_oid *ret)
{
	if (git_oid_fromstr(ret, gr_text(s, request, "base") ?: "") < 0)
		return -1;
	gitcompose_base(s->repo, ret);
	return 0;
}

static bool holds(struct gitsession *s, const git_oid *commit, const char *path)
{
	git_object *c = NULL, *o = NULL;
	bool found = git_object_lookup(&c, s->repo, commit, GIT_OBJECT_COMMIT) >= 0 &&
		     git_object_lookup_bypath(&o, c, path, GIT_OBJECT_ANY) >= 0;

	git_object_free(o);
	git_object_free(c);
	return found;
}

/* Files that came from another repository aren't ours to write into this one. */
static const struct json *own_files(struct gitsession *s, const struct json *request,
				    const git_oid *base, struct err *err)
{
	const struct json *files = json_get(request, STR("files"));
	struct json *own = json_new(s->a, JSON_ARRAY);
	bool foreign = false;
	git_oid rendered;

	if (git_oid_fromstr(&rendered, gr_text(s, request, "base") ?: "") < 0 ||
	    git_oid_equal(&rendered, base))
		return files;
	for (size_t i = 0; i < json_len(files); i++) {
		const struct json *f = json_item(files, i);
		const char *path = gr_text(s, f, "path") ?: "";

		if (!holds(s, base, path) && holds(s, &rendered, path))
			foreign = true;
		else
			json_append(s->a, own, f);
	}
	if (foreign && !json_len(own)) {
		err_set(err, ERR_UNSUPPORTED,
			"all of it comes from included repositories or submodules, which are not "
			"written to");
		return NULL;
	}
	return own;
}

static int commit_make(struct gitsession *s, const struct json *request, git_oid *ret,
		       git_oid *tree_id, struct err *err)
{
	const struct json *files, *restore = json_get(request, STR("restore"));
	git_tree_update *updates;
	size_t nfiles, n;
	const char *name = gr_text(s, request, "name") ?: "plumb";
	git_oid base_id;
	git_commit *base = NULL;
	git_tree *tree = NULL, *next = NULL;
	git_signature *who = NULL;
	int rc = -1;

	if (base_read(s, request, &base_id))
		return err_set(err, ERR_BAD_REQUEST, "base is no commit");
	files = own_files(s, request, &base_id, err);
	if (!files && json_get(request, STR("files")))
		return -1;
	nfiles = json_len(files);
	n = nfiles + json_len(restore);
	updates = arena_array(s->a, n + 1, sizeof(*updates));
	if (git_commit_lookup(&base, s->repo, &base_id) < 0 || git_commit_tree(&tree, base) < 0)
		gr_fail(s, err, GIT_ENOTFOUND, "the commit that was applied");
	else if (updates_read(s, files, updates, err) ||
		 restores_read(s, restore, updates + nfiles, err))
		;
	else if (git_tree_create_updated(tree_id, s->repo, tree, n, updates) < 0 ||
		 git_tree_lookup(&next, s->repo, tree_id) < 0 ||
		 git_signature_now(&who, name, "plumb@localhost") < 0 ||
		 git_commit_create_v(ret, s->repo, NULL, who, who, "UTF-8",
				     gr_text(s, request, "message") ?: "", next, 1, base) < 0)
		gr_fail(s, err, 0, "make the commit");
	else
		rc = 0;
	git_signature_free(who);
	git_tree_free(next);
	git_tree_free(tree);
	git_commit_free(base);
	return rc;
}

/* The tip that stands on the remote branch: ours, and does it say the same already? */
static int tip_check(struct gitsession *s, const git_oid *tip, const char *ref, bool *ret_ours,
		     git_oid *ret_tree, struct err *err)
{
	git_commit *c;

	if (!gr_have(s, tip) && gr_download(s, arena_printf(s->a, "+%s:%s", ref, ref), err))
		return -1;
	if (git_commit_lookup(&c, s->repo, tip) < 0)
		return gr_fail(s, err, GIT_ENOTFOUND, ref);
	*ret_ours = strstr(git_commit_message(c), "\n" GIT_TRAILER) != NULL;
	git_oid_cpy(ret_tree, git_commit_tree_id(c));
	git_commit_free(c);
	if (!*ret_ours)
		return err_set(err, ERR_CONFLICT, "somebody committed to %s: left as it is", ref);
	return 0;
}

static int send(struct gitsession *s, const char *refspec, struct err *err)
{
	git_push_options o;
	char *spec = arena_cstr(s->a, str_c(refspec));
	git_strarray specs = {.strings = &spec, .count = 1};
	int rc;

	git_push_options_init(&o, GIT_PUSH_OPTIONS_VERSION);
	o.callbacks = s->callbacks;
	o.callbacks.push_update_reference = on_reference;
	o.callbacks.push_negotiation = on_negotiation;
	o.custom_headers = s->headers;
	o.follow_redirects =
		s->auth.header ? GIT_REMOTE_REDIRECT_NONE : GIT_REMOTE_REDIRECT_INITIAL;
	gitauth_proxy(&s->auth, &o.proxy_opts);
	FAULT_POINT("git.before_push");
	rc = git_remote_push(s->remote, &specs, &o);
	if (s->moved)
		return err_set(err, ERR_CONFLICT, "somebody pushed meanwhile: left as it is");
	if (rc < 0)
		return gr_fail(s, err, rc, "push");
	if (s->refused[0])
		return err_set(err, ERR_FORBIDDEN, "push refused: %s", s->refused);
	return 0;
}

static struct json *answer_commit(struct gitsession *s, const git_oid *id)
{
	char hex[GIT_OID_HEXSZ + 1];

	git_oid_tostr(hex, sizeof(hex), id);
	return json_build(s->a, "{s:s}", "commit", hex);
}

static struct json *push(struct gitsession *s, const struct json *request, struct err *err)
{
	const char *branch = gr_text(s, request, "branch") ?: "", *ref, *out;
	bool gone = json_bool(json_get(request, STR("delete")), false), ours;
	bool onto = json_bool(json_get(request, STR("onto")), false);
	const git_remote_head **heads;
	const git_oid *found;
	git_oid id, tree, tip, tip_tree;
	git_reference *kept;
	size_t n;

	ref = arena_printf(s->a, "refs/heads/%s", branch);
	out = arena_printf(s->a, "refs/plumb/%s", branch);
	if (gr_open(s, request, err))
		return NULL;
	if (!gr_name_valid(ref)) {
		err_set(err, ERR_INVALID, "not a branch: %s", branch);
		return NULL;
	}
	if ((!gone && commit_make(s, request, &id, &tree, err)) || gr_list(s, &heads, &n, err))
		return NULL;
	found = gr_find(heads, n, ref);
	if (onto) {
		if (!found || base_read(s, request, &tip) || !git_oid_equal(found, &tip)) {
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
	if (found)
		git_oid_cpy(&s->lease, &tip);
	if (gone)
		return !found || !send(s, arena_printf(s->a, ":%s", ref), err)
			       ? json_new(s->a, JSON_OBJECT)
			       : NULL;
	if (git_reference_create(&kept, s->repo, out, &id, true, NULL) < 0) {
		gr_fail(s, err, 0, out);
		return NULL;
	}
	git_reference_free(kept);
	if (send(s, arena_printf(s->a, "%s%s:%s", onto ? "" : "+", out, ref), err))
		return NULL;
	return answer_commit(s, &id);
}

struct json *gitremote_push(struct arena *a, const struct json *request, struct err *err)
{
	struct gitsession s = {.a = a};
	struct json *answer = push(&s, request, err);

	gr_close(&s);
	return answer;
}
