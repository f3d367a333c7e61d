/* A little API server in memory behind struct client: objects, merge patches, watches; no rules. */
#ifndef TESTS_KUBELET_FAKEAPI_H
#define TESTS_KUBELET_FAKEAPI_H

#include "lib/base/list.h"
#include "lib/http/http.h"
#include "lib/kube/client.h"

#define FAKE_MAX 512

struct fake_item {
	const struct resource *r;
	char *ns, *name, *text;
};

struct fake {
	struct client client;
	struct fake_item v[FAKE_MAX];
	size_t n;
	uint64_t revision;
	unsigned uids, writes;
	struct list calls, watches;
};

struct client_call {
	struct list node;
	struct fake *f;
	struct loop_timer timer;
	struct api_call call;
	char *ns, *name, *sub, *query;
	struct buf body;
	api_done *done;
	void *arg;
};

struct client_watch {
	struct list node;
	struct fake *f;
	struct watch_call w;
	char *ns, *field;
};

static inline char *fake_dup(struct str s)
{
	return xstrndup(s.p ? s.p : "", s.n);
}

static inline struct fake_item *fake_find(struct fake *f, const struct resource *r, const char *ns,
					  const char *name)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].r == r && !strcmp(f->v[i].ns, ns) && !strcmp(f->v[i].name, name))
			return &f->v[i];
	}
	return NULL;
}

static inline bool fake_selected(const struct obj *o, const char *field)
{
	AUTO(arena) struct arena a = {0};
	struct str key, value;

	if (!field || !*field)
		return true;
	str_cut(str_c(field), '=', &key, &value);
	if (str_is(key, "metadata.name"))
		return str_eq(o->name, value);
	return str_eq(json_str(json_at(obj_tree(o, &a), "spec", "nodeName")), value);
}

static inline void fake_tell(struct fake *f, const struct resource *r, enum watch_event ev,
			     const char *text)
{
	struct obj *o = obj_from_bytes(str_c(text), NULL);

	LIST_FOREACH (n, &f->watches) {
		struct client_watch *w = CONTAINER_OF(n, struct client_watch, node);
		if (w->w.resource == r && (!*w->ns || str_is(o->namespace, w->ns)) &&
		    fake_selected(o, w->field))
			w->w.event(w->w.arg, ev, o);
	}
	obj_unref(o);
}

static inline void fake_merge(struct arena *a, struct json *to, const struct json *patch)
{
	for (size_t i = 0; i < json_len(patch); i++) {
		const struct json_member *m = &json_members(patch)[i];
		if (m->value.type == JSON_NULL) {
			json_del(to, m->key);
		} else if (m->value.type == JSON_OBJECT) {
			struct json *child = json_get(to, m->key);
			if (!json_is(child, JSON_OBJECT))
				child = json_set(a, to, m->key, json_new(a, JSON_OBJECT));
			fake_merge(a, child, &m->value);
		} else {
			json_set(a, to, m->key, &m->value);
		}
	}
}

/* Stores the tree and tells the watchers; makes uid and namespace where there are none. */
static inline const char *fake_put(struct fake *f, const struct resource *r, struct json *o,
				   struct arena *a)
{
	AUTO(buf) struct buf out = {0};
	struct json *meta = json_set_object(a, o, "metadata");
	struct fake_item *it;

	if (!json_get(meta, STR("uid")))
		json_set_str(a, meta, "uid", arena_strf(a, "uid-%u", ++f->uids));
	json_set_str(a, meta, "resourceVersion",
		     arena_strf(a, "%llu", (unsigned long long)++f->revision));
	json_set_str(a, o, "kind", str_c(r->kind));
	json_set_str(a, o, "apiVersion",
		     *r->group ? arena_strf(a, "%s/%s", r->group, r->version) : str_c(r->version));
	char *ns = arena_cstr(a, meta_namespace(o)), *name = arena_cstr(a, meta_name(o));
	it = fake_find(f, r, ns, name);
	enum watch_event ev = it ? WATCH_MODIFIED : WATCH_ADDED;
	if (!it) {
		assert(f->n < FAKE_MAX);
		it = &f->v[f->n++];
		*it = (struct fake_item){r, xstrdup(ns), xstrdup(name), NULL};
	}
	json_write(o, &out);
	free(it->text);
	it->text = buf_take(&out);
	AUTO(free) char *text = xstrdup(it->text);
	fake_tell(f, r, ev, text);
	return it->text;
}

static inline void fake_add(struct fake *f, const struct resource *r, const char *json)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct json *o = json_parse(&a, str_c(json), NULL, &err);

	if (!o)
		fail_msg("%s in %s", err.msg, json);
	fake_put(f, r, o, &a);
}

static inline void fake_remove(struct fake *f, struct fake_item *it)
{
	struct fake_item gone = *it;

	*it = f->v[--f->n];
	f->revision++;
	fake_tell(f, gone.r, WATCH_DELETED, gone.text);
	free(gone.ns);
	free(gone.name);
	free(gone.text);
}

