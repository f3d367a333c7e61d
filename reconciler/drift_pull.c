/*
 * The pull request of a drift branch: opened once the branch is pushed, its words kept true, closed
 * with a comment when the drift is gone. What a person does to it decides: merged is adopted,
 * closed is rejected. After a restart it is found again by its branch, and a mark in its body tells
 * whether it was about the same drift. One request at a time; on the role's loop. Whatever is said
 * in it has gone through the report's redaction.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"
#include "reconciler/drifts.h"
#include "reconciler/forge_call.h"

#define LOOK_MIN (2 * NS_PER_S)
#define LOOK_MAX (60 * NS_PER_S)
#define MARK "<!-- plumb-drift "
#define MARK_END " -->\n"

struct drift_pull {
	struct drifts *d;
	struct forge_call *call;
	struct loop_timer timer;
	int64_t number; /* 0 = none known */
	enum pull_state state;
	char *url, *body; /* body: as it stands there */
	char *title;
	char *problem; /* why the forge could not be told, or NULL */
	unsigned failures;
	int page;
	bool tell, look, close, commented; /* what is to be done */
	bool branch_gone;
	bool checked; /* whether it is still open, before it is closed */
};

static void step(struct drift_pull *p);

static void set_text(char **slot, struct str s)
{
	free(*slot);
	*slot = s.p ? xstrndup(s.p, s.n) : NULL;
}

static struct source *source_of(const struct drifts *d, struct arena *a)
{
	return unit_source(d->u, json_get(unit_tree(d->u, a), STR("spec")));
}

static void forget(struct drift_pull *p)
{
	p->number = 0;
	p->state = PULL_OPEN;
	p->commented = p->checked = p->branch_gone = p->close = p->look = false;
	set_text(&p->url, STR_NONE);
	set_text(&p->body, STR_NONE);
	set_text(&p->title, STR_NONE);
}

/* ---- what it says ---- */

static int by_text(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* The same drift, told in whatever order, has the same mark. */
static struct str mark_of(const struct drifts *d, struct arena *a)
{
	const char **ids = arena_array(a, d->n + 1, sizeof(*ids));
	AUTO(buf) struct buf text = {0};
	char hex[65];

	for (size_t i = 0; i < d->n; i++)
		ids[i] = d->v[i].id;
	qsort(ids, d->n, sizeof(*ids), by_text);
	for (size_t i = 0; i < d->n; i++)
		buf_printf(&text, "%s,", ids[i]);
	sha256_hex(buf_view(&text), hex);
	return arena_strf(a, MARK "%.32s" MARK_END, hex);
}

static struct str body_of(const struct drifts *d, struct arena *a)
{
	struct drift_text t = {.cluster = d->u->r->opts.cluster_name,
			       .unit = d->u->key,
			       .revision = d->u->revision};
	AUTO(buf) struct buf text = {0};

	buf_str(&text, mark_of(d, a));
	drift_markdown(d, &t, &text);
	buf_puts(&text, "\nClosing this without merging rejects the change, until its value is "
			"another one.\n");
	/* Cut here, so that what stands there can be compared with it. */
	return forge_cut(a, arena_str(a, buf_view(&text)), FORGE_BODY_MAX);
}

static struct str title_of(const struct drifts *d, struct arena *a)
{
	struct drift_text t = {.cluster = d->u->r->opts.cluster_name,
			       .unit = d->u->key,
			       .revision = d->u->revision};
	AUTO(buf) struct buf text = {0};

	drift_subject(d, &t, &text);
	return forge_cut(a, arena_str(a, buf_view(&text)), FORGE_TITLE_MAX);
}

/* As forges give texts back: with other line ends, and trimmed. */
static bool same_words(struct arena *a, struct str x, struct str y)
{
	char *out[2];
	struct str in[2] = {str_trim(x), str_trim(y)};

	for (size_t i = 0; i < 2; i++) {
		size_t n = 0;

		out[i] = arena_room(a, in[i].n + 1);
		for (size_t k = 0; k < in[i].n; k++) {
			if (in[i].p[k] != '\r')
				out[i][n++] = in[i].p[k];
		}
		out[i][n] = 0;
	}
	return !strcmp(out[0], out[1]);
}

/* ---- what people decided ---- */

static void tell_event(struct drift_pull *p, const char *reason, const char *what)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = p->d->u;

	log_info(what, "unit", u->key, "pull", p->url ? p->url : "");
	recorder_event(u->r->recorder, unit_tree(u, &a), "Normal", reason, "%s: %s", what,
		       p->url ? p->url : "");
}

