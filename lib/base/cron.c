/* Cron schedules: parsing into bit sets, and searching them for the next time. Pure. */
#include "lib/base/cron.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

struct field {
	const char *name;
	unsigned min, max;
	const char *const *names; /* of min, min + 1, …; NULL-terminated, or NULL */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
					  "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field fields[] = {{"minute", 0, 59, NULL},
				      {"hour", 0, 23, NULL},
				      {"day of month", 1, 31, NULL},
				      {"month", 1, 12, month_names},
				      {"day of week", 0, 6, day_names}};

static const struct {
	const char *name, *fields;
} shorthands[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
		  {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
		  {"@hourly", "0 * * * *"}};

/* ---- parsing ---- */

static bool same_word(struct str s, const char *word)
{
	if (s.n != strlen(word))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] | 0x20) != word[i])
			return false;
	return true;
}

/* A number, or one of the field's names. What is wrong is said as Kubernetes says it. */
static int value(const struct field *f, struct str s, unsigned *ret, struct err *err)
{
	uint64_t n;

	for (unsigned i = 0; f->names && f->names[i]; i++)
		if (same_word(s, f->names[i])) {
			*ret = f->min + i;
			return 0;
		}
	if (str_to_u64(s, &n))
		return err_set(err, ERR_INVALID,
			       "failed to parse int from %.*s: strconv.Atoi: parsing \"%.*s\": "
			       "invalid syntax",
			       (int)MIN(s.n, 40), s.p, (int)MIN(s.n, 40), s.p);
	if (n < f->min)
		return err_set(err, ERR_INVALID,
			       "beginning of range (%llu) below minimum (%u): %.*s",
			       (unsigned long long)n, f->min, (int)MIN(s.n, 40), s.p);
	if (n > f->max)
		return err_set(err, ERR_INVALID, "end of range (%llu) above maximum (%u): %.*s",
			       (unsigned long long)n, f->max, (int)MIN(s.n, 40), s.p);
	*ret = (unsigned)n;
	return 0;
}

/* "*", "3", "1-5", "1-5/2", "3/10" (to the end). */
static int part(const struct field *f, struct str s, uint64_t *bits, bool *any, struct err *err)
{
	struct str range, step_text, first, last;
	unsigned from = f->min, to = f->max;
	uint64_t step = 1;
	bool stepped = str_cut(s, '/', &range, &step_text);

	if (!stepped)
		range = s;
	else if (str_to_u64(step_text, &step))
		return err_set(err, ERR_INVALID,
			       "failed to parse int from %.*s: strconv.Atoi: parsing \"%.*s\": "
			       "invalid syntax",
			       (int)MIN(step_text.n, 40), step_text.p, (int)MIN(step_text.n, 40),
			       step_text.p);
	else if (!step)
		return err_set(err, ERR_INVALID, "step of range should be a positive number: %.*s",
			       (int)MIN(s.n, 40), s.p);
	step = MIN(step, 1000); /* beyond any range */
	if (str_is(range, "*") || str_is(range, "?")) {
		*any |= step == 1;
	} else if (str_cut(range, '-', &first, &last)) {
		if (value(f, first, &from, err) || value(f, last, &to, err))
			return -1;
		if (from > to)
			return err_set(err, ERR_INVALID,
				       "beginning of range (%u) beyond end of range (%u): %.*s",
				       from, to, (int)MIN(s.n, 40), s.p);
	} else {
		if (value(f, range, &from, err))
			return -1;
		to = stepped ? f->max : from;
	}
	for (unsigned i = from; i <= to; i += (unsigned)step)
		*bits |= UINT64_C(1) << i;
	return 0;
}

static int parse_field(const struct field *f, struct str s, uint64_t *bits, bool *any,
		       struct err *err)
{
	struct str one;

	while (str_next(&s, ',', &one))
		if (part(f, one, bits, any, err))
			return -1;
	return *bits ? 0 : err_set(err, ERR_INVALID, "no %s is given", f->name);
}

