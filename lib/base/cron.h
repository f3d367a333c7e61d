/*
 * Cron schedules as Kubernetes reads them: five fields (minute, hour, day of month, month, day of
 * week) or @yearly … @hourly, @every DURATION, in UTC or in a time zone. Pure; thread-safe.
 * Specification: robfig/cron v3, standard parser.
 */
#ifndef PLUMB_CRON_H
#define PLUMB_CRON_H

#include "lib/base/err.h"
#include "lib/base/str.h"
#include "lib/base/timezone.h"

struct cron {
	uint64_t minutes, hours, days, months, weekdays; /* one bit a value */
	bool any_day, any_weekday; /* a star: when both are given, either will do */
	int64_t every_ns;          /* @every; 0 = by the fields */
};

MUST_USE int cron_parse(struct str text, struct cron *ret, struct err *err);
/* The first time after `after_ns`; 0 when there is none within five years. */
int64_t cron_next(const struct cron *c, int64_t after_ns);
/* The same by the clocks of a zone (NULL = UTC): a time that a clock put forward leaves out isn't
 * made up for, one that a clock put back shows twice comes twice. */
int64_t cron_next_in(const struct cron *c, const struct timezone *tz, int64_t after_ns);

#endif