static void decided(struct drift_pull *p)
{
	AUTO(arena) struct arena a = {0};
	struct drifts *d = p->d;
	struct source *s = source_of(d, &a);

	p->look = false;
	if (p->state == PULL_MERGED) {
		tell_event(p, "DriftAdopted", "the drift's pull request was merged");
		/* What waits thaws when the merged revision is applied. */
		if (s)
			source_poll(s);
		if (!d->proposed)
			drifts_close(d);
		return;
	}
	tell_event(p, "DriftRejected", "the drift's pull request was closed");
	unit_reject(d->u);
}

static void take(struct drift_pull *p, const struct forge_pull *from)
{
	p->number = from->number;
	p->state = from->state;
	set_text(&p->url, str_sub(from->url, 0, 500));
	set_text(&p->body, from->body.p ? from->body : STR(""));
	set_text(&p->title, from->title.p ? from->title : STR(""));
}

/* ---- requests ---- */

static void on_timer(struct loop *l, struct loop_timer *t)
{
	struct drift_pull *p = CONTAINER_OF(t, struct drift_pull, timer);

	(void)l;
	p->look = true;
	step(p);
}

static void later(struct drift_pull *p, int64_t ns)
{
	loop_timer_set(p->d->u->r->loop, &p->timer, ns, on_timer);
}

static void report(struct drift_pull *p)
{
	if (p->d->n)
		drift_object_write(p->d);
}

static void failed(struct drift_pull *p, const struct err *err)
{
	static const struct backoff soon = {.base_ns = 2 * NS_PER_S, .max_ns = 300 * NS_PER_S},
				    late = {.base_ns = 5 * NS_PER_S, .max_ns = 600 * NS_PER_S};
	bool passes = err->code == ERR_UNAVAILABLE || err->code == ERR_TOO_MANY ||
		      err->code == ERR_TIMEOUT || err->code == ERR_IO;
	int64_t pause = backoff_after(passes ? &soon : &late, p->failures++);
	bool news = !p->problem || strcmp(p->problem, err->msg) != 0;

	if (news) {
		log_warn("cannot tell the forge of drift, trying again", "unit", p->d->u->key,
			 "error", err->msg);
		set_text(&p->problem, str_c(err->msg));
		report(p);
	}
	/* Somebody may have changed it meanwhile. */
	if (err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT || err->code == ERR_INVALID)
		p->number = 0;
	later(p, MAX(pause, err->retry_after_s * NS_PER_S));
}

static void went_well(struct drift_pull *p)
{
	p->failures = 0;
	if (p->problem) {
		set_text(&p->problem, STR_NONE);
		report(p);
	}
}

static bool ask(struct drift_pull *p, const struct forge_ask *q, forge_done *done)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = source_of(p->d, &a);
	struct forge_repo repo;
	struct err err = {0};
	int rc = s ? source_forge(s, &a, &repo, &err) : 0;

	if (rc < 0)
		failed(p, &err);
	if (rc <= 0)
		return false;
	/* After a restart its Secret is read by the first poll. */
	if (!s->auth.n && json_at(obj_tree(s->o, &a), "spec", "secretRef")) {
		later(p, NS_PER_S);
		return false;
	}
	p->call = source_ask(s, &repo, q, done, p);
	return true;
}

