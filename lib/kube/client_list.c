/*
 * Listing page by page, so that neither side holds a large collection twice. A page that has
 * expired (410) ends the list: what came before belongs to another snapshot. One loop.
 */
#include <stdlib.h>

#include "lib/kube/client-internal.h"

struct client_list {
	struct client *c;
	const struct resource *resource;
	char *namespace, *label_selector, *field_selector;
	void (*item)(void *arg, struct obj *o);
	void (*done)(void *arg, uint64_t revision, const struct err *err);
	void *arg;
	struct client_call *call;
	bool metadata_only, cancelled, in_items;
};

static void list_free(struct client_list *l)
{
	free(l->namespace);
	free(l->label_selector);
	free(l->field_selector);
	free(l);
}

static void page_ask(struct client_list *l, struct str token);

/* Items of typed lists may come without their type. */
static void item_type(struct client_list *l, struct arena *a, struct json *item)
{
	const struct resource *r = l->resource;

	if (!json_get(item, STR("kind")))
		json_set_str(a, item, "kind", str_c(r->kind));
	if (!json_get(item, STR("apiVersion")))
		json_set(a, item, STR("apiVersion"),
			 json_new_str(a, r->group[0] ? arena_strf(a, "%s/%s", r->group, r->version)
						     : str_c(r->version)));
}

static int page_items(struct client_list *l, struct arena *a, const struct json *page,
		      struct err *err)
{
	const struct json *items = json_get(page, STR("items"));

	for (size_t i = 0; i < json_len(items) && !l->cancelled; i++) {
		struct json *item = json_item(items, i);
		struct obj *o;

		item_type(l, a, item);
		o = obj_from_json(item, err);
		if (!o)
			return -1;
		l->item(l->arg, o);
	}
	return 0;
}

static void finish(struct client_list *l, uint64_t revision, const struct err *err)
{
	if (!l->cancelled)
		l->done(l->arg, revision, err);
	list_free(l);
}

static void page_done(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct client_list *l = arg;
	const struct json *page;
	struct err err = answer->err;
	uint64_t revision = 0;
	struct str token;

	l->call = NULL;
	l->in_items = true;
	page = err.code == ERR_NONE ? json_parse(&a, answer->body, NULL, &err) : NULL;
	if (!page || page_items(l, &a, page, &err)) {
		finish(l, 0, &err);
		return;
	}
	l->in_items = false;
	token = json_str(json_at(page, "metadata", "continue"));
	if (token.n && !l->cancelled) {
		page_ask(l, token);
		return;
	}
	if (str_to_u64(json_str(json_at(page, "metadata", "resourceVersion")), &revision))
		revision = 0;
	finish(l, revision, &err);
}

static void page_ask(struct client_list *l, struct str token)
{
	AUTO(buf) struct buf query = {0};
	struct api_call call = {
		.verb = API_LIST,
		.resource = l->resource,
		.namespace = str_c(l->namespace),
		.metadata_only = l->metadata_only,
	};

	client_query_add(&query, "limit", STR("500"));
	if (token.n)
		client_query_add(&query, "continue", token);
	if (l->label_selector)
		client_query_add(&query, "labelSelector", str_c(l->label_selector));
	if (l->field_selector)
		client_query_add(&query, "fieldSelector", str_c(l->field_selector));
	call.query = buf_cstr(&query) + 1; /* without the '?' */
	l->call = client_call(l->c, &call, page_done, l);
}

static struct client_list *list_new(struct client *c, const struct resource *r,
				    struct str namespace, const char *label_selector,
				    const char *field_selector)
{
	struct client_list *l = xalloc(sizeof(*l));

	*l = (struct client_list){.c = c, .resource = r};
	l->namespace = namespace.n ? xstrndup(namespace.p, namespace.n) : NULL;
	l->label_selector = label_selector ? xstrdup(label_selector) : NULL;
	l->field_selector = field_selector ? xstrdup(field_selector) : NULL;
	return l;
}

struct client_list *client_list(struct client *c, const struct resource *r, struct str namespace,
				const char *label_selector, const char *field_selector,
				void (*item)(void *arg, struct obj *o),
				void (*done)(void *arg, uint64_t revision, const struct err *err),
				void *arg)
{
	struct client_list *l = list_new(c, r, namespace, label_selector, field_selector);

	l->item = item;
	l->done = done;
	l->arg = arg;
	page_ask(l, STR_NONE);
	return l;
}

struct client_list *
client_list_metadata(struct client *c, const struct resource *r, struct str namespace,
		     const char *label_selector, const char *field_selector,
		     void (*item)(void *arg, struct obj *o),
		     void (*done)(void *arg, uint64_t revision, const struct err *err), void *arg)
{
	struct client_list *l = list_new(c, r, namespace, label_selector, field_selector);

	l->item = item;
	l->done = done;
	l->arg = arg;
	l->metadata_only = true;
	page_ask(l, STR_NONE);
	return l;
}

void client_list_cancel(struct client_list *l)
{
	if (!l)
		return;
	if (l->in_items) { /* from within item(): page_done frees it */
		l->cancelled = true;
		return;
	}
	client_call_cancel(l->c, l->call);
	list_free(l);
}