/* All that stands between blanks, at most `max` of them in ret; how many there are. */
static size_t split(struct str text, struct str *ret, size_t max)
{
	struct str s;
	size_t n = 0;

	while (text.n && str_next(&text, ' ', &s)) {
		if (s.n && n < max)
			ret[n] = s;
		n += s.n > 0;
	}
	return n;
}

int cron_parse(struct str text, struct cron *ret, struct err *err)
{
	struct str rest = str_trim(text), all[ARRAY_LEN(fields)];
	uint64_t *bits[] = {&ret->minutes, &ret->hours, &ret->days, &ret->months, &ret->weekdays};
	bool ignored = false,
	     *any[] = {&ignored, &ignored, &ret->any_day, &ignored, &ret->any_weekday};
	size_t n = 0;

	*ret = (struct cron){0};
	if (str_starts(rest, STR("@every "))) {
		if (duration_parse(str_trim(str_sub(rest, 7, rest.n)), &ret->every_ns) ||
		    ret->every_ns < NS_PER_S)
			return err_set(err, ERR_INVALID,
				       "@every needs a duration of a second or more");
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(shorthands); i++)
		if (str_is(rest, shorthands[i].name))
			rest = str_c(shorthands[i].fields);
	n = split(rest, all, ARRAY_LEN(all));
	if (n != ARRAY_LEN(all))
		return err_set(err, ERR_INVALID, "expected exactly 5 fields, found %zu: [%.*s]", n,
			       (int)MIN(rest.n, 100), rest.p);
	for (size_t i = 0; i < n; i++)
		if (parse_field(&fields[i], all[i], bits[i], any[i], err))
			return -1;
	return 0;
}

/* ---- searching ---- */

static bool has(uint64_t bits, unsigned i)
{
	return bits >> i & 1;
}

/* Days since the epoch to year, month and day, proleptic Gregorian. */
static void date_of(int64_t days, unsigned *month, unsigned *day)
{
	int64_t z = days + 719468, era = z / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	*month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
}

static bool day_fits(const struct cron *c, int64_t days)
{
	unsigned month, day, weekday = (unsigned)((days + 4) % 7);
	bool by_day, by_weekday;

	date_of(days, &month, &day);
	if (!has(c->months, month))
		return false;
	by_day = has(c->days, day);
	by_weekday = has(c->weekdays, weekday);
	return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

int64_t cron_next(const struct cron *c, int64_t after_ns)
{
	int64_t minute = after_ns / (60 * NS_PER_S) + 1, day = minute / 1440;

	if (c->every_ns)
		return (after_ns / NS_PER_S) * NS_PER_S + c->every_ns;
	for (int64_t end = day + 5 * 366; day < end; day++, minute = day * 1440) {
		if (!day_fits(c, day))
			continue;
		for (; minute < (day + 1) * 1440; minute++)
			if (has(c->hours, (unsigned)(minute / 60 % 24)) &&
			    has(c->minutes, (unsigned)(minute % 60)))
				return minute * 60 * NS_PER_S;
	}
	return 0;
}

int64_t cron_next_in(const struct cron *c, const struct timezone *tz, int64_t after_ns)
{
	int64_t at_s = after_ns / NS_PER_S, from = after_ns;
	int64_t horizon = at_s + INT64_C(5) * 366 * 86400;

	if (!tz || c->every_ns)
		return cron_next(c, after_ns);
	for (;;) {
		struct timezone_span s = timezone_at(tz, at_s);
		int64_t next = cron_next(c, from + s.offset_s * NS_PER_S);

		next -= next ? s.offset_s * NS_PER_S : 0;
		if (s.until_s > horizon)
			return next;
		if (next && next < s.until_s * NS_PER_S)
			return next;
		/* By the next clock, from its first moment on. */
		at_s = s.until_s;
		from = at_s * NS_PER_S - 1;
	}
}
