/*
 * Going back by a commit: the files of one Kustomization as they were in an earlier revision, as a
 * new commit on the branch that is followed. For `plumb rollback`, which asks by an annotation, and
 * for plumb.dev/on-failure: revert. Where the branch may not be pushed to, the commit goes to a
 * branch of its own for somebody to merge,
 * with a pull request where there is a forge. Never touches a file outside of what the
 * Kustomization is built from. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/engine.h"
#include "reconciler/pullreq.h"
#include "reconciler/reads.h"

#define PUSH_TIMEOUT (60 * NS_PER_S)

struct revert {
	struct unit *u;
	struct sourcecall *helper;
	struct pullreq *pull;
	char *to;     /* revision */
	char *why;    /* first line of the message */
	char *asked;  /* value of the annotation that asked, or NULL */
	char *commit; /* once it is pushed */
	char branch[300];
	bool aside; /* on a branch of its own */
};

void revert_free(struct unit *u)
{
	struct revert *v = u->revert;

	if (!v)
		return;
	source_call_cancel(v->helper);
	pullreq_free(v->pull);
	free(v->commit);
	free(v->to);
	free(v->why);
	free(v->asked);
	free(v);
	u->revert = NULL;
}

/* ---- where to ---- */

/* "main@sha1:…" → the commit; the text itself when it is only that. */
static struct str commit_of(struct str revision)
{
	ptrdiff_t at = str_find(revision, STR("sha1:"));

	return at < 0 ? revision : str_sub(revision, (size_t)at + 5, revision.n);
}

/* Argo CD's history, the newest last: commits that were synced. */
static struct str last_synced(const struct unit *u, const struct json *o, struct arena *a)
{
	const struct json *history = json_at(o, "status", "history");
	struct source *s = unit_source(u, json_get(o, STR("spec")));
	struct err err = {0};
	struct gitmirror *m = s ? source_git(s, &err) : NULL;

	for (size_t i = json_len(history); m && i-- > 0;) {
		struct str commit = json_str(json_get(json_item(history, i), STR("revision")));

		if (commit.n && !str_is(commit, u->commit) &&
		    !(u->reads && reads_same(m, arena_cstr(a, commit), str_c(u->reads))))
			return commit;
	}
	return STR_NONE;
}

/* The latest that went well and was built from something else. */
static struct str last_good(const struct unit *u, const struct json *o, struct arena *a)
{
	const struct json *history = json_at(o, "status", "history");

	if (u->argo)
		return last_synced(u, o, a);
	for (size_t i = 0; i < json_len(history); i++) {
		const struct json *e = json_item(history, i);
		struct str revision = json_str(json_at(e, "metadata", "revision"));

		if (str_is(json_str(json_get(e, STR("lastReconciledStatus"))),
			   "ReconciliationSucceeded") &&
		    !str_is(json_str(json_get(e, STR("digest"))), u->digest) && revision.n)
			return revision;
	}
	return STR_NONE;
}

/* ---- the answer ---- */

static void on_written(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND)
		log_warn("cannot answer a rollback", "error", answer->err.msg);
}

/* The annotation that asked goes, and one that says what came of it stands instead. */
static void answer_asked(struct unit *u, const char *asked, struct str result)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_PATCH,
				.resource = unit_resource(u),
				.namespace = u->o->namespace,
				.name = u->o->name,
				.patch = API_PATCH_MERGE};

	if (!asked)
		return;
	json_write(json_build(&a, "{s:{s:{s:n,s:S}}}", "metadata", "annotations", ROLLBACK,
			      ROLLED_BACK, result),
		   &body);
	call.body = buf_view(&body);
	client_call(u->r->client, &call, on_written, NULL);
}

static void failed(struct unit *u, const char *asked, const char *why)
{
	AUTO(arena) struct arena a = {0};

	log_warn("cannot revert", "unit", u->key, "error", why);
	recorder_event(u->r->recorder, unit_tree(u, &a), "Warning", "RevertFailed", "%s", why);
	answer_asked(u, asked, arena_strf(&a, "failed: %s", why));
}

static int push(struct revert *v, struct err *err);

/* It stands: says where. */
static void done(struct revert *v, struct str where)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = v->u;
	struct str what =
		arena_strf(&a, "commit %s on branch %s%.*s", v->commit, v->branch, STR_ARG(where));

	log_info("reverted", "unit", u->key, "to", v->to, "as", log_fmt("%.*s", STR_ARG(what)));
	recorder_event(u->r->recorder, unit_tree(u, &a), "Normal", "Reverted", "back to %s by %.*s",
		       v->to, STR_ARG(what));
	answer_asked(u, v->asked, arena_strf(&a, "%s: %.*s", v->to, STR_ARG(what)));
	revert_free(u);
}

