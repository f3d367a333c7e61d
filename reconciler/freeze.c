/*
 * Mode `propose`: a drifted field stays as it is live until somebody decides, and all else keeps
 * rolling out. Merging the drift commit decides for it (git then says what is live), deleting the
 * branch decides against it (git's value is put back, and the same drift is corrected at once from
 * then on). When git changes such a field itself, git wins. On the role's loop; frozen fields
 * belong to their entry.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/kube/resources.h"
#include "reconciler/argo.h"
#include "reconciler/drifts.h"
#include "reconciler/leftover.h"

struct frozen {
	char *path, *git, *live; /* JSON; live NULL = the field was removed */
};

static char *text_of(const struct json *v)
{
	struct buf text = {0};

	if (!v)
		return NULL;
	json_write(v, &text);
	return buf_take(&text);
}

static void clear(struct frozen *f)
{
	free(f->path);
	free(f->git);
	free(f->live);
}

static void thaw_at(struct entry *e, size_t i)
{
	clear(&e->frozen[i]);
	e->frozen[i] = e->frozen[--e->nfrozen];
}

void entry_thaw(struct entry *e)
{
	while (e->nfrozen)
		thaw_at(e, 0);
	free(e->frozen);
	e->frozen = NULL;
	e->frozen_gone = false;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool entry_freeze(struct entry *e, const struct drift_item *item)
{
	struct frozen next;

	if (item->op == DRIFT_DELETED) {
		bool news = !e->frozen_gone;

		e->frozen_gone = true;
		return news;
	}
	next = (struct frozen){.path = xstrndup(item->path.p, item->path.n),
			       .git = text_of(item->git),
			       .live = text_of(item->live)};
	for (size_t i = 0; i < e->nfrozen; i++) {
		if (strcmp(e->frozen[i].path, next.path) != 0)
			continue;
		if (same_text(e->frozen[i].live, next.live)) {
			clear(&next);
			return false;
		}
		clear(&e->frozen[i]);
		e->frozen[i] = next;
		return true;
	}
	e->frozen = xreallocarray(e->frozen, e->nfrozen + 1, sizeof(*e->frozen));
	e->frozen[e->nfrozen++] = next;
	return true;
}

static bool still_drifts(const struct drift_list *l, const char *path)
{
	for (size_t i = 0; i < l->n; i++) {
		if (str_is(l->v[i].path, path))
			return true;
	}
	return false;
}

void entry_looked(struct entry *e, const struct json *live, const struct drift_list *now)
{
	if (str_to_u64(json_str(json_at(live, "metadata", "resourceVersion")), &e->looked))
		e->looked = 0;
	for (size_t i = e->nfrozen; i > 0; i--) {
		if (!still_drifts(now, e->frozen[i - 1].path))
			thaw_at(e, i - 1);
	}
	if (e->frozen_gone && !still_drifts(now, ""))
		e->frozen_gone = false;
}

static void overlay(struct arena *a, struct json *tree, const struct frozen *f, struct json *at)
{
	struct str head, key;

	if (f->live) {
		*at = *json_parse(a, arena_str(a, str_c(f->live)), NULL, NULL);
		return;
	}
	/* Not saying it gives it up: what nobody else owns goes away, as somebody wanted. */
	if (str_rcut(str_c(f->path), '/', &head, &key) &&
	    json_is(json_pointer(tree, head), JSON_OBJECT))
		json_del(json_pointer(tree, head), key);
}

struct json *entry_overlay(struct entry *e, struct arena *a, const struct json *declared)
{
	struct json *tree = json_copy(a, declared);

	/* An edit that comes between would be undone by the older value that waits here. */
	if (e->nfrozen && e->looked)
		json_set_str(a, json_get(tree, STR("metadata")), "resourceVersion",
			     arena_strf(a, "%" PRIu64, e->looked));
	for (size_t i = e->nfrozen; i > 0; i--) {
		struct frozen *f = &e->frozen[i - 1];
		struct json *at = json_pointer(tree, str_c(f->path));
		const struct json *git = json_parse(a, arena_str(a, str_c(f->git)), NULL, NULL);

		if (!at || !git || !json_equal(at, git))
			thaw_at(e, i - 1);
		else
			overlay(a, tree, f, at);
	}
	return tree;
}

static bool anything_frozen(const struct unit *u)
{
	struct map_iter it = {0};

	while (map_next(&u->entries, &it)) {
		const struct entry *e = it.value;

		if (e->nfrozen || e->frozen_gone)
			return true;
	}
	return false;
}

void unit_settle(struct unit *u)
{
	bool drifts = anything_frozen(u);

	if (u->drifts && u->drifts->proposed && !drifts)
		drifts_close(u->drifts);
	leftover_settle(u, drifts);
}

bool drift_rejected(const struct unit *u, const char *id)
{
	return map_has(&u->rejected, str_c(id));
}

bool unit_proposes(const struct unit *u)
{
	return u->drifts && u->drifts->proposed && u->drifts->commit[0];
}

#define REJECTED_MAX 200

void drift_recall(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	struct str rest = meta_annotation(unit_tree(u, &a), REJECTED_DRIFT), id;

	while (rest.n && str_next(&rest, ',', &id) && u->rejected.n < REJECTED_MAX) {
		if (id.n && id.n < 40)
			map_set(&u->rejected, id, u);
	}
}

static void on_remembered(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code && answer->err.code != ERR_NOT_FOUND)
		log_warn("cannot write down which drift was rejected", "error", answer->err.msg);
}

