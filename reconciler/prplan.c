/*
 * Plans on pull requests. One at a time per source: its head is fetched, the Kustomizations whose
 * files it changes since it left the tracked branch are built and dry-run in the shadow of the
 * reconciler, and what comes out is told. A pull request is planned again when its head or the
 * tracked branch moves. Forks are left alone: anybody could have things dry-run with our rights.
 * Nothing is ever written to the cluster from here. What is told went through the plan's redaction.
 */
#include "reconciler/prplan.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"
#include "reconciler/forge_call.h"

#define LOOK_MIN (2 * NS_PER_S)
#define LOOK_MAX (60 * NS_PER_S)
#define FETCH_TIMEOUT (60 * NS_PER_S)
#define PULLS_MAX 100
#define UNITS_MAX 200
#define OURS "plumb/"

/* What was told of a pull request. */
struct told {
	char head[GIT_OID_TEXT], base[GIT_OID_TEXT];
	int64_t comment;
};

struct todo {
	int64_t number;
	char *head; /* branch */
	char sha[GIT_OID_TEXT];
};

struct prplans {
	struct source *s;
	struct loop_timer timer, next;
	struct forge_call *call;
	struct sourcecall *helper;
	struct map told; /* number → struct told */
	struct todo todo[PULLS_MAX];
	size_t n, at;
	int page;
	unsigned failures;
	bool again;
	/* the pull request that is planned */
	char head[GIT_OID_TEXT], base[GIT_OID_TEXT];
	char *units[UNITS_MAX]; /* keys */
	size_t nunits, unit;
	struct reconciler shadow;
	struct source source;
	struct unit *planned;
	struct unitplan plan;
	struct buf body;
	size_t changes, refused, broken, left_out;
};

static void look(struct prplans *p);
static void next_pull(struct prplans *p);
static void next_unit(struct prplans *p);

/* ---- timers ---- */

static void on_look(struct loop *l, struct loop_timer *t)
{
	(void)l;
	look(CONTAINER_OF(t, struct prplans, timer));
}

static bool busy(const struct prplans *p)
{
	return p->call || p->helper || p->planned || loop_timer_armed(&p->next);
}

static void rest(struct prplans *p)
{
	AUTO(arena) struct arena a = {0};
	int64_t every = LOOK_MAX;

	if (!duration_parse(json_str(json_at(obj_tree(p->s->o, &a), "spec", "interval")), &every))
		every = MIN(MAX(every, LOOK_MIN), LOOK_MAX);
	if (p->again)
		every = 0;
	p->again = false;
	loop_timer_set(p->s->r->loop, &p->timer, every, on_look);
}

static void failed(struct prplans *p, const struct err *err)
{
	static const struct backoff pauses = {.base_ns = 4 * NS_PER_S, .max_ns = 600 * NS_PER_S};
	int64_t pause = backoff_after(&pauses, p->failures++);

	log_warn("cannot plan pull requests, trying again", "source", p->s->key, "error", err->msg);
	loop_timer_set(p->s->r->loop, &p->timer, MAX(pause, err->retry_after_s * NS_PER_S),
		       on_look);
}

static bool ask(struct prplans *p, const struct forge_ask *q, forge_done *done)
{
	AUTO(arena) struct arena a = {0};
	struct forge_repo repo;
	struct err err = {0};
	int rc = source_forge(p->s, &a, &repo, &err);

	if (rc < 0)
		failed(p, &err);
	if (rc <= 0)
		return false;
	p->call = source_ask(p->s, &repo, q, done, p);
	return true;
}

static void each_pull(struct loop *l, struct loop_timer *t)
{
	(void)l;
	next_pull(CONTAINER_OF(t, struct prplans, next));
}

/* ---- what is told ---- */

static struct told *told_of(struct prplans *p, int64_t number)
{
	AUTO(arena) struct arena a = {0};
	struct str key = arena_strf(&a, "%lld", (long long)number);
	struct told *t = map_get(&p->told, key);

	if (!t) {
		t = xalloc(sizeof(*t));
		map_set(&p->told, key, t);
	}
	return t;
}

static struct str mark_of(const struct prplans *p, struct arena *a)
{
	return arena_strf(a, "<!-- plumb-plan %s -->", p->s->r->opts.cluster_name);
}

static void summary(const struct prplans *p, struct buf *out)
{
	if (p->broken)
		buf_printf(out, "%zu cannot be built", p->broken);
	else if (p->refused)
		buf_printf(out, "%zu would be refused", p->refused);
	else if (p->changes)
		buf_printf(out, "%zu objects would change", p->changes);
	else
		buf_puts(out, "nothing would change");
}

