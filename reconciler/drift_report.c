/*
 * Collecting drift for a unit: what happens within a moment is told together, and the same field
 * that drifts again replaces what was noted of it. On the role's loop; notes are owned here.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"
#include "reconciler/drifts.h"
#include "reconciler/goodbye.h"

#define PUSH_WINDOW (120 * NS_PER_S)
#define PUSHES_FREE 4           /* within the window before pauses begin */
#define QUIET (100 * NS_PER_MS) /* what comes within this goes into one commit */

static void note_clear(struct drift_note *n)
{
	free(n->entry);
	free(n->api_version);
	free(n->kind);
	free(n->namespace);
	free(n->name);
	free(n->place);
	free(n->file);
	free(n->path);
	free(n->git);
	free(n->live);
	free(n->manager);
	free(n->git_json);
	free(n->live_json);
	free(n->reason);
	*n = (struct drift_note){0};
}

static void clear(struct drifts *d)
{
	for (size_t i = 0; i < d->n; i++)
		note_clear(&d->v[i]);
	d->n = 0;
}

void drifts_free(struct unit *u)
{
	struct drifts *d = u->drifts;

	if (!d)
		return;
	loop_timer_cancel(u->r->loop, &d->timer);
	loop_timer_cancel(u->r->loop, &d->away);
	source_call_cancel(d->helper);
	drift_pull_free(d);
	clear(d);
	free(d->problem);
	free(d);
	u->drifts = NULL;
}

void drifts_reset(struct unit *u)
{
	/* What is being told right now is still told: it was true of the old revision; and what
	 * waits for a decision goes on waiting. */
	if (u->drifts && !u->drifts->proposed && !u->drifts->helper &&
	    !loop_timer_armed(&u->drifts->timer))
		clear(u->drifts);
}

static void on_quiet(struct loop *l, struct loop_timer *t)
{
	struct drifts *d = CONTAINER_OF(t, struct drifts, timer);

	(void)l;
	if (d->helper) {
		d->again = true;
		return;
	}
	d->noted_at = 0;
	d->pushes++;
	d->pushed_at = loop_now(l);
	drift_object_write(d);
	drift_commit(d);
}

static char *json_text(const struct json *v)
{
	struct buf text = {0};

	if (!v)
		return NULL;
	json_write(v, &text);
	return buf_take(&text);
}

static char *copy(struct str s)
{
	return xstrndup(s.p ? s.p : "", s.n);
}

static bool is_sensitive(const struct entry *e, const struct drift_item *item)
{
	return !strcmp(e->kind, "Secret") || (item->git && item->git->flags & JSON_F_SENSITIVE);
}

void drift_id(const struct entry *e, const struct json *declared, const struct drift_item *item,
	      char ret[17])
{
	AUTO(arena) struct arena a = {0};
	struct str live = drift_redacted(&a, declared, item->live);
	char hex[65];

	sha256_hex(arena_strf(&a, "%s %.*s %d %.*s", e->id, STR_ARG(item->path), item->op,
			      STR_ARG(live)),
		   hex);
	memcpy(ret, hex, 16);
	ret[16] = 0;
}

static void note_fill(struct drift_note *n, const struct entry *e, const struct json *declared,
		      const struct drift_item *item)
{
	AUTO(arena) struct arena a = {0};
	bool hide = is_sensitive(e, item);

	n->entry = xstrdup(e->id);
	n->api_version = xstrdup(e->api_version);
	n->kind = xstrdup(e->kind);
	n->namespace = xstrdup(e->namespace);
	n->name = xstrdup(e->name);
	n->place = xstrdup(e->place);
	n->file = xstrdup(e->file);
	n->doc = e->doc;
	n->lone = e->lone;
	n->op = item->op;
	n->path = copy(item->path);
	n->git =
		copy(item->op == DRIFT_DELETED ? STR("") : drift_redacted(&a, declared, item->git));
	n->live = copy(hide && item->live ? STR("<sensitive>")
					  : drift_redacted(&a, declared, item->live));
	n->manager = copy(item->manager);
	n->git_json = hide || item->op == DRIFT_DELETED ? NULL : json_text(item->git);
	n->live_json = hide ? NULL : json_text(item->live);
	n->at_ns = loop_wall(e->unit->r->loop);
	drift_id(e, declared, item, n->id);
}

static struct drift_note *slot_for(struct drifts *d, const struct entry *e, struct str path)
{
	for (size_t i = 0; i < d->n; i++) {
		struct drift_note *n = &d->v[i];

		if (!strcmp(n->entry, e->id) && str_is(path, n->path)) {
			note_clear(n);
			return n;
		}
	}
	return d->n < NOTES_MAX ? &d->v[d->n++] : NULL;
}

void drifts_take_up(struct unit *u, const char *branch, const char *commit)
{
	struct drifts *d = u->drifts = xalloc(sizeof(*d));

	d->u = u;
	d->proposed = true;
	snprintf(d->branch, sizeof(d->branch), "%s", branch);
	snprintf(d->commit, sizeof(d->commit), "%s", commit);
}

void drifts_close(struct drifts *d)
{
	clear(d);
	d->proposed = false;
	loop_timer_cancel(d->u->r->loop, &d->timer);
	drift_object_delete(d);
	drift_pull_close(d);
	drift_commit_delete(d);
}

void drifts_goodbye(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	struct drifts *d = u->drifts;

	if (!d)
		return;
	if (d->commit[0] || d->helper)
		goodbye_branch(unit_source(u, json_get(unit_tree(u, &a), STR("spec"))), d->branch,
			       "What this is about is being deleted.");
	drift_object_delete(d);
	drifts_free(u);
}

/* Soon, but not at every change of a field that somebody keeps changing. */
static void pace(struct drifts *d)
{
	static const struct backoff pauses = {.base_ns = 2 * NS_PER_S, .max_ns = 300 * NS_PER_S};
	int64_t now = loop_now(d->u->r->loop), pause = QUIET;

	if (now - d->pushed_at > PUSH_WINDOW)
		d->pushes = 0;
	if (d->pushes >= PUSHES_FREE)
		pause = backoff_after(&pauses, d->pushes - PUSHES_FREE);
	/* What goes on all the time is told too. */
	if (!loop_timer_armed(&d->timer) || d->failures || now - d->noted_at < 5 * QUIET)
		loop_timer_set(d->u->r->loop, &d->timer, pause, on_quiet);
	if (!d->noted_at)
		d->noted_at = now;
}

void drifts_note(struct unit *u, struct entry *e, const struct json *declared,
		 const struct drift_list *l, bool proposed)
{
	struct drifts *d = u->drifts;
	bool news = false;

	if (!d) {
		d = u->drifts = xalloc(sizeof(*d));
		d->u = u;
		snprintf(d->branch, sizeof(d->branch), "plumb/drift/%s/%.*s-%.*s",
			 u->r->opts.cluster_name, STR_ARG(u->o->namespace), STR_ARG(u->o->name));
	}
	for (size_t i = 0; i < l->n; i++) {
		struct drift_note *n;
		char id[17];

		/* Put back all the same, but told of only once. */
		drift_id(e, declared, &l->v[i], id);
		if (drift_rejected(u, id))
			continue;
		n = slot_for(d, e, l->v[i].path);
		if (n) {
			note_fill(n, e, declared, &l->v[i]);
			n->proposed = proposed;
			news = true;
		}
	}
	d->proposed |= proposed;
	if (news)
		pace(d);
}
