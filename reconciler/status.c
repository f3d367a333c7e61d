/*
 * What a Kustomization says of itself. One merge patch of the status per report, only when it says
 * something new; events for what a person wants to know; figures for dashboards. On the role's
 * loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "reconciler/alert.h"
#include "reconciler/argo.h"
#include "reconciler/engine.h"
#include "reconciler/gotk.h"
#include "reconciler/history.h"

#define MESSAGE_MAX 20000

/* A report in the making. */
struct report {
	struct unit *u;
	struct arena *a;
	const struct unit_report *rep;
	struct json *o, *status, *patch;
	bool changed;
};

static void put_text(struct report *r, const char *key, struct str value)
{
	if (!value.p || str_eq(json_str(json_get(r->status, str_c(key))), value))
		return;
	json_set_str(r->a, r->patch, key, value);
	r->changed = true;
}

/* ---- conditions ---- */

static void condition_drop(struct report *r, const char *type)
{
	struct json *all = json_get(r->status, STR("conditions"));

	for (size_t i = json_len(all); i > 0; i--) {
		if (str_is(json_str(json_get(json_item(all, i - 1), STR("type"))), type)) {
			json_remove(all, i - 1);
			r->changed = true;
		}
	}
}

static bool condition_put(struct report *r, const char *type, const char *status,
			  const char *reason, struct str message)
{
	bool news =
		condition_set(r->a, r->o, type, status, reason, message, loop_wall(r->u->r->loop));

	r->changed |= news;
	return news;
}

/* Working on it, trying again, or given up until somebody changes something. */
static void put_progress(struct report *r)
{
	const struct unit_report *rep = r->rep;

	if (!strcmp(rep->ready, "True") || rep->stalled)
		condition_drop(r, "Reconciling");
	else
		condition_put(r, "Reconciling", "True",
			      !strcmp(rep->ready, "Unknown") ? "Progressing"
							     : "ProgressingWithRetry",
			      rep->message);
	if (rep->stalled)
		condition_put(r, "Stalled", "True", rep->reason, rep->message);
	else
		condition_drop(r, "Stalled");
}

static void put_integrity(struct report *r)
{
	switch (r->u->integrity) {
	case INTEGRITY_UNKNOWN:
		return;
	case INTEGRITY_NONE:
		condition_drop(r, "SecretsIntegrity");
		return;
	case INTEGRITY_GOOD:
		condition_put(r, "SecretsIntegrity", "True", "MACVerified",
			      STR("the MACs of all encrypted files fit"));
		return;
	case INTEGRITY_BROKEN:
		condition_put(r, "SecretsIntegrity", "False", "MACMismatch", str_c(r->u->broken));
		return;
	}
}

static bool put_conditions(struct report *r)
{
	const struct unit_report *rep = r->rep;
	bool news = condition_put(r, "Ready", rep->ready, rep->reason, rep->message);

	put_progress(r);
	if (rep->healthy)
		condition_put(r, "Healthy", rep->healthy, rep->reason, rep->message);
	else if (rep->unwatched)
		condition_drop(r, "Healthy");
	put_integrity(r);
	json_set(r->a, r->patch, STR("conditions"), json_get(r->status, STR("conditions")));
	return news;
}

/* ---- the rest ---- */

/* Known while the source has that revision. */
static struct str origin_of(struct unit *u, struct str revision)
{
	AUTO(arena) struct arena a = {0};
	const struct source *s = unit_source(u, json_get(unit_tree(u, &a), STR("spec")));

	return s && s->revision && str_is(revision, s->revision) ? str_c(s->origin ?: "")
								 : STR_NONE;
}

/* Kept here too: the cache may still show the list without the last entry. */
static void put_history(struct report *r)
{
	struct unit *u = r->u;
	int64_t now = loop_now(u->r->loop);
	struct history_entry e = {.digest = str_c(u->digest),
				  .status = str_c(r->rep->reason),
				  .revision = r->rep->attempted.p ? r->rep->attempted
								  : str_c(u->revision),
				  .now_ns = loop_wall(u->r->loop),
				  .took_ns = now - u->began};
	const struct json *old =
		u->history ? json_parse(r->a, arena_str(r->a, str_c(u->history)), NULL, NULL)
			   : json_get(r->status, STR("history"));
	struct gotk_object who = {"Kustomization", u->o->namespace, u->o->name};
	struct buf text = {0};
	struct json *list;

	if (!r->rep->ended || !u->began)
		return;
	e.origin = origin_of(u, e.revision);
	gotk_took(&who, e.took_ns);
	u->began = 0;
	if (!e.digest.n || !e.revision.n)
		return;
	list = history_add(r->a, old, &e);
	json_write(list, &text);
	json_set(r->a, r->patch, STR("history"), list);
	r->changed = true;
	free(u->history);
	u->history = buf_take(&text);
}

