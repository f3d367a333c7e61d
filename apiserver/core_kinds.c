/*
 * What the core serves: kinds by their paths, tables by their stored kinds, and reading the store
 * into them at start. One thread.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/core-internal.h"

/* ---- kinds ---- */

/* A plural with its group is at most 253 bytes long, a version 63: what is longer is no kind's. */
#define PATH_KEY_MAX 512

/* "group/version/plural" in `text`; STR_NONE when it would be too long. Called for every request.
 */
static struct str path_key(char text[PATH_KEY_MAX], struct str group, struct str version,
			   struct str plural)
{
	const struct str parts[] = {group, version, plural};
	size_t n = 0;

	if (group.n + version.n + plural.n + 2 > PATH_KEY_MAX)
		return STR_NONE;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (i)
			text[n++] = '/';
		if (parts[i].n)
			memcpy(text + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	return (struct str){text, n};
}

static struct str kind_key(char text[PATH_KEY_MAX], const struct kind *k)
{
	return path_key(text, str_c(k->group), str_c(k->version), str_c(k->plural));
}

struct served *core_served(const struct core *c, struct str group, struct str version,
			   struct str plural)
{
	char text[PATH_KEY_MAX];

	return map_get(&c->by_path, path_key(text, group, version, plural));
}

struct table *core_table(const struct core *c, const char *group, const char *plural)
{
	char text[PATH_KEY_MAX];

	return map_get(&c->by_name, path_key(text, str_c(group), STR_NONE, str_c(plural)));
}

const struct kind *core_kind_at(const struct core *c, size_t i)
{
	return i < c->nserved ? c->served[i]->kind : NULL;
}

const struct kind *core_kind_find(const struct core *c, struct str group, struct str version,
				  struct str plural)
{
	const struct served *s = core_served(c, group, version, plural);

	return s ? s->kind : NULL;
}

struct table *core_table_for(struct core *c, const struct kind *k)
{
	struct table *t = core_table(c, k->group, k->plural);
	char text[PATH_KEY_MAX];

	if (t)
		return t;
	t = xalloc(sizeof(*t));
	t->kind = k;
	t->sealed = core_is_sealed(c, k);
	t->forgotten = c->revision;
	list_init(&t->watchers);
	c->tables = xreallocarray(c->tables, c->ntables + 1, sizeof(struct table *));
	c->tables[c->ntables++] = t;
	map_set(&c->by_name, path_key(text, str_c(k->group), STR_NONE, str_c(k->plural)), t);
	return t;
}

/* The registry's rows are constant; what is filled at registration stands in copies of them. */
static const struct kind *with_schema(const struct kind *k)
{
	struct kind *copy = xalloc(sizeof(*copy));

	*copy = *k;
	if (!copy->schema)
		copy->schema = copy->schema_name ? schema_find(str_c(copy->schema_name)) : NULL;
	if (!copy->schema)
		panic("kind %s: no schema %s", k->kind, k->schema_name ? k->schema_name : "");
	return copy;
}

void core_register(struct core *c, const struct kind *k, struct table *t)
{
	struct served *s = xalloc(sizeof(*s));
	char text[PATH_KEY_MAX];

	*s = (struct served){k, t};
	c->served = xreallocarray(c->served, c->nserved + 1, sizeof(struct served *));
	c->served[c->nserved++] = s;
	map_set(&c->by_path, kind_key(text, k), s);
}

void core_unregister(struct core *c, const struct kind *k)
{
	char text[PATH_KEY_MAX];
	size_t i = 0;

	while (i < c->nserved && c->served[i]->kind != k)
		i++;
	if (i == c->nserved)
		return;
	map_del(&c->by_path, kind_key(text, k));
	free(c->served[i]);
	memmove(&c->served[i], &c->served[i + 1], (--c->nserved - i) * sizeof(struct served *));
}

/*
 * Another version of a kind whose table is there. What it does not say itself it has from the
 * stored one: names, flags, columns, selectable fields; rules are about the stored version only.
 */
static void load_version(struct core *c, const struct kind *version)
{
	struct table *t = core_table(c, version->stored->group, version->stored->plural);
	struct kind *k;

	if (!t)
		panic("kind %s/%s: its stored version is not served", version->kind,
		      version->version);
	k = (struct kind *)(uintptr_t)with_schema(version);
	k->stored = t->kind;
	k->list_kind = k->list_kind ? k->list_kind : t->kind->list_kind;
	k->short_names = k->short_names ? k->short_names : t->kind->short_names;
	k->categories = k->categories ? k->categories : t->kind->categories;
	k->subresources = k->subresources ? k->subresources : t->kind->subresources;
	k->flags = t->kind->flags;
	k->columns = t->kind->columns;
	k->row = t->kind->row;
	if (!k->field) {
		k->selectable = t->kind->selectable;
		k->field = t->kind->field;
	}
	k->name_check = t->kind->name_check;
	core_register(c, k, t);
}

void core_load_kinds(struct core *c)
{
	for (size_t i = 0; kind_registry[i]; i++)
		if (!kind_registry[i]->stored) {
			const struct kind *k = with_schema(kind_registry[i]);

			core_register(c, k, core_table_for(c, k));
		}
	for (size_t i = 0; kind_registry[i]; i++)
		if (kind_registry[i]->stored)
			load_version(c, kind_registry[i]);
}

/* ---- loading ---- */

static struct table *table_of_key(struct core *c, struct str key)
{
	char group[256], plural[256];
	struct str g, rest, p, tail;

