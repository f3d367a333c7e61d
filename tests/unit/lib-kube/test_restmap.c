/* The REST mapper against a scripted server's discovery. Virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/kube/resources.h"
#include "lib/kube/restmap.h"

struct fake {
	struct client client;
	struct loop *loop;
	struct loop_timer timer;
	const char *scope, *plural; /* of widgets; NULL = no discovery at all */
	const char *kind;           /* NULL = Widget */
	bool down;
	char path[16];
	int asked;
	api_done *done;
	void *arg;
};

static void answer(struct loop *l, struct loop_timer *t)
{
	struct fake *f = CONTAINER_OF(t, struct fake, timer);
	AUTO(buf) struct buf body = {0};
	struct api_answer a = {.status = 200};

	(void)l;
	buf_puts(&body, "{\"items\":[");
	if (!strcmp(f->path, "/apis"))
		buf_printf(&body,
			   "{\"metadata\":{\"name\":\"e.io\"},\"versions\":[{\"version\":\"v1\","
			   "\"resources\":[{\"resource\":\"%s\",\"scope\":\"%s\","
			   "\"responseKind\":{\"kind\":\"%s\"}},{\"resource\":\"\"},{},"
			   "{\"resource\":\"others\",\"responseKind\":{\"kind\":\"%s\"}}]}]}",
			   f->plural, f->scope, f->kind ?: "Widget", f->kind ?: "Widget");
	else
		buf_puts(&body,
			 "{\"metadata\":{},\"versions\":[{\"version\":\"v1\",\"resources\":[{"
			 "\"resource\":\"pods\",\"scope\":\"Namespaced\",\"responseKind\":"
			 "{\"kind\":\"Pod\"}}]}]}");
	buf_puts(&body, "]}");
	a.body = buf_view(&body);
	if (f->down) {
		a = (struct api_answer){.status = 503};
		err_set(&a.err, ERR_UNAVAILABLE, "no");
	}
	f->done(f->arg, &a);
}

static struct client_call *raw(struct client *c, const char *path, const char *accept,
			       api_done *done, void *arg)
{
	struct fake *f = CONTAINER_OF(c, struct fake, client);

	(void)accept;
	if (!f->plural)
		return NULL;
	f->asked++;
	snprintf(f->path, sizeof(f->path), "%s", path);
	f->done = done;
	f->arg = arg;
	loop_timer_set(f->loop, &f->timer, 1, answer);
	return (struct client_call *)f;
}

static void cancel(struct client *c, struct client_call *call)
{
	(void)call;
	loop_timer_cancel(c->loop, &CONTAINER_OF(c, struct fake, client)->timer);
}

static const struct client_ops ops = {.raw = raw, .call_cancel = cancel};

static struct restmap *begin(struct fake *f)
{
	f->loop = loop_new_virtual(0);
	f->client = (struct client){.ops = &ops, .loop = f->loop};
	return restmap_new(&f->client);
}

static void end(struct fake *f, struct restmap *m)
{
	restmap_free(m);
	loop_free(f->loop);
}

struct told {
	struct restmap *m;
	const void *cancels;
	int calls;
	enum err_code code;
};

static void note(void *arg, const struct err *err)
{
	struct told *t = arg;

	t->calls++;
	t->code = err->code;
	if (t->cancels)
		restmap_cancel(t->m, t->cancels);
}

void test_restmap__kinds_of_the_server(void **state)
{
	struct fake f = {.scope = "Namespaced", .plural = "widgets"};
	struct restmap *m = begin(&f);
	struct told a = {0}, b = {0};
	const struct resource *r;
	size_t n = 0;

	(void)state;
	assert_null(restmap_find(m, STR("e.io/v1"), STR("Widget")));
	restmap_refresh(m, note, &a);
	restmap_refresh(m, note, &b); /* one refresh for both */
	assert_int_equal(a.calls, 0);
	loop_advance(f.loop, 10);
	assert_int_equal(f.asked, 2);
	assert_int_equal(a.calls + b.calls, 2);
	assert_int_equal(a.code, ERR_NONE);
	assert_true(restmap_ready(m));
	r = restmap_find(m, STR("e.io/v1"), STR("Widget"));
	assert_non_null(r);
	assert_string_equal(r->plural, "widgets");
	assert_true(r->namespaced);
	/* A reference may name a version that is served no longer. */
	assert_null(restmap_find(m, STR("e.io/v1beta1"), STR("Widget")));
	assert_ptr_equal(restmap_find_group(m, STR("e.io"), STR("Widget")), r);
	assert_ptr_equal(restmap_find_group(m, STR(""), STR("Pod")), &res_pods);
	assert_null(restmap_find_group(m, STR("f.io"), STR("Widget")));
	assert_ptr_equal(restmap_find(m, STR("v1"), STR("Pod")), &res_pods);
	while (restmap_at(m, n))
		n++;
	assert_int_equal(n, 2);
	end(&f, m);
}

