/*
 * `plumb rollback NAME`: asks the reconciler for a commit that takes a Kustomization's files back
 * to an earlier revision, and waits for what comes of it. Credentials stay in the cluster.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/verbs/unitverb.h"
#include "cli/verbs/verb.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define ASK "plumb.dev/rollback"
#define ANSWER "plumb.dev/rolled-back"
#define PATIENCE_MS 90000
#define PAUSE_MS 100

struct wish {
	const char *to; /* "" = the last that went well */
	bool propose;
};

static int ask(struct unitverb *v, const struct resource *r, const char *name, const struct wish *w,
	       struct err *err)
{
	const char *wish =
		arena_printf(&v->arena, "%s#%lld%s", *w->to ? w->to : "previous",
			     (long long)loop_wall(v->loop), w->propose ? "#propose" : "");

	return unitverb_patch(v, r, v->namespace, name,
			      json_build(&v->arena, "{s:{s:{s:s,s:n}}}", "metadata", "annotations",
					 ASK, wish, ANSWER),
			      err);
}

static int rollback(struct unitverb *v, const char *name, const struct wish *w, struct err *err)
{
	const struct resource *r;

	if (strchr(w->to, '#'))
		return err_set(err, ERR_BAD_REQUEST, "--to: not a revision: %s", w->to);
	if (unitverb_open(v, err))
		return -1;
	r = unitverb_find(v, name, &name, err);
	if (!r || ask(v, r, name, w, err))
		return -1;
	for (int waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
		const struct json *o = unitverb_get(v, r, v->namespace, name, err);
		struct str answer = meta_annotation(o, ANSWER);

		if (!o)
			return -1;
		if (answer.n && str_starts(answer, STR("failed: ")))
			return err_set(err, ERR_INVALID, "%.*s",
				       STR_ARG(str_sub(answer, 8, answer.n)));
		if (answer.n) {
			printf("%s/%s goes back to %.*s\n", v->namespace, name, STR_ARG(answer));
			return 0;
		}
		usleep(PAUSE_MS * 1000);
	}
	return err_set(err, ERR_TIMEOUT, "the reconciler does not answer");
}

static int rollback_main(int argc, char **argv)
{
	struct unitverb v;
	struct wish wish = {.to = ""};
	const struct flag flags[] = {
		UNITVERB_FLAGS(&v),
		{"to", 0, FLAG_STRING, &wish.to, "REVISION",
		 "commit to go back to; by default the last that went well"},
		{"propose", 0, FLAG_BOOL, &wish.propose, NULL,
		 "on a branch with a pull request, not onto the branch itself"},
		{0}};
	struct err err = {0};
	int nargs, rc = 1;

	unitverb_defaults(&v);
	if (!flags_parse(argc, argv, flags,
			 "plumb rollback NAME\n\nTakes the files of a Kustomization or Application "
			 "back to an earlier revision, by a commit.",
			 &nargs, &err)) {
		if (nargs != 1)
			err_set(&err, ERR_BAD_REQUEST, "name one Kustomization or Application");
		else if (!rollback(&v, argv[0], &wish, &err))
			rc = 0;
	}
	if (rc)
		fprintf(stderr, "plumb rollback: %s\n", err.msg);
	unitverb_release(&v);
	return rc;
}

const struct verb verb_rollback = {.name = "rollback",
				   .help = "take a Kustomization or Application back by a commit",
				   .main = rollback_main};
