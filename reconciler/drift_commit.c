/*
 * The drift commit: manifests edited so that they say what was live, beside a readable report, on a
 * branch of its own. Edits start from the revision that was applied. What cannot be edited is told
 * in the report. The git helper makes the commit and pushes it. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"
#include "reconciler/drifts.h"
#include "reconciler/edit.h"
#include "reconciler/said.h"

#define PUSH_TIMEOUT (60 * NS_PER_S)

struct files {
	struct arena *a;
	struct gitmirror *mirror;
	const char *commit;
	struct git_file *v;
	struct str *original; /* of each, before any edit */
	size_t n;
};

static struct git_file *file_get(struct files *f, const char *path, struct err *err)
{
	for (size_t i = 0; i < f->n; i++) {
		if (str_is(f->v[i].path, path))
			return &f->v[i];
	}
	if (git_file(f->mirror, f->a, f->commit, path, &f->v[f->n], err))
		return NULL;
	f->original[f->n] = f->v[f->n].data;
	return &f->v[f->n++];
}

/* A value that an overlay or a patch says is edited there. */
static int edit_elsewhere(struct files *f, const struct drift_note *n, const struct said *at,
			  struct err *err)
{
	struct said_change c = {.git = json_parse(f->a, str_c(n->git_json), NULL, err)};
	struct git_file *file;
	struct str text;

	if (!at->file.n)
		return err_set(err, ERR_UNSUPPORTED, "no file says it: a kustomization makes it");
	if (n->op != DRIFT_CHANGED)
		return err_set(err, ERR_UNSUPPORTED, "%.*s says it over what stands below",
			       STR_ARG(at->file));
	c.to = n->live_json ? json_parse(f->a, str_c(n->live_json), NULL, err) : NULL;
	if (!c.git || !c.to)
		return err_set(err, ERR_FORBIDDEN, "a secret value");
	file = file_get(f, arena_cstr(f->a, at->file), err);
	if (!file)
		return -1;
	c.original = f->original[file - f->v];
	c.current = file->data;
	text = said_edit(f->a, at, &c, err);
	if (!text.p)
		return err_wrap(err, "%.*s", STR_ARG(at->file));
	file->data = text;
	return 0;
}

/* The manifest must say, at that very place, what was declared: else a transformer said it. */
static int check_said(struct files *f, const struct git_file *file, const struct drift_note *n,
		      struct err *err)
{
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs;
	const struct json *want = json_parse(f->a, str_c(n->git_json), NULL, err), *at = NULL;
	int rc = yaml_parse(f->a, file->data, 0, &srcs, NULL, &docs, err);

	for (size_t i = 0; !rc && i < docs.n; i++) {
		const struct yaml_src *src = yaml_src_of(&srcs, docs.v[i]);

		if (src && src->doc == n->doc)
			at = json_pointer(docs.v[i], str_c(n->path));
	}
	yaml_srcs_release(&srcs);
	if (!want || !at || !json_equal(at, want))
		return err_set(err, ERR_UNSUPPORTED, "not written in the manifest itself");
	return 0;
}

static int edit_note(struct files *f, const struct drift_note *n, const struct entry *e,
		     struct err *err)
{
	const struct json *to = NULL;
	struct git_file *file;
	struct said at;
	struct str text;

	if (n->op != DRIFT_DELETED && !n->git_json)
		return err_set(err, ERR_FORBIDDEN, "a secret value");
	if (e && n->op != DRIFT_DELETED &&
	    said_find((struct str){e->said, e->nsaid}, str_c(n->path), &at))
		return edit_elsewhere(f, n, &at, err);
	if (!n->lone)
		return err_set(err, ERR_UNSUPPORTED, "no document of its own declares it");
	file = file_get(f, n->file, err);
	if (!file || (n->op != DRIFT_DELETED && check_said(f, file, n, err)))
		return -1;
	if (n->op == DRIFT_CHANGED) {
		to = n->live_json ? json_parse(f->a, str_c(n->live_json), NULL, err) : NULL;
		if (!to)
			return err_set(err, ERR_FORBIDDEN, "a secret value");
	}
	text = edit_value(f->a, file->data, n->doc, str_c(n->path), to, err);
	if (!text.p)
		return -1;
	file->data = text;
	return 0;
}

