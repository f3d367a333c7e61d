/*
 * /metrics/cadvisor: what Prometheus' usual configurations scrape of a node, and dashboards and
 * alerts are written for. Figures are those of stats.c, read when somebody asks; what can't be read
 * is left out. On the kubelet's loop; all memory is the caller's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "kubelet/stats.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

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

/* i beyond the containers: the pod's own cgroup, which has neither image nor container. */
static void put_usage(const struct row *r, const struct pod *p, size_t i, struct buf *out)
{
	bool whole = i >= p->obs.n;
	AUTO(free) char *rel = NULL;
	struct usage u;
	struct str name = whole ? STR("") : p->spec.c[i].name,
		   image = whole ? STR("") : p->spec.c[i].image;

	if (whole ? !pod_usage(p, &u, &rel) : !container_usage(p, i, &u, &rel))
		return;
	buf_printf(out, "%s{container=\"%.*s\",%sid=\"/%s\",image=\"", r->name, STR_ARG(name),
		   r->label, rel);
	put_label(image, out);
	buf_printf(out, "\",name=\"%s\",namespace=\"%.*s\",pod=\"%.*s\"}",
		   whole ? "" : p->obs.c[i].id, STR_ARG(p->spec.namespace), STR_ARG(p->spec.name));
	put_figure(r, &u, out);
	put_time(p->k, out);
}

static void put_usages(const struct kubelet *k, const struct row *r, struct buf *out)
{
	struct map_iter it = {0};

	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", r->name, r->help, r->name, r->type);
	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;

		for (size_t i = 0; i <= p->obs.n; i++)
			put_usage(r, p, i, out);
	}
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
	for (size_t i = 0; i < ARRAY_LEN(usage_rows); i++)
		put_usages(k, &usage_rows[i], out);
	if (fs_read("/proc/self/net/dev", NET_DEV_MAX, &net, &(struct err){0}))
		return;
	for (size_t i = 0; i < ARRAY_LEN(traffic_rows); i++)
		put_traffics(k, &traffic_rows[i], buf_view(&net), out);
}
