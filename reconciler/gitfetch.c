/*
 * Fetching: which reference is meant, whether it moved, and what of it isn't here yet. Helper
 * process only. What the remote lists is hostile: names are compared and parsed, never used as
 * paths. Memory: the caller's arena; libgit2's objects are freed here.
 */
#include <string.h>

#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/graph.h>
#include <git2/object.h>
#include <git2/refs.h>

#include "reconciler/gitcompose.h"
#include "reconciler/gitpack.h"
#include "reconciler/gitremote-internal.h"
#include "reconciler/gitremote.h"
#include "reconciler/gitverify.h"
#include "reconciler/semver.h"

/* What to follow: the remote reference's full name, and how revisions call it. */
struct wanted {
	const char *ref;    /* refs/heads/main; NULL when only a commit is named */
	const char *label;  /* main; NULL for a bare commit */
	const char *commit; /* or NULL */
	struct semver_range range;
	struct str semver; /* as it was written, or empty */
	const char *any;   /* HEAD, a branch or a tag; or NULL */
};

static int wanted_read(struct gitsession *s, const struct json *ref, struct wanted *w,
		       struct err *err)
{
	struct str branch = json_str(json_get(ref, STR("branch")));
	const char *tag = gr_text(s, ref, "tag"), *name = gr_text(s, ref, "name");

	w->any = gr_text(s, ref, "any");
	if (w->any)
		return 0;
	w->commit = gr_text(s, ref, "commit");
	w->semver = w->commit || name ? STR_NONE : json_str(json_get(ref, STR("semver")));
	if (w->semver.n) {
		if (semver_range_parse(s->a, w->semver, &w->range, err))
			return err_wrap(err, "spec.ref.semver");
		return 0;
	}
	if (name && !w->commit) {
		w->ref = w->label = name;
	} else if (tag && !w->commit) {
		w->label = tag;
		w->ref = arena_printf(s->a, "refs/tags/%s", tag);
	} else if (branch.n || !w->commit) {
		w->label = branch.n ? arena_cstr(s->a, branch) : "master";
		w->ref = arena_printf(s->a, "refs/heads/%s", w->label);
	}
	if (w->ref && !gr_name_valid(w->ref))
		return err_set(err, ERR_INVALID, "not a reference: %s", w->ref);
	return 0;
}

/* The highest tag that fits; of those that differ by metadata only, the last by name. */
static int choose_tag(struct gitsession *s, struct wanted *w, const git_remote_head **heads,
		      size_t n, struct err *err)
{
	struct semver best = {0};
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		struct str name = str_c(heads[i]->name);
		struct semver v;
		int c;

		if (!str_starts(name, STR("refs/tags/")) || str_ends(name, STR("^{}")) ||
		    semver_parse(str_sub(name, 10, name.n), &v) || !semver_fits(&w->range, &v))
			continue;
		c = found ? semver_cmp(&v, &best) : 1;
		if (c < 0 || (c == 0 && strcmp(heads[i]->name, found) < 0) ||
		    !gr_name_valid(heads[i]->name))
			continue;
		best = v;
		found = heads[i]->name;
	}
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "%s: no tag fits '%.*s'", s->url,
			       STR_ARG(w->semver));
	w->ref = arena_cstr(s->a, str_c(found));
	w->label = w->ref + strlen("refs/tags/");
	return 0;
}

/* HEAD names a branch where the remote says so, else the first that stands there. */
static const char *head_branch(struct gitsession *s, const git_remote_head **heads, size_t n)
{
	const git_oid *head = gr_find(heads, n, "HEAD");

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(heads[i]->name, "HEAD") && heads[i]->symref_target)
			return arena_printf(s->a, "%s", heads[i]->symref_target);
	}
	for (size_t i = 0; head && i < n; i++) {
		if (str_starts(str_c(heads[i]->name), STR("refs/heads/")) &&
		    git_oid_equal(&heads[i]->oid, head))
			return arena_printf(s->a, "%s", heads[i]->name);
	}
	return NULL;
}

/* What it names is known when the remote was asked: a branch goes before a tag. */
static int choose_any(struct gitsession *s, struct wanted *w, const git_remote_head **heads,
		      size_t n, struct err *err)
{
	bool head = !strcmp(w->any, "HEAD");
	const char *ref =
		head ? head_branch(s, heads, n) : arena_printf(s->a, "refs/heads/%s", w->any);

	if (!head && !gr_find(heads, n, ref))
		ref = arena_printf(s->a, "refs/tags/%s", w->any);
	if (!ref || !gr_name_valid(ref) || !gr_find(heads, n, ref))
		return err_set(err, ERR_NOT_FOUND, "%s: the repository has no %s", s->url, w->any);
	w->ref = ref;
	w->label = str_starts(str_c(ref), STR("refs/heads/")) ? ref + strlen("refs/heads/") : ref;
	return 0;
}

static int peel(struct gitsession *s, git_oid *id, struct err *err)
{
	git_object *o, *c;
	int rc = git_object_lookup(&o, s->repo, id, GIT_OBJECT_ANY);

	if (rc < 0)
		return gr_fail(s, err, rc, "look up the commit");
	rc = git_object_peel(&c, o, GIT_OBJECT_COMMIT);
	git_object_free(o);
	if (rc < 0)
		return gr_fail(s, err, rc, "the reference names no commit");
	git_oid_cpy(id, git_object_id(c));
	git_object_free(c);
	return 0;
}

