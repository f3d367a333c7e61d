/*
 * Taking branches away whose unit is going or gone: each such job is the reconciler's own, and
 * finds its source by its key at every step, since that may go, too; then nobody has the
 * credentials any more, and the branch stays. Never deletes what somebody else committed to. On the
 * role's loop.
 */
#include "reconciler/goodbye.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "reconciler/argo.h"
#include "reconciler/pullreq.h"

#define PUSH_TIMEOUT (60 * NS_PER_S)

struct goodbye {
	struct reconciler *r;
	struct list link;
	char *source, *branch;
	struct pullreq *pull;
	struct sourcecall *call;
};

static void release(struct goodbye *g)
{
	pullreq_free(g->pull);
	source_call_cancel(g->call);
	list_remove(&g->link);
	free(g->source);
	free(g->branch);
	free(g);
}

static void end(struct goodbye *g)
{
	struct reconciler *r = g->r;

	release(g);
	/* Those of Applications wait for nobody else. */
	argo_sources_sweep(r);
}

static void on_deleted(void *arg, const struct json *answer, const struct err *err)
{
	struct goodbye *g = arg;

	g->call = NULL;
	if (answer)
		log_info("a branch goes with what it was about", "branch", g->branch);
	else
		log_warn("cannot delete a branch", "branch", g->branch, "error", err->msg);
	end(g);
}

static void on_closed(void *arg, enum pullreq_end how, struct str url, const struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct goodbye *g = arg;
	struct source *s = map_get(&g->r->sources, str_c(g->source));
	struct json *request;

	(void)how;
	(void)url;
	(void)err;
	pullreq_free(g->pull);
	g->pull = NULL;
	if (!s || !s->url || !s->mirror) {
		end(g);
		return;
	}
	request = json_build(&a, "{s:s,s:s,s:s,s:b}", "url", s->url, "mirror", s->mirror, "branch",
			     g->branch, "delete", true);
	g->call = source_call(s, &(struct sourcejob){.what = "git-push",
						     .request = request,
						     .timeout_ns = PUSH_TIMEOUT,
						     .done = on_deleted,
						     .arg = g});
}

void goodbye_branch(struct source *s, const char *branch, const char *why)
{
	struct pullreq_text t = {.branch = branch, .title = "", .body = why};
	struct goodbye *g;

	if (!s || s->kind != SOURCE_GIT || !s->url || !s->mirror)
		return;
	g = xalloc(sizeof(*g));
	g->r = s->r;
	g->source = xstrdup(s->key);
	g->branch = xstrdup(branch);
	list_append(&s->r->goodbyes, &g->link);
	g->pull = pullreq_close(s, &t, on_closed, g);
}

bool goodbye_needs(const struct source *s)
{
	if (!s->r->goodbyes.next)
		return false;
	LIST_FOREACH (l, &s->r->goodbyes) {
		if (!strcmp(CONTAINER_OF(l, struct goodbye, link)->source, s->key))
			return true;
	}
	return false;
}

void goodbyes_free(struct reconciler *r)
{
	if (!r->goodbyes.next)
		return;
	LIST_FOREACH (l, &r->goodbyes)
		release(CONTAINER_OF(l, struct goodbye, link));
}