/* Fields first, then whole documents from the last to the first, so that numbers stay true. */
static void edit_all(struct drifts *d, struct files *f)
{
	struct drift_note *gone[NOTES_MAX];
	size_t ngone = 0;

	for (size_t i = 0; i < d->n; i++) {
		struct drift_note *n = &d->v[i];
		struct err err = {0};

		free(n->reason);
		n->reason = NULL;
		if (n->op == DRIFT_DELETED)
			gone[ngone++] = n;
		else if (edit_note(f, n, map_get(&d->u->entries, str_c(n->entry)), &err))
			n->reason = xstrdup(err.msg);
	}
	for (size_t left = ngone; left > 0; left--) {
		struct drift_note **last = NULL;
		struct err err = {0};

		for (size_t i = 0; i < ngone; i++) {
			if (gone[i] && (!last || gone[i]->doc > (*last)->doc))
				last = &gone[i];
		}
		if (last && edit_note(f, *last, NULL, &err))
			(*last)->reason = xstrdup(err.msg);
		if (last)
			*last = NULL;
	}
}

static void file_put(struct arena *a, struct json *list, const char *path, struct str content)
{
	struct json *f = json_append_object(a, list);

	json_set_str(a, f, "path", str_c(path));
	if (str_trim(content).n)
		json_set_str(a, f, "content", content);
	else
		json_set_bool(a, f, "delete", true);
}

static struct json *request(struct drifts *d, struct source *s, struct arena *a)
{
	struct unit *u = d->u;
	struct drift_text t = {
		.cluster = u->r->opts.cluster_name, .unit = u->key, .revision = u->revision};
	struct err err = {0};
	struct files f = {.a = a, .mirror = git_open(s->mirror, &err), .commit = u->commit};
	struct json *req, *list;
	AUTO(buf) struct buf text = {0};

	if (!f.mirror)
		return NULL;
	f.v = arena_array(a, NOTES_MAX, sizeof(*f.v));
	f.original = arena_array(a, NOTES_MAX, sizeof(*f.original));
	edit_all(d, &f);
	git_close(f.mirror);
	drift_message(d, &t, &text);
	req = json_build(a, "{s:s,s:s,s:s,s:s,s:S}", "url", s->url, "mirror", s->mirror, "branch",
			 d->branch, "base", u->commit, "message", buf_view(&text));
	if (d->onto) {
		json_set_str(a, req, "branch", source_branch(s, a));
		json_set_bool(a, req, "onto", true);
	}
	list = json_set_array(a, req, "files");
	for (size_t i = 0; i < f.n; i++)
		file_put(a, list, arena_cstr(a, f.v[i].path), f.v[i].data);
	/* The page is for those who decide; on the tracked branch nobody has to. */
	if (d->onto)
		return req;
	buf_reset(&text);
	drift_markdown(d, &t, &text);
	file_put(a, list,
		 arena_printf(a, ".plumb/drift/%.*s-%.*s.md", STR_ARG(u->o->namespace),
			      STR_ARG(u->o->name)),
		 buf_view(&text));
	return req;
}

/* The next fetch brings the commit, and with it git says what is live. A branch that is protected,
 * or moves all the time, gets a proposal instead. */
static void on_adopted(struct drifts *d, const struct json *answer, const struct err *err)
{
	d->onto = false;
	if (answer) {
		log_info("drift is adopted", "unit", d->u->key, "commit",
			 log_fmt("%.*s", STR_ARG(json_str(json_get(answer, STR("commit"))))));
		if (d->again)
			d->again = false;
		return;
	}
	log_warn("cannot adopt, proposing", "unit", d->u->key, "error", err->msg);
	d->adopting = false;
	drift_commit(d);
}

static bool all_editable(const struct drifts *d)
{
	for (size_t i = 0; i < d->n; i++) {
		if (d->v[i].reason)
			return false;
	}
	return true;
}

static void on_retry(struct loop *l, struct loop_timer *t)
{
	struct drifts *d = CONTAINER_OF(t, struct drifts, timer);

	(void)l;
	if (d->helper)
		d->again = true;
	else
		drift_commit(d);
}

