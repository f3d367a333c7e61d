/*
 * Drift as it happens: each change of an object that a unit declares is compared with what git says
 * and, in mode `correct`, put back at once. Our own writes compare equal and end here. Somebody who
 * keeps writing against us is met with growing pauses instead of a race. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"
#include "reconciler/argo.h"
#include "reconciler/autoscaled.h"
#include "reconciler/drifts.h"

#define FIGHT_WINDOW (60 * NS_PER_S)
#define FIGHT_FREE 5 /* corrections within the window before pauses begin */

struct fix {
	struct reconciler *r;
	char *key;  /* of the unit */
	char *id;   /* of the entry */
	char *hash; /* of what was sent */
};

static void recheck(struct entry *e);

static struct entry *fix_entry(const struct fix *f)
{
	struct unit *u = map_get(&f->r->units, str_c(f->key));
	struct entry *e = u ? map_get(&u->entries, str_c(f->id)) : NULL;

	return e && !strcmp(e->hash, f->hash) ? e : NULL;
}

static void on_fixed(void *arg, const struct api_answer *answer)
{
	struct fix *f = arg;
	struct entry *e = fix_entry(f);
	struct unit *u = map_get(&f->r->units, str_c(f->key));
	/* Written meanwhile by somebody whose edit is looked at instead. */
	bool moved = e && e->nfrozen && answer->err.code == ERR_CONFLICT;
	bool failed = answer->err.code && !moved;

	if (e) {
		e->fixing = false;
		e->dirty |= moved;
		if (!answer->err.code) {
			entry_accept(e, answer->body);
			e->gone = false;
			e->overlaid = e->nfrozen > 0;
		}
	}
	if (failed && u) {
		log_warn("cannot put back", "object", f->id, "error", answer->err.msg);
		u->full = true;
		unit_look_after(u, 2 * NS_PER_S);
	}
	/* Another edit may have come meanwhile. */
	if (e && !failed && !u->run)
		recheck(e);
	free(f->key);
	free(f->id);
	free(f->hash);
	free(f);
}

static void put_back(struct entry *e)
{
	struct unit *u = e->unit;
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	const struct obj *there = entry_live(e);
	const struct json *tree, *live = there ? obj_tree(there, &a) : NULL;
	struct fix *f = xalloc(sizeof(*f));
	struct api_call call = {.verb = API_APPLY,
				.resource = e->resource,
				.namespace = str_c(e->namespace),
				.name = str_c(e->name),
				.body = {e->bytes, e->nbytes},
				.force = true,
				.field_manager = FIELD_MANAGER};

	call.impersonate = unit_acts_as(u, &a);
	if (e->nfrozen || u->argo || autoscaled(live)) {
		tree = autoscaled_keep(&a, json_parse(&a, call.body, NULL, NULL), live);
		json_write(argo_respect(e, &a, entry_overlay(e, &a, tree)), &body);
		call.body = buf_view(&body);
	}
	f->r = u->r;
	f->key = xstrdup(u->key);
	f->id = xstrdup(e->id);
	f->hash = xstrdup(e->hash);
	e->fixing = true;
	client_call(u->r->client, &call, on_fixed, f);
}

/* True when it is time for a pause: the same object was put back again and again. */
static bool fighting(struct entry *e)
{
	int64_t now = loop_now(e->unit->r->loop);
	static const struct backoff pauses = {.base_ns = NS_PER_S, .max_ns = 300 * NS_PER_S};

	if (now - e->fixed_at > FIGHT_WINDOW)
		e->fixes = 0;
	if (e->fixes >= FIGHT_FREE) {
		int64_t until = e->fixed_at + backoff_after(&pauses, e->fixes - FIGHT_FREE);

		if (now < until) {
			unit_look_after(e->unit, until - now);
			e->unit->full = true;
			return true;
		}
	}
	e->fixes++;
	e->fixed_at = now;
	return false;
}

/* correct, propose, adopt, ignore: said by the object as declared, else by its Kustomization. */
static struct str mode_of(const struct unit *u, const struct json *declared, struct arena *a)
{
	struct str mode = meta_annotation(declared, DRIFT_MODE);

	if (!mode.n)
		mode = meta_annotation(unit_tree(u, a), DRIFT_MODE);
	return mode.n ? mode : STR("correct");
}

static void tell(struct entry *e, const struct drift_list *l, const struct json *declared,
		 bool proposed)
{
	const struct drift_item *first = &l->v[0];

	log_info("drift", "object", e->id, "what", drift_op_text(first->op), "path",
		 log_fmt("%.*s", STR_ARG(first->path)), "by",
		 log_fmt("%.*s", STR_ARG(first->manager)));
	recorder_event(e->unit->r->recorder, declared, "Warning",
		       proposed ? "DriftProposed" : "DriftCorrected",
		       "%s%s%.*s in the cluster, not in git; %s (written by %.*s)",
		       drift_op_text(first->op), first->path.n ? " " : "", STR_ARG(first->path),
		       proposed ? "proposed as a commit" : "put back",
		       STR_ARG(first->manager.n ? first->manager : STR("somebody unknown")));
}

