/* Reading and writing metadata.managedFields. Pure. */
#include "lib/schema/managed.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/schema/fieldset.h"

#include "lib/base/pure.h"

#define UPDATES_MAX 10 /* entries of updaters; older ones become one, as in Kubernetes */

static struct managed *append(struct arena *a, struct managed_list *l)
{
	if (l->n == l->cap) {
		struct managed *grown = arena_array(a, l->cap ? 2 * l->cap : 8, sizeof(*grown));

		if (l->n)
			memcpy(grown, l->v, l->n * sizeof(*grown));
		l->cap = l->cap ? 2 * l->cap : 8;
		l->v = grown;
	}
	l->v[l->n] = (struct managed){0};
	return &l->v[l->n++];
}

struct managed_list managed_read(struct arena *a, const struct json *object)
{
	const struct json *list = json_at(object, "metadata", "managedFields");
	struct managed_list out = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i), *fields = json_get(e, STR("fieldsV1"));
		struct str operation = json_str(json_get(e, STR("operation")));
		struct managed *m;

		if (!json_is(fields, JSON_OBJECT) ||
		    (!str_is(operation, "Apply") && !str_is(operation, "Update")))
			continue;
		m = append(a, &out);
		*m = (struct managed){.manager = json_str(json_get(e, STR("manager"))),
				      .api_version = json_str(json_get(e, STR("apiVersion"))),
				      .subresource = json_str(json_get(e, STR("subresource"))),
				      .stamp = json_str(json_get(e, STR("time"))),
				      .apply = str_is(operation, "Apply"),
				      .fields = (struct json *)(uintptr_t)fields};
	}
	return out;
}

struct managed *managed_entry(struct arena *a, struct managed_list *all, const struct apply_opts *o,
			      bool apply)
{
	struct managed *m;

	for (size_t i = 0; i < all->n; i++) {
		m = &all->v[i];
		if (m->apply == apply && str_eq(m->manager, o->manager) &&
		    str_eq(m->subresource, o->subresource) &&
		    (apply || str_eq(m->api_version, o->api_version))) {
			m->api_version = o->api_version;
			return m;
		}
	}
	m = append(a, all);
	*m = (struct managed){.manager = o->manager,
			      .api_version = o->api_version,
			      .subresource = o->subresource,
			      .apply = apply};
	return m;
}

static int order(const void *x, const void *y)
{
	const struct managed *a = x, *b = y;
	int c;

	if (a->apply != b->apply)
		return a->apply ? -1 : 1;
	c = str_cmp(a->stamp, b->stamp);
	if (!c)
		c = str_cmp(a->manager, b->manager);
	return c ? c : str_cmp(a->api_version, b->api_version);
}

/* The oldest updaters beyond the limit, which come first among the updates, as one. */
static void fold_old(struct arena *a, struct managed_list *l)
{
	size_t first = 0, updates;

	while (first < l->n && l->v[first].apply)
		first++;
	updates = l->n - first;
	while (updates-- > UPDATES_MAX) {
		struct managed *old = &l->v[first], *next = &l->v[first + 1];

		next->fields = fieldset_union(a, old->fields, next->fields);
		next->manager = STR("ancient-changes");
		memmove(old, next, (l->n - first - 1) * sizeof(*old));
		l->n--;
	}
}

/* Entries live as long as what they are made of: the request's arena. */
static void add_text(struct arena *a, struct json *e, struct str key, struct str text)
{
	json_add_borrowed(a, e, key,
			  &(struct json){.type = JSON_STRING, .n = (uint32_t)text.n, .s = text.p});
}

static struct json *entry_json(struct arena *a, const struct managed *m)
{
	struct json *e = json_new(a, JSON_OBJECT);

	add_text(a, e, STR("manager"), m->manager);
	add_text(a, e, STR("operation"), m->apply ? STR("Apply") : STR("Update"));
	add_text(a, e, STR("apiVersion"), m->api_version);
	if (m->stamp.n)
		add_text(a, e, STR("time"), m->stamp);
	add_text(a, e, STR("fieldsType"), STR("FieldsV1"));
	json_add_borrowed(a, e, STR("fieldsV1"), m->fields);
	if (m->subresource.n)
		add_text(a, e, STR("subresource"), m->subresource);
	return e;
}

void managed_write(struct arena *a, struct json *object, const struct managed_list *all)
{
	struct managed_list l = {0};
	struct json *meta = json_set_object(a, object, "metadata"), *list = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < all->n; i++)
		if (!fieldset_is_empty(all->v[i].fields))
			*append(a, &l) = all->v[i];
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), order);
	fold_old(a, &l);
	for (size_t i = 0; i < l.n; i++)
		json_append(a, list, entry_json(a, &l.v[i]));
	if (l.n)
		json_set(a, meta, STR("managedFields"), list);
	else
		json_del(meta, STR("managedFields"));
}

/* The set's own members may go, what is below stays shared. */
static struct json *own_members(struct arena *a, struct json *set)
{
	set->members = arena_dup(a, set->members, set->n * sizeof(*set->members));
	set->cap = set->n;
	return set;
}

struct json *managed_strip(struct arena *a, const struct json *set)
{
	static const char *const never[] = {"f:name",
					    "f:namespace",
					    "f:creationTimestamp",
					    "f:selfLink",
					    "f:uid",
					    "f:clusterName",
					    "f:generation",
					    "f:managedFields",
					    "f:resourceVersion",
					    "."};
	struct json *out, *meta;

	if (!set)
		return NULL;
	out = own_members(a, arena_dup(a, set, sizeof(*set)));
	json_del(out, STR("f:apiVersion"));
	json_del(out, STR("f:kind"));
	meta = json_get(out, STR("f:metadata"));
	if (meta)
		own_members(a, meta);
	for (size_t i = 0; meta && i < ARRAY_LEN(never); i++)
		json_del(meta, str_c(never[i]));
	if (meta && !meta->n)
		json_del(out, STR("f:metadata"));
	return out->n ? out : NULL; /* an empty one would stand for everything */
}

struct str managed_time(struct arena *a, int64_t now_ns)
{
	char text[TIME_TEXT_MAX];

	return arena_str(a, time_format(now_ns, text));
}

const struct json *apply_entry(const struct json *object, struct str manager, struct str operation,
			       struct str subresource)
{
	const struct json *list = json_at(object, "metadata", "managedFields");

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *e = json_item(list, i);

		if (str_eq(json_str(json_get(e, STR("manager"))), manager) &&
		    str_eq(json_str(json_get(e, STR("operation"))), operation) &&
		    str_eq(json_str(json_get(e, STR("subresource"))), subresource))
			return e;
	}
	return NULL;
}
