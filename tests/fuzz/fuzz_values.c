/*
 * Small texts that requests carry: quantities, times, durations, schedules, escapes. The first
 * byte says which. What is read and written reads the same again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/cron.h"
#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/json/jsonpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void quantity(struct str s)
{
	AUTO(buf) struct buf first = {0};
	AUTO(buf) struct buf second = {0};
	struct quantity q, r;

	if (quantity_parse(s, &q))
		return;
	quantity_format(q, &first);
	if (quantity_parse(buf_view(&first), &r) || quantity_cmp(q, r))
		abort();
	quantity_format(r, &second);
	if (!str_eq(buf_view(&first), buf_view(&second)))
		abort();
	if (quantity_value(q) > 0 && quantity_milli(q) < quantity_value(q))
		abort();
}

static void instant(struct str s)
{
	char text[TIME_TEXT_MAX], micro[TIME_TEXT_MAX];
	int64_t t, back;

	if (time_parse(s, &t))
		return;
	if (time_parse(time_format_micro(t, micro), &back) || t - back < 0 || t - back >= 1000)
		abort();
	if (time_parse(time_format(t, text), &back) || t - back < 0 || t - back >= NS_PER_S)
		abort();
}

static void duration(struct str s)
{
	AUTO(buf) struct buf out = {0};
	char text[TIME_TEXT_MAX];
	int64_t d, back;

	if (duration_parse(s, &d))
		return;
	duration_format(d, &out);
	if (duration_parse(buf_view(&out), &back) || back != d)
		abort();
	duration_human(d, text);
}

static void schedule(struct str s)
{
	struct err err = {0};
	struct cron c;
	int64_t from = 1700000000 * NS_PER_S;

	if (cron_parse(s, &c, &err))
		return;
	for (int i = 0; i < 4; i++) {
		int64_t next = cron_next(&c, from);

		if (!next)
			return;
		if (next <= from)
			abort();
		from = next;
	}
}

/* What a decoder takes, its encoder writes again, but for what has several spellings. */
static void codes(struct str s)
{
	AUTO(buf) struct buf bytes = {0};
	AUTO(buf) struct buf text = {0};

	if (!base64_decode(s, &bytes)) {
		base64_encode(buf_view(&bytes), &text);
		if (!str_eq(buf_view(&text), s))
			abort();
	}
	buf_reset(&bytes), buf_reset(&text);
	if (!base64url_decode(s, &bytes)) {
		base64url_encode(buf_view(&bytes), &text);
		if (!str_eq(buf_view(&text), s))
			abort();
	}
	buf_reset(&bytes), buf_reset(&text);
	if (!hex_decode(s, &bytes)) {
		hex_encode(buf_view(&bytes), &text);
		if (!str_ieq(buf_view(&text), s))
			abort();
	}
	buf_reset(&bytes), buf_reset(&text);
	url_escape(s, &text);
	if (url_unescape(buf_view(&text), false, &bytes) || !str_eq(buf_view(&bytes), s))
		abort();
	buf_reset(&bytes);
	if (!url_unescape(s, true, &bytes) && bytes.n > s.n)
		abort();
}

static void path(struct str s)
{
	static const char doc[] =
		"{\"a\":[{\"b\":1,\"type\":\"Ready\"},[2]],\"spec\":{\"x.y\":null}}";
	AUTO(arena) struct arena a = {0};
	struct json *v = json_parse(&a, str_c(doc), NULL, NULL);

	if (jsonpath_first(v, s) && !jsonpath_ok(s))
		abort();
	json_pointer(v, s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static void (*const kinds[])(struct str) = {quantity, instant, duration,
						    schedule, codes,   path};
	struct str in = {(const char *)data, n};

	if (n < 1 || n > 4096)
		return 0;
	kinds[data[0] % ARRAY_LEN(kinds)](str_sub(in, 1, n));
	return 0;
}
