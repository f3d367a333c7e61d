/* The informer against a scripted server: lists, watches, cuts, 410. Virtual clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"

struct fake {
	struct client client;
	struct loop *loop;
	const char *list; /* what the next list answers; NULL = 503 */
	int lists, watches;
	uint64_t watched_from;
	api_done *done;
	void *done_arg;
	struct loop_timer timer;
	struct watch_call watch;
	bool watching;
	char log[512];
};

static void answer(struct loop *l, struct loop_timer *t)
{
	struct fake *f = CONTAINER_OF(t, struct fake, timer);
	struct api_answer a = {.status = 200, .body = str_c(f->list)};

	(void)l;
	if (!f->list) {
		a.status = 503;
		err_set(&a.err, ERR_UNAVAILABLE, "no");
	}
	f->done(f->done_arg, &a);
}

static struct client_call *fake_call(struct client *c, const struct api_call *call, api_done *done,
				     void *arg)
{
	struct fake *f = CONTAINER_OF(c, struct fake, client);

	assert_int_equal(call->verb, API_LIST);
	f->lists++;
	f->done = done;
	f->done_arg = arg;
	loop_timer_set(f->loop, &f->timer, 0, answer);
	return (struct client_call *)f;
}

static void fake_cancel(struct client *c, struct client_call *call)
{
	(void)call;
	loop_timer_cancel(c->loop, &CONTAINER_OF(c, struct fake, client)->timer);
}

static struct client_watch *fake_watch(struct client *c, const struct watch_call *w)
{
	struct fake *f = CONTAINER_OF(c, struct fake, client);

	f->watch = *w;
	f->watches++;
	f->watching = true;
	f->watched_from = w->from;
	return (struct client_watch *)f;
}

static void fake_watch_cancel(struct client *c, struct client_watch *w)
{
	(void)w;
	CONTAINER_OF(c, struct fake, client)->watching = false;
}

static const struct client_ops fake_ops = {.call = fake_call,
					   .call_cancel = fake_cancel,
					   .watch = fake_watch,
					   .watch_cancel = fake_watch_cancel};

static void event(struct fake *f, enum watch_event ev, const char *name, int revision)
{
	char text[256];
	struct err err = {0};
	struct obj *o;

	snprintf(text, sizeof(text),
		 "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"namespace\":\"n\","
		 "\"name\":\"%s\",\"uid\":\"u-%s\",\"resourceVersion\":\"%d\"}}",
		 name, name, revision);
	o = obj_from_bytes(str_c(text), &err);
	f->watch.event(f->watch.arg, ev, o);
	obj_unref(o);
}

static void cut(struct fake *f, enum err_code code)
{
	struct err err = {.code = code};

	f->watching = false;
	f->watch.ended(f->watch.arg, &err);
}

static void note(void *arg, const struct obj *old, const struct obj *new)
{
	struct fake *f = arg;
	size_t n = strnlen(f->log, sizeof(f->log));
	const struct obj *o = new ? new : old;

	snprintf(f->log + n, sizeof(f->log) - n, "%s%.*s ",
		 !old   ? "+"
		 : !new ? "-"
			: "~",
		 STR_ARG(o->name));
}

static void by_name(const struct obj *o, struct arena *a, void (*put)(void *ctx, struct str value),
		    void *ctx)
{
	(void)a;
	put(ctx, str_sub(o->name, 0, 1));
}

static struct informer *begin(struct fake *f, const char *list)
{
	struct informer_opts o = {.resource = &res_pods};
	struct informer *i;

	f->loop = loop_new_virtual(0);
	f->client = (struct client){.ops = &fake_ops, .loop = f->loop};
	f->list = list;
	i = informer_new(&f->client, &o);
	informer_on_change(i, note, f);
	informer_add_index(i, "first", by_name);
	informer_start(i);
	loop_advance(f->loop, 0);
	return i;
}

static void end(struct fake *f, struct informer *i)
{
	informer_free(i);
	loop_free(f->loop);
}

