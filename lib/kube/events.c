/*
 * The event recorder: one Event object for each distinct thing that happens to an object; repeats
 * raise its count. Two writes an object and second go out, the rest is counted into the next one.
 * Best effort: what cannot be written after one retry is dropped. One loop.
 * Specification: k8s.io/client-go/tools/record.
 */
#include "lib/kube/events.h"

#include <stdlib.h>

#include "lib/base/codec.h"
#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

#define KNOWN_MAX 4096 /* distinct events remembered; the oldest goes first */
#define REPEAT_AFTER (NS_PER_S / 2)
#define OLD (50 * 60 * NS_PER_S) /* the server forgets an Event after an hour */

struct known {
	struct list all; /* in recorder.order, oldest first */
	struct recorder *r;
	struct str key; /* behind the struct */
	char *namespace, *name;
	struct str body; /* the whole Event, until it is created */
	struct client_call *call;
	struct loop_timer timer;
	int64_t count, written, last_ns, made_ns;
	bool retried;
};

struct recorder {
	struct client *client;
	char *component, *host;
	struct map known;
	struct list order;
	size_t n;
	int64_t named_ns; /* in the last name that was given */
};

struct recorder *recorder_new(struct client *c, const char *component, const char *host)
{
	struct recorder *r = xalloc(sizeof(*r));

	r->client = c;
	r->component = xstrdup(component);
	r->host = host ? xstrdup(host) : NULL;
	list_init(&r->order);
	return r;
}

static void body_free(struct known *k)
{
	free((char *)(uintptr_t)k->body.p);
	k->body = STR_NONE;
}

static void known_free(struct known *k)
{
	client_call_cancel(k->r->client, k->call);
	loop_timer_cancel(k->r->client->loop, &k->timer);
	map_del(&k->r->known, k->key);
	list_remove(&k->all);
	k->r->n--;
	free(k->namespace);
	free(k->name);
	body_free(k);
	free(k);
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	LIST_FOREACH (it, &r->order)
		known_free(CONTAINER_OF(it, struct known, all));
	map_release(&r->known);
	free(r->component);
	free(r->host);
	free(r);
}

static void write_event(struct known *k);

static void on_timer(struct loop *l, struct loop_timer *t)
{
	(void)l;
	write_event(CONTAINER_OF(t, struct known, timer));
}

static void on_written(void *arg, const struct api_answer *a)
{
	struct known *k = arg;

	k->call = NULL;
	if (a->err.code == ERR_NONE) {
		k->retried = false;
		body_free(k);
	} else if (k->retried || !err_retryable(a->err.code)) {
		/* Also one that was deleted: the next of its kind begins again. */
		known_free(k);
		return;
	} else {
		k->retried = true;
		k->written = k->body.p ? 0 : k->written;
	}
	if (k->count > k->written || k->retried)
		loop_timer_set(k->r->client->loop, &k->timer, REPEAT_AFTER, on_timer);
}

static void create(struct known *k)
{
	struct api_call call = {.verb = API_CREATE,
				.resource = &res_events,
				.background = true,
				.namespace = str_c(k->namespace),
				.body = k->body};

	k->written = 1; /* as the body says; more are counted into it afterwards */
	k->call = client_call(k->r->client, &call, on_written, k);
}

static void count_up(struct known *k)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	char when[TIME_TEXT_MAX];
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_events,
				.background = true,
				.namespace = str_c(k->namespace),
				.name = str_c(k->name)};

	json_write(json_build(&a, "{s:I, s:S}", "count", k->count, "lastTimestamp",
			      time_format(k->last_ns, when)),
		   &text);
	call.body = buf_view(&text);
	k->written = k->count;
	k->call = client_call(k->r->client, &call, on_written, k);
}

static void write_event(struct known *k)
{
	if (k->call)
		return;
	if (!k->written)
		create(k);
	else
		count_up(k);
}

/* ObjectReference. */
static struct json *reference(struct arena *a, const struct json *o)
{
	struct json *ref = json_new(a, JSON_OBJECT);
	struct str ns = meta_namespace(o),
		   revision = json_str(json_at(o, "metadata", "resourceVersion")),
		   path = json_str(json_get(o, STR("fieldPath")));