static void on_status(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct prplans *p = arg;
	struct todo *t = &p->todo[p->at];

	p->call = NULL;
	/* A token that may not do this shall not stop the rest. */
	if (!answer)
		log_warn("cannot set the plan's commit status", "source", p->s->key, "error",
			 err->msg);
	memcpy(told_of(p, t->number)->head, t->sha, sizeof(t->sha));
	memcpy(told_of(p, t->number)->base, p->base, sizeof(p->base));
	log_info("pull request is planned", "source", p->s->key, "number", log_i64(t->number),
		 "commit", p->head);
	p->at++;
	next_pull(p);
}

static void put_status(struct prplans *p)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct forge_ask q = {.verb = FORGE_STATUS,
			      .sha = str_c(p->head),
			      .context =
				      arena_strf(&a, "plumb/%s/plan", p->s->r->opts.cluster_name),
			      .state = p->broken || p->refused ? FORGE_FAILURE : FORGE_SUCCESS};

	summary(p, &text);
	q.body = buf_view(&text);
	ask(p, &q, on_status);
}

static void on_commented(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct prplans *p = arg;

	p->call = NULL;
	if (!answer) {
		/* Somebody may have deleted it. */
		told_of(p, p->todo[p->at].number)->comment = 0;
		if (err->code != ERR_FORBIDDEN && err->code != ERR_INVALID) {
			failed(p, err);
			return;
		}
		/* Locked, perhaps: the others must not wait for this one. */
		log_warn("cannot comment on a pull request", "source", p->s->key, "error",
			 err->msg);
		put_status(p);
		return;
	}
	if (answer->comments[0].id)
		told_of(p, p->todo[p->at].number)->comment = answer->comments[0].id;
	put_status(p);
}

static void put_comment(struct prplans *p)
{
	struct told *t = told_of(p, p->todo[p->at].number);
	struct forge_ask q = {.verb = t->comment ? FORGE_RECOMMENT : FORGE_COMMENT,
			      .number = p->todo[p->at].number,
			      .comment = t->comment,
			      .body = buf_view(&p->body)};

	/* Silence is enough where nothing is to be said. */
	if (!t->comment && !p->nunits)
		put_status(p);
	else
		ask(p, &q, on_commented);
}

static void on_comments(void *arg, const struct forge_answer *answer, const struct err *err);
static void find_comment(struct prplans *p)
{
	struct forge_ask q = {
		.verb = FORGE_COMMENTS, .number = p->todo[p->at].number, .page = p->page};

	if (told_of(p, q.number)->comment)
		put_comment(p);
	else
		ask(p, &q, on_comments);
}

static void on_comments(void *arg, const struct forge_answer *answer, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct prplans *p = arg;
	struct str mark = mark_of(p, &a);

	p->call = NULL;
	if (!answer) {
		failed(p, err);
		return;
	}
	for (size_t i = 0; i < answer->ncomments; i++) {
		if (str_starts(answer->comments[i].body, mark))
			told_of(p, p->todo[p->at].number)->comment = answer->comments[i].id;
	}
	if (!told_of(p, p->todo[p->at].number)->comment && answer->more &&
	    p->page < FORGE_PAGES_MAX) {
		p->page++;
		find_comment(p);
		return;
	}
	put_comment(p);
}

static void tell(struct prplans *p)
{
	if (!p->nunits)
		buf_puts(&p->body, "It touches nothing that this cluster is made of.\n");
	if (p->left_out)
		buf_printf(&p->body, "… and %zu more Kustomizations: `plumb diff` shows all.\n",
			   p->left_out);
	p->page = 1;
	find_comment(p);
}

/* ---- planning ---- */

static void planned_free(struct prplans *p)
{
	struct unit *u = p->planned;

	if (!u)
		return;
	run_cancel(u);
	unit_far_free(u);
	map_del(&p->shadow.units, str_c(u->key));
	obj_unref(u->o);
	obj_unref(u->head);
	free(u->key);
	free(u->broken);
	free(u);
	p->planned = NULL;
	arena_release(&p->plan.arena);
	p->plan = (struct unitplan){0};
}

static void take_report(struct prplans *p, const struct plan_report *r)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < r->n; i++) {
		p->refused += r->v[i].action == PLAN_REFUSED;
		p->changes += r->v[i].action != PLAN_NONE && r->v[i].action != PLAN_KEEP;
	}
	p->broken += r->error.n > 0;
	plan_print(r, PLAN_MARKDOWN, false, &text);
	/* Whole or not at all: a block that is cut in two reads as something else. */
	if (p->body.n + text.n < FORGE_BODY_MAX - 200)
		buf_str(&p->body, buf_view(&text));
	else
		p->left_out++;
}