static void on_pull(void *arg, enum pullreq_end end, struct str url, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct revert *v = arg;

	if (end == PULLREQ_NONE)
		done(v, STR(", which waits to be merged"));
	else if (end == PULLREQ_OPEN)
		done(v, arena_strf(&a, ", pull request %.*s", STR_ARG(url)));
	else if (end == PULLREQ_FAILED)
		done(v, arena_strf(&a, ", without a pull request: %s", err->msg));
	else {
		failed(v->u, v->asked,
		       arena_printf(&a, "pull request %.*s was closed", STR_ARG(url)));
		revert_free(v->u);
	}
}

/* A mark of what it is about: a new wish is another one, the same after a restart is not. */
static void ask_for_merge(struct revert *v, struct source *s)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = v->u;
	struct pullreq_text t = {.branch = v->branch};
	char hex[65];

	sha256_hex(arena_strf(&a, "%s %s %s", u->key, v->to, v->asked ?: u->digest), hex);
	t.mark = arena_printf(&a, "<!-- plumb-revert %.32s -->", hex);
	t.title = arena_printf(&a, "Revert %s to %.*s", u->key, 12, commit_of(str_c(v->to)).p);
	t.body = arena_printf(&a,
			      "%s\nTakes the files that `%s` is built from back to `%s`; it is "
			      "at `%s` in cluster %s.\n\n%s\n",
			      t.mark, u->key, v->to, u->revision ?: "no revision",
			      u->r->opts.cluster_name, v->why);
	v->pull = pullreq_start(s, &t, on_pull, v);
}

static void on_pushed(void *arg, const struct json *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct revert *v = arg;
	struct unit *u = v->u;
	struct str commit = json_str(json_get(answer, STR("commit")));
	struct source *s;
	struct err why = *err;

	v->helper = NULL;
	/* Protected, or it moved: somebody has to merge it. */
	if (!answer && !v->aside && (err->code == ERR_FORBIDDEN || err->code == ERR_CONFLICT)) {
		v->aside = true;
		if (!push(v, &why))
			return;
	}
	if (!commit.n) {
		failed(u, v->asked, why.msg);
		revert_free(u);
		return;
	}
	v->commit = xstrndup(commit.p, commit.n);
	s = unit_source(u, json_get(unit_tree(u, &a), STR("spec")));
	if (v->aside && s)
		ask_for_merge(v, s);
	else
		done(v, STR_NONE);
}

/* ---- the commit ---- */

struct past {
	struct gitmirror *m;
	struct arena *a;
	const char *commit;
	struct reads reads;
};

static int load(void *ctx, const char *path, struct git_files *ret, struct err *err)
{
	struct past *p = ctx;

	reads_note(&p->reads, p->m, p->commit, str_c(path));
	return git_manifests(p->m, p->a, p->commit, path, ret, err);
}

static enum render_scope scope(void *ctx, struct str api_version, struct str kind)
{
	(void)ctx;
	(void)api_version;
	(void)kind;
	return SCOPE_NAMESPACED;
}

/* What the build read then: files that a base has lost since come back with it. As far as it can be
 * built without its keys. */
static void reads_then(struct source *s, const struct json *spec, struct past *p, const char *path)
{
	const struct render_env env = {.load = load, .scope = scope, .ctx = p};
	const struct render_opts o = {
		.path = path, .components = json_get(spec, STR("components")), .build_only = true};
	struct rendered r = {0};
	struct err err = {0};

	p->m = source_git(s, &err);
	if (p->m && !render(p->a, &env, &o, &r, &err))
		rendered_release(&r);
}

static void add_beside(struct arena *a, struct json *list, struct str reads, const char *path,
		       struct str to)
{
	struct str id, file;

	while (reads_next(&reads, &id, &file)) {
		bool listed = !id.n || reads_below(file, str_c(path));

		for (size_t i = 0; i < json_len(list) && !listed; i++)
			listed = str_eq(json_str(json_get(json_item(list, i), STR("path"))), file);
		if (!listed)
			json_append(a, list,
				    json_build(a, "{s:S,s:S}", "path", file, "commit", to));
	}
}

static struct json *restore_list(const struct unit *u, const struct json *spec, struct str to,
				 struct arena *a, struct err *err)
{
	struct json *list = json_new(a, JSON_ARRAY);
	char *path = git_clean_path(a, json_str(json_get(spec, STR("path"))), err);
	struct past past = {.a = a, .commit = arena_cstr(a, to)};
	struct source *s = unit_source(u, spec);

