/* status.history: what counts as the same build, and how many are kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/timefmt.h"
#include "reconciler/history.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

static struct json *add(struct arena *a, const struct json *old, const char *digest,
			const char *status)
{
	const struct history_entry e = {.digest = str_c(digest),
					.status = str_c(status),
					.revision = STR("main@sha1:1"),
					.now_ns = 1000 * NS_PER_S,
					.took_ns = 1234567890};

	return history_add(a, old, &e);
}

void test_history__an_entry_says_what_and_how_long(void **state)
{
	struct arena a = {0};
	const struct json *e = json_item(add(&a, NULL, "sha256:1", "ReconciliationSucceeded"), 0);

	(void)state;
	assert_true(str_is(json_str(json_get(e, STR("lastReconciled"))), "1970-01-01T00:16:40Z"));
	assert_true(str_is(json_str(json_get(e, STR("lastReconciledDuration"))), "1.234s"));
	assert_true(str_is(json_str(json_get(e, STR("firstReconciled"))), "1970-01-01T00:16:40Z"));
	assert_true(str_is(json_str(json_at(e, "metadata", "revision")), "main@sha1:1"));
	assert_int_equal(json_int(json_get(e, STR("totalReconciliations")), 0), 1);
	arena_release(&a);
}

void test_history__the_same_build_counts(void **state)
{
	struct arena a = {0};
	struct json *h = add(&a, NULL, "sha256:1", "ReconciliationSucceeded");

	(void)state;
	h = add(&a, h, "sha256:2", "ReconciliationSucceeded");
	h = add(&a, h, "sha256:1", "ReconciliationSucceeded");
	assert_int_equal(json_len(h), 2);
	assert_int_equal(json_int(json_get(json_item(h, 0), STR("totalReconciliations")), 0), 2);
	h = add(&a, h, "sha256:1", "HealthCheckFailed");
	assert_int_equal(json_len(h), 3);
	assert_int_equal(json_int(json_get(json_item(h, 0), STR("totalReconciliations")), 0), 1);
	arena_release(&a);
}

void test_history__five_are_kept(void **state)
{
	struct arena a = {0};
	struct json *h = NULL;

	(void)state;
	for (int i = 0; i < 9; i++)
		h = add(&a, h, arena_printf(&a, "sha256:%d", i), "ReconciliationSucceeded");
	assert_int_equal(json_len(h), HISTORY_MAX);
	assert_true(str_is(json_str(json_get(json_item(h, 0), STR("digest"))), "sha256:8"));
	arena_release(&a);
}