/* Which of the branches asked for stand there. */
static void list_branches(struct gitsession *s, const git_remote_head **heads, size_t n)
{
	for (size_t i = 0; i < json_len(s->branches); i++) {
		struct str name = json_str(json_item(s->branches, i));

		if (gr_find(heads, n, arena_printf(s->a, "refs/heads/%.*s", STR_ARG(name))))
			json_append_str(s->a, s->there, name);
	}
}

/* The remote is asked in any case: the mirror may hold what these credentials don't open. */
static int fetch_commit(struct gitsession *s, const struct wanted *w, git_oid *id, bool *fetched,
			struct err *err)
{
	const git_remote_head **heads;
	size_t n;

	if (git_oid_fromstr(id, w->commit) < 0)
		return err_set(err, ERR_INVALID, "not a full commit id: %s", w->commit);
	if (gr_list(s, &heads, &n, err))
		return -1;
	list_branches(s, heads, n);
	if (gr_have(s, id))
		return 0;
	*fetched = true;
	if (w->ref && !gr_find(heads, n, w->ref))
		return err_set(err, ERR_NOT_FOUND, "%s: the repository has no %s", s->url, w->ref);
	if (gr_download(s,
			w->ref ? arena_printf(s->a, "+%s:%s", w->ref, w->ref)
			       : "+refs/heads/*:refs/heads/*",
			err))
		return -1;
	if (!gr_have(s, id))
		return err_set(err, ERR_NOT_FOUND, "commit %s is not in the repository", w->commit);
	return 0;
}

static int fetch_ref(struct gitsession *s, struct wanted *w, git_oid *id, bool *fetched,
		     struct err *err)
{
	const git_remote_head **heads;
	const git_oid *found;
	size_t n;

	if (gr_list(s, &heads, &n, err))
		return -1;
	if (w->semver.n && choose_tag(s, w, heads, n, err))
		return -1;
	if (w->any && choose_any(s, w, heads, n, err))
		return -1;
	found = gr_find(heads, n, w->ref);
	if (!found)
		return err_set(err, ERR_NOT_FOUND, "%s: the repository has no %s", s->url, w->ref);
	git_oid_cpy(id, found);
	list_branches(s, heads, n);
	if (gr_have(s, id))
		return 0;
	*fetched = true;
	if (gr_download(s, arena_printf(s->a, "+%s:%s", w->ref, w->ref), err))
		return -1;
	/* It may have moved between the two questions: what was fetched counts. */
	if (git_reference_name_to_id(id, s->repo, w->ref) < 0)
		return gr_fail(s, err, GIT_ENOTFOUND, w->ref);
	return 0;
}

/* A branch that no longer holds what was followed. The old commit stays: it may be applied, and
 * drift may be told against it. */
static bool rewritten(struct gitsession *s, const struct json *request, const struct wanted *w,
		      const git_oid *id)
{
	const char *known = gr_text(s, request, "known");
	git_reference *kept = NULL;
	git_oid old;

	if (!known || w->commit || !w->ref || !str_starts(str_c(w->ref), STR("refs/heads/")) ||
	    git_oid_fromstr(&old, known) < 0 || git_oid_equal(&old, id) || !gr_have(s, &old) ||
	    git_graph_descendant_of(s->repo, id, &old) != 0)
		return false;
	git_reference_create(&kept, s->repo, arena_printf(s->a, "refs/plumb-was/%s", known), &old,
			     true, NULL);
	git_reference_free(kept);
	return true;
}

static struct json *fetch(struct gitsession *s, const struct json *request, struct err *err)
{
	struct wanted w = {0};
	struct json *answer, *problem = NULL;
	bool fetched = false;
	git_oid pointed, id, composed;
	char hex[GIT_OID_HEXSZ + 1], made[GIT_OID_HEXSZ + 1];

	if (gr_open(s, request, err) || wanted_read(s, json_get(request, STR("ref")), &w, err))
		return NULL;
	if (w.commit ? fetch_commit(s, &w, &pointed, &fetched, err)
		     : fetch_ref(s, &w, &pointed, &fetched, err))
		return NULL;
	git_oid_cpy(&id, &pointed);
	if (peel(s, &id, err))
		return NULL;
	answer = json_build(s->a, "{s:o}", "branches", s->there);
	if (gitverify(s, json_get(request, STR("verify")),
		      &(struct gitverify_what){&pointed, &id, w.label}, answer, &problem, err))
		return NULL;
	if (problem)
		return json_build(s->a, "{s:o}", "problem", problem);
	if (gitcompose(s, request, &id, &composed, err))
		return NULL;
	git_oid_tostr(hex, sizeof(hex), &id);
	git_oid_tostr(made, sizeof(made), &composed);
	json_set_str(s->a, answer, "revision",
		     str_c(w.label ? arena_printf(s->a, "%s@sha1:%s", w.label, hex)
				   : arena_printf(s->a, "sha1:%s", hex)));
	json_set_str(s->a, answer, "base", str_c(hex));
	json_set_str(s->a, answer, "commit", str_c(made));
	json_set_bool(s->a, answer, "fetched", fetched);
	json_set_bool(s->a, answer, "rewritten", rewritten(s, request, &w, &id));
	json_set_int(s->a, answer, "packs", (int64_t)gitpack_count(gr_text(s, request, "mirror")));
	return answer;
}

struct json *gitremote_fetch(struct arena *a, const struct json *request, struct err *err)
{
	struct gitsession s = {.a = a,
			       .branches = json_get(request, STR("branches")),
			       .there = json_new(a, JSON_ARRAY)};
	struct json *answer = fetch(&s, request, err);

	gr_close(&s);
	return answer;
}
