/*
 * /metrics/cadvisor: what Prometheus' usual configurations scrape of a node, and dashboards and
 * alerts are written for. Figures are those of stats.c, read when somebody asks; what can't be read
 * is left out. On the kubelet's loop; all memory is the caller's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kubelet/stats.h"
#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define CFS_PERIOD_US 100000
#define NET_DEV_MAX ((size_t)1 << 20)

enum figure_type { NANOSECONDS, PLAIN };
struct row {
	const char *name, *type, *help;
	size_t at; /* in struct usage */
	enum figure_type is;
	const char *label; /* one more, or "" */
};
static const struct row usage_rows[] = {
	{"container_cpu_usage_seconds_total", "counter", "CPU time used.",
	 offsetof(struct usage, cpu_ns), NANOSECONDS, "cpu=\"total\","},
	{"container_cpu_cfs_periods_total", "counter", "Periods of a CPU limit.",
	 offsetof(struct usage, periods), PLAIN, ""},
	{"container_cpu_cfs_throttled_periods_total", "counter",
	 "Periods in which the limit was reached.", offsetof(struct usage, throttled), PLAIN, ""},
	{"container_cpu_cfs_throttled_seconds_total", "counter", "Time that the limit took away.",
	 offsetof(struct usage, throttled_ns), NANOSECONDS, ""},
	{"container_memory_usage_bytes", "gauge", "Memory in use, with files' pages.",
	 offsetof(struct usage, memory), PLAIN, ""},
	{"container_memory_working_set_bytes", "gauge", "Memory that can't be dropped at once.",
	 offsetof(struct usage, working), PLAIN, ""},
	{"container_memory_rss", "gauge", "Memory of the processes themselves.",
	 offsetof(struct usage, rss), PLAIN, ""},
	{"container_memory_cache", "gauge", "Pages of files.", offsetof(struct usage, cache), PLAIN,
	 ""},
	{"container_memory_swap", "gauge", "Memory that was put on a disk.",
	 offsetof(struct usage, swap), PLAIN, ""},
	{"container_memory_max_usage_bytes", "gauge", "The most that was in use.",
	 offsetof(struct usage, peak), PLAIN, ""},
	{"container_oom_events_total", "counter", "Processes that the kernel ended for memory.",
	 offsetof(struct usage, oom_kills), PLAIN, ""},
	{"container_processes", "gauge", "Processes and threads.",
	 offsetof(struct usage, processes), PLAIN, ""},
	{"container_fs_reads_bytes_total", "counter", "Bytes read of disks.",
	 offsetof(struct usage, read_bytes), PLAIN, ""},
	{"container_fs_writes_bytes_total", "counter", "Bytes written to disks.",
	 offsetof(struct usage, written_bytes), PLAIN, ""},
	{"container_fs_reads_total", "counter", "Reads of disks.", offsetof(struct usage, reads),
	 PLAIN, ""},
	{"container_fs_writes_total", "counter", "Writes to disks.", offsetof(struct usage, writes),
	 PLAIN, ""},
	{"container_last_seen", "gauge", "When these figures were read.",
	 offsetof(struct usage, at_ns), NANOSECONDS, ""},
	{"container_start_time_seconds", "gauge", "When it began.",
	 offsetof(struct usage, started_ns), NANOSECONDS, ""},
};
static const struct row traffic_rows[] = {
	{"bytes_total", "counter", "Bytes", offsetof(struct traffic, bytes), PLAIN, ""},
	{"packets_total", "counter", "Packets", offsetof(struct traffic, packets), PLAIN, ""},
	{"errors_total", "counter", "Errors", offsetof(struct traffic, errors), PLAIN, ""},
	{"packets_dropped_total", "counter", "Packets lost", offsetof(struct traffic, dropped),
	 PLAIN, ""},
};

static void put_figure(const struct row *r, const void *of, struct buf *out)
{
	uint64_t v;

	memcpy(&v, (const char *)of + r->at, sizeof(v));
	if (r->is == NANOSECONDS)
		buf_printf(out, " %.9f", (double)v / 1e9);
	else
		buf_printf(out, " %" PRIu64, v);
}

static void put_time(const struct kubelet *k, struct buf *out)
{
	buf_printf(out, " %" PRId64 "\n", loop_wall(k->loop) / NS_PER_MS);
}

/* An image's name is whatever somebody wrote. */
static void put_label(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		if (s.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, s.p[i]);
	}
}

/* ---- cgroups ---- */

/* One cgroup, read once for all rows. */
struct sample {
	const struct pod *p;
	size_t i; /* beyond the containers: the pod's own, which has neither image nor container */
	struct usage u;
	char *rel;
};
struct samples {
	struct sample *v;
	size_t n, cap;
};

static void samples_free(struct samples *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].rel);
	free(s->v);
}

static void take(struct samples *s, const struct pod *p, size_t i)
{
	struct sample one = {.p = p, .i = i};

	if (i < p->obs.n ? !container_usage(p, i, &one.u, &one.rel)
			 : !pod_usage(p, &one.u, &one.rel)) {
		free(one.rel);
		return;
	}
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 32;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = one;
}

