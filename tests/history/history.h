/*
 * What was asked of an API server and what it showed, and the judgement over it: a history of
 * calls, lists and watches by several clients, over one kind and a few keys, while the server may
 * have died and come back. history_check() is pure and knows no server.
 *
 * What it holds a server to: writes have revisions of their own that grow with real time; what was
 * acknowledged stays; what was refused or never asked for is not seen; reads and lists are never
 * older than what was acknowledged before them; a list is one moment's truth; each version is
 * replaced once; a watch shows every change after its beginning once and in order.
 */
#ifndef PLUMB_TEST_HISTORY_H
#define PLUMB_TEST_HISTORY_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#define HISTORY_KEYS_MAX 64

enum history_verb { H_CREATE, H_UPDATE, H_PATCH, H_APPLY, H_DELETE, H_GET, H_LIST };
enum history_end {
	H_OK,
	H_REFUSED, /* the server said that it did not do it */
	H_UNKNOWN  /* no answer, or one that leaves it open */
};

struct history_item {
	int key;
	uint64_t revision; /* 0 = absent */
	int64_t value;     /* of the write that made it; -1 = by halves: no single write's */
	uint64_t uid;
};

struct history_op {
	enum history_verb verb;
	enum history_end end;
	int client;
	int64_t from_ns, to_ns; /* H_UNKNOWN: to when it cannot happen any more, the server's end */
	int key;
	uint64_t expected;       /* H_UPDATE: the version that it replaces */
	int64_t value;           /* of a write: no other write has it; > 0 */
	struct history_item got; /* the object in the answer */
	uint64_t revision;       /* of a list */
	struct history_item *items;
	size_t nitems;
};

enum history_event_type { H_ADDED, H_MODIFIED, H_DELETED, H_BOOKMARK };
struct history_event {
	enum history_event_type type;
	int64_t at_ns;
	struct history_item item; /* of a bookmark only the revision */
};

struct history_watch {
	size_t list; /* index of the list that it goes on from */
	struct history_event *events;
	size_t n;
};

struct history {
	struct history_op *ops;
	size_t nops;
	struct history_watch *watches;
	size_t nwatches;
};

#define HISTORY_FLAWS(X)                                                                           \
	X(SHARED_REVISION, "one revision for two writes, or two pictures of one write")            \
	X(UNKNOWN_VALUE, "a value that nobody wrote there")                                        \
	X(REFUSED_SEEN, "a write that was refused is there")                                       \
	X(HALF_WRITE, "an object by halves")                                                       \
	X(WRITTEN_TWICE, "one write under two revisions")                                          \
	X(WRONG_ANSWER, "a write's answer shows something else")                                   \
	X(FROM_THE_FUTURE, "seen before it was asked for")                                         \
	X(REVISION_WENT_BACK, "a later write has a smaller revision")                              \
	X(STALE_LIST, "a list older than what was known before it")                                \
	X(STALE_READ, "a read older than what was known before it")                                \
	X(TWO_WINNERS, "a version that was replaced twice")                                        \
	X(CREATED_OVER, "created though it was there")                                             \
	X(UID_REUSED, "an identity that came back, or on two objects")                             \
	X(UID_CHANGED, "another identity without a deletion and a creation")                       \
	X(RESURRECTED, "there again after its deletion")                                           \
	X(VANISHED, "gone though nobody deleted it")                                               \
	X(LIST_MISSING, "a list that lacks an object")                                             \
	X(LIST_MIXED, "a list of more than one moment")                                            \
	X(EVENT_REPEATED, "an event for the second time")                                          \
	X(EVENT_REORDERED, "events out of order")                                                  \
	X(EVENT_LOST, "an event that a watcher did not get")                                       \
	X(EVENT_TYPE, "an event whose type does not fit")                                          \
	X(EVENT_OBJECT, "a deletion that shows another state than the last")                       \
	X(BOOKMARK_AHEAD, "a bookmark beyond an event that comes later")                           \
	X(BOOKMARK_BACK, "a bookmark before what was already told")                                \
	X(WATCH_DIFFERS, "watched and listed states of one revision differ")

enum history_flaw {
#define X(name, text) H_FLAW_##name,
	HISTORY_FLAWS(X)
#undef X
		H_FLAW_MAX
};
const char *history_flaw_text(enum history_flaw f);

struct history_verdict {
	size_t count[H_FLAW_MAX]; /* how often each was found */
	size_t total;
	struct buf why; /* the first ones, a line each; the caller releases it */
};
void history_check(const struct history *h, struct history_verdict *ret);

#endif