	if (!str_cut(key, '/', &g, &rest) || !str_cut(rest, '/', &p, &tail) ||
	    g.n >= sizeof(group) || p.n >= sizeof(plural))
		return NULL;
	memcpy(group, g.p, g.n);
	group[g.n] = 0;
	memcpy(plural, p.p, p.n);
	plural[p.n] = 0;
	return core_table(c, group, plural);
}

struct loading {
	struct core *c;
	struct table *table; /* of the row before, and what its keys begin with */
	struct buf prefix;
	struct err *err;
	struct map later; /* rows of kinds that are not known yet: key → struct buf */
};

static int load_object(struct loading *l, struct table *t, struct str key, struct str value)
{
	struct core *c = l->c;
	AUTO(buf) struct buf plain = {0};
	struct obj *o;

	bool sealed = c->o.is_sealed ? c->o.is_sealed(value) : t->sealed;

	/* A row that isn't what its table says now: somebody changed what is to be encrypted. */
	t->was_sealed |= sealed && !t->sealed;
	c->reseal.wanted |= sealed != t->sealed;
	if (c->o.open && (sealed || t->kind->flags & KIND_SECRET)) {
		if (c->o.open(c->o.seal_arg, key, value, &plain, l->err))
			return -1; /* which names it */
		if (c->o.is_old && c->o.is_old(c->o.seal_arg, value))
			c->reseal.wanted = true;
		value = buf_view(&plain);
	}
	o = obj_from_written(block_new(value), l->err);
	if (!o)
		return err_wrap(l->err, "%.*s", STR_ARG(key));
	obj_unref(table_put(t, o));
	return 0;
}

/* Rows come in order of their keys: many of one table. */
static struct table *table_of_row(struct loading *l, struct str key)
{
	struct str group, plural, rest;

	if (l->table && str_starts(key, buf_view(&l->prefix)))
		return l->table;
	l->table = table_of_key(l->c, key);
	buf_reset(&l->prefix);
	if (str_cut(key, '/', &group, &rest) && str_cut(rest, '/', &plural, &rest))
		buf_str(&l->prefix, str_sub(key, 0, (size_t)(rest.p - key.p)));
	return l->table;
}

static int load_row(void *arg, struct str key, struct str value, uint64_t revision)
{
	struct loading *l = arg;
	struct table *t = table_of_row(l, key);
	struct buf *kept;

	(void)revision;
	if (t)
		return load_object(l, t, key, value);
	kept = xalloc(sizeof(*kept));
	buf_str(kept, value);
	map_set(&l->later, key, kept);
	return 0;
}

/* Objects of custom kinds, once their definitions are known. The rows of kinds that this server
 * does not know stay in the store as they are. */
static int load_later(struct loading *l)
{
	struct map_iter it = {0};
	int r = 0;

	core_crd_load(l->c);
	while (map_next(&l->later, &it)) {
		struct buf *kept = it.value;
		bool noted = core_load_noted(l->c, it.key, buf_view(kept));
		struct table *t = noted ? NULL : table_of_key(l->c, it.key);

		if (t && !r)
			r = load_object(l, t, it.key, buf_view(kept));
		buf_release(kept);
		free(kept);
	}
	map_release(&l->later);
	buf_release(&l->prefix);
	return r;
}

/* What answers at all has its parts running: they are told of, never stored. */
static void load_components(struct core *c)
{
	static const char *const names[] = {"controller-manager", "etcd-0", "scheduler"};
	struct table *t = core_table(c, "", "componentstatuses");

	for (size_t i = 0; t && i < ARRAY_LEN(names); i++) {
		AUTO(arena) struct arena a = {0};
		struct json *o = json_build(&a, "{s:s,s:s,s:{s:s},s:[{s:s,s:s,s:s}]}", "kind",
					    "ComponentStatus", "apiVersion", "v1", "metadata",
					    "name", names[i], "conditions", "type", "Healthy",
					    "status", "True", "message", "ok");

		obj_unref(table_put(t, obj_from_json(o, NULL)));
	}
}

void core_show(struct core *c, const struct kind *k, struct obj *const *v, size_t n)
{
	struct table *t = k ? core_table(c, k->group, k->plural) : NULL;

	for (size_t i = 0; t && i < t->n; i++)
		obj_unref(t->rows[i]);
	if (t) {
		t->changes += t->n;
		t->n = 0;
	}
	for (size_t i = 0; i < n; i++)
		obj_unref(t ? table_put(t, v[i]) : v[i]);
}

int core_load(struct core *c, struct err *err)
{
	struct loading l = {.c = c, .err = err};
	struct store *s = c->o.store;
	int r = s->ops->load(s, load_row, &l, err);

	if (load_later(&l) || r)
		return -1;
	load_components(c);
	c->revision = s->ops->revision(s);
	/* What happened is not stored, but when the last of it did: who has seen that goes on. */
	for (size_t i = 0; i < c->ntables; i++)
		if (!c->tables[i]->forgotten || c->tables[i]->forgotten > c->revision)
			c->tables[i]->forgotten = c->revision;
	core_crd_resume(c);
	return 0;
}
