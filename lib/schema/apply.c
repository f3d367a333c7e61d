/*
 * Server-side apply: merges a configuration into the live object, finds conflicts with other
 * managers, takes away what the manager no longer says and nobody else wants, and keeps
 * managedFields. Pure.
 */
#include "lib/schema/apply.h"

#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/schema/fieldset.h"
#include "lib/schema/lastapplied.h"
#include "lib/schema/managed.h"

#include "lib/base/pure.h"

/* ---- merging two values of one type ---- */

static struct json *merge(struct arena *a, const struct schema *s, const struct json *live,
			  const struct json *config);

static struct json *merge_maps(struct arena *a, const struct schema *s, const struct json *live,
			       const struct json *config)
{
	AUTO(json_index) struct json_index in_live = json_index_of(live);
	AUTO(json_index) struct json_index in_config = json_index_of(config);
	struct json *out = json_new(a, JSON_OBJECT);

	for (size_t i = 0; i < json_len(live); i++) {
		struct str key = live->members[i].key;
		const struct json *c = json_index_get(&in_config, key);

		json_add(a, out, key, merge(a, shape_child(s, key), &live->members[i].value, c));
	}
	for (size_t i = 0; i < json_len(config); i++)
		if (!json_index_get(&in_live, config->members[i].key))
			json_add(a, out, config->members[i].key,
				 json_copy(a, &config->members[i].value));
	return out;
}

/* Live items from *at on that the configuration doesn't name, up to `end`. */
static void keep_live(struct arena *a, const struct parts *live, struct parts *config, size_t *at,
		      struct json *out, size_t end)
{
	for (; *at < end; ++*at)
		if (parts_find(config, live->elements[*at]) == SIZE_MAX)
			json_append(a, out, json_copy(a, parts_at(live, *at)));
}

/* Items in the configuration's order; those that only the live list has stay where they stood. */
static struct json *merge_lists(struct arena *a, const struct schema *s, const struct json *live,
				const struct json *config)
{
	AUTO(parts) struct parts in_live = parts_of(a, s, live);
	AUTO(parts) struct parts in_config = parts_of(a, s, config);
	struct json *out = json_new(a, JSON_ARRAY);
	size_t at = 0;

	for (size_t i = 0; i < json_len(config); i++) {
		struct str element = in_config.elements[i];
		size_t pos = element.p ? parts_find(&in_live, element) : SIZE_MAX;
		const struct json *old = parts_at(&in_live, pos);

		if (old)
			keep_live(a, &in_live, &in_config, &at, out, pos);
		if (old && at == pos)
			at++;
		json_append(a, out, merge(a, shape_child(s, STR_NONE), old, json_item(config, i)));
	}
	keep_live(a, &in_live, &in_config, &at, out, json_len(live));
	return out;
}

/* Whether both are lists whose items are owned one by one: an empty one takes nobody's away. */
static bool by_items(const struct schema *s, const struct json *live, const struct json *config)
{
	return s && s->type == SCHEMA_ARRAY && s->list != SCHEMA_LIST_ATOMIC &&
	       json_is(live, JSON_ARRAY) && json_is(config, JSON_ARRAY);
}

static struct json *merge(struct arena *a, const struct schema *s, const struct json *live,
			  const struct json *config)
{
	enum shape x = shape_of(s, live), y = shape_of(s, config);

	if (!config)
		return json_copy(a, live);
	if (json_is(live, JSON_OBJECT) && json_is(config, JSON_OBJECT) &&
	    !(s && (s->flags & SCHEMA_F_ATOMIC)))
		return merge_maps(a, s, live, config);
	if (by_items(s, live, config))
		return merge_lists(a, s, live, config);
	/* The same to the API, though not byte for byte, stays as it was. */
	if (live && s && x == SHAPE_LEAF && y == SHAPE_LEAF && schema_equal(s, live, config))
		return json_copy(a, live);
	return json_copy(a, config);
}

/* ---- taking away ---- */

static bool is_list_key(const struct schema *list, struct str element)
{
	for (size_t i = 0; list && i < SCHEMA_KEYS_MAX && list->keys[i]; i++)
		if (str_is(str_sub(element, 2, element.n), list->keys[i]))
			return true;
	return false;
}