/* The remote may be away for a while: what nobody was told of is told when it is back. */
static void not_pushed(struct drifts *d, const struct err *err)
{
	static const struct backoff retry = {.base_ns = 2 * NS_PER_S, .max_ns = 300 * NS_PER_S};

	d->problem = xstrdup(err->msg);
	log_warn("cannot push the drift commit, trying again", "unit", d->u->key, "branch",
		 d->branch, "error", err->msg);
	if (!d->closing && !d->again && !loop_timer_armed(&d->timer))
		loop_timer_set(d->u->r->loop, &d->timer, backoff_after(&retry, d->failures),
			       on_retry);
	d->failures++;
}

static void on_pushed(void *arg, const struct json *answer, const struct err *err)
{
	struct drifts *d = arg;
	struct str commit = json_str(json_get(answer, STR("commit")));

	d->helper = NULL;
	free(d->problem);
	d->problem = NULL;
	if (d->onto) {
		on_adopted(d, answer, err);
		return;
	}
	if (answer) {
		d->failures = 0;
		snprintf(d->commit, sizeof(d->commit), "%.*s", STR_ARG(commit));
		log_info("drift is told", "unit", d->u->key, "branch", d->branch, "commit",
			 d->commit);
		if (!d->closing)
			drift_pull_tell(d);
	} else {
		not_pushed(d, err);
	}
	if (d->closing) {
		d->closing = false;
		drift_object_delete(d);
		drift_pull_close(d);
		drift_commit_delete(d);
		return;
	}
	drift_object_write(d);
	if (d->again) {
		d->again = false;
		drift_commit(d);
	}
}

void drift_commit(struct drifts *d)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = d->u;
	struct source *s = unit_source(u, json_get(unit_tree(u, &a), STR("spec")));
	struct json *req;

	/* An artifact has no branches. */
	if (!s || s->kind != SOURCE_GIT || !s->url || !u->commit[0] || !d->n)
		return;
	/* What is pushed now takes the place of what could not be deleted. */
	loop_timer_cancel(u->r->loop, &d->away);
	d->onto = d->adopting && source_branch(s, &a).n && !strcmp(s->commit, u->commit);
	req = request(d, s, &a);
	/* What no edit can express is for people to see. */
	if (req && d->onto && !all_editable(d)) {
		d->onto = d->adopting = false;
		req = request(d, s, &a);
	}
	if (req)
		d->helper = source_call(s, &(struct sourcejob){.what = "git-push",
							       .request = req,
							       .timeout_ns = PUSH_TIMEOUT,
							       .done = on_pushed,
							       .arg = d});
}

static void on_away(struct loop *l, struct loop_timer *t)
{
	struct drifts *d = CONTAINER_OF(t, struct drifts, away);

	(void)l;
	/* Drift that came meanwhile has a use for the branch. */
	if (!d->n)
		drift_commit_delete(d);
}

/* A branch that nobody deletes looks like a proposal that waits. */
static void not_deleted(struct drifts *d, const struct err *err)
{
	static const struct backoff retry = {.base_ns = 2 * NS_PER_S, .max_ns = 300 * NS_PER_S};
	bool theirs = err->code == ERR_CONFLICT;

	log_warn(theirs ? "leaving the drift branch to whoever committed to it"
			: "cannot delete the drift branch, trying again",
		 "unit", d->u->key, "branch", d->branch, "error", err->msg);
	if (theirs)
		d->commit[0] = 0;
	else
		loop_timer_set(d->u->r->loop, &d->away, backoff_after(&retry, d->refusals++),
			       on_away);
}

static void on_deleted(void *arg, const struct json *answer, const struct err *err)
{
	struct drifts *d = arg;

	(void)answer;
	d->helper = NULL;
	if (err->code) {
		not_deleted(d, err);
	} else {
		d->commit[0] = 0;
		d->refusals = 0;
	}
	if (d->again) {
		d->again = false;
		drift_commit(d);
	}
}

void drift_commit_delete(struct drifts *d)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = d->u;
	struct source *s = unit_source(u, json_get(unit_tree(u, &a), STR("spec")));
	struct json *req;

	d->closing = d->helper != NULL;
	if (!s || !s->url || !d->commit[0] || d->helper)
		return;
	req = json_build(&a, "{s:s,s:s,s:s,s:b}", "url", s->url, "mirror", s->mirror, "branch",
			 d->branch, "delete", true);
	d->helper = source_call(s, &(struct sourcejob){.what = "git-push",
						       .request = req,
						       .timeout_ns = PUSH_TIMEOUT,
						       .done = on_deleted,
						       .arg = d});
}
