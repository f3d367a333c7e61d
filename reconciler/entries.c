/*
 * What units declare, as it was applied last, and the watches that see it live. An entry belongs to
 * one unit at a time; the map `owned` finds it from a live object. Memory: entries are owned by
 * their unit, watches by the reconciler.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/resources.h"
#include "reconciler/engine.h"
#include "reconciler/said.h"
#include "reconciler/sensitive.h"

struct str entry_key(struct arena *a, struct str group, struct str kind, struct str namespace,
		     struct str name)
{
	return arena_strf(a, "%.*s/%.*s/%.*s/%.*s", STR_ARG(group), STR_ARG(kind),
			  STR_ARG(namespace), STR_ARG(name));
}

struct entry *entry_of(struct reconciler *r, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	struct str group, version;

	api_version_split(o->api_version, &group, &version);
	return map_get(&r->owned, entry_key(&a, group, o->kind, o->namespace, o->name));
}

static void set_text(char **slot, struct str s)
{
	free(*slot);
	*slot = xstrndup(s.p ? s.p : "", s.n);
}

static struct str owned_key(struct arena *a, const struct entry *e)
{
	return entry_key(a, str_c(e->resource->group), str_c(e->kind), str_c(e->namespace),
			 str_c(e->name));
}

static void keep_hidden(struct entry *e, const struct json *tree)
{
	struct buf paths = {0};

	sensitive_paths(tree, &paths);
	free(e->hidden);
	e->nhidden = paths.n;
	e->hidden = buf_take(&paths);
}

static void keep_said(struct entry *e, const struct rendered *from, const struct rendered_object *o)
{
	struct buf records = {0};

	said_elsewhere(from, o, &records);
	free(e->said);
	e->nsaid = records.n;
	e->said = buf_take(&records);
}

struct json *entry_declared(const struct entry *e, struct arena *a)
{
	struct json *tree = json_parse(a, (struct str){e->bytes, e->nbytes}, NULL, NULL);

	sensitive_mark(tree, (struct str){e->hidden, e->nhidden});
	return tree;
}

void entry_touch(struct entry *e, const struct rendered *from, const struct rendered_object *o)
{
	AUTO(arena) struct arena a = {0};
	struct str place = rendered_place(&a, from, o);

	if (!str_is(place, e->place))
		set_text(&e->place, place);
	if (!str_is(from->files.v[o->file].path, e->file))
		set_text(&e->file, from->files.v[o->file].path);
	keep_said(e, from, o);
	e->doc = o->doc;
	e->lone = o->lone;
}

/*
 * Two units that declare one object take it from each other for ever. One that was moved from the
 * other is no such case: that one has not been applied at this revision yet.
 */
static void look_shared(struct unit *u, const struct entry *e, const struct entry *other)
{
	AUTO(arena) struct arena a = {0};
	const struct unit *v = other->unit;
	const struct source *mine = unit_source(u, json_get(unit_tree(u, &a), STR("spec"))),
			    *theirs = unit_source(v, json_get(unit_tree(v, &a), STR("spec")));

	if (u->shared || v == u || v->run ||
	    (mine == theirs && mine && strcmp(v->commit, mine->commit) != 0))
		return;
	u->shared = xstrdup(arena_printf(&a,
					 "%s %s%s%s is declared by %s %.*s/%.*s as well: they "
					 "take it from each other",
					 e->kind, e->namespace, e->namespace[0] ? "/" : "", e->name,
					 v->argo ? "Application" : "Kustomization",
					 STR_ARG(v->o->namespace), STR_ARG(v->o->name)));
}

void entries_tell_shared(struct unit *u)
{
	AUTO(arena) struct arena a = {0};
	char *now = u->shared;

	u->shared = NULL;
	if (now && (!u->shared_told || strcmp(now, u->shared_told) != 0))
		recorder_event(u->r->recorder, unit_tree(u, &a), "Warning", "SharedObject", "%s",
			       now);
	free(u->shared_told);
	u->shared_told = now;
}