/* An annotation of the Kustomization outlives us, and the report that goes away with this. */
static void remember_rejected(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf ids = {0};
	AUTO(buf) struct buf body = {0};
	struct map_iter it = {0};
	struct api_call call = {.verb = API_PATCH,
				.resource = unit_resource(u),
				.namespace = u->o->namespace,
				.name = u->o->name,
				.patch = API_PATCH_MERGE};

	for (size_t n = 0; n < REJECTED_MAX && map_next(&u->rejected, &it); n++)
		buf_printf(&ids, "%s%.*s", n ? "," : "", STR_ARG(it.key));
	json_write(json_build(&a, "{s:{s:{s:S}}}", "metadata", "annotations", REJECTED_DRIFT,
			      buf_view(&ids)),
		   &body);
	call.body = buf_view(&body);
	client_call(u->r->client, &call, on_remembered, NULL);
}

void unit_reject(struct unit *u)
{
	struct map_iter it = {0};
	struct drifts *d = u->drifts;

	log_info("drift is rejected", "unit", u->key, "branch", d->branch);
	if (u->rejected.n + d->n > REJECTED_MAX)
		map_release(&u->rejected);
	for (size_t i = 0; i < d->n; i++)
		map_set(&u->rejected, str_c(d->v[i].id), u);
	remember_rejected(u);
	while (map_next(&u->entries, &it))
		entry_thaw(it.value);
	drifts_close(d);
	u->full = true;
	unit_look(u);
}

/* ---- which branches stand: asked for with every poll of the source ---- */

struct json *proposed_branches(struct reconciler *r, const struct source *s, struct arena *a)
{
	struct json *list = json_new(a, JSON_ARRAY);
	struct map_iter it = {0};

	while (map_next(&r->units, &it)) {
		struct unit *u = it.value;

		if (unit_proposes(u) && unit_source(u, json_get(unit_tree(u, a), STR("spec"))) == s)
			json_append_str(a, list, str_c(u->drifts->branch));
	}
	return list;
}

static bool stands(const struct json *list, const char *branch)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_is(json_str(json_item(list, i)), branch))
			return true;
	}
	return false;
}

void source_branches(struct source *s, const struct json *asked, const struct json *there)
{
	struct map_iter it = {0};

	while (json_len(asked) && map_next(&s->r->units, &it)) {
		struct unit *u = it.value;

		if (unit_proposes(u) && stands(asked, u->drifts->branch) &&
		    !stands(there, u->drifts->branch) && !drift_pull_decides(u->drifts))
			unit_reject(u);
	}
}
