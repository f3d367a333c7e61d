/*
 * Picks the health rule of a kind. Never looks at anything but the object. Pure.
 */
#include "reconciler/health/health.h"

#include "lib/base/pure.h"

static struct health_result say(struct arena *a, enum health_state state, const char *fmt,
				va_list ap)
{
	AUTO(buf) struct buf text = {0};

	buf_vprintf(&text, fmt, ap);
	return (struct health_result){state, arena_str(a, buf_view(&text))};
}

struct health_result health_wait(struct arena *a, const char *fmt, ...)
{
	struct health_result r;
	va_list ap;

	va_start(ap, fmt);
	r = say(a, HEALTH_PROGRESSING, fmt, ap);
	va_end(ap);
	return r;
}

struct health_result health_fail(struct arena *a, const char *fmt, ...)
{
	struct health_result r;
	va_list ap;

	va_start(ap, fmt);
	r = say(a, HEALTH_FAILED, fmt, ap);
	va_end(ap);
	return r;
}

bool health_stale(const struct json *o)
{
	int64_t seen = json_int(json_at(o, "status", "observedGeneration"), -1);

	return seen < json_int(json_at(o, "metadata", "generation"), 0);
}

bool health_condition_is(const struct json *o, const char *type, const char *status)
{
	return str_is(json_str(json_get(condition_find(o, type), STR("status"))), status);
}

struct health_result health_of(const struct json *o, struct arena *a)
{
	struct str group, version, kind = json_str(json_get(o, STR("kind")));
	const struct health *generic = NULL;

	if (json_at(o, "metadata", "deletionTimestamp"))
		return health_wait(a, "being deleted");
	api_version_split(json_str(json_get(o, STR("apiVersion"))), &group, &version);
	for (size_t i = 0; health_registry[i]; i++) {
		const struct health *h = health_registry[i];

		if (str_is(kind, h->kind) && str_is(group.p ? group : STR(""), h->group))
			return h->check(o, a);
		if (h->kind[0] == '*')
			generic = h;
	}
	return generic ? generic->check(o, a) : HEALTHY;
}