void test_restmap__what_is_gone_is_known_but_not_served(void **state)
{
	struct fake f = {.scope = "Cluster", .plural = "widgets"};
	struct restmap *m = begin(&f);
	struct told a = {0};
	const struct resource *widget, *gadget;

	(void)state;
	restmap_refresh(m, note, &a);
	loop_advance(f.loop, 10);
	widget = restmap_find(m, STR("e.io/v1"), STR("Widget"));
	assert_true(restmap_served(m, widget));
	assert_true(restmap_served(m, &res_pods));
	f.kind = "Gadget";
	restmap_refresh(m, note, &a);
	assert_true(restmap_served(m, widget)); /* until that is read */
	loop_advance(f.loop, 10);
	gadget = restmap_find(m, STR("e.io/v1"), STR("Gadget"));
	assert_ptr_equal(restmap_find(m, STR("e.io/v1"), STR("Widget")), widget);
	assert_false(restmap_served(m, widget));
	assert_true(restmap_served(m, gadget));
	end(&f, m);
}

void test_restmap__failures_are_told_and_tried_again(void **state)
{
	struct fake f = {.scope = "Cluster", .plural = "widgets", .down = true};
	struct restmap *m = begin(&f);
	struct told a = {0};

	(void)state;
	restmap_refresh(m, note, &a);
	loop_advance(f.loop, 10);
	assert_int_equal(a.code, ERR_UNAVAILABLE);
	assert_false(restmap_ready(m));
	f.down = false;
	restmap_refresh(m, note, &a);
	loop_advance(f.loop, 10);
	assert_int_equal(a.calls, 2);
	assert_int_equal(a.code, ERR_NONE);
	end(&f, m);
}

void test_restmap__who_is_told_may_cancel_the_next(void **state)
{
	struct fake f = {.scope = "Cluster", .plural = "widgets"};
	struct restmap *m = begin(&f);
	struct told a = {.m = m}, b = {0}, c = {0};

	(void)state;
	a.cancels = &b;
	restmap_refresh(m, note, &a);
	restmap_refresh(m, note, &b);
	restmap_refresh(m, note, &c);
	restmap_cancel(m, &c);
	loop_advance(f.loop, 10);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
	assert_int_equal(c.calls, 0);
	restmap_refresh(m, note, &b);
	end(&f, m); /* with a call to come */
	assert_int_equal(b.calls, 0);
}

void test_restmap__a_definition_made_anew_counts(void **state)
{
	struct fake f = {.scope = "Cluster", .plural = "widgets"};
	struct restmap *m = begin(&f);
	const struct resource *old, *new;
	struct told a = {0};

	(void)state;
	restmap_refresh(m, note, &a);
	loop_advance(f.loop, 10);
	old = restmap_find(m, STR("e.io/v1"), STR("Widget"));
	f.scope = "Namespaced";
	f.plural = "widgetries";
	restmap_refresh(m, note, &a);
	loop_advance(f.loop, 10);
	new = restmap_find(m, STR("e.io/v1"), STR("Widget"));
	assert_string_equal(old->plural, "widgets"); /* whoever holds it may go on */
	assert_string_equal(new->plural, "widgetries");
	assert_true(new->namespaced);
	assert_true(restmap_served(m, new));
	assert_false(restmap_served(m, old)); /* a list by the old name would never end well */
	for (size_t i = 0; restmap_at(m, i); i++)
		assert_ptr_not_equal(restmap_at(m, i), old);
	end(&f, m);
}

void test_restmap__without_discovery_the_built_in_kinds(void **state)
{
	struct fake f = {0};
	struct restmap *m = begin(&f);
	struct told a = {0};

	(void)state;
	restmap_refresh(m, note, &a);
	assert_int_equal(a.calls, 0);
	loop_advance(f.loop, 10);
	assert_int_equal(a.calls, 1);
	assert_non_null(restmap_find(m, STR("apps/v1"), STR("Deployment")));
	assert_null(restmap_find(m, STR("e.io/v1"), STR("Widget")));
	end(&f, m);
}
