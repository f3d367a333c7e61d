/*
 * Asking for one pull request, see pullreq.h. What is in passing is tried again a few times; that a
 * forge will not have it is told. One request at a time; on the role's loop. Memory: its own, until
 * pullreq_free.
 */
#include "reconciler/pullreq.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"
#include "reconciler/forge_call.h"

#define TRIES_MAX 6

struct pullreq {
	struct reconciler *r;
	char *source; /* its key: it may go meanwhile */
	struct forge_call *call;
	struct loop_timer timer;
	char *branch, *title, *body, *mark, *base;
	unsigned failures;
	int page;
	bool close;
	int64_t number; /* what is to be closed, once it is found */
	char *words;    /* its body, without a mark */
	pullreq_done *done;
	void *arg;
};

static void find(struct pullreq *p);

static void end(struct pullreq *p, enum pullreq_end how, struct str url, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct err copy = err ? *err : (struct err){0};

	/* It may be freed in there. */
	p->done(p->arg, how, arena_str(&a, url), &copy);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
	(void)l;
	CONTAINER_OF(t, struct pullreq, timer)->page = 0;
	find(CONTAINER_OF(t, struct pullreq, timer));
}

static void failed(struct pullreq *p, const struct err *err)
{
	static const struct backoff pause = {.base_ns = 2 * NS_PER_S, .max_ns = 60 * NS_PER_S};
	bool passes = err->code == ERR_UNAVAILABLE || err->code == ERR_TOO_MANY ||
		      err->code == ERR_TIMEOUT || err->code == ERR_IO;

	if (!passes || p->failures >= TRIES_MAX) {
		log_warn("no pull request", "source", p->source, "branch", p->branch, "error",
			 err->msg);
		end(p, PULLREQ_FAILED, STR_NONE, err);
		return;
	}
	loop_timer_set(p->r->loop, &p->timer,
		       MAX(backoff_after(&pause, p->failures++), err->retry_after_s * NS_PER_S),
		       on_timer);
}

static void ask(struct pullreq *p, const struct forge_ask *q, forge_done *done)
{
	AUTO(arena) struct arena a = {0};
	struct forge_repo repo;
	struct err err = {0};
	struct source *s = map_get(&p->r->sources, str_c(p->source));
	int rc = s ? source_forge(s, &a, &repo, &err) : 0;

	if (rc == 0)
		end(p, PULLREQ_NONE, STR_NONE, NULL);
	else if (rc < 0)
		failed(p, &err);
	/* After a restart its Secret is read by the first poll. */
	else if (!s->auth.n && json_at(obj_tree(s->o, &a), "spec", "secretRef"))
		loop_timer_set(p->r->loop, &p->timer, NS_PER_S, on_timer);
	else
		p->call = source_ask(s, &repo, q, done, p);
}

static void on_told(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct pullreq *p = arg;

	p->call = NULL;
	if (!answer || !answer->npulls) {
		failed(p, err);
		return;
	}
	log_info("pull request is open", "source", p->source, "branch", p->branch, "url",
		 log_fmt("%.*s", STR_ARG(answer->pulls[0].url)));
	end(p, PULLREQ_OPEN, answer->pulls[0].url, NULL);
}

static void put_words(struct pullreq *p, int64_t number)
{
	struct forge_ask q = {.verb = number ? FORGE_UPDATE : FORGE_OPEN,
			      .number = number,
			      .head = str_c(p->branch),
			      .base = str_c(p->base),
			      .title = str_c(p->title),
			      .body = str_c(p->body)};

	ask(p, &q, on_told);
}

/* ---- closing ---- */

static void on_closed(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct pullreq *p = arg;

	p->call = NULL;
	if (answer)
		end(p, PULLREQ_CLOSED, STR_NONE, NULL);
	else
		failed(p, err);
}

static void on_commented(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct pullreq *p = arg;
	struct forge_ask q = {.verb = FORGE_CLOSE, .number = p->number, .body = str_c(p->words)};

	p->call = NULL;
	/* Better closed without a word than open. */
	if (!answer)
		log_warn("cannot comment on a pull request", "source", p->source, "branch",
			 p->branch, "error", err->msg);
	ask(p, &q, on_closed);
}

static void put_away(struct pullreq *p, const struct forge_pull *open)
{
	struct forge_ask q = {.verb = FORGE_COMMENT, .number = open->number};
	ptrdiff_t mark = str_find(open->body, STR("-->"));
	struct str words = open->body;

	if (str_starts(words, STR("<!--")) && mark > 0)
		words = str_trim(str_sub(words, (size_t)mark + 3, words.n));
	free(p->words);
	p->words = xstrndup(words.p ? words.p : "", words.n);
	p->number = open->number;
	q.body = str_c(p->body);
	ask(p, &q, on_commented);
}

/* ---- finding ---- */

static bool about_this(const struct pullreq *p, const struct forge_pull *pull)
{
	return p->mark && str_find(pull->body, str_c(p->mark)) >= 0;
}

static void on_found(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct pullreq *p = arg;
	const struct forge_pull *open = NULL;

	p->call = NULL;
	if (!answer) {
		failed(p, err);
		return;
	}
	for (size_t i = 0; i < answer->npulls && !open; i++) {
		if (answer->pulls[i].state == PULL_OPEN)
			open = &answer->pulls[i];
	}
	if (p->close && open) {
		put_away(p, open);
		return;
	}
	if (open && p->mark && !about_this(p, open)) {
		put_words(p, open->number);
		return;
	}
	if (open) {
		end(p, PULLREQ_OPEN, open->url, NULL);
		return;
	}
	for (size_t i = 0; i < answer->npulls; i++) {
		if (answer->pulls[i].state == PULL_CLOSED && about_this(p, &answer->pulls[i])) {
			end(p, PULLREQ_REJECTED, answer->pulls[i].url, NULL);
			return;
		}
	}
	if (answer->more && p->page < FORGE_PAGES_MAX)
		find(p);
	else if (p->close)
		end(p, PULLREQ_CLOSED, STR_NONE, NULL);
	else
		put_words(p, 0);
}

static void find(struct pullreq *p)
{
	struct forge_ask q = {.verb = FORGE_FIND, .head = str_c(p->branch), .page = ++p->page};

	ask(p, &q, on_found);
}

struct pullreq *pullreq_start(struct source *s, const struct pullreq_text *t, pullreq_done *done,
			      void *arg)
{
	AUTO(arena) struct arena a = {0};
	struct pullreq *p = xalloc(sizeof(*p));

	p->r = s->r;
	p->source = xstrdup(s->key);
	p->done = done;
	p->arg = arg;
	p->branch = xstrdup(t->branch);
	p->title = xstrdup(t->title);
	p->body = xstrdup(t->body);
	p->mark = t->mark ? xstrdup(t->mark) : NULL;
	p->base = xstrdup(arena_cstr(&a, source_branch(s, &a)));
	loop_timer_set(p->r->loop, &p->timer, 0, on_timer);
	return p;
}

struct pullreq *pullreq_close(struct source *s, const struct pullreq_text *t, pullreq_done *done,
			      void *arg)
{
	struct pullreq *p = pullreq_start(s, t, done, arg);

	p->close = true;
	return p;
}

void pullreq_free(struct pullreq *p)
{
	if (!p)
		return;
	forge_call_cancel(p->call);
	loop_timer_cancel(p->r->loop, &p->timer);
	free(p->source);
	free(p->branch);
	free(p->title);
	free(p->body);
	free(p->mark);
	free(p->base);
	free(p->words);
	free(p);
}
