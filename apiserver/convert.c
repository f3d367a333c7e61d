/*
 * Between the stored version of an object and the others. Must never change a tree that is shared
 * with an object, and never lose what the other version cannot say: the kinds' functions keep that
 * in annotations, as Kubernetes does. One thread; memory is the caller's arena.
 */
#include "apiserver/convert.h"

#include "apiserver/crd.h"

#include "lib/base/pure.h"

struct str convert_api_version(struct arena *a, const struct kind *k)
{
	return k->group[0] ? arena_strf(a, "%s/%s", k->group, k->version) : str_c(k->version);
}

static void set_name(struct arena *a, const struct kind *k, struct json *o)
{
	json_set_str(a, o, "apiVersion", convert_api_version(a, k));
	json_set_str(a, o, "kind", str_c(k->kind));
}

/* A definition's objects may have been stored in another version than its objects are today. */
static bool is_of(const struct kind *k, const struct obj *o)
{
	struct str group, version;

	api_version_split(o->api_version, &group, &version);
	return str_is(version, k->version) && str_is(group, k->group);
}

/* Stored before the definition came to its defaults of today. */
static bool lacks_defaults(const struct kind *k, const struct obj *o)
{
	return k->crd && k->schema && k->schema->flags & SCHEMA_F_DEFAULTS &&
	       o->revision < crd_version(k)->crd->since;
}

bool convert_is_plain(const struct kind *k, const struct obj *o)
{
	return !k->stored && !lacks_defaults(k, o) &&
	       (!k->crd || crd_version(k)->crd->n == 1 || is_of(k, o));
}

bool convert_moves(const struct kind *k)
{
	return k->from_stored != NULL;
}

void convert_from_stored(struct arena *a, const struct kind *to, struct json *o)
{
	set_name(a, to, o);
	if (to->from_stored) {
		to->from_stored(a, o);
		schema_fill(a, to->schema, o);
	}
}

void convert_to_stored(struct arena *a, const struct kind *from, const struct kind *stored,
		       struct json *o)
{
	set_name(a, stored, o);
	if (from->to_stored)
		from->to_stored(a, o);
}

const struct json *convert_view(struct arena *a, const struct kind *k, const struct obj *o)
{
	struct json *tree;

	if (convert_is_plain(k, o))
		return obj_tree(o, a);
	tree = json_copy(a, obj_tree(o, a));
	convert_from_stored(a, k, tree);
	if (lacks_defaults(k, o))
		schema_default(a, k->schema, tree);
	return tree;
}
