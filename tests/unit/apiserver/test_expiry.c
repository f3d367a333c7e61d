/* Events go an hour after they were last written, by the server's clock and not by their writer's.
 */
#include "tests/unit/apiserver/core_alone.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define EVENTS "/api/v1/namespaces/default/events"
#define EVENT(name, rest)                                                                          \
	"{\"metadata\":{\"name\":\"" name                                                          \
	"\"},\"involvedObject\":{\"namespace\":\"default\"}" rest "}"

static void later(int64_t seconds)
{
	now_ns += seconds * NS_PER_S;
	core_turn(core);
}

static int get(const char *path)
{
	return status_of("GET", path, NULL, NULL);
}

void test_expiry__an_hour_after_the_last_write(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", EVENTS, NULL, EVENT("a", "")), 201);
	assert_int_equal(status_of("POST", EVENTS, NULL, EVENT("b", "")), 201);
	later(1800);
	assert_int_equal(status_of("PATCH", EVENTS "/b", "application/merge-patch+json",
				   "{\"message\":\"again\"}"),
			 200);
	later(1700);
	assert_int_equal(get(EVENTS "/a"), 200);
	later(300);
	assert_int_equal(get(EVENTS "/a"), 404);
	assert_int_equal(get(EVENTS "/b"), 200);
	later(1800);
	assert_int_equal(get(EVENTS "/b"), 404);
	alone_end();
}

/* What an Event says of its own time decides nothing. */
void test_expiry__the_writers_clock_does_not_count(void **state)
{
	(void)state;
	alone_begin();
	assert_int_equal(status_of("POST", EVENTS, NULL,
				   EVENT("old", ",\"lastTimestamp\":\"2001-01-01T00:00:00Z\"")),
			 201);
	assert_int_equal(status_of("POST", EVENTS, NULL,
				   EVENT("ever", ",\"lastTimestamp\":\"2200-01-01T00:00:00Z\"")),
			 201);
	later(120);
	assert_int_equal(get(EVENTS "/old"), 200);
	later(3660);
	assert_int_equal(get(EVENTS "/old"), 404);
	assert_int_equal(get(EVENTS "/ever"), 404);
	alone_end();
}