static void each_unit(struct loop *l, struct loop_timer *t)
{
	struct prplans *p = CONTAINER_OF(t, struct prplans, next);

	(void)l;
	take_report(p, &p->plan.report);
	planned_free(p);
	next_unit(p);
}

/* Within the run that ends: what is freed, is freed later. */
static void on_planned(void *arg)
{
	struct prplans *p = arg;

	loop_timer_set(p->s->r->loop, &p->next, 0, each_unit);
}

static void plan_unit(struct prplans *p, const struct unit *of)
{
	AUTO(arena) struct arena a = {0};
	struct unit *u = p->planned = xalloc(sizeof(*u));
	const struct json *spec = json_get(unit_tree(of, &a), STR("spec")),
			  *ref = json_get(spec, STR("sourceRef"));
	struct str ns = json_str_or(json_get(ref, STR("namespace")), of->o->namespace);

	map_set(&p->shadow.sources, obj_key(&a, ns, json_str(json_get(ref, STR("name")))),
		&p->source);
	u->r = &p->shadow;
	u->full = true;
	list_init(&u->queued);
	unit_take(u, of->o);
	u->key = xstrdup(of->key);
	u->plan = &p->plan;
	p->plan.done = on_planned;
	p->plan.arg = p;
	p->plan.report.unit = arena_str(&p->plan.arena, str_c(u->key));
	map_set(&p->shadow.units, str_c(u->key), u);
	run_begin(u);
}

static void next_unit(struct prplans *p)
{
	while (p->unit < p->nunits) {
		const struct unit *u = map_get(&p->s->r->units, str_c(p->units[p->unit++]));

		if (u && u->o && !u->o->deleted_ns) {
			plan_unit(p, u);
			return;
		}
	}
	tell(p);
}

static void clear_units(struct prplans *p)
{
	for (size_t i = 0; i < p->nunits; i++)
		free(p->units[i]);
	p->nunits = p->unit = 0;
}

static int by_key(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static int collect(struct prplans *p, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct map_iter it = {0};
	struct gitmirror *m = git_open(p->s->mirror, err);

	clear_units(p);
	if (!m)
		return -1;
	while (map_next(&p->s->r->units, &it) && p->nunits < UNITS_MAX) {
		struct unit *u = it.value;
		const struct json *spec = u->o ? json_get(unit_tree(u, &a), STR("spec")) : NULL;

		if (spec && unit_source(u, spec) == p->s && unit_touched(m, u, p->head, p->base))
			p->units[p->nunits++] = xstrdup(u->key);
	}
	git_close(m);
	qsort(p->units, p->nunits, sizeof(*p->units), by_key);
	return 0;
}

/* The reconciler's shadow: the same client and kinds, with units and a source of its own. */
static void cast_shadow(struct prplans *p)
{
	struct reconciler *r = p->s->r;

	map_release(&p->shadow.units);
	map_release(&p->shadow.sources);
	p->shadow = (struct reconciler){
		.client = r->client, .loop = r->loop, .opts = r->opts, .restmap = r->restmap};
	list_init(&p->shadow.queue);
	git_close(p->source.git);
	free(p->source.revision);
	p->source =
		(struct source){.r = &p->shadow,
				.o = p->s->o,
				.mirror = p->s->mirror,
				.url = p->s->url,
				.revision = xasprintf("pull/%lld@sha1:%s",
						      (long long)p->todo[p->at].number, p->head)};
	memcpy(p->source.commit, p->head, sizeof(p->head));
}

static void on_head(void *arg, const struct json *answer, const struct err *failure)
{
	AUTO(arena) struct arena a = {0};
	struct prplans *p = arg;
	struct err err = *failure;

	p->helper = NULL;
	if (!answer) {
		/* The branch may be gone since; the others are still to be planned. */
		log_warn("cannot fetch a pull request", "source", p->s->key, "error", err.msg);
		p->at++;
		next_pull(p);
		return;
	}
	snprintf(p->head, sizeof(p->head), "%.*s",
		 STR_ARG(json_str(json_get(answer, STR("commit")))));
	if (git_common(p->s->mirror, p->head, p->s->commit, p->base, &err))
		memcpy(p->base, p->s->commit, sizeof(p->base));
	if (collect(p, &err)) {
		failed(p, &err);
		return;
	}
	memcpy(p->base, p->s->commit, sizeof(p->base));
	p->changes = p->refused = p->broken = p->left_out = 0;
	buf_reset(&p->body);
	buf_printf(&p->body, "%.*s\n## Plan for cluster %s\n\nWhat `%.12s` would change:\n\n",
		   STR_ARG(mark_of(p, &a)), p->s->r->opts.cluster_name, p->head);
	cast_shadow(p);
	next_unit(p);
}

static void fetch_head(struct prplans *p, const struct todo *t)
{
	AUTO(arena) struct arena a = {0};
	struct source *s = p->s;
	struct json *request =
		json_build(&a, "{s:s,s:s,s:{s:s}}", "url", s->url, "mirror", s->mirror, "ref",
			   "name", arena_printf(&a, "refs/heads/%s", t->head));

	p->helper = source_call(s, &(struct sourcejob){.what = "git-fetch",
						       .request = request,
						       .timeout_ns = FETCH_TIMEOUT,
						       .done = on_head,
						       .arg = p});
}

static void next_pull(struct prplans *p)
{
	for (; p->at < p->n; p->at++) {
		const struct todo *t = &p->todo[p->at];
		const struct told *known = told_of(p, t->number);

		if (strcmp(known->head, t->sha) != 0 || strcmp(known->base, p->s->commit) != 0)
			break;
	}
	if (p->at == p->n)
		rest(p);
	else if (p->s->helper) /* one fetch of a repository at a time */
		loop_timer_set(p->s->r->loop, &p->next, 100 * NS_PER_MS, each_pull);
	else
		fetch_head(p, &p->todo[p->at]);
}

/* ---- which pull requests ---- */

static void clear_todo(struct prplans *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->todo[i].head);
	p->n = p->at = 0;
}