static void put_labels(const struct sample *s, const char *label, struct buf *out)
{
	const struct pod *p = s->p;
	bool whole = s->i >= p->obs.n;
	struct str name = whole ? STR("") : p->spec.c[s->i].name,
		   image = whole ? STR("") : p->spec.c[s->i].image;

	buf_printf(out, "{container=\"%.*s\",%sid=\"/%s\",image=\"", STR_ARG(name), label, s->rel);
	put_label(image, out);
	buf_printf(out, "\",name=\"%s\",namespace=\"%.*s\",pod=\"%.*s\"}",
		   whole ? "" : p->obs.c[s->i].id, STR_ARG(p->spec.namespace),
		   STR_ARG(p->spec.name));
}

static void put_head(const char *name, const char *help, const char *type, struct buf *out)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_usages(const struct kubelet *k, const struct row *r, const struct samples *all,
		       struct buf *out)
{
	put_head(r->name, r->help, r->type, out);
	for (size_t i = 0; i < all->n; i++) {
		buf_puts(out, r->name);
		put_labels(&all->v[i], r->label, out);
		put_figure(r, &all->v[i].u, out);
		put_time(k, out);
	}
}

/* What a container was promised, or may at most have. */
static void put_limits(const struct kubelet *k, const struct samples *all, struct buf *out)
{
	static const struct {
		const char *name, *help, *list, *resource;
		int64_t part_nano; /* the figure's unit */
	} rows[] = {
		{"container_spec_memory_limit_bytes", "Memory that it may have; 0: any.", "limits",
		 "memory", NS_PER_S},
		{"container_spec_memory_reservation_limit_bytes", "Memory that it asks for.",
		 "requests", "memory", NS_PER_S},
		{"container_spec_cpu_quota", "CPU time that it may have of a period; 0: any.",
		 "limits", "cpu", NS_PER_S / CFS_PERIOD_US},
	};

	for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
		put_head(rows[r].name, rows[r].help, "gauge", out);
		for (size_t i = 0; i < all->n; i++) {
			const struct sample *s = &all->v[i];
			struct quantity q = {0};

			if (s->i >= s->p->obs.n)
				continue;
			(void)!quantity_parse(json_str(json_at(s->p->spec.c[s->i].json, "resources",
							       rows[r].list, rows[r].resource)),
					      &q);
			buf_puts(out, rows[r].name);
			put_labels(s, "", out);
			buf_printf(out, " %" PRId64, (int64_t)(q.nano / rows[r].part_nano));
			put_time(k, out);
		}
	}
}

static void put_cgroups(const struct kubelet *k, struct buf *out)
{
	struct samples all = {0};
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;

		for (size_t i = 0; i <= p->obs.n; i++)
			take(&all, p, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(usage_rows); i++)
		put_usages(k, &usage_rows[i], &all, out);
	put_limits(k, &all, out);
	samples_free(&all);
}

/* ---- links ---- */

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop …" */
bool traffic_of(struct str net_dev, const char *device, struct traffic ret[2])
{
	struct str line, name, rest, part;
	uint64_t v[12];
	size_t n = 0;

	while (str_next(&net_dev, '\n', &line)) {
		if (!str_cut(line, ':', &name, &rest) || !str_is(str_trim(name), device))
			continue;
		while (n < ARRAY_LEN(v) && (rest = str_trim(rest)).n) {
			if (!str_cut(rest, ' ', &part, &rest))
				break;
			if (str_to_u64(part, &v[n++]))
				return false;
		}
		if (n < ARRAY_LEN(v))
			return false;
		ret[0] = (struct traffic){v[0], v[1], v[2], v[3]};
		ret[1] = (struct traffic){v[8], v[9], v[10], v[11]};
		return true;
	}
	return false;
}

/* The node's end of a pod's link sends what the pod receives. */
static void put_traffics(const struct kubelet *k, const struct row *r, struct str net_dev,
			 struct buf *out)
{
	static const char *const ways[] = {"transmit", "receive"};

	for (size_t way = 0; way < ARRAY_LEN(ways); way++) {
		struct map_iter it = {0};

		buf_printf(out, "# HELP container_network_%s_%s %s.\n", ways[way], r->name,
			   r->help);
		buf_printf(out, "# TYPE container_network_%s_%s %s\n", ways[way], r->name, r->type);
		while (map_next(&k->by_uid, &it)) {
			const struct pod *p = it.value;
			struct traffic both[2];
			char link[16];

			podnet_link(str_c(p->uid), link);
			if (p->spec.host_network || !traffic_of(net_dev, link, both))
				continue;
			buf_printf(out,
				   "container_network_%s_%s{interface=\"eth0\",namespace=\"%.*s\","
				   "pod=\"%.*s\"}",
				   ways[way], r->name, STR_ARG(p->spec.namespace),
				   STR_ARG(p->spec.name));
			put_figure(r, &both[way], out);
			put_time(k, out);
		}
	}
}

void cadvisor_write(struct kubelet *k, struct buf *out)
{
	int64_t cores = sysconf(_SC_NPROCESSORS_ONLN),
		bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	AUTO(buf) struct buf net = {0};

	buf_printf(out, "# TYPE machine_cpu_cores gauge\nmachine_cpu_cores %" PRId64 "\n", cores);
	buf_printf(out, "# TYPE machine_memory_bytes gauge\nmachine_memory_bytes %" PRId64 "\n",
		   bytes);
	put_cgroups(k, out);
	if (fs_read("/proc/self/net/dev", NET_DEV_MAX, &net, &(struct err){0}))
		return;
	for (size_t i = 0; i < ARRAY_LEN(traffic_rows); i++)
		put_traffics(k, &traffic_rows[i], buf_view(&net), out);
}
