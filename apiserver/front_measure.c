/*
 * What /metrics tells of requests. The series of one kind of answer are looked up once and then
 * remembered under what tells them apart, since every request passes here. On the core's thread.
 */
#include "apiserver/front-internal.h"

#include <stdlib.h>

#include "lib/base/log.h"

#define REMEMBERED_MAX 4096 /* beyond that they are looked up */
#define KEY_MAX 512

/* The series of one kind of answer. */
struct measured {
	struct metric_value *requests, *seconds;
};

void front_measure_new(struct front *f)
{
	static const double buckets[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
					 0.5,   1,      2.5,   5,    10,    30,   60,  0};
	struct metric *running;

	f->requests = metric_new(METRIC_COUNTER, "apiserver_request_total",
				 "Requests by verb, resource and HTTP code.",
				 "verb,group,version,resource,subresource,code", NULL);
	f->seconds = metric_new(METRIC_HISTOGRAM, "apiserver_request_duration_seconds",
				"How long requests took, watches not counted.",
				"verb,group,version,resource,subresource", buckets);
	running = metric_new(METRIC_GAUGE, "apiserver_current_inflight_requests",
			     "Requests that are queued or being served.", "request_kind", NULL);
	f->running[false] = metric_with(running, "readOnly", (char *)NULL);
	f->running[true] = metric_with(running, "mutating", (char *)NULL);
	f->refused = metric_new(METRIC_COUNTER, "apiserver_dropped_requests_total",
				"Requests that were answered 429.", "request_kind", NULL);
}

void front_measure_free(struct front *f)
{
	struct map_iter it = {0};

	while (map_next(&f->measured, &it))
		free(it.value);
	map_release(&f->measured);
}

/* What a series says of it. What nobody serves is whatever somebody typed, and says nothing. */
struct labels {
	const char *verb, *code;
	struct str group, version, resource, sub;
};

static struct labels labels_of(const struct front_req *r, const char *code, bool known)
{
	if (!known)
		return (struct labels){.verb = r->resource ? core_verb_name(r->core.verb) : "get",
				       .code = code};
	return (struct labels){.verb = core_verb_name(r->core.verb),
			       .code = code,
			       .group = r->core.group,
			       .version = r->core.version,
			       .resource = r->core.resource,
			       .sub = r->core.subresource};
}

static struct measured look_up(struct front_req *r, const struct labels *l)
{
	struct front *f = r->f;
	struct arena *a = &r->http->arena;
	const char *group = arena_cstr(a, l->group), *version = arena_cstr(a, l->version),
		   *resource = arena_cstr(a, l->resource), *sub = arena_cstr(a, l->sub);

	return (struct measured){
		.requests = metric_with(f->requests, l->verb, group, version, resource, sub,
					l->code, (char *)NULL),
		.seconds = metric_with(f->seconds, l->verb, group, version, resource, sub,
				       (char *)NULL),
	};
}

static bool put(char key[KEY_MAX], size_t *n, struct str part)
{
	if (part.n + 1 > KEY_MAX - *n)
		return false;
	if (part.n)
		memcpy(key + *n, part.p, part.n);
	*n += part.n;
	key[(*n)++] = '\0';
	return true;
}

static struct measured series_of(struct front_req *r, const struct labels *l)
{
	struct front *f = r->f;
	struct measured *m;
	char key[KEY_MAX];
	size_t n = 0;

	if (!put(key, &n, str_c(l->verb)) || !put(key, &n, str_c(l->code)) ||
	    !put(key, &n, l->group) || !put(key, &n, l->version) || !put(key, &n, l->resource) ||
	    !put(key, &n, l->sub))
		return look_up(r, l);
	m = map_get(&f->measured, (struct str){key, n});
	if (m)
		return *m;
	if (f->measured.n >= REMEMBERED_MAX)
		return look_up(r, l);
	m = xalloc(sizeof(*m));
	*m = look_up(r, l);
	map_set(&f->measured, (struct str){key, n}, m);
	return *m;
}

void front_measure(struct front_req *r, int status)
{
	const char code[] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
			     (char)('0' + status % 10), '\0'};
	double s = (double)(loop_now(r->f->o.loop) - r->http->received_ns) / 1e9;

	struct labels l = labels_of(r, code, r->resource && status != 404);
	struct measured m = series_of(r, &l);

	metric_add(m.requests, 1);
	log_debug("request", "method", arena_cstr(&r->http->arena, r->http->method), "path",
		  arena_cstr(&r->http->arena, r->http->raw_path), "user",
		  arena_cstr(&r->http->arena, r->who.user.name), "code", code);
	if (!r->resource || r->core.verb != CORE_WATCH)
		metric_observe(m.seconds, s < 0 ? 0 : s);
}
