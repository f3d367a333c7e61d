/*
 * Pushing what recipients_core.c decides: one branch for each Kustomization, made anew from the
 * newest commit when what has to change is another thing, its pull request worded and, once nothing
 * differs, closed, the branch with it. Looked at by every run, once for what lies at the path and
 * what the list says. Wrapping a key never gives the same bytes, so that an annotation remembers
 * what was pushed over a restart. Nothing is written while keys would be locked out. Never forced
 * over a person's commit. On the role's loop; the keys are the run's.
 */
#include "reconciler/recipients.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/goodbye.h"
#include "reconciler/pullreq.h"
#include "reconciler/run.h"

#define PUSH_TIMEOUT (60 * NS_PER_S)

struct recipients_push {
	struct unit *u;
	struct sourcecall *helper;
	struct pullreq *pull;
	char looked[65]; /* what was looked at: the path's tree and the list */
	char pushed[65]; /* what the branch changes: the mark and the blobs; "" = no branch known */
	char *rejected;  /* the mark that somebody decided against */
	char *told;      /* the last thing an Event said */
	char *mark, *title, *body; /* of the push under way */
	char branch[300];
	bool gone; /* no branch of an earlier process is left */
};

static void release_texts(struct recipients_push *p)
{
	free_cleanup(&p->mark);
	free_cleanup(&p->title);
	free_cleanup(&p->body);
	p->mark = p->title = p->body = NULL;
}

void recipients_free(struct unit *u)
{
	struct recipients_push *p = u->recipients;

	if (!p)
		return;
	source_call_cancel(p->helper);
	pullreq_free(p->pull);
	release_texts(p);
	free(p->rejected);
	free(p->told);
	free(p);
	u->recipients = NULL;
}

/* Once: the same thing is looked at by every run. */
static void tell(struct recipients_push *p, const char *type, const char *reason, struct str what)
{
	AUTO(arena) struct arena a = {0};

	if (p->told && str_is(what, p->told))
		return;
	free(p->told);
	p->told = xstrndup(what.p, what.n);
	if (!strcmp(type, "Normal"))
		log_info("recipients", "unit", p->u->key, "what", p->told);
	else
		log_warn("recipients", "unit", p->u->key, "what", p->told);
	recorder_event(p->u->r->recorder, unit_tree(p->u, &a), type, reason, "%s", p->told);
}

static struct source *source_of(const struct recipients_push *p, struct arena *a)
{
	return unit_source(p->u, json_get(unit_tree(p->u, a), STR("spec")));
}

static struct str remembered(const struct unit *u, struct arena *a)
{
	return meta_annotation(unit_tree(u, a), RECIPIENTS_PUSHED);
}

static void on_remembered(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND)
		log_warn("cannot write what recipients were proposed", "error", answer->err.msg);
}

/* what: "" forgets it. */
static void remember(struct unit *u, const char *what)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct json *v = json_new(&a, JSON_OBJECT), *notes;
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_kustomizations,
				.namespace = u->o->namespace,
				.name = u->o->name,
				.patch = API_PATCH_MERGE};

	if (str_is(remembered(u, &a), what) || (!what[0] && !remembered(u, &a).n))
		return;
	notes = json_set_object(&a, json_set_object(&a, v, "metadata"), "annotations");
	if (what[0])
		json_set_str(&a, notes, RECIPIENTS_PUSHED, str_c(what));
	else
		json_set(&a, notes, STR(RECIPIENTS_PUSHED), json_new(&a, JSON_NULL));
	json_write(v, &body);
	call.body = buf_view(&body);
	client_call(u->r->client, &call, on_remembered, NULL);
}

/* ---- the branch ---- */

static void on_deleted(void *arg, const struct json *answer, const struct err *err)
{
	struct recipients_push *p = arg;

	p->helper = NULL;
	p->gone = answer != NULL;
	if (answer)
		remember(p->u, "");
	else
		log_warn("cannot delete the recipients' branch", "unit", p->u->key, "branch",
			 p->branch, "error", err->msg);
}

static void delete_branch(struct recipients_push *p, struct source *s, struct arena *a)
{
	struct json *request;

	if (!s || !s->url || p->helper)
		return;
	request = json_build(a, "{s:s,s:s,s:s,s:b}", "url", s->url, "mirror", s->mirror, "branch",
			     p->branch, "delete", 1);
	p->helper = source_call(s, &(struct sourcejob){.what = "git-push",
						       .request = request,
						       .timeout_ns = PUSH_TIMEOUT,
						       .done = on_deleted,
						       .arg = p});
}

/* ---- the pull request ---- */

