/*
 * Adding up what pods ask for, as Kubernetes' resource helpers do. Must never lose a fraction.
 * Pure; memory is the caller's arena. Specification: k8s.io/component-helpers/resource
 * (PodRequests, PodLimits).
 */
#include "apiserver/admission/amounts.h"

#include <string.h>

#include "lib/base/pure.h"

bool amount_read(const struct json *v, struct quantity *ret)
{
	if (json_is(v, JSON_INT)) {
		*ret = (struct quantity){.nano = (__int128)v->i * 1000000000};
		return true;
	}
	if (json_is(v, JSON_NUM))
		return !quantity_parse((struct str){v->s, v->n}, ret);
	return json_is(v, JSON_STRING) && !quantity_parse(json_str(v), ret);
}

struct amount *amounts_find(const struct amounts *l, struct str name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

static void append(struct arena *a, struct amounts *l, struct str name, struct quantity q)
{
	if (l->n == l->cap) {
		struct amount *old = l->v;

		l->cap = l->cap ? 2 * l->cap : 8;
		l->v = arena_array(a, l->cap, sizeof(*l->v));
		if (l->n)
			memcpy(l->v, old, l->n * sizeof(*old));
	}
	l->v[l->n++] = (struct amount){name, q};
}

static __int128 sum(__int128 a, __int128 b)
{
	__int128 r;

	if (!__builtin_add_overflow(a, b, &r))
		return r;
	return b > 0 ? ~((__int128)1 << 127) : (__int128)1 << 127;
}

void amounts_add(struct arena *a, struct amounts *l, struct str name, struct quantity q)
{
	struct amount *have = amounts_find(l, name);

	if (!have) {
		append(a, l, name, q);
		return;
	}
	if (!have->q.nano)
		have->q.format = q.format;
	have->q.nano = sum(have->q.nano, q.nano);
}

void amounts_max(struct arena *a, struct amounts *l, struct str name, struct quantity q)
{
	struct amount *have = amounts_find(l, name);

	if (!have)
		append(a, l, name, q);
	else if (quantity_cmp(have->q, q) < 0)
		have->q = q;
}

void amounts_count(struct arena *a, struct amounts *l, struct str name, int64_t n)
{
	amounts_add(a, l, name, (struct quantity){.nano = (__int128)n * 1000000000});
}

void amounts_add_map(struct arena *a, struct amounts *l, const struct json *map)
{
	struct quantity q;

	for (size_t i = 0; json_is(map, JSON_OBJECT) && i < json_len(map); i++)
		if (amount_read(&map->members[i].value, &q))
			amounts_add(a, l, map->members[i].key, q);
}

/* ---- pods ---- */

static void of_init(struct arena *a, const struct json *spec, const char *which,
		    struct amounts *ret)
{
	const struct json *list = json_get(spec, STR("initContainers"));
	struct amounts sidecars = {0}, most = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *c = json_item(list, i), *map = json_at(c, "resources", which);
		struct amounts now = {0};

		if (str_is(json_str(json_get(c, STR("restartPolicy"))), "Always")) {
			amounts_add_map(a, ret, map);
			amounts_add_map(a, &sidecars, map);
			now = sidecars;
		} else {
			amounts_add_map(a, &now, map);
			for (size_t k = 0; k < sidecars.n; k++)
				amounts_add(a, &now, sidecars.v[k].name, sidecars.v[k].q);
		}
		for (size_t k = 0; k < now.n; k++)
			amounts_max(a, &most, now.v[k].name, now.v[k].q);
	}
	for (size_t k = 0; k < most.n; k++)
		amounts_max(a, ret, most.v[k].name, most.v[k].q);
}

void amounts_of_pod(struct arena *a, const struct json *spec, const char *which,
		    struct amounts *ret)
{
	const struct json *list = json_get(spec, STR("containers")),
			  *overhead = json_get(spec, STR("overhead"));
	bool limits = !strcmp(which, "limits");
	struct quantity q;

	for (size_t i = 0; i < json_len(list); i++)
		amounts_add_map(a, ret, json_at(json_item(list, i), "resources", which));
	of_init(a, spec, which, ret);
	for (size_t i = 0; i < json_len(overhead); i++) {
		const struct json_member *m = &overhead->members[i];
		const struct amount *have = amounts_find(ret, m->key);

		if (amount_read(&m->value, &q) && (!limits || (have && have->q.nano)))
			amounts_add(a, ret, m->key, q);
	}
}