struct entry *entry_set(struct unit *u, const struct rendered *from,
			const struct rendered_object *o)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct entry *e = map_get(&u->entries, o->id);
	char hash[65];

	if (!e) {
		e = xalloc(sizeof(*e));
		e->unit = u;
		e->fresh = true;
		set_text(&e->id, o->id);
		map_set(&u->entries, o->id, e);
	}
	json_write(o->tree, &text);
	sha256_hex(buf_view(&text), hash);
	if (strcmp(hash, e->hash)) {
		e->frozen_gone = false;
		obj_unref(e->accepted);
		e->accepted = NULL;
		memcpy(e->hash, hash, sizeof(hash));
		free(e->bytes);
		e->nbytes = text.n;
		e->bytes = buf_take(&text);
		keep_hidden(e, o->tree);
	}
	set_text(&e->namespace, o->namespace);
	set_text(&e->name, o->name);
	set_text(&e->kind, o->kind);
	set_text(&e->api_version, o->api_version);
	entry_touch(e, from, o);
	e->resource = restmap_find(unit_there(u)->restmap, o->api_version, o->kind);
	e->seen = true;
	if (e->resource) {
		const struct entry *other = map_set(&unit_there(u)->owned, owned_key(&a, e), e);

		if (other && other != e)
			look_shared(u, e, other);
	}
	return e;
}

void entry_accept(struct entry *e, struct str body)
{
	struct err err = {0};

	obj_unref(e->accepted);
	e->accepted = obj_from_bytes(body, &err);
	entry_saw(e, entry_live(e));
}

void entry_saw(struct entry *e, const struct obj *new)
{
	const struct obj *was = e->accepted;

	if (!new || !was || new == was || new->revision != was->revision ||
	    !str_eq(new->uid, was->uid))
		return;
	e->accepted = obj_ref(new);
	obj_unref(was);
}

void entry_drop(struct unit *u, struct entry *e)
{
	AUTO(arena) struct arena a = {0};

	if (e->resource) {
		struct str key = owned_key(&a, e);

		if (map_get(&unit_there(u)->owned, key) == e)
			map_del(&unit_there(u)->owned, key);
	}
	map_del(&u->entries, str_c(e->id));
	obj_unref(e->accepted);
	entry_thaw(e);
	free(e->id);
	free(e->namespace);
	free(e->name);
	free(e->kind);
	free(e->api_version);
	free(e->place);
	free(e->file);
	free(e->bytes);
	free(e->hidden);
	free(e->said);
	free(e);
}

void entries_free(struct unit *u)
{
	struct map_iter it = {0};

	while (map_next(&u->entries, &it))
		entry_drop(u, it.value);
	map_release(&u->entries);
}

/* ---- watches ---- */

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	struct kindwatch *w = arg;

	drift_on_change(w->r, old, new);
}

struct informer *kindwatch_get(struct reconciler *r, const struct resource *res)
{
	AUTO(arena) struct arena a = {0};
	struct str key = arena_strf(&a, "%s/%s", res->group, res->plural);
	struct kindwatch *w = map_get(&r->watches, key);
	struct informer_opts o = {.resource = res, .label_selector = UNIT_LABEL_NAME};

	/* Those are watched anyway (engine.c), and a thousand of them are megabytes. */
	if (r->units_informer && !strcmp(res->plural, res_kustomizations.plural) &&
	    !strcmp(res->group, res_kustomizations.group))
		return r->units_informer;
	if (w)
		return w->informer;
	w = xalloc(sizeof(*w));
	w->r = r;
	w->informer = informer_new(r->client, &o);
	informer_on_change(w->informer, on_change, w);
	map_set(&r->watches, key, w);
	informer_start(w->informer);
	return w->informer;
}

const struct obj *entry_live(struct entry *e)
{
	if (!e->resource)
		return NULL;
	return informer_get(kindwatch_get(unit_there(e->unit), e->resource), str_c(e->namespace),
			    str_c(e->name));
}

void kindwatches_free(struct reconciler *r)
{
	struct map_iter it = {0};

	while (map_next(&r->watches, &it)) {
		struct kindwatch *w = it.value;

		informer_free(w->informer);
		free(w);
	}
	map_release(&r->watches);
}