static void on_pull(void *arg, enum pullreq_end end, struct str url, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct recipients_push *p = arg;

	if (end == PULLREQ_REJECTED) {
		free(p->rejected);
		p->rejected = p->mark ? xstrdup(p->mark) : NULL;
		tell(p, "Warning", "RecipientsRejected",
		     arena_strf(&a, "%.*s was closed: files keep the recipients that they have",
				STR_ARG(url)));
		delete_branch(p, source_of(p, &a), &a);
	} else if (end == PULLREQ_FAILED) {
		tell(p, "Warning", "RecipientsNotProposed",
		     arena_strf(&a, "branch %s waits for being merged, without a pull request: %s",
				p->branch, err->msg));
	} else {
		tell(p, "Normal", "RecipientsProposed",
		     arena_strf(&a, "%s: branch %s waits for being merged%s%.*s",
				p->title ? p->title : "", p->branch, url.n ? ": " : "",
				STR_ARG(url)));
	}
	pullreq_free(p->pull);
	p->pull = NULL;
}

static void propose(struct recipients_push *p, struct source *s)
{
	struct pullreq_text t = {
		.branch = p->branch, .title = p->title, .body = p->body, .mark = p->mark};

	log_info("recipients are proposed", "unit", p->u->key, "branch", p->branch);
	pullreq_free(p->pull);
	p->pull = pullreq_start(s, &t, on_pull, p);
}

static void on_pushed(void *arg, const struct json *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct recipients_push *p = arg;
	struct source *s = source_of(p, &a);

	p->helper = NULL;
	if (!answer || !s) {
		/* The next run tries again. */
		p->looked[0] = p->pushed[0] = 0;
		if (!answer)
			tell(p, "Warning", "RecipientsNotPushed", str_c(err->msg));
		return;
	}
	remember(p->u, p->pushed);
	propose(p, s);
}

/* ---- nothing differs any more ---- */

static void on_closed(void *arg, enum pullreq_end end, struct str url, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct recipients_push *p = arg;

	(void)end;
	(void)url;
	(void)err;
	pullreq_free(p->pull);
	p->pull = NULL;
	delete_branch(p, source_of(p, &a), &a);
}

static void put_away(struct recipients_push *p, struct source *s)
{
	struct pullreq_text t = {.branch = p->branch,
				 .title = "",
				 .body = "No file has other recipients than are listed any more."};

	if (p->gone && !p->pushed[0])
		return;
	p->pushed[0] = 0;
	free_cleanup(&p->told);
	p->told = NULL;
	release_texts(p);
	pullreq_free(p->pull);
	p->pull = pullreq_close(s, &t, on_closed, p);
}

/* ---- the commit ---- */

static struct json *request_of(struct recipients_push *p, struct source *s,
			       const struct recipients *r, struct arena *a, const char *commit)
{
	struct json *files = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < r->nfiles; i++)
		json_append(a, files,
			    json_build(a, "{s:S,s:S}", "path", r->files[i].path, "content",
				       r->files[i].text));
	return json_build(
		a, "{s:s,s:s,s:s,s:s,s:o,s:s}", "url", s->url, "mirror", s->mirror, "branch",
		p->branch, "base", commit, "files", files, "message",
		arena_printf(
			a,
			"%s\n\nOnly the recipients' part changes: data keys, values and MACs "
			"stay as they are.\n\nUnit: %s\nCluster: %s\nPlumb-Drift: recipients\n",
			p->title, p->u->key, p->u->r->opts.cluster_name));
}

/* What the branch is about, blobs included: a commit beside it makes no new one. */
static void digest(const struct recipients *r, struct str mark, char ret[65])
{
	AUTO(buf) struct buf text = {0};

	buf_str(&text, mark);
	for (size_t i = 0; i < r->nfiles; i++)
		buf_printf(&text, "%.*s %.*s\n", STR_ARG(r->files[i].was),
			   STR_ARG(r->files[i].path));
	sha256_hex(buf_view(&text), ret);
}

static void push(struct recipients_push *p, struct run *run, struct source *s,
		 const struct recipients *r)
{
	struct arena *a = &run->arena;
	struct recipients_about about = {
		str_c(p->u->key), str_c(p->u->r->opts.cluster_name),
		json_str(json_at(run->spec, "decryption", "secretRef", "name"))};
	struct str mark = recipients_mark(a, r);
	char now[65];

	digest(r, mark, now);
	if (!strcmp(now, p->pushed) || (p->rejected && str_is(mark, p->rejected)))
		return;
	memcpy(p->pushed, now, sizeof(now));
	release_texts(p);
	p->mark = xstrdup(arena_cstr(a, mark));
	p->title = xstrdup(arena_cstr(a, recipients_title(a, r)));
	p->body = xstrdup(arena_cstr(a, recipients_body(a, r, &about)));
	/* Pushed before a restart: but for its pull request there is nothing to do. */
	if (str_is(remembered(p->u, a), now)) {
		propose(p, s);
		return;
	}
	p->helper =
		source_call(s, &(struct sourcejob){.what = "git-push",
						   .request = request_of(p, s, r, a, run->commit),
						   .timeout_ns = PUSH_TIMEOUT,
						   .done = on_pushed,
						   .arg = p});
}

/* ---- the look ---- */

/* What kustomizations take in isn't all manifests: what the build read beside those, if it lies at
 * the path. */