static void take_pull(struct prplans *p, const struct forge_pull *v)
{
	struct todo *t = &p->todo[p->n];

	if (p->n == PULLS_MAX || v->state != PULL_OPEN || v->foreign || v->head.n > 300 ||
	    !v->head.n || v->sha.n != GIT_OID_TEXT - 1)
		return;
	/* Our own say what they are about. */
	if (str_starts(v->head, STR(OURS)))
		return;
	*t = (struct todo){.number = v->number, .head = xstrndup(v->head.p, v->head.n)};
	memcpy(t->sha, v->sha.p, v->sha.n);
	p->n++;
}

static void ask_page(struct prplans *p);

static void on_list(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct prplans *p = arg;

	p->call = NULL;
	if (!answer) {
		failed(p, err);
		return;
	}
	p->failures = 0;
	for (size_t i = 0; i < answer->npulls; i++)
		take_pull(p, &answer->pulls[i]);
	if (answer->more && p->page < FORGE_PAGES_MAX && p->n < PULLS_MAX) {
		p->page++;
		ask_page(p);
		return;
	}
	next_pull(p);
}

static void ask_page(struct prplans *p)
{
	AUTO(arena) struct arena a = {0};
	struct forge_ask q = {.verb = FORGE_LIST, .base = source_branch(p->s, &a), .page = p->page};

	ask(p, &q, on_list);
}

static bool wanted(const struct source *s)
{
	AUTO(arena) struct arena a = {0};
	const struct json *o = obj_tree(s->o, &a);

	/* What is put together of several repositories cannot be put together of a branch alone. */
	if (s->kind != SOURCE_GIT || json_len(json_at(o, "spec", "include")) ||
	    json_bool(json_at(o, "spec", "recurseSubmodules"), false))
		return false;
	return s->commit[0] && meta_annotation(o, FORGE).n && source_branch(s, &a).n &&
	       !str_is(meta_annotation(o, PULL_PLANS), "disabled") &&
	       !json_bool(json_at(o, "spec", "suspend"), false);
}

static void look(struct prplans *p)
{
	if (!wanted(p->s) || busy(p))
		return;
	clear_todo(p);
	p->page = 1;
	ask_page(p);
}

void prplan_look(struct source *s)
{
	struct prplans *p = s->plans;

	if (!p && !wanted(s))
		return;
	if (!p) {
		p = s->plans = xalloc(sizeof(*p));
		p->s = s;
	}
	if (busy(p))
		p->again = true;
	else
		loop_timer_set(s->r->loop, &p->timer, 0, on_look);
}

void prplan_free(struct source *s)
{
	struct prplans *p = s->plans;
	struct map_iter it = {0};

	if (!p)
		return;
	planned_free(p);
	loop_timer_cancel(s->r->loop, &p->timer);
	loop_timer_cancel(s->r->loop, &p->next);
	forge_call_cancel(p->call);
	source_call_cancel(p->helper);
	clear_units(p);
	clear_todo(p);
	while (map_next(&p->told, &it))
		free(it.value);
	map_release(&p->told);
	map_release(&p->shadow.units);
	map_release(&p->shadow.sources);
	git_close(p->source.git);
	free(p->source.revision);
	buf_release(&p->body);
	free(p);
	s->plans = NULL;
}
