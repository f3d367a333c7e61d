/*
 * Metrics. Families and series are made under a lock and never freed; updates are relaxed atomics
 * on doubles kept as bits, so counting costs a compare-and-swap. Any thread.
 */
#include "lib/base/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/map.h"

#define SERIES_MAX 10000
#define LABELS_MAX 8

struct metric_value {
	struct metric *family;
	struct metric_value *next;
	char *labels;          /* name="value",… as printed; "" without labels */
	_Atomic uint64_t bits; /* the value, or a histogram's sum */
	_Atomic uint64_t count;
	_Atomic uint64_t *buckets;
};

struct metric {
	enum metric_type type;
	const char *name, *help;
	char *label_names[LABELS_MAX];
	size_t nlabels, nseries, nbuckets;
	const double *bounds;
	struct map by_labels;
	struct metric_value *first, **last;
	struct metric *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct map families;
static struct metric *first_family, **last_family = &first_family;

static void split_labels(struct metric *m, const char *labels)
{
	struct str rest = str_c(labels), one;

	while (str_next(&rest, ',', &one)) {
		assert(m->nlabels < LABELS_MAX);
		m->label_names[m->nlabels++] = xstrndup(one.p, one.n);
	}
}

struct metric *metric_new(enum metric_type type, const char *name, const char *help,
			  const char *labels, const double *buckets)
{
	pthread_mutex_lock(&lock);
	struct metric *m = map_get(&families, str_c(name));
	if (!m) {
		m = xalloc(sizeof(*m));
		m->type = type;
		m->name = name;
		m->help = help;
		m->bounds = buckets;
		m->last = &m->first;
		split_labels(m, labels);
		while (buckets && buckets[m->nbuckets] != 0)
			m->nbuckets++;
		map_set(&families, str_c(name), m);
		*last_family = m;
		last_family = &m->next;
	}
	pthread_mutex_unlock(&lock);
	return m;
}

static void put_label(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s%s=\"", out->n ? "," : "", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_putc(out, '\\');
		if (*value == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, *value);
	}
	buf_putc(out, '"');
}

static struct metric_value *add_series(struct metric *m, struct str labels)
{
	struct metric_value *v = xalloc(sizeof(*v));

	v->family = m;
	v->labels = xstrndup(labels.p, labels.n);
	if (m->nbuckets)
		v->buckets = xalloc(m->nbuckets * sizeof(*v->buckets));
	map_set(&m->by_labels, labels, v);
	m->nseries++;
	*m->last = v;
	m->last = &v->next;
	return v;
}

struct metric_value *metric_with(struct metric *m, ...)
{
	AUTO(buf) struct buf text = {0};
	va_list ap;
	const char *value;

	va_start(ap, m);
	for (size_t i = 0; (value = va_arg(ap, const char *)) && i < m->nlabels; i++)
		put_label(&text, m->label_names[i], value);
	va_end(ap);
	pthread_mutex_lock(&lock);
	struct metric_value *v = map_get(&m->by_labels, buf_view(&text));
	if (!v && m->nseries >= SERIES_MAX) {
		buf_reset(&text);
		for (size_t i = 0; i < m->nlabels; i++)
			put_label(&text, m->label_names[i], "other");
		v = map_get(&m->by_labels, buf_view(&text));
	}
	if (!v)
		v = add_series(m, buf_view(&text));
	pthread_mutex_unlock(&lock);
	return v;
}

static double as_double(uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof(d));
	return d;
}

static uint64_t as_bits(double d)
{
	uint64_t bits;

	memcpy(&bits, &d, sizeof(bits));
	return bits;
}

void metric_add(struct metric_value *v, double by)
{
	uint64_t was = atomic_load_explicit(&v->bits, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&v->bits, &was, as_bits(as_double(was) + by),
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void metric_set(struct metric_value *v, double to)
{
	atomic_store_explicit(&v->bits, as_bits(to), memory_order_relaxed);
}

void metric_observe(struct metric_value *v, double sample)
{
	const struct metric *m = v->family;

	for (size_t i = 0; i < m->nbuckets; i++) {
		if (sample <= m->bounds[i]) {
			atomic_fetch_add_explicit(&v->buckets[i], 1, memory_order_relaxed);
			break;
		}
	}
	atomic_fetch_add_explicit(&v->count, 1, memory_order_relaxed);
	metric_add(v, sample);
}

static void write_histogram(const struct metric *m, struct metric_value *v, struct buf *out)
{
	const char *comma = v->labels[0] ? "," : "";
	uint64_t sum = 0, count = atomic_load(&v->count);

	for (size_t i = 0; i < m->nbuckets; i++) {
		sum += atomic_load(&v->buckets[i]);
		buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", m->name, v->labels, comma,
			   m->bounds[i], (unsigned long long)sum);
	}
	buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", m->name, v->labels, comma,
		   (unsigned long long)count);
	const char *open = v->labels[0] ? "{" : "", *close = v->labels[0] ? "}" : "";
	buf_printf(out, "%s_sum%s%s%s %g\n%s_count%s%s%s %llu\n", m->name, open, v->labels, close,
		   as_double(atomic_load(&v->bits)), m->name, open, v->labels, close,
		   (unsigned long long)count);
}

static void write_process(struct buf *out)
{
	FILE *f = fopen("/proc/self/stat", "re");
	unsigned long utime = 0, stime = 0, vsize = 0;
	unsigned long long start = 0;
	long rss = 0;

	if (!f)
		return;
	if (fscanf(f,
		   "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d "
		   "%*d %*d %*d %llu %lu %ld",
		   &utime, &stime, &start, &vsize, &rss) == 5) {
		double hz = (double)sysconf(_SC_CLK_TCK);
		buf_printf(
			out,
			"# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total %g\n"
			"# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes "
			"%lld\n"
			"# TYPE process_virtual_memory_bytes gauge\nprocess_virtual_memory_bytes "
			"%lu\n",
			(double)(utime + stime) / hz, (long long)rss * sysconf(_SC_PAGESIZE),
			vsize);
	}
	fclose(f);
}

void metrics_write(struct buf *out)
{
	static const char *const types[] = {"counter", "gauge", "histogram"};

	pthread_mutex_lock(&lock);
	for (struct metric *m = first_family; m; m = m->next) {
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name,
			   types[m->type]);
		for (struct metric_value *v = m->first; v; v = v->next) {
			if (m->type == METRIC_HISTOGRAM) {
				write_histogram(m, v, out);
				continue;
			}
			buf_printf(out, v->labels[0] ? "%s{%s} %.17g\n" : "%s%s %.17g\n", m->name,
				   v->labels, as_double(atomic_load(&v->bits)));
		}
	}
	pthread_mutex_unlock(&lock);
	write_process(out);
}
