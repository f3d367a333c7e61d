/*
 * What of an Application's objects goes and what stays: sync options of the Application and of the
 * live object, pruning that is off, approvals. What is held back is told and stays known, it is
 * never forgotten. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/kube/resources.h"
#include "reconciler/argo.h"

void argo_prune_opts(struct run *run, struct plan_prune_opts *opts)
{
	const struct json *argo = json_get(run->spec, STR("argo"));

	/* What isn't pruned now may be later: the inventory must not forget it. */
	opts->enabled = true;
	/* "Declares nothing" and "nothing may be pruned" are two things. */
	opts->empty_ok = json_bool(json_get(argo, STR("allowEmpty")), false);
	if (run->approved)
		opts->confirmed = STR("*");
}

const char *argo_keeps(const struct run *run, const struct json *live)
{
	struct str word = argo_option_of(run, live, run->farewell ? STR("Delete") : STR("Prune"));

	if (!run->farewell && !json_bool(json_get(run->spec, STR("prune")), false))
		return "pruning is off";
	if (str_is(word, "false"))
		return run->farewell ? "Delete=false" : "Prune=false";
	if (!str_is(word, "confirm") || run->approved)
		return NULL;
	return run->farewell ? "Delete=confirm waits for the annotation " ARGO_CONFIRMED
			     : "Prune=confirm waits for the annotation " ARGO_CONFIRMED;
}

bool argo_extraneous(const struct json *live)
{
	return argo_says(meta_annotation(live, ARGO_COMPARE), "IgnoreExtraneous");
}

bool argo_leaves(struct run *run, const struct plan_entry *e)
{
	AUTO(arena) struct arena a = {0};
	const struct resource *res = plan_resource(run, e);
	const struct obj *o;

	/* Whoever isn't watched yet counts until it is. */
	if (!res)
		return false;
	o = informer_get(kindwatch_get(unit_there(run->u), res), e->namespace, e->name);
	return o && argo_extraneous(obj_tree(o, &a));
}

const char *argo_propagation(const struct run *run)
{
	AUTO(arena) struct arena a = {0};

	if (!run->u->argo)
		return "Background";
	if (run->farewell)
		return unit_finalizer_has(run->u, ARGO_FINALIZER "/background") ? "Background"
										: "Foreground";
	if (argo_run_option(run, NULL, "PrunePropagationPolicy=background"))
		return "Background";
	if (argo_run_option(run, NULL, "PrunePropagationPolicy=orphan"))
		return "Orphan";
	return "Foreground";
}

bool argo_stays(const struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	const struct json *t = u->argo ? unit_tree(u, &a) : NULL;

	return str_is(json_str(json_at(t, "spec", "argo", "options", "Delete")), "confirm") &&
	       !meta_annotation(t, ARGO_CONFIRMED).n;
}

void argo_note_held(struct run *run)
{
	struct argo *g = run->u->argo;
	AUTO(buf) struct buf out = {0};

	g->unpruned = false;
	for (size_t i = 0; i < run->prune.nheld; i++) {
		const struct plan_entry *e = &run->prune.held[i];

		g->unpruned |= !e->no_difference;
		buf_printf(
			&out, "%d%d %.*s\n", !e->no_difference, e->unapproved,
			STR_ARG(arena_strf(&run->arena, "%.*s/%.*s/%.*s/%.*s/%.*s",
					   STR_ARG(e->group), STR_ARG(e->version), STR_ARG(e->kind),
					   STR_ARG(e->namespace), STR_ARG(e->name))));
	}
	free(g->held);
	g->held = out.n ? xstrndup(out.p, out.n) : NULL;
}