struct pruning {
	const struct schema *s, *in_list; /* in_list: the keyed list that the value is an item of */
	const struct json *last, *mine, *others;
};

/* What `last` names and neither the new configuration nor another manager does goes. */
static void prune(struct arena *a, const struct pruning *p, struct json *v)
{
	AUTO(parts) struct parts in_v = parts_of(a, p->s, v);
	AUTO(json_index) struct json_index in_mine = json_index_of(p->mine);
	AUTO(json_index) struct json_index in_others = json_index_of(p->others);
	bool *gone = arena_alloc(a, json_len(v) + 1), any = false;

	for (size_t i = 0; i < json_len(p->last); i++) {
		struct str element = p->last->members[i].key;
		struct pruning below = {.s = part_type(p->s, element),
					.in_list = str_starts(element, STR("k:")) ? p->s : NULL,
					.last = &p->last->members[i].value,
					.mine = json_index_get(&in_mine, element),
					.others = json_index_get(&in_others, element)};
		size_t at;

		if (str_is(element, ".") || (p->in_list && is_list_key(p->in_list, element)))
			continue;
		at = parts_find(&in_v, element);
		if (at == SIZE_MAX)
			continue;
		if (below.mine || below.others)
			prune(a, &below, parts_at(&in_v, at));
		else
			gone[at] = any = true;
	}
	if (any)
		json_sweep(v, gone);
}

/* ---- conflicts ---- */

struct conflicting {
	struct arena *a;
	struct str manager;
	struct apply_conflicts *out;
	size_t cap;
};

static void add_conflict(void *arg, struct str path)
{
	struct conflicting *c = arg;
	struct apply_conflicts *out = c->out;

	if (out->n == c->cap) {
		struct apply_conflict *grown;

		c->cap = c->cap ? 2 * c->cap : 8;
		grown = arena_array(c->a, c->cap, sizeof(*grown));
		if (out->n)
			memcpy(grown, out->v, out->n * sizeof(*grown));
		out->v = grown;
	}
	out->v[out->n++] = (struct apply_conflict){arena_str(c->a, path), c->manager};
}

/* `"kubectl-edit" using apps/v1`, with the time for updates, as Kubernetes tells it. */
static struct str manager_text(struct arena *a, const struct managed *m)
{
	AUTO(buf) struct buf out = {0};

	json_write_string(m->manager, &out);
	if (m->subresource.n)
		buf_printf(&out, " with subresource \"%.*s\"", STR_ARG(m->subresource));
	if (!m->apply)
		buf_printf(&out, " using %.*s", STR_ARG(m->api_version));
	if (!m->apply && m->stamp.n)
		buf_printf(&out, " at %.*s", STR_ARG(m->stamp));
	return arena_str(a, buf_view(&out));
}

/* Other managers lose what is forced from them, and what has been taken away. */
static void take_from_others(struct arena *a, struct managed_list *all, const struct managed *mine,
			     const struct json *changed, const struct json *removed)
{
	for (size_t i = 0; i < all->n; i++) {
		struct managed *m = &all->v[i];

		if (m == mine)
			continue;
		m->fields = fieldset_minus(a, m->fields, changed);
		m->fields = fieldset_minus(a, m->fields, removed);
	}
}

static int check_conflicts(struct arena *a, struct managed_list *all, const struct managed *mine,
			   const struct json *contested, struct apply_conflicts *ret,
			   struct err *err)
{
	struct conflicting c = {.a = a, .out = ret};

	for (size_t i = 0; i < all->n; i++) {
		const struct managed *m = &all->v[i];

		if (m == mine)
			continue;
		c.manager = manager_text(a, m);
		fieldset_each(fieldset_and(a, m->fields, contested), add_conflict, &c);
	}
	return ret->n ? err_set(err, ERR_CONFLICT, "%zu conflicts", ret->n) : 0;
}

/* ---- apply ---- */

static struct json *union_of_others(struct arena *a, const struct managed_list *all,
				    const struct managed *mine)
{
	struct json *set = NULL;

	for (size_t i = 0; i < all->n; i++)
		if (&all->v[i] != mine)
			set = fieldset_union(a, set, all->v[i].fields);
	return set;
}

