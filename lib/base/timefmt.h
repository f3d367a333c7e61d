/*
 * Times and durations as Kubernetes writes them. Instants are nanoseconds since the Unix epoch in
 * an int64 (`*_ns`), durations nanoseconds too. Pure: reading the clock is lib/os's business.
 */
#ifndef PLUMB_TIMEFMT_H
#define PLUMB_TIMEFMT_H

#include "lib/base/buf.h"

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* RFC 3339, any fraction and offset; of the years 1678 to 2261, which is what nanoseconds hold. */
MUST_USE int time_parse(struct str s, int64_t *ret_ns);
/* metav1.Time: "2006-01-02T15:04:05Z", fraction dropped. */
#define TIME_TEXT_MAX 40
struct str time_format(int64_t ns, char out[TIME_TEXT_MAX]);
/* metav1.MicroTime: always six digits of fraction. */
struct str time_format_micro(int64_t ns, char out[TIME_TEXT_MAX]);
/* The same for instants of all years from 0 to 9999, which objects may hold, too. */
struct instant {
	int64_t s; /* since the Unix epoch */
	int32_t ns;
};
MUST_USE int instant_parse(struct str s, struct instant *ret);
struct str instant_format(struct instant t, bool micro, char out[TIME_TEXT_MAX]);
/* Go's time.ParseDuration: "1h30m", "500ms", "-1.5s". */
MUST_USE int duration_parse(struct str s, int64_t *ret_ns);
/* As Go prints it: "1m30s", "1.5s", "0s". */
void duration_format(int64_t ns, struct buf *out);
/* As kubectl shows ages: "5s", "3m10s", "4d". */
struct str duration_human(int64_t ns, char out[TIME_TEXT_MAX]);

#endif