	if (!path)
		return NULL;
	if (!*path) {
		err_set(err, ERR_UNSUPPORTED,
			"the Kustomization is built from the repository's root: revert with git");
		return NULL;
	}
	json_append(a, list, json_build(a, "{s:s,s:S}", "path", path, "commit", to));
	/* What it is built from beside its path goes back, too. */
	add_beside(a, list, arena_str(a, str_c(u->reads)), path, to);
	if (s)
		reads_then(s, spec, &past, path);
	add_beside(a, list, arena_str(a, buf_view(&past.reads.text)), path, to);
	reads_release(&past.reads);
	return list;
}

static int push(struct revert *v, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = v->u;
	const struct json *spec = json_get(unit_tree(u, &a), STR("spec"));
	struct source *s = unit_source(u, spec);
	struct str branch = s ? source_branch(s, &a) : STR_NONE;
	struct json *request, *restore;

	if (!branch.n || !s->commit[0])
		return err_set(err, ERR_UNSUPPORTED, "the source follows no branch");
	restore = restore_list(u, spec, commit_of(str_c(v->to)), &a, err);
	if (!restore)
		return -1;
	if (v->aside)
		snprintf(v->branch, sizeof(v->branch), "plumb/revert/%s/%.*s-%.*s",
			 u->r->opts.cluster_name, STR_ARG(u->o->namespace), STR_ARG(u->o->name));
	else
		snprintf(v->branch, sizeof(v->branch), "%.*s", STR_ARG(branch));
	request = json_build(&a, "{s:s,s:s,s:s,s:s,s:o,s:b,s:s}", "url", s->url, "mirror",
			     s->mirror, "branch", v->branch, "base", s->commit, "restore", restore,
			     "onto", (int)!v->aside, "message",
			     arena_printf(&a,
					  "Revert %s to %s\n\n%s\n\nUnit: %s\nReverted: %s\n"
					  "Plumb-Drift: revert\n",
					  u->key, v->to, v->why, u->key, s->revision));
	v->helper = source_call(s, &(struct sourcejob){.what = "git-push",
						       .request = request,
						       .timeout_ns = PUSH_TIMEOUT,
						       .done = on_pushed,
						       .arg = v});
	return 0;
}

static void begin(struct unit *u, struct str to, const char *why, const char *asked, bool aside)
{
	struct err err = {0};
	struct revert *v;

	if (u->revert)
		return;
	v = u->revert = xalloc(sizeof(*v));
	v->u = u;
	v->aside = aside;
	v->to = xstrndup(to.p, to.n);
	v->why = xstrdup(why);
	v->asked = asked ? xstrdup(asked) : NULL;
	if (push(v, &err)) {
		failed(u, asked, err.msg);
		revert_free(u);
	}
}

void revert_asked(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct json *o = unit_tree(u, &a);
	struct str asked = meta_annotation(o, ROLLBACK), to, rest, how;
	struct source *s = unit_source(u, json_get(o, STR("spec")));
	char *text;

	/* After a restart the source is still to be fetched. */
	u->wants_revert = asked.n && !u->revert && s && !s->commit[0] && !s->error;
	if (!asked.n || u->revert || u->wants_revert)
		return;
	text = arena_cstr(&a, asked);
	/* "REVISION#when" or "REVISION#when#propose": the second part makes each wish a new one. */
	str_cut(asked, '#', &to, &rest);
	str_cut(rest, '#', &rest, &how);
	if (str_is(to, "previous"))
		to = last_good(u, o, &a);
	if (to.n)
		begin(u, to, "Asked for with plumb rollback.", text, str_is(how, "propose"));
	else
		failed(u, text, "no earlier revision went well, as far as is known");
}

void revert_unhealthy(struct unit *u, struct str why)
{
	AUTO(arena) struct arena a = {0};
	const struct json *o = unit_tree(u, &a);
	struct str to = last_good(u, o, &a), mode = meta_annotation(o, ON_FAILURE);

	if ((!str_is(mode, "revert") && !str_is(mode, "propose")) || u->revert)
		return;
	/* One revert of a build: when that doesn't become healthy either, people are needed. */
	if (!strcmp(u->reverted, u->digest))
		return;
	memcpy(u->reverted, u->digest, sizeof(u->reverted));
	if (to.n)
		begin(u, to, arena_printf(&a, "It did not become healthy: %.*s", STR_ARG(why)),
		      NULL, str_is(mode, "propose"));
	else
		failed(u, NULL, "no earlier revision went well, as far as is known");
}
