/*
 * The members of a YAML mapping while it is read: keys as text, found by hash once there are many,
 * and what "<<" brings along. Memory is the reader's arena, but for the index of keys.
 */
#include "lib/json/yaml-reader.h"

int yaml_key_text(struct yaml_reader *r, const struct json *key, const yaml_mark_t *at,
		  struct str *ret)
{
	AUTO(buf) struct buf text = {0};

	switch ((enum json_type)key->type) {
	case JSON_STRING:
		*ret = (struct str){key->s, key->n};
		return 0;
	case JSON_BOOL:
	case JSON_INT:
	case JSON_NUM:
		json_write(key, &text);
		*ret = arena_str(r->a, buf_view(&text));
		return 0;
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return yaml_fail_at(r, at, "%s", "a key must be text");
}

/* A mapping of many keys is looked up by hash, so that a hostile file costs what its size says. */
#define MANY_KEYS 32

struct json *yaml_mapping_find(const struct yaml_mapping *m, struct str name)
{
	uintptr_t at;

	if (m->v->n <= MANY_KEYS)
		return json_get(m->v, name);
	at = (uintptr_t)map_get(&m->keys, name);
	return at ? &m->v->members[at - 1].value : NULL;
}

struct json *yaml_mapping_add(struct yaml_reader *r, struct yaml_mapping *m, struct str name,
			      const struct json *value)
{
	struct json *slot;

	if (m->v->n < MANY_KEYS)
		return json_set(r->a, m->v, name, value);
	if (!m->keys.n)
		for (uint32_t i = 0; i < m->v->n; i++)
			map_set(&m->keys, m->v->members[i].key, (void *)(uintptr_t)(i + 1));
	slot = json_add(r->a, m->v, name, value);
	map_set(&m->keys, name, (void *)(uintptr_t)m->v->n);
	return slot;
}

int yaml_duplicate_key(struct yaml_reader *r, const struct json *earlier, struct str key,
		       const yaml_mark_t *at)
{
	const struct yaml_src *src = r->srcs ? yaml_src_of(r->srcs, earlier) : NULL;

	err_set(r->err, ERR_PARSE, "mapping key \"%.*s\" already defined", (int)MIN(key.n, 100),
		key.p);
	if (src)
		err_set(r->err, ERR_PARSE, "mapping key \"%.*s\" already defined at line %u",
			(int)MIN(key.n, 100), key.p, src->line);
	return err_wrap(r->err, "line %zu, column %zu", at->line + 1, at->column + 1);
}

static int merge_one(struct yaml_reader *r, struct yaml_mapping *m, const struct json *from,
		     const yaml_mark_t *at)
{
	if (!json_is(from, JSON_OBJECT))
		return yaml_fail_at(r, at, "%s",
				    "map merge requires map or sequence of maps as the value");
	for (uint32_t i = 0; i < from->n; i++)
		if (!yaml_mapping_find(m, from->members[i].key))
			yaml_mapping_add(r, m, from->members[i].key, &from->members[i].value);
	return 0;
}

int yaml_mapping_merge(struct yaml_reader *r, struct yaml_mapping *m, const struct json *from,
		       const yaml_mark_t *at)
{
	if (!json_is(from, JSON_ARRAY))
		return merge_one(r, m, from, at);
	for (uint32_t i = 0; i < from->n; i++)
		if (merge_one(r, m, &from->items[i], at))
			return -1;
	return 0;
}