/* What the applied artifact was made of; goes when the next one doesn't say. */
static void put_origin(struct report *r)
{
	struct str was = json_str(json_get(r->status, STR("lastAppliedOriginRevision"))),
		   now = origin_of(r->u, r->rep->applied);

	if (!r->rep->applied.p || str_eq(was, now))
		return;
	json_set(r->a, r->patch, STR("lastAppliedOriginRevision"),
		 now.n ? json_new_str(r->a, now) : NULL);
	r->changed = true;
}

static void put_rest(struct report *r)
{
	const struct unit_report *rep = r->rep;
	struct unit *u = r->u;

	put_text(r, "lastAttemptedRevision", rep->attempted);
	put_text(r, "lastAppliedRevision", rep->applied);
	put_origin(r);
	put_text(r, "lastHandledReconcileAt",
		 u->handled && !rep->partial ? str_c(u->handled) : STR_NONE);
	if (json_int(json_get(r->status, STR("observedGeneration")), 0) != u->o->generation) {
		json_set_int(r->a, r->patch, "observedGeneration", u->o->generation);
		r->changed = true;
	}
	if (rep->inventory && !json_equal(unit_inventory(u, r->a), rep->inventory)) {
		json_set(r->a, r->patch, STR("inventory"),
			 json_build(r->a, "{s:o}", "entries", rep->inventory));
		r->changed = true;
	}
	put_history(r);
}

static void tell(struct unit *u, const struct json *o, const struct unit_report *rep)
{
	bool bad = !strcmp(rep->ready, "False");
	struct str revision = rep->attempted.p ? rep->attempted : str_c(u->revision);

	u->untold = false;
	if (bad)
		log_warn("not applied", "unit", u->key, "reason", rep->reason, "error",
			 log_fmt("%.*s", STR_ARG(rep->message)));
	else
		log_info("applied", "unit", u->key, "message",
			 log_fmt("%.*s", STR_ARG(rep->message)));
	recorder_event(u->r->recorder, o, bad ? "Warning" : "Normal", rep->reason, "%.*s",
		       (int)MIN(rep->message.n, (size_t)1000), rep->message.p);
	alert_unit(u, &(struct alert_event){.error = bad,
					    .reason = rep->reason,
					    .message = str_sub(rep->message, 0, 1000),
					    .revision = revision,
					    .origin = origin_of(u, revision),
					    .wall_ns = loop_wall(u->r->loop)});
}

void unit_report(struct unit *u, const struct unit_report *rep)
{
	AUTO(arena) struct arena a = {0};
	struct unit_report copy = *rep;
	struct report r = {.u = u, .a = &a, .rep = &copy};
	bool news;

	if (!u->o || u->plan)
		return;
	copy.message = str_sub(rep->message, 0, MESSAGE_MAX);
	u->ready = !strcmp(rep->ready, "True");
	if (u->argo) {
		argo_report(u, &copy);
		if (rep->event)
			tell(u, unit_tree(u, &a), &copy);
		return;
	}
	r.o = json_copy(&a, unit_tree(u, &a));
	r.status = json_set_object(&a, r.o, "status");
	r.patch = json_new(&a, JSON_OBJECT);
	news = put_conditions(&r);
	put_rest(&r);
	if (r.changed || statusq_busy(u->r->statuses, &res_kustomizations, u->o))
		statusq_put(u->r->statuses, &res_kustomizations, u->o,
			    json_build(&a, "{s:o}", "status", r.patch));
	gotk_condition(&(struct gotk_object){"Kustomization", u->o->namespace, u->o->name},
		       rep->ready);
	if (rep->event && (news || !u->ready))
		tell(u, r.o, &copy);
}
