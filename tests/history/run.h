/*
 * What the history driver's files share: one server that is killed and started again, writers and
 * watchers of it in this process, and the history that they write down. One thread, one loop.
 */
#ifndef PLUMB_TEST_HISTORY_RUN_H
#define PLUMB_TEST_HISTORY_RUN_H

#include "lib/base/codec.h"
#include "lib/http/client.h"
#include "lib/json/json.h"
#include "tests/history/history.h"

#define KEYS 16
#define WRITERS 8
#define WATCHERS 3
#define PATH "/api/v1/namespaces/default/configmaps"

struct run;

struct writer {
	struct run *run;
	int number;
	struct http_client *http;
	struct loop_timer again;
	bool busy;
	size_t op; /* index of the call under way */
	/* a list that comes in pages */
	struct history_item items[KEYS];
	size_t nitems;
	uint64_t list_revision;
};

struct watcher {
	struct run *run;
	int number;
	struct http_client *http;
	struct loop_timer again;
	struct http_running *stream;
	size_t watch, list; /* indices */
	uint64_t last;      /* to go on from; 0 = list first */
	bool begun;
	struct buf line;
};

struct run {
	struct loop *loop;
	struct rng rng;
	struct history h;
	size_t cap_ops, cap_watches;
	struct writer writers[WRITERS];
	struct watcher watchers[WATCHERS];
	uint64_t seen[KEYS]; /* the last revision that anybody was shown */
	int64_t next_value;
	bool up, ending;
	uint64_t goal; /* at the end: watchers go on until they have got here */
	size_t acknowledged, events, gone;
};

struct history_op *run_op(struct run *r, int client, enum history_verb verb, int key);
/* An object of ours; false for others'. */
bool run_item(struct run *r, const struct json *o, struct history_item *ret);
enum history_end run_end_of(int status);

void writer_start(struct writer *w);
void writer_release(struct writer *w);
/* The last write of a run: everybody must hear of it. */
void writer_finish(struct writer *w);
void watcher_start(struct watcher *w);
void watcher_release(struct watcher *w);

#endif
