/*
 * A run that ends with its dry run: what it would do becomes a report. Never writes anything, not
 * even a status. For `plumb diff`; on its loop.
 */
#include <string.h>

#include "reconciler/argo.h"
#include "reconciler/run.h"
#include "reconciler/sensitive.h"

/* Everything that outlives the run is copied into the plan's arena. */
static struct str keep(struct unitplan *p, struct str s)
{
	return s.p ? arena_str(&p->arena, s) : STR_NONE;
}

static void end(struct run *run)
{
	struct unitplan *p = run->u->plan;

	run_cancel(run->u);
	p->done(p->arg);
}

void run_plan_failed(struct run *run, struct str message)
{
	struct unitplan *p = run->u->plan;

	p->report.error = keep(p, message);
	end(run);
}

static struct plan_change *push(struct unitplan *p, enum plan_action action)
{
	struct plan_change *c = &p->report.v[p->report.n++];

	*c = (struct plan_change){.action = action};
	return c;
}

static enum plan_action action_of(const struct run_item *item)
{
	if (item->err.code)
		return item->recreate ? PLAN_RECREATE : PLAN_REFUSED;
	if (item->recreate)
		return PLAN_RECREATE;
	if (item->skip)
		return PLAN_NONE;
	return item->live ? PLAN_CHANGE : PLAN_CREATE;
}

/* What the dry run made of it, but for what applying would leave alone. */
static const struct json *outcome(const struct run_item *item, struct arena *a)
{
	const struct json *dry = item->dry ? obj_tree(item->dry, a) : NULL;
	struct json *v;

	if (!dry || !item->scaled)
		return dry;
	v = json_copy(a, dry);
	json_set(a, json_set_object(a, v, "spec"), STR("replicas"),
		 json_at(item->scaled, "spec", "replicas"));
	return v;
}

static void compare(struct run *run, const struct run_item *item, struct plan_change *c)
{
	AUTO(buf) struct buf hidden = {0};
	AUTO(arena) struct arena a = {0};
	const struct json *dry = outcome(item, &a);

	if (!dry || !item->live)
		return;
	sensitive_paths(item->o->tree, &hidden);
	plan_compare(&run->u->plan->arena, item->live, dry, buf_view(&hidden), c);
	if (!c->nfields && c->action == PLAN_CHANGE)
		c->action = PLAN_NONE;
}

/* All that differs is what the Application ignores. */
static bool is_ignored(const struct run *run, const struct run_item *item)
{
	AUTO(arena) struct arena a = {0};
	const struct rendered_object *o = item->o;
	struct drift_list l;

	if (!run->u->argo || !item->live)
		return false;
	drift_compare(&a, schema_find_kind(o->api_version, o->kind), o->tree, item->live,
		      item->dry ? obj_tree(item->dry, &a) : NULL, &l);
	if (!l.n || l.dropped)
		return false;
	argo_filter(run->u, o->tree, &l);
	return !l.n;
}

static void add_item(struct run *run, struct run_item *item)
{
	struct unitplan *p = run->u->plan;
	const struct rendered_object *o = item->o;
	struct plan_change *c = push(p, action_of(item));

	c->kind = keep(p, o->kind);
	c->namespace = keep(p, o->namespace);
	c->name = keep(p, sensitive_name(o->tree));
	c->place = keep(p, rendered_place(&run->arena, &run->rendered, o));
	if (c->action == PLAN_REFUSED || c->action == PLAN_RECREATE)
		c->message = keep(p, sensitive_scrub(&run->arena, o->tree, str_c(item->err.msg)));
	compare(run, item, c);
	if (c->action == PLAN_CHANGE && is_ignored(run, item)) {
		c->action = PLAN_NONE;
		c->nfields = c->more = 0;
	}
}

/* An Application's that may stay is no difference. */
static void without_extraneous(struct run *run, struct plan_entry *v, size_t *n)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (!argo_leaves(run, &v[i]))
			v[kept++] = v[i];
	}
	*n = kept;
}

static void add_entries(struct unitplan *p, const struct plan_entry *v, size_t n,
			enum plan_action action, struct str why)
{
	for (size_t i = 0; i < n; i++) {
		struct plan_change *c = push(p, action);

		c->kind = keep(p, v[i].kind);
		c->namespace = keep(p, v[i].namespace);
		c->name = keep(p, v[i].name);
		c->message = keep(p, why);
	}
}

void run_plan_ready(struct run *run)
{
	struct unitplan *p = run->u->plan;
	const struct json *o = unit_tree(run->u, &run->arena);
	struct plan_prune_opts opts = {.inventory = unit_inventory(run->u, &run->arena),
				       .revision = run->revision,
				       .confirmed = meta_annotation(o, PRUNE_CONFIRM),
				       .enabled =
					       json_bool(json_get(run->spec, STR("prune")), false)};

	struct plan_prune *go = &run->prune;
	bool off = run->u->argo && !opts.enabled;

	if (run->u->argo)
		argo_prune_opts(run, &opts);
	plan_prune(&run->arena, &run->rendered, &opts, go);
	if (run->u->argo) {
		without_extraneous(run, go->go, &go->ngo);
		without_extraneous(run, go->held, &go->nheld);
	}
	p->report.v =
		arena_array(&p->arena, run->n + json_len(opts.inventory) + 1, sizeof(*p->report.v));
	for (size_t i = 0; i < run->n; i++)
		add_item(run, &run->items[i]);
	add_entries(p, go->go, go->ngo, off ? PLAN_KEEP : PLAN_DELETE,
		    off ? STR("pruning is off") : STR_NONE);
	add_entries(p, go->held, go->nheld, PLAN_KEEP, go->why);
	end(run);
}
