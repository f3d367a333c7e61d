/*
 * The pull request for a reseal branch, where the source has a forge. That none could be opened is
 * said, and harms nothing: the branch stands. On the role's loop.
 */
#include <stdlib.h>

#include "reconciler/pullreq.h"
#include "reconciler/reseal.h"

static void on_end(void *arg, enum pullreq_end end, struct str url, const struct err *err)
{
	(void)arg;
	(void)end;
	(void)url;
	(void)err;
}

struct pullreq *resealpull_start(struct source *s, const char *branch, const char *id,
				 size_t values)
{
	char *title = xasprintf("Seal for key %s", id);
	char *body = xasprintf(
		"The cluster %s seals with a new key. %zu values were under older ones and are "
		"sealed anew;\nwhat is in them hasn't changed. Once this is merged, the older keys "
		"can be retired:\n`plumb keys retire ID`.\n",
		s->r->opts.cluster_name, values);
	struct pullreq_text t = {.branch = branch, .title = title, .body = body};
	struct pullreq *p = pullreq_start(s, &t, on_end, NULL);

	free(title);
	free(body);
	return p;
}