struct json *apply_merge(struct arena *a, const struct schema *s, const struct json *live,
			 const struct json *config, const struct apply_opts *o,
			 struct apply_conflicts *ret_conflicts, struct err *err)
{
	struct json *set = managed_strip(a, fieldset_of(a, s, config)), *next;
	struct managed_list all = managed_read(a, live);
	struct managed *mine = managed_entry(a, &all, o, true);
	struct fieldset_diff diff;
	const struct json *last = mine->fields;

	*ret_conflicts = (struct apply_conflicts){0};
	next = live ? merge(a, s, live, config) : json_copy(a, config);
	if (live) {
		struct json *contested, *refused;

		fieldset_compare(a, s, live, next, &diff);
		contested = fieldset_and(a, set, diff.changed);
		refused = fieldset_minus(a, contested, lastapplied_kept(a, s, live, o));
		if (!o->force && check_conflicts(a, &all, mine, refused, ret_conflicts, err))
			return NULL;
		take_from_others(a, &all, mine, contested, NULL);
		prune(a,
		      &(struct pruning){.s = s,
					.last = last,
					.mine = set,
					.others = union_of_others(a, &all, mine)},
		      next);
	}
	if (!json_equal(mine->fields, set) || !mine->stamp.n || (live && !json_equal(next, live)))
		mine->stamp = managed_time(a, o->now_ns);
	mine->fields = set;
	managed_write(a, next, &all);
	lastapplied_follow(a, next, config, o);
	return next;
}

/* ---- update ---- */

void apply_track_update(struct arena *a, const struct schema *s, const struct json *live,
			struct json *next, const struct apply_opts *o)
{
	const struct json *sent = json_at(next, "metadata", "managedFields");
	/* Who writes a part of an object has no say in who owns what. */
	struct managed_list all =
		managed_read(a, json_len(sent) && !o->subresource.n ? next : live);
	struct fieldset_diff diff;
	struct json *changed, *removed;
	struct managed *mine;

	fieldset_compare(a, s, live, next, &diff);
	changed = managed_strip(a, diff.changed);
	removed = managed_strip(a, diff.removed);
	if (fieldset_is_empty(changed) && fieldset_is_empty(removed)) {
		managed_write(a, next, &all);
		return;
	}
	mine = managed_entry(a, &all, o, false);
	take_from_others(a, &all, mine, changed, removed);
	mine->fields = fieldset_minus(a, fieldset_union(a, mine->fields, changed), removed);
	mine->stamp = managed_time(a, o->now_ns);
	managed_write(a, next, &all);
}

/* ---- reading ---- */

struct owned {
	struct arena a;
	void (*fn)(void *arg, struct str pointer, const struct json *value);
	void *arg;
};

static void pointer_add(struct buf *pointer, struct str token)
{
	buf_putc(pointer, '/');
	for (size_t i = 0; i < token.n; i++) {
		if (token.p[i] == '~')
			buf_puts(pointer, "~0");
		else if (token.p[i] == '/')
			buf_puts(pointer, "~1");
		else
			buf_putc(pointer, token.p[i]);
	}
}

static void owned_at(struct owned *w, const struct schema *s, const struct json *set,
		     const struct json *v, struct buf *pointer)
{
	AUTO(parts) struct parts in_v = parts_of(&w->a, s, v);
	size_t n = pointer->n, below = 0;

	for (size_t i = 0; i < json_len(set); i++) {
		struct str element = set->members[i].key;
		size_t at;

		if (str_is(element, "."))
			continue;
		below++;
		at = parts_find(&in_v, element);
		if (at == SIZE_MAX)
			continue;
		if (in_v.elements)
			buf_printf(pointer, "/%zu", at);
		else
			pointer_add(pointer, str_sub(element, 2, element.n));
		owned_at(w, part_type(s, element), &set->members[i].value, parts_at(&in_v, at),
			 pointer);
		pointer->n = n;
	}
	if (!below && n)
		w->fn(w->arg, buf_view(pointer), v);
}

void apply_owned_paths(const struct schema *s, const struct json *fields, const struct json *v,
		       void (*fn)(void *arg, struct str pointer, const struct json *value),
		       void *arg)
{
	struct owned w = {.fn = fn, .arg = arg};
	AUTO(buf) struct buf pointer = {0};

	owned_at(&w, s, fields, v, &pointer);
	arena_release(&w.a);
}