static void on_told(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct drift_pull *p = arg;
	bool first = !p->number;

	p->call = NULL;
	if (!answer) {
		failed(p, err);
		return;
	}
	take(p, &answer->pulls[0]);
	p->tell = false;
	if (first)
		log_info("pull request is open", "unit", p->d->u->key, "pull", p->url);
	went_well(p);
	if (first)
		report(p);
	step(p);
}

/* Opens it, or makes it say what is true now. */
static void put_words(struct drift_pull *p)
{
	AUTO(arena) struct arena a = {0};
	struct drifts *d = p->d;
	struct source *s = source_of(d, &a);
	struct forge_ask q = {.verb = p->number ? FORGE_UPDATE : FORGE_OPEN,
			      .number = p->number,
			      .head = str_c(d->branch),
			      .base = s ? source_branch(s, &a) : STR_NONE,
			      .title = title_of(d, &a),
			      .body = body_of(d, &a)};

	if (!q.base.n) {
		p->tell = false;
		return;
	}
	if (p->number && same_words(&a, str_c(p->body), q.body) &&
	    same_words(&a, str_c(p->title), q.title)) {
		p->tell = false;
		step(p);
		return;
	}
	ask(p, &q, on_told);
}

static void on_found(void *arg, const struct forge_answer *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct drift_pull *p = arg;
	const struct forge_pull *newest;

	p->call = NULL;
	if (!answer) {
		failed(p, err);
		return;
	}
	if (!answer->npulls && answer->more && p->page < FORGE_PAGES_MAX) {
		p->page++;
		step(p);
		return;
	}
	p->page = 0;
	newest = answer->npulls ? &answer->pulls[0] : NULL;
	for (size_t i = 0; i < answer->npulls; i++) {
		if (answer->pulls[i].state == PULL_OPEN) {
			newest = &answer->pulls[i];
			break;
		}
	}
	if (newest && newest->state == PULL_OPEN) {
		take(p, newest);
		went_well(p);
		report(p);
		step(p);
	} else if (p->close) {
		forget(p);
	} else if (newest && newest->state == PULL_CLOSED && p->d->n &&
		   str_find(newest->body, str_trim(mark_of(p->d, &a))) >= 0) {
		/* It was decided while nobody could look. */
		take(p, newest);
		p->tell = false;
		decided(p);
	} else {
		put_words(p);
	}
}

static void find(struct drift_pull *p)
{
	struct forge_ask q = {
		.verb = FORGE_FIND, .head = str_c(p->d->branch), .page = p->page ? p->page : 1};

	p->page = q.page;
	ask(p, &q, on_found);
}

static void on_looked(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct drift_pull *p = arg;

	p->call = NULL;
	p->look = false;
	if (!answer) {
		failed(p, err);
		return;
	}
	take(p, &answer->pulls[0]);
	p->checked = true;
	went_well(p);
	/* Forges differ in what they do when its branch goes; it is a decision on all of them. */
	if (p->close || (p->state == PULL_OPEN && !p->branch_gone))
		step(p);
	else
		decided(p);
}

static void on_closed(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct drift_pull *p = arg;

	p->call = NULL;
	if (!answer) {
		failed(p, err);
		return;
	}
	forget(p);
	went_well(p);
	step(p);
}

static void on_commented(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct drift_pull *p = arg;

	p->call = NULL;
	/* Better closed without a word than open. */
	p->commented = true;
	if (!answer)
		log_warn("cannot comment on the drift's pull request", "unit", p->d->u->key,
			 "error", err->msg);
	step(p);
}

