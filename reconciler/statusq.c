/* One queue of patches an object; gone when it is empty. One loop. */
#include "reconciler/statusq.h"

#include <stdlib.h>

#include "lib/base/list.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/timefmt.h"
#include "lib/kube/workqueue.h"

#define TRIES 12
#define LINGER (200 * NS_PER_MS) /* the informer's event may come after the answer */

static const struct backoff retry = {.base_ns = 50 * NS_PER_MS, .max_ns = 5 * NS_PER_S};

struct statusq {
	struct client *client;
	struct map lines; /* "plural/namespace/name" → struct line */
};

struct patch {
	struct list all;
	struct buf body;
};

struct line {
	struct statusq *q;
	const struct resource *resource;
	char *key, *namespace, *name;
	struct list patches; /* the first is under way, or about to be tried again */
	struct client_call *call;
	struct loop_timer timer;
	unsigned failures;
};

static void send(struct line *l);

static char *key_of(const struct resource *r, const struct obj *o)
{
	return xasprintf("%s/%.*s/%.*s", r->plural, STR_ARG(o->namespace), STR_ARG(o->name));
}

static void patch_free(struct patch *p)
{
	list_remove(&p->all);
	buf_release(&p->body);
	free(p);
}

static void line_free(struct line *l)
{
	map_del(&l->q->lines, str_c(l->key));
	client_call_cancel(l->q->client, l->call);
	loop_timer_cancel(l->q->client->loop, &l->timer);
	LIST_FOREACH (it, &l->patches)
		patch_free(CONTAINER_OF(it, struct patch, all));
	free(l->key);
	free(l->namespace);
	free(l->name);
	free(l);
}

static void on_timer(struct loop *loop, struct loop_timer *t)
{
	struct line *l = CONTAINER_OF(t, struct line, timer);

	(void)loop;
	if (list_empty(&l->patches))
		line_free(l);
	else
		send(l);
}

static void on_written(void *arg, const struct api_answer *a)
{
	struct line *l = arg;
	struct loop *loop = l->q->client->loop;

	l->call = NULL;
	if (a->err.code != ERR_NONE && a->err.code != ERR_NOT_FOUND && err_retryable(a->err.code) &&
	    l->failures < TRIES) {
		loop_timer_set(loop, &l->timer, backoff_after(&retry, l->failures++), on_timer);
		return;
	}
	if (a->err.code != ERR_NONE && a->err.code != ERR_NOT_FOUND)
		log_warn("cannot write a status", "object", l->key, "error", a->err.msg);
	l->failures = 0;
	patch_free(CONTAINER_OF(l->patches.next, struct patch, all));
	loop_timer_set(loop, &l->timer, list_empty(&l->patches) ? LINGER : 0, on_timer);
}

static void send(struct line *l)
{
	struct patch *p = CONTAINER_OF(l->patches.next, struct patch, all);
	struct api_call call = {.verb = API_PATCH,
				.resource = l->resource,
				.namespace = str_c(l->namespace),
				.name = str_c(l->name),
				.subresource = "status",
				.patch = API_PATCH_MERGE,
				.body = buf_view(&p->body)};

	/* It may still be armed to take an empty line away. */
	loop_timer_cancel(l->q->client->loop, &l->timer);
	l->call = client_call(l->q->client, &call, on_written, l);
}

static struct line *line_new(struct statusq *q, const struct resource *r, const struct obj *o,
			     char *key)
{
	struct line *l = xalloc(sizeof(*l));

	*l = (struct line){.q = q, .resource = r, .key = key};
	l->namespace = xstrndup(o->namespace.p, o->namespace.n);
	l->name = xstrndup(o->name.p, o->name.n);
	list_init(&l->patches);
	map_set(&q->lines, str_c(key), l);
	return l;
}

void statusq_put(struct statusq *q, const struct resource *r, const struct obj *o,
		 const struct json *patch)
{
	char *key = key_of(r, o);
	struct line *l = map_get(&q->lines, str_c(key));
	struct patch *p = xalloc(sizeof(*p));

	if (l)
		free(key);
	else
		l = line_new(q, r, o, key);
	json_write(patch, &p->body);
	list_append(&l->patches, &p->all);
	if (l->patches.next == &p->all && !l->call)
		send(l);
}

bool statusq_busy(const struct statusq *q, const struct resource *r, const struct obj *o)
{
	AUTO(free) char *key = key_of(r, o);

	return map_has(&q->lines, str_c(key));
}

struct statusq *statusq_new(struct client *c)
{
	struct statusq *q = xalloc(sizeof(*q));

	q->client = c;
	return q;
}

void statusq_free(struct statusq *q)
{
	struct map_iter it = {0};

	if (!q)
		return;
	while (map_next(&q->lines, &it))
		line_free(it.value);
	map_release(&q->lines);
	free(q);
}