#define ITEM(name, rv)                                                                             \
	"{\"metadata\":{\"namespace\":\"n\",\"name\":\"" name "\",\"uid\":\"u-" name               \
	"\",\"resourceVersion\":\"" rv "\"}}"
#define LIST(rv, items)                                                                            \
	"{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" rv "\"},\"items\":[" items "]}"

void test_informer__lists_then_watches_from_there(void **state)
{
	struct fake f = {0};
	struct informer *i = begin(&f, LIST("7", ITEM("b", "3") "," ITEM("a", "5")));
	AUTO(arena) struct arena a = {0};
	struct obj_set all = informer_list(i, &a);

	(void)state;
	assert_true(informer_synced(i));
	assert_int_equal(f.watched_from, 7);
	assert_int_equal(all.n, 2);
	assert_true(str_is(all.v[0]->name, "a"));
	assert_true(str_is(all.v[0]->kind, "Pod"));
	end(&f, i);
}

void test_informer__events_change_cache_and_indexes(void **state)
{
	struct fake f = {0};
	struct informer *i = begin(&f, LIST("7", ITEM("aa", "3")));
	AUTO(arena) struct arena a = {0};

	(void)state;
	event(&f, WATCH_ADDED, "ab", 8);
	event(&f, WATCH_MODIFIED, "aa", 9);
	assert_int_equal(informer_by_index(i, "first", STR("a"), &a).n, 2);
	event(&f, WATCH_DELETED, "ab", 10);
	assert_int_equal(informer_by_index(i, "first", STR("a"), &a).n, 1);
	assert_int_equal(informer_revision(i), 10);
	assert_null(informer_get(i, STR("n"), STR("ab")));
	assert_int_equal(informer_get(i, STR("n"), STR("aa"))->revision, 9);
	assert_string_equal(f.log, "+aa +ab ~aa -ab ");
	end(&f, i);
}

void test_informer__a_cut_resumes_without_listing(void **state)
{
	struct fake f = {0};
	struct informer *i = begin(&f, LIST("7", ""));

	(void)state;
	event(&f, WATCH_ADDED, "a", 8);
	event(&f, WATCH_BOOKMARK, "", 20);
	cut(&f, ERR_IO);
	loop_advance(f.loop, NS_PER_S);
	assert_int_equal(f.lists, 1);
	assert_int_equal(f.watches, 2);
	assert_int_equal(f.watched_from, 20);
	end(&f, i);
}

void test_informer__expired_lists_again_and_reports_what_is_gone(void **state)
{
	struct fake f = {0};
	struct informer *i = begin(&f, LIST("7", ITEM("a", "3") "," ITEM("b", "4")));

	(void)state;
	f.list = LIST("30", ITEM("b", "25") "," ITEM("c", "26"));
	f.log[0] = 0;
	cut(&f, ERR_EXPIRED);
	loop_advance(f.loop, NS_PER_S);
	assert_string_equal(f.log, "~b +c -a ");
	assert_int_equal(f.watched_from, 30);
	end(&f, i);
}

void test_informer__a_failing_list_is_tried_again_with_back_off(void **state)
{
	struct fake f = {0};
	struct informer *i = begin(&f, NULL);

	(void)state;
	loop_advance(f.loop, 10 * NS_PER_S);
	assert_false(informer_synced(i));
	assert_in_range(f.lists, 5, 20);
	f.list = LIST("7", "");
	loop_advance(f.loop, 3 * NS_PER_S);
	assert_true(informer_synced(i));
	end(&f, i);
}

void test_informer__old_events_do_not_turn_the_cache_back(void **state)
{
	struct fake f = {0};
	struct informer *i = begin(&f, LIST("7", ITEM("a", "6")));

	(void)state;
	event(&f, WATCH_MODIFIED, "a", 5);
	assert_int_equal(informer_get(i, STR("n"), STR("a"))->revision, 6);
	end(&f, i);
}
