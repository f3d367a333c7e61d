/*
 * The resources of an Application's status: each object's kind and name, whether it is as git says
 * and how it fares; what is missing and what is kept from being pruned; the images in use. Never
 * shows a value of an object. On the role's loop; what is made lives in the telling's arena.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/kube/resources.h"
#include "reconciler/argo_orphans.h"
#include "reconciler/argo_status.h"
#include "reconciler/sensitive.h"

#define RESOURCES_MAX 2000

const char *const argo_healths[] = {"Healthy", "Suspended", "Progressing", "Missing", "Degraded"};

static int health_rank(const struct unit *u, const struct entry *e, const struct json *live,
		       struct arena *a, struct str *why)
{
	struct health_result h;

	if (!live) {
		*why = arena_strf(a, "%s %s is missing", e->kind, e->name);
		return 3;
	}
	if (!strcmp(e->kind, "Deployment") && json_bool(json_at(live, "spec", "paused"), false))
		return 1;
	h = unit_health_of(u, live, a);
	*why = arena_strf(a, "%s %s: %.*s", e->kind, e->name, STR_ARG(h.message));
	return h.state == HEALTH_CURRENT ? 0 : h.state == HEALTH_FAILED ? 4 : 2;
}

static bool is_drifted(const struct entry *e)
{
	return e->nfrozen || e->frozen_gone || e->gone;
}

static bool is_different(const struct argo *g, const struct entry *e, struct arena *a)
{
	struct str line = arena_strf(a, "%s/%s/%s\n", e->namespace, e->kind, e->name);
	struct str all = str_c(g->differs);
	ptrdiff_t at = all.n ? str_find(all, line) : -1;

	return at == 0 || (at > 0 && all.p[at - 1] == '\n');
}

static void add_images(struct telling *w, const struct json *live)
{
	const struct json *containers = json_at(live, "spec", "template", "spec", "containers")
						?: json_at(live, "spec", "containers");

	for (size_t i = 0; i < json_len(containers) && json_len(w->images) < 50; i++) {
		struct str image = json_str(json_get(json_item(containers, i), STR("image")));
		bool known = !image.n;

		for (size_t k = 0; k < json_len(w->images) && !known; k++)
			known = str_eq(json_str(json_item(w->images, k)), image);
		if (!known)
			json_append_str(w->a, w->images, image);
	}
}

static void add_entry(struct telling *w, struct entry *e)
{
	const struct obj *o = entry_live(e);
	AUTO(arena) struct arena a = {0};
	const struct json *live = o ? obj_tree(o, &a) : NULL;
	bool out = is_drifted(e) || is_different(w->g, e, &a);
	struct str group, version, why = STR_NONE;
	int rank = health_rank(w->u, e, live, &a, &why), wave;
	struct json *r, *health;

	w->out += out;
	if (rank > w->worst &&
	    !(live && str_is(meta_annotation(live, ARGO_IGNORE_HEALTH), "true"))) {
		w->worst = rank;
		w->why = arena_str(w->a, why);
	}
	if (live)
		add_images(w, live);
	if (json_len(w->resources) >= RESOURCES_MAX)
		return;
	api_version_split(str_c(e->api_version), &group, &version);
	r = json_append_object(w->a, w->resources);
	if (group.n)
		json_set_str(w->a, r, "group", group);
	json_set_str(w->a, r, "version", version);
	json_set_str(w->a, r, "kind", str_c(e->kind));
	if (e->namespace[0])
		json_set_str(w->a, r, "namespace", str_c(e->namespace));
	json_set_str(w->a, r, "name", str_c(e->name));
	json_set_str(w->a, r, "status", out ? STR("OutOfSync") : STR("Synced"));
	health = json_set_object(w->a, r, "health");
	json_set_str(w->a, health, "status", str_c(argo_healths[rank]));
	if (rank && why.n)
		json_set_str(w->a, health, "message", why);
	wave = argo_wave(entry_declared(e, &a));
	if (wave)
		json_set_int(w->a, r, "syncWave", wave);
}

/* What the comparison found beside the entries: nothing of it was ever applied. */
static void add_missing(struct telling *w)
{
	struct str rest = str_c(w->g->differs), line;
	struct map_iter it = {0};
	AUTO(map) struct map have = {0};

	while (map_next(&w->u->entries, &it)) {
		const struct entry *e = it.value;

		map_set(&have, arena_strf(w->a, "%s/%s/%s", e->namespace, e->kind, e->name), w);
	}
	while (rest.p && str_next(&rest, '\n', &line)) {
		struct str ns, kind, name, tail;
		struct json *r;

		if (!line.n || map_has(&have, line) || json_len(w->resources) >= RESOURCES_MAX)
			continue;
		str_cut(line, '/', &ns, &tail);
		str_cut(tail, '/', &kind, &name);
		r = json_append_object(w->a, w->resources);
		json_set_str(w->a, r, "kind", kind);
		if (ns.n)
			json_set_str(w->a, r, "namespace", ns);
		json_set_str(w->a, r, "name", name);
		json_set_str(w->a, r, "status", STR("OutOfSync"));
		w->out++;
	}
}

/* What git no longer has, and is there: one line each, as argo_note_held() writes them. */
static void add_held(struct telling *w)
{
	static const char *const keys[] = {"group", "version", "kind", "namespace", "name"};
	struct str rest = str_c(w->g->held), line;

	while (rest.p && str_next(&rest, '\n', &line)) {
		struct str fields = str_sub(line, 3, line.n), value;
		struct json *r;

		if (line.n < 4 || json_len(w->resources) >= RESOURCES_MAX)
			continue;
		r = json_append_object(w->a, w->resources);
		for (size_t i = 0; i < ARRAY_LEN(keys) && str_next(&fields, '/', &value); i++) {
			if (value.n)
				json_set_str(w->a, r, keys[i], value);
		}
		json_set_str(w->a, r, "status",
			     line.p[0] == '1' ? STR("OutOfSync") : STR("Synced"));
		json_set_bool(w->a, r, "requiresPruning", true);
		if (line.p[1] == '1')
			json_set_bool(w->a, r, "requiresDeletionConfirmation", true);
	}
}

static int by_name(const void *pa, const void *pb)
{
	const struct entry *const *a = pa, *const *b = pb;

	return strcmp((*a)->id, (*b)->id);
}

void argo_add_resources(struct telling *w)
{
	struct entry **v = arena_array(w->a, w->u->entries.n + 1, sizeof(struct entry *));
	struct map_iter it = {0};
	size_t n = 0;

	w->resources = json_new(w->a, JSON_ARRAY);
	w->images = json_new(w->a, JSON_ARRAY);
	while (map_next(&w->u->entries, &it))
		v[n++] = it.value;
	if (n)
		qsort(v, n, sizeof(struct entry *), by_name);
	for (size_t i = 0; i < n; i++)
		add_entry(w, v[i]);
	add_held(w);
	add_missing(w);
}