/* Leaves in the list what is to be put back; freezes and tells the rest. */
static void propose(struct entry *e, const struct json *declared, struct drift_list *l, bool adopt)
{
	struct drift_list news = {.v = l->v};
	size_t back = 0;
	struct drift_item *copy = xreallocarray(NULL, l->n, sizeof(*copy));

	for (size_t i = 0; i < l->n; i++) {
		struct drift_item item = l->v[i];
		char id[17];

		drift_id(e, declared, &item, id);
		if (drift_rejected(e->unit, id))
			copy[back++] = item;
		else if (entry_freeze(e, &item))
			news.v[news.n++] = item;
	}
	if (news.n) {
		tell(e, &news, declared, true);
		drifts_note(e->unit, e, declared, &news, true);
		e->unit->drifts->adopting = adopt;
	}
	memcpy(l->v, copy, back * sizeof(*copy));
	l->n = back;
	free(copy);
}

bool drift_decide(struct entry *e, const struct json *declared, struct drift_list *l)
{
	AUTO(arena) struct arena a = {0};
	struct str mode = mode_of(e->unit, declared, &a);
	bool proposes = str_is(mode, "propose") || str_is(mode, "adopt");

	argo_filter(e->unit, declared, l);
	if (!l->n || str_is(mode, "ignore"))
		return false;
	if (proposes)
		propose(e, declared, l, str_is(mode, "adopt"));
	if (!l->n || fighting(e))
		return false;
	tell(e, l, declared, false);
	/* What is left here of a mode that proposes was rejected before: no second branch for it.
	 */
	if (!proposes)
		drifts_note(e->unit, e, declared, l, false);
	return true;
}

static void look(struct entry *e, const struct obj *live)
{
	AUTO(arena) struct arena a = {0};
	struct drift_list l;
	const struct json *declared = entry_declared(e, &a);
	const struct json *tree = live ? obj_tree(live, &a) : NULL;

	if (live && (str_ieq(meta_annotation(tree, UNIT_RECONCILE), STR("disabled")) ||
		     str_ieq(meta_label(tree, UNIT_RECONCILE), STR("disabled"))))
		return;
	if (e->kept) {
		/* Let go of: what git says since is still to come. */
		e->kept = false;
		e->unit->full = true;
		unit_look(e->unit);
		return;
	}
	if (!declared || e->fixing || !e->accepted)
		return;
	drift_compare(&a, schema_find_kind(str_c(e->api_version), str_c(e->kind)), declared, tree,
		      e->overlaid ? NULL : obj_tree(e->accepted, &a), &l);
	if (live && live->deleted_ns)
		return; /* it comes back as DELETED */
	entry_looked(e, tree, &l);
	unit_settle(e->unit);
	if (l.n && drift_decide(e, declared, &l))
		put_back(e);
}

/* What was there before our own last write tells nothing. */
static bool is_past(const struct entry *e, const struct obj *o)
{
	return e->accepted && o->revision < e->accepted->revision;
}

void drift_on_change(struct reconciler *r, const struct obj *old, const struct obj *new)
{
	struct entry *e = entry_of(r, new ? new : old);

	if (!e)
		return;
	e->gone = !new && !is_past(e, old);
	entry_saw(e, new);
	if (e->unit->far) {
		/* Not ours to put back, but to wait for. */
		if (e->unit->health_until)
			unit_health_look(e->unit);
		return;
	}
	if (e->unit->run || unit_suspended(e->unit) || argo_shut(e->unit))
		e->dirty = true;
	else if (!is_past(e, new ? new : old))
		look(e, new);
	if (e->unit->health_until)
		unit_health_look(e->unit);
	if (e->unit->argo)
		argo_look_later(e->unit);
}

static void recheck(struct entry *e)
{
	const struct obj *live = entry_live(e);

	/* What the cache hasn't seen yet comes as a change of its own. */
	if (live ? !is_past(e, live) : e->gone)
		look(e, live);
}

/*
 * What changed between a run's look at an object and the moment from which its changes are heard
 * of: nobody would tell of it again.
 */
static bool missed(struct entry *e)
{
	const struct obj *live = e->fresh ? entry_live(e) : NULL;

	e->fresh = false;
	return live && e->accepted && live->revision > e->accepted->revision;
}

void drift_recheck(struct unit *u)
{
	struct map_iter it = {0};

	if (unit_suspended(u) || u->far)
		return;
	while (map_next(&u->entries, &it)) {
		struct entry *e = it.value;

		if (!e->dirty && !missed(e))
			continue;
		e->dirty = false;
		recheck(e);
		/* That may have begun a run, and it looks again at its end. */
		if (u->run)
			return;
	}
}