static void take_others(struct run *run, const struct git_files *known, struct recipients *r)
{
	struct str rest = buf_view(&run->reads.text), id, path;

	while (reads_next(&rest, &id, &path)) {
		struct git_file f;
		struct err err = {0};
		bool seen = !id.n || !reads_below(path, str_c(run->opts.path));

		for (size_t i = 0; i < known->n && !seen; i++)
			seen = str_eq(known->v[i].path, path);
		if (!seen && git_file(run->mirror, &run->arena, run->commit,
				      arena_cstr(&run->arena, path), &f, &err) == 0)
			recipients_take(&run->arena, r, &f);
	}
}

/* The object that a document is bound to is one that this Kustomization makes: what is somebody
 * else's is no business of this list's. After a build that failed none is. */
static bool makes(void *arg, const struct sops_binding *b)
{
	const struct run *run = arg;

	for (size_t i = 0; run && i < run->rendered.n; i++) {
		const struct rendered_object *o = &run->rendered.v[i];

		if (str_eq(o->kind, b->kind) && str_eq(o->namespace, b->namespace) &&
		    str_eq(o->name, b->name))
			return true;
	}
	return false;
}

static void look(struct recipients_push *p, struct run *run, struct source *s, bool built)
{
	struct arena *a = &run->arena;
	struct sops_bound bound = {run->opts.must_bind, makes, built ? run : NULL};
	struct recipients *r = arena_alloc(a, sizeof(*r));
	struct git_files files = {0};
	struct err err = {0};

	*r = (struct recipients){.keys = run->keys, .bound = &bound};
	if (sops_recipients_parse(a, run->recipients, &r->wanted, &err) != 0) {
		tell(p, "Warning", "RecipientsRefused",
		     arena_strf(a, "the decryption Secret's " RECIPIENTS_KEY ": %s", err.msg));
		return;
	}
	if (!sops_recipients_hold(&r->wanted, run->keys)) {
		tell(p, "Warning", "RecipientsRefused",
		     STR("the decryption Secret lists recipients, and none of its own identities "
			 "is among them: nothing could be opened any more, so nothing is "
			 "rewritten"));
		return;
	}
	if (git_manifests(run->mirror, a, run->commit, run->opts.path, &files, &err) != 0 &&
	    err.code != ERR_NOT_FOUND)
		return;
	for (size_t i = 0; i < files.n; i++)
		recipients_take(a, r, &files.v[i]);
	take_others(run, &files, r);
	if (r->nleft)
		tell(p, "Warning", "RecipientsLeft",
		     arena_strf(a, "%zu files keep their recipients, the first one is %.*s: %.*s",
				r->nleft, STR_ARG(r->left[0].path), STR_ARG(r->left[0].why)));
	if (r->nfiles)
		push(p, run, s, r);
	else if (!r->nleft)
		put_away(p, s);
}

/* Nothing of it is another thing than the last time. */
static bool known(struct recipients_push *p, const struct run *run, bool built)
{
	AUTO(buf) struct buf text = {0};
	char now[65];

	buf_printf(&text, "%s %zu %d %zu %.*s\n%.*s", run->tree, age_keys_count(run->keys),
		   run->opts.must_bind, built ? run->rendered.n + 1 : 0, STR_ARG(run->recipients),
		   STR_ARG(buf_view(&run->reads.text)));
	sha256_hex(buf_view(&text), now);
	if (!strcmp(now, p->looked))
		return true;
	memcpy(p->looked, now, sizeof(now));
	return false;
}

static struct recipients_push *push_of(struct unit *u)
{
	struct recipients_push *p = u->recipients;

	if (p)
		return p;
	p = u->recipients = xalloc(sizeof(*p));
	p->u = u;
	snprintf(p->branch, sizeof(p->branch), "plumb/recipients/%s/%.*s-%.*s",
		 u->r->opts.cluster_name, STR_ARG(u->o->namespace), STR_ARG(u->o->name));
	return p;
}

void recipients_goodbye(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct recipients_push *p = u->recipients;

	if ((p && (p->pushed[0] || p->helper)) || remembered(u, &a).n)
		goodbye_branch(unit_source(u, json_get(unit_tree(u, &a), STR("spec"))),
			       push_of(u)->branch,
			       "The Kustomization that this is about is being deleted.");
	recipients_free(u);
}

void recipients_look(struct run *run, bool built)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = run->u;
	struct recipients_push *p = u->recipients;
	struct source *s = unit_source(u, run->spec);

	/* An artifact has no branches, and a plan writes nothing. */
	if (u->plan || run->at_commit || u->argo || !s || s->kind != SOURCE_GIT || !s->url ||
	    !s->mirror || !source_branch(s, &a).n)
		return;
	if (!run->keys || !run->recipients.p) {
		if (p ? p->pushed[0] && !p->helper : remembered(u, &a).n > 0)
			put_away(push_of(u), s);
		return;
	}
	p = push_of(u);
	if (!p->helper && !known(p, run, built))
		look(p, run, s, built);
}