static void put_away(struct drift_pull *p)
{
	struct forge_ask q = {.verb = FORGE_CLOSE, .number = p->number};
	struct str body = str_c(p->body);
	ptrdiff_t end = str_find(body, STR("-->"));

	if (!p->commented) {
		q.verb = FORGE_COMMENT;
		q.body = p->branch_gone
				 ? STR("The branch was deleted: the change is rejected.")
				 : STR("The drift is gone: cluster and git say the same again.");
		ask(p, &q, on_commented);
		return;
	}
	/* Without its mark: nobody has decided against the change. */
	if (!p->branch_gone && str_starts(body, STR(MARK)) && end > 0)
		q.body = str_trim(str_sub(body, (size_t)end + 3, body.n));
	ask(p, &q, on_closed);
}

static void wait(struct drift_pull *p)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = source_of(p->d, &a);
	int64_t every = LOOK_MAX;

	if (s && !duration_parse(json_str(json_at(obj_tree(s->o, &a), "spec", "interval")), &every))
		every = MIN(MAX(every, LOOK_MIN), LOOK_MAX);
	later(p, every);
}

static void step(struct drift_pull *p)
{
	struct forge_ask look = {.verb = FORGE_GET, .number = p->number};

	if (p->call)
		return;
	if (p->close) {
		if (!p->number)
			find(p);
		else if (p->state == PULL_OPEN && !p->checked)
			ask(p, &look, on_looked);
		else if (p->state == PULL_OPEN)
			put_away(p);
		else
			forget(p);
		return;
	}
	if (p->tell && p->d->n) {
		if (!p->number)
			find(p);
		else
			put_words(p);
		return;
	}
	if (!p->number || p->state != PULL_OPEN)
		return;
	if (p->look)
		ask(p, &look, on_looked);
	else
		wait(p);
}

/* ---- what others call ---- */

void drift_pull_tell(struct drifts *d)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = source_of(d, &a);
	struct drift_pull *p = d->pull;
	struct forge_repo repo;
	struct err err = {0};

	if (!p && (!s || !source_forge(s, &a, &repo, &err)))
		return;
	if (!p) {
		p = d->pull = xalloc(sizeof(*p));
		p->d = d;
	}
	/* One that is decided is history: this is about something else. */
	if (!p->call && p->state != PULL_OPEN)
		forget(p);
	p->tell = true;
	step(p);
}

void drift_pull_close(struct drifts *d)
{
	struct drift_pull *p = d->pull;

	if (!p || (!p->number && !p->call && !p->tell))
		return;
	p->tell = p->checked = false;
	p->close = true;
	step(p);
}

bool drift_pull_decides(struct drifts *d)
{
	struct drift_pull *p = d->pull;

	if (!p || !p->number || p->close)
		return false;
	p->branch_gone = true;
	if (p->state != PULL_OPEN)
		return p->state == PULL_MERGED;
	p->look = true;
	step(p);
	return true;
}

void drift_pull_look(struct drifts *d)
{
	if (!d->pull)
		return;
	d->pull->look = true;
	step(d->pull);
}

void drift_pull_status(const struct drifts *d, struct arena *a, struct json *report)
{
	static const char *const states[] = {"open", "closed", "merged"};
	const struct drift_pull *p = d->pull;
	struct json *v;
	int64_t now = loop_wall(d->u->r->loop);

	if (!p)
		return;
	if (p->number) {
		v = json_build(a, "{s:I,s:s,s:s}", "number", p->number, "state", states[p->state],
			       "url", p->url ? p->url : "");
		json_set(a, json_set_object(a, report, "status"), STR("pullRequest"), v);
	}
	if (p->problem)
		condition_set(a, report, "PullRequest", "False", "ForgeFailed", str_c(p->problem),
			      now);
	else if (p->number)
		condition_set(a, report, "PullRequest", "True", "Open", str_c(p->url ? p->url : ""),
			      now);
}

void drift_pull_free(struct drifts *d)
{
	struct drift_pull *p = d->pull;

	if (!p)
		return;
	forge_call_cancel(p->call);
	loop_timer_cancel(d->u->r->loop, &p->timer);
	free(p->url);
	free(p->body);
	free(p->title);
	free(p->problem);
	free(p);
	d->pull = NULL;
}