static inline void fake_list(struct client_call *c, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct str field = http_query(&a, str_c(c->query), "fieldSelector");
	char *sel = arena_cstr(&a, field.p ? field : STR(""));
	bool first = true;

	buf_printf(out,
		   "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"%"
		   "llu\"},\"items\":[",
		   (unsigned long long)c->f->revision);
	for (size_t i = 0; i < c->f->n; i++) {
		struct fake_item *it = &c->f->v[i];
		struct obj *o;
		if (it->r != c->call.resource || (*c->ns && strcmp(it->ns, c->ns)))
			continue;
		o = obj_from_bytes(str_c(it->text), NULL);
		if (fake_selected(o, sel)) {
			buf_printf(out, "%s%s", first ? "" : ",", it->text);
			first = false;
		}
		obj_unref(o);
	}
	buf_puts(out, "]}");
}

static inline int fake_write(struct client_call *c, struct fake_item *it, struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct json *body = json_parse(&a, buf_view(&c->body), NULL, NULL), *o;

	c->f->writes++;
	if (c->call.verb == API_CREATE && !strcmp(c->sub, "token")) {
		buf_puts(out, "{\"kind\":\"TokenRequest\",\"status\":{\"token\":\"a.b.c\","
			      "\"expirationTimestamp\":\"2199-01-01T00:00:00Z\"}}");
		return 201;
	}
	if (c->call.verb == API_CREATE) {
		assert_string_equal(c->name, ""); /* a collection is posted to */
		if (*c->ns)
			json_set_str(&a, json_set_object(&a, body, "metadata"), "namespace",
				     str_c(c->ns));
		if (fake_find(c->f, c->call.resource, c->ns, arena_cstr(&a, meta_name(body))))
			return 409;
		buf_puts(out, fake_put(c->f, c->call.resource, body, &a));
		return 201;
	}
	if (!it)
		return 404;
	if (c->call.verb == API_DELETE) {
		buf_puts(out, it->text);
		fake_remove(c->f, it);
		return 200;
	}
	o = json_parse(&a, arena_str(&a, str_c(it->text)), NULL, NULL);
	fake_merge(&a, o, body);
	buf_puts(out, fake_put(c->f, c->call.resource, o, &a));
	return 200;
}

static inline void fake_free_call(struct client_call *c)
{
	list_remove(&c->node);
	loop_timer_cancel(c->f->client.loop, &c->timer);
	free(c->ns);
	free(c->name);
	free(c->sub);
	free(c->query);
	buf_release(&c->body);
	free(c);
}

static inline void fake_on_call(struct loop *l, struct loop_timer *t)
{
	struct client_call *c = CONTAINER_OF(t, struct client_call, timer);
	AUTO(buf) struct buf out = {0};
	struct fake_item *it = fake_find(c->f, c->call.resource, c->ns, c->name);
	struct api_answer a = {.status = 200};

	(void)l;
	if (c->call.verb == API_LIST)
		fake_list(c, &out);
	else if (c->call.verb == API_GET && it)
		buf_puts(&out, it->text);
	else
		a.status = c->call.verb == API_GET ? 404 : fake_write(c, it, &out);
	a.body = buf_view(&out);
	if (a.status == 404)
		(void)err_set(&a.err, ERR_NOT_FOUND, "%s not found", c->name);
	if (a.status == 409)
		(void)err_set(&a.err, ERR_EXISTS, "exists");
	api_done *done = c->done;
	void *arg = c->arg;
	fake_free_call(c);
	done(arg, &a);
}

static inline struct client_call *fake_call(struct client *client, const struct api_call *call,
					    api_done *done, void *arg)
{
	struct client_call *c = xalloc(sizeof(*c));

	*c = (struct client_call){.f = CONTAINER_OF(client, struct fake, client),
				  .call = *call,
				  .done = done,
				  .arg = arg};
	c->ns = fake_dup(call->namespace);
	c->name = fake_dup(call->name);
	c->sub = xstrdup(call->subresource ? call->subresource : "");
	c->query = xstrdup(call->query ? call->query : "");
	buf_str(&c->body, call->body);
	list_append(&c->f->calls, &c->node);
	loop_timer_set(client->loop, &c->timer, 0, fake_on_call);
	return c;
}

static inline void fake_call_cancel(struct client *client, struct client_call *c)
{
	(void)client;
	fake_free_call(c);
}

static inline struct client_watch *fake_watch(struct client *client, const struct watch_call *w)
{
	struct client_watch *v = xalloc(sizeof(*v));

	*v = (struct client_watch){.f = CONTAINER_OF(client, struct fake, client), .w = *w};
	v->ns = fake_dup(w->namespace);
	v->field = xstrdup(w->field_selector ? w->field_selector : "");
	list_append(&v->f->watches, &v->node);
	return v;
}

static inline void fake_watch_cancel(struct client *client, struct client_watch *w)
{
	(void)client;
	list_remove(&w->node);
	free(w->ns);
	free(w->field);
	free(w);
}

static const struct client_ops fake_ops = {.call = fake_call,
					   .call_cancel = fake_call_cancel,
					   .watch = fake_watch,
					   .watch_cancel = fake_watch_cancel};

static inline void fake_init(struct fake *f, struct loop *l)
{
	*f = (struct fake){.client = {.ops = &fake_ops, .loop = l, .field_manager = "test"}};
	list_init(&f->calls);
	list_init(&f->watches);
}

static inline void fake_release(struct fake *f)
{
	LIST_FOREACH (n, &f->calls)
		fake_free_call(CONTAINER_OF(n, struct client_call, node));
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].ns);
		free(f->v[i].name);
		free(f->v[i].text);
	}
	f->n = 0;
}

#endif
