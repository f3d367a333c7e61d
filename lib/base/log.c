/*
 * Log lines: built on the caller's stack, written with one write(2), kept in a ring for panic().
 * Any thread. A line that repeats within a second is counted and told with the next other line.
 */
#include "lib/base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/timefmt.h"

#define LINE_MAX_BYTES 4096
#define RING_LINES 512
#define RING_LINE 256

static struct {
	pthread_mutex_t lock;
	const char *role;
	enum log_level level;
	bool json;
	char ring[RING_LINES][RING_LINE];
	unsigned at;
	uint64_t last_hash;
	int64_t last_ns;
	unsigned repeats;
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .role = "plumb", .level = LOG_INFO};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_init(const char *role, enum log_level level, const char *format)
{
	pthread_mutex_lock(&logger.lock);
	logger.role = role;
	logger.level = level;
	logger.json = format ? !strcmp(format, "json") : !isatty(STDERR_FILENO);
	pthread_mutex_unlock(&logger.lock);
}

int log_level_parse(const char *name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (!strcmp(name, level_names[i])) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -1;
}

bool log_enabled(enum log_level level)
{
	return level <= logger.level;
}

/* A line under construction: what doesn't fit is cut, never the newline. */
struct line {
	char text[LINE_MAX_BYTES];
	size_t n;
};

static void put(struct line *l, const char *p, size_t n)
{
	n = MIN(n, sizeof(l->text) - 2 - l->n);
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

static void puts_line(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* Control characters never reach a terminal or break a line. */
static void put_escaped(struct line *l, const char *s, bool json)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		char esc[8];
		if (c < 0x20 || c == 0x7f) {
			snprintf(esc, sizeof(esc), json ? "\\u%04x" : "\\x%02x", c);
			puts_line(l, esc);
		} else if (c == '"' || c == '\\') {
			esc[0] = '\\', esc[1] = (char)c;
			put(l, esc, 2);
		} else {
			put(l, s, 1);
		}
	}
}

static bool plain(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f)
			return false;
	}
	return true;
}

static void put_pair(struct line *l, const char *key, const char *value, bool json)
{
	if (json) {
		puts_line(l, ",\"");
		put_escaped(l, key, true);
		puts_line(l, "\":\"");
		put_escaped(l, value, true);
		puts_line(l, "\"");
		return;
	}
	puts_line(l, " ");
	puts_line(l, key);
	puts_line(l, "=");
	if (plain(value)) {
		puts_line(l, value);
		return;
	}
	puts_line(l, "\"");
	put_escaped(l, value, false);
	puts_line(l, "\"");
}

static int64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void head(struct line *l, enum log_level level, const char *msg, int64_t now, bool json)
{
	char when[TIME_TEXT_MAX];
	struct str t = time_format_micro(now, when);

	if (json) {
		puts_line(l, "{\"time\":\"");
		put(l, t.p, t.n);
		puts_line(l, "\",\"level\":\"");
		puts_line(l, level_names[level]);
		puts_line(l, "\",\"role\":\"");
		puts_line(l, logger.role);
		puts_line(l, "\",\"msg\":\"");
		put_escaped(l, msg, true);
		puts_line(l, "\"");
		return;
	}
	put(l, t.p, t.n);
	puts_line(l, " ");
	puts_line(l, level_names[level]);
	puts_line(l, " ");
	puts_line(l, logger.role);
	puts_line(l, ": ");
	put_escaped(l, msg, false);
}

static void emit(struct line *l)
{
	char *slot = logger.ring[logger.at++ % RING_LINES];
	size_t keep = MIN(l->n, (size_t)RING_LINE - 1);

	memcpy(slot, l->text, keep);
	slot[keep] = 0;
	l->text[l->n++] = '\n';
	/* A full or closed stderr is nobody's reason to stop. */
	ssize_t n = write(STDERR_FILENO, l->text, l->n);
	(void)n;
}

void log_line(enum log_level level, const char *msg, ...)
{
	struct line body = {.n = 0}, whole = {.n = 0};
	int64_t now;
	va_list ap;

	if (!log_enabled(level))
		return;
	bool json = logger.json;
	va_start(ap, msg);
	for (const char *key; (key = va_arg(ap, const char *));) {
		const char *value = va_arg(ap, const char *);
		put_pair(&body, key, value ? value : "", json);
	}
	va_end(ap);
	now = wall_ns();
	uint64_t hash = str_hash((struct str){body.text, body.n}) ^ str_hash(str_c(msg));

	pthread_mutex_lock(&logger.lock);
	if (hash == logger.last_hash && now - logger.last_ns < NS_PER_S) {
		logger.repeats++;
		pthread_mutex_unlock(&logger.lock);
		return;
	}
	if (logger.repeats) {
		struct line r = {.n = 0};
		char text[64];
		snprintf(text, sizeof(text), "the line before came %u more times", logger.repeats);
		head(&r, LOG_INFO, text, now, json);
		puts_line(&r, json ? "}" : "");
		emit(&r);
	}
	logger.repeats = 0;
	logger.last_hash = hash;
	logger.last_ns = now;
	head(&whole, level, msg, now, json);
	put(&whole, body.text, body.n);
	puts_line(&whole, json ? "}" : "");
	emit(&whole);
	pthread_mutex_unlock(&logger.lock);
}

static char *scratch(size_t *ret_size)
{
	static _Thread_local char ring[16][512];
	static _Thread_local unsigned at;

	*ret_size = sizeof(ring[0]);
	return ring[at++ % ARRAY_LEN(ring)];
}

const char *log_i64(int64_t v)
{
	size_t size;
	char *out = scratch(&size);

	snprintf(out, size, "%lld", (long long)v);
	return out;
}

const char *log_fmt(const char *fmt, ...)
{
	size_t size;
	char *out = scratch(&size);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, size, fmt, ap);
	va_end(ap);
	return out;
}

void log_dump_recent(void)
{
	/* No lock: this runs when something is broken already. */
	unsigned from = logger.at > RING_LINES ? logger.at - RING_LINES : 0;

	dprintf(STDERR_FILENO, "--- the last %u log lines\n", logger.at - from);
	for (unsigned i = from; i < logger.at; i++)
		dprintf(STDERR_FILENO, "%s\n", logger.ring[i % RING_LINES]);
}

void panic(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_dump_recent();
	dprintf(STDERR_FILENO, "plumb: panic: %s\n", text);
	abort();
}
