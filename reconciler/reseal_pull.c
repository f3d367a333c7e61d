/*
 * The pull request for a reseal branch, where the source has a forge: opened once, and left to
 * people from then on; pushing to its branch brings it up to date by itself. That none could be
 * opened is said, and harms nothing: the branch stands. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "reconciler/forge_call.h"
#include "reconciler/reseal.h"

struct resealpull {
	struct source *s;
	struct forge_call *call;
	char *branch, *title, *body;
	char *base;
};

static void on_opened(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct resealpull *p = arg;

	p->call = NULL;
	if (!answer)
		log_warn("cannot open a pull request", "source", p->s->key, "error", err->msg);
	else if (answer->npulls)
		log_info("pull request", "source", p->s->key, "url",
			 log_fmt("%.*s", STR_ARG(answer->pulls[0].url)));
}

static int ask(struct resealpull *p, const struct forge_ask *q, forge_done *done)
{
	AUTO(arena) struct arena a = {0};
	struct forge_repo repo;
	struct err err = {0};
	int rc = source_forge(p->s, &a, &repo, &err);

	if (rc < 0)
		log_warn("no pull request", "source", p->s->key, "error", err.msg);
	if (rc == 1)
		p->call = source_ask(p->s, &repo, q, done, p);
	return rc;
}

static void on_found(void *arg, const struct forge_answer *answer, const struct err *err)
{
	struct resealpull *p = arg;
	struct forge_ask q = {.verb = FORGE_OPEN,
			      .head = str_c(p->branch),
			      .base = str_c(p->base),
			      .title = str_c(p->title),
			      .body = str_c(p->body)};

	p->call = NULL;
	if (!answer) {
		log_warn("cannot ask for pull requests", "source", p->s->key, "error", err->msg);
		return;
	}
	for (size_t i = 0; i < answer->npulls; i++)
		if (answer->pulls[i].state == PULL_OPEN)
			return;
	(void)ask(p, &q, on_opened);
}

struct resealpull *resealpull_start(struct source *s, const char *branch, const char *id,
				    size_t values)
{
	AUTO(arena) struct arena a = {0};
	struct resealpull *p = xalloc(sizeof(*p));
	struct forge_ask q = {.verb = FORGE_FIND, .page = 1};

	p->s = s;
	p->branch = xstrdup(branch);
	p->base = xstrdup(arena_cstr(&a, source_branch(s, &a)));
	p->title = xasprintf("Seal for key %s", id);
	p->body = xasprintf("The cluster %s seals with a new key. %zu values were under older ones "
			    "and are sealed anew;\nwhat is in them hasn't changed. Once this is "
			    "merged, the older keys can be retired:\n`plumb keys retire ID`.\n",
			    s->r->opts.cluster_name, values);
	q.head = str_c(p->branch);
	(void)ask(p, &q, on_found);
	return p;
}

void resealpull_free(struct resealpull *p)
{
	if (!p)
		return;
	forge_call_cancel(p->call);
	free(p->branch);
	free(p->base);
	free(p->title);
	free(p->body);
	free(p);
}