	json_set_str(a, ref, "apiVersion", json_str(json_get(o, STR("apiVersion"))));
	json_set_str(a, ref, "kind", json_str(json_get(o, STR("kind"))));
	json_set_str(a, ref, "name", meta_name(o));
	json_set_str(a, ref, "uid", meta_uid(o));
	if (ns.n)
		json_set_str(a, ref, "namespace", ns);
	if (revision.n)
		json_set_str(a, ref, "resourceVersion", revision);
	if (path.n)
		json_set_str(a, ref, "fieldPath", path);
	return ref;
}

static struct json *event_object(struct known *k, struct arena *a, const struct json *regarding,
				 const char *type, const char *reason, struct str message)
{
	struct recorder *r = k->r;
	char when[TIME_TEXT_MAX];
	struct str now = arena_str(a, time_format(k->last_ns, when));
	struct json *source = json_build(a, "{s:s}", "component", r->component);

	if (r->host)
		json_set_str(a, source, "host", str_c(r->host));
	return json_build(
		a, "{s:s, s:s, s:{s:s, s:s}, s:o, s:s, s:S, s:s, s:o, s:S, s:S, s:i, s:s, s:s}",
		"kind", "Event", "apiVersion", "v1", "metadata", "name", k->name, "namespace",
		k->namespace, "involvedObject", reference(a, regarding), "reason", reason,
		"message", message, "type", type, "source", source, "firstTimestamp", now,
		"lastTimestamp", now, "count", 1, "reportingComponent", r->component,
		"reportingInstance", r->host ? r->host : "");
}

static struct known *known_new(struct recorder *r, struct str key, const struct json *regarding)
{
	struct known *k = xalloc(sizeof(*k) + key.n);
	struct str ns = meta_namespace(regarding), name = meta_name(regarding);
	char *text = (char *)(k + 1);

	for (size_t i = 0; i < key.n; i++)
		text[i] = key.p[i];
	k->r = r;
	k->key = (struct str){text, key.n};
	k->namespace = ns.n ? xstrndup(ns.p, ns.n) : xstrdup("default");
	k->last_ns = k->made_ns = loop_wall(r->client->loop);
	/* Lists are in the order of names: an object's events then are in that of time. */
	r->named_ns = MAX(r->named_ns + 1, k->made_ns);
	k->name = xasprintf("%.*s.%llx", (int)MIN(name.n, 230), name.p,
			    (unsigned long long)r->named_ns);
	list_append(&r->order, &k->all);
	map_set(&r->known, k->key, k);
	if (++r->n > KNOWN_MAX)
		known_free(CONTAINER_OF(r->order.next, struct known, all));
	return k;
}

/* The API server takes 1024 bytes; no character is cut in half. */
static void message_cut(struct buf *message)
{
	if (message->n <= 1024)
		return;
	message->n = 1024;
	while (message->n && (message->p[message->n] & 0xc0) == 0x80)
		message->n--;
}

void recorder_event(struct recorder *r, const struct json *regarding, const char *type,
		    const char *reason, const char *fmt, ...)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf message = {0};
	AUTO(buf) struct buf text = {0};
	struct str key, uid = meta_uid(regarding),
			part = json_str_or(json_get(regarding, STR("fieldPath")), STR(""));
	struct known *k;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&message, fmt, ap);
	va_end(ap);
	message_cut(&message);
	key = arena_strf(&a, "%.*s\n%.*s\n%s\n%s\n%.*s", STR_ARG(uid), STR_ARG(part), type, reason,
			 STR_ARG(buf_view(&message)));
	k = map_get(&r->known, key);
	if (k && !k->body.p && loop_wall(r->client->loop) - k->made_ns > OLD) {
		known_free(k);
		k = NULL;
	}
	if (!k) {
		k = known_new(r, key, regarding);
		json_write(event_object(k, &a, regarding, type, reason, buf_view(&message)), &text);
		k->body.n = text.n;
		k->body.p = buf_take(&text);
	}
	k->count++;
	k->last_ns = loop_wall(r->client->loop);
	if (!k->call && !loop_timer_armed(&k->timer))
		loop_timer_set(r->client->loop, &k->timer, k->count == 1 ? 0 : REPEAT_AFTER,
			       on_timer);
}
