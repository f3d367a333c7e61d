/*
 * See stats.h. Must never trust what a cgroup file holds further than to parse numbers from it, and
 * must leave out what it cannot read: a wrong figure would scale somebody's pods. On the kubelet's
 * loop; all memory is the caller's.
 */
#include "kubelet/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define FILE_MAX ((size_t)64 << 10)

/* ---- files of numbers ---- */

static int read_text(const char *dir, const char *rel, const char *file, struct buf *ret)
{
	AUTO(free) char *path = xasprintf("%s/%s/%s", dir, rel, file);
	struct err ignored = {0};

	buf_reset(ret);
	return fs_read(path, FILE_MAX, ret, &ignored);
}

static int read_number(const char *dir, const char *rel, const char *file, uint64_t *ret)
{
	AUTO(buf) struct buf text = {0};

	if (read_text(dir, rel, file, &text))
		return -1;
	return str_to_u64(str_trim(buf_view(&text)), ret);
}

/* The number behind `key` on a line of its own: "usage_usec 1234", "MemTotal:  12 kB". */
static int number_of(struct str text, const char *key, uint64_t *ret)
{
	struct str line, name, value, number, unit;

	while (str_next(&text, '\n', &line)) {
		if (!str_cut(line, ' ', &name, &value) || !str_is(name, key))
			continue;
		str_cut(str_trim(value), ' ', &number, &unit);
		return str_to_u64(number, ret);
	}
	return -1;
}

/* ---- cgroups ---- */

/* The keys are what memory.stat calls them. */
static void kinds_of_memory(struct usage *u, struct str stat, const char *cache_key,
			    const char *rss_key)
{
	uint64_t cache = 0;

	u->rss = 0;
	(void)!number_of(stat, rss_key, &u->rss);
	(void)!number_of(stat, cache_key, &cache);
	u->working = u->memory > cache ? u->memory - cache : 0;
}

/* What is nice to know, where it is told. */
static void read_cpu_limit(struct usage *u, struct str stat, const char *throttled, uint64_t ns)
{
	(void)!number_of(stat, "nr_periods", &u->periods);
	(void)!number_of(stat, "nr_throttled", &u->throttled);
	(void)!number_of(stat, throttled, &u->throttled_ns);
	u->throttled_ns *= ns;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6", a line for each disk. */
static void add_disks_v2(struct usage *u, struct str text)
{
	struct str line, word, key, value;
	uint64_t n;

	while (str_next(&text, '\n', &line)) {
		while (str_next(&line, ' ', &word)) {
			if (!str_cut(word, '=', &key, &value) || str_to_u64(value, &n))
				continue;
			u->read_bytes += str_is(key, "rbytes") ? n : 0;
			u->written_bytes += str_is(key, "wbytes") ? n : 0;
			u->reads += str_is(key, "rios") ? n : 0;
			u->writes += str_is(key, "wios") ? n : 0;
		}
	}
}

/* "8:0 Read 123", and more sorts of it; the total has no disk before it. */
static void add_disks_v1(struct str text, uint64_t *reads, uint64_t *writes)
{
	struct str line, disk, sort, value;
	uint64_t n;

	while (str_next(&text, '\n', &line)) {
		if (!str_cut(line, ' ', &disk, &line) || !str_cut(line, ' ', &sort, &value) ||
		    str_to_u64(str_trim(value), &n))
			continue;
		*reads += str_is(sort, "Read") ? n : 0;
		*writes += str_is(sort, "Write") ? n : 0;
	}
}

static int read_v2(const char *root, const char *rel, struct usage *u)
{
	AUTO(buf) struct buf text = {0};
	uint64_t usec;

	if (read_text(root, rel, "cpu.stat", &text) ||
	    number_of(buf_view(&text), "usage_usec", &usec))
		return -1;
	read_cpu_limit(u, buf_view(&text), "throttled_usec", 1000);
	if (read_number(root, rel, "memory.current", &u->memory) ||
	    read_text(root, rel, "memory.stat", &text))
		return -1;
	u->cpu_ns = usec * 1000;
	kinds_of_memory(u, buf_view(&text), "inactive_file", "anon");
	(void)!number_of(buf_view(&text), "file", &u->cache);
	(void)!read_number(root, rel, "memory.swap.current", &u->swap);
	(void)!read_number(root, rel, "memory.peak", &u->peak);
	(void)!read_number(root, rel, "pids.current", &u->processes);
	if (!read_text(root, rel, "memory.events", &text))
		(void)!number_of(buf_view(&text), "oom_kill", &u->oom_kills);
	if (!read_text(root, rel, "io.stat", &text))
		add_disks_v2(u, buf_view(&text));
	return 0;
}

static int read_v1(const char *root, const char *rel, struct usage *u)
{
	AUTO(free) char *cpu = xasprintf("%s/cpuacct", root);
	AUTO(free) char *limit = xasprintf("%s/cpu", root);
	AUTO(free) char *memory = xasprintf("%s/memory", root);
	AUTO(free) char *pids = xasprintf("%s/pids", root);
	AUTO(free) char *disks = xasprintf("%s/blkio", root);
	AUTO(buf) struct buf text = {0};

	if (read_number(cpu, rel, "cpuacct.usage", &u->cpu_ns) ||
	    read_number(memory, rel, "memory.usage_in_bytes", &u->memory) ||
	    read_text(memory, rel, "memory.stat", &text))
		return -1;
	kinds_of_memory(u, buf_view(&text), "total_inactive_file", "total_rss");
	(void)!number_of(buf_view(&text), "total_cache", &u->cache);
	(void)!number_of(buf_view(&text), "total_swap", &u->swap);
	(void)!read_number(memory, rel, "memory.max_usage_in_bytes", &u->peak);
	(void)!read_number(pids, rel, "pids.current", &u->processes);
	if (!read_text(memory, rel, "memory.oom_control", &text))
		(void)!number_of(buf_view(&text), "oom_kill", &u->oom_kills);
	if (!read_text(disks, rel, "blkio.throttle.io_service_bytes", &text))
		add_disks_v1(buf_view(&text), &u->read_bytes, &u->written_bytes);
	if (!read_text(disks, rel, "blkio.throttle.io_serviced", &text))
		add_disks_v1(buf_view(&text), &u->reads, &u->writes);
	if (!read_text(limit, rel, "cpu.stat", &text))
		read_cpu_limit(u, buf_view(&text), "throttled_time", 1);
	return 0;
}

int usage_read(const char *root, const char *rel, bool v2, struct usage *ret)
{
	return v2 ? read_v2(root, rel, ret) : read_v1(root, rel, ret);
}

/* "cpu  user nice system idle iowait irq softirq steal …", in ticks; guests are within user. */
int usage_read_machine(const char *proc, struct usage *ret)
{
	AUTO(buf) struct buf text = {0};
	struct str line, rest, part;
	uint64_t ticks = 0, n, total, available;
	int64_t hz = sysconf(_SC_CLK_TCK);

	if (hz < 1 || read_text(proc, ".", "stat", &text))
		return -1;
	rest = buf_view(&text);
	if (!str_next(&rest, '\n', &line) || !str_starts(line, STR("cpu ")))
		return -1;
	rest = str_trim(str_sub(line, 4, line.n));
	for (unsigned i = 0; i < 8 && str_next(&rest, ' ', &part); i++) {
		if (str_to_u64(part, &n))
			return -1;
		ticks += i == 3 || i == 4 ? 0 : n;
	}
	ret->cpu_ns = ticks * (uint64_t)(NS_PER_S / hz);
	if (read_text(proc, ".", "meminfo", &text) ||
	    number_of(buf_view(&text), "MemTotal:", &total) ||
	    number_of(buf_view(&text), "MemAvailable:", &available) || available > total)
		return -1;
	ret->memory = ret->working = (total - available) * 1024;
	ret->rss = 0;
	(void)!number_of(buf_view(&text), "AnonPages:", &ret->rss);
	ret->rss *= 1024;
	return 0;
}

/* ---- containers ---- */

bool pod_usage(const struct pod *p, struct usage *u, char **ret_rel)
{
	const struct kubelet *k = p->k;

	*ret_rel = xasprintf("plumb-%s/%s/pod%s", k->instance, k->node_name, p->uid);
	*u = (struct usage){.started_ns = p->obs.start_wall, .at_ns = loop_wall(k->loop)};
	return usage_read(CGROUP_ROOT, *ret_rel, k->cgroup_v2, u) == 0;
}

bool container_usage(const struct pod *p, size_t i, struct usage *u, char **ret_rel)
{
	const struct kubelet *k = p->k;
	const struct cont_obs *c = &p->obs.c[i];

	*ret_rel = NULL;
	if (c->state != CONT_RUNNING || !c->id[0])
		return false;
	*ret_rel = xasprintf("plumb-%s/%s/pod%s/%s", k->instance, k->node_name, p->uid, c->id);
	*u = (struct usage){.started_ns = c->started_wall, .at_ns = loop_wall(k->loop)};
	return usage_read(CGROUP_ROOT, *ret_rel, k->cgroup_v2, u) == 0;
}

/* ---- the Summary ---- */

static void set_time(struct arena *a, struct json *o, const char *key, int64_t ns)
{
	char text[TIME_TEXT_MAX];

	if (ns)
		json_set_str(a, o, key, time_format_micro(ns, text));
}

static void put_usage(struct arena *a, struct json *o, const struct usage *u)
{
	struct json *cpu = json_set_object(a, o, "cpu"), *memory;

	set_time(a, o, "startTime", u->started_ns);
	set_time(a, cpu, "time", u->at_ns);
	json_set_int(a, cpu, "usageCoreNanoSeconds", (int64_t)u->cpu_ns);
	memory = json_set_object(a, o, "memory");
	set_time(a, memory, "time", u->at_ns);
	json_set_int(a, memory, "usageBytes", (int64_t)u->memory);
	json_set_int(a, memory, "workingSetBytes", (int64_t)u->working);
	json_set_int(a, memory, "rssBytes", (int64_t)u->rss);
}

static void put_pod(struct arena *a, struct json *list, const struct pod *p)
{
	struct json *o = json_append_object(a, list), *ref = json_set_object(a, o, "podRef");
	struct json *containers = json_set_array(a, o, "containers");
	struct usage sum = {.started_ns = p->obs.start_wall}, u;

	json_set_str(a, ref, "name", p->spec.name);
	json_set_str(a, ref, "namespace", p->spec.namespace);
	json_set_str(a, ref, "uid", p->spec.uid);
	for (size_t i = 0; i < p->obs.n; i++) {
		AUTO(free) char *rel = NULL;
		if (!container_usage(p, i, &u, &rel))
			continue;
		struct json *c = json_append_object(a, containers);
		json_set_str(a, c, "name", p->spec.c[i].name);
		put_usage(a, c, &u);
		sum.cpu_ns += u.cpu_ns;
		sum.memory += u.memory;
		sum.working += u.working;
		sum.rss += u.rss;
		sum.at_ns = u.at_ns;
	}
	if (json_len(containers))
		put_usage(a, o, &sum);
}

struct json *stats_summary(struct kubelet *k, struct arena *a)
{
	struct json *v = json_build(a, "{s:{s:s}, s:[]}", "node", "nodeName", k->node_name, "pods");
	struct usage u = {.at_ns = loop_wall(k->loop)};
	struct map_iter it = {0};

	if (!usage_read_machine("/proc", &u))
		put_usage(a, json_get(v, STR("node")), &u);
	while (map_next(&k->by_uid, &it))
		put_pod(a, json_get(v, STR("pods")), it.value);
	return v;
}

/* ---- the same for Prometheus ---- */

struct row {
	const char *name, *type, *help;
};
static const struct row container_rows[] = {
	{"container_cpu_usage_seconds_total", "counter", "CPU time used by the container."},
	{"container_memory_working_set_bytes", "gauge", "Memory that the container needs."},
	{"container_start_time_seconds", "gauge", "When the container began."},
};
static const struct row pod_rows[] = {
	{"pod_cpu_usage_seconds_total", "counter", "CPU time used by the pod."},
	{"pod_memory_working_set_bytes", "gauge", "Memory that the pod needs."},
};
static const struct row node_rows[] = {
	{"node_cpu_usage_seconds_total", "counter", "CPU time used on the node."},
	{"node_memory_working_set_bytes", "gauge", "Memory in use on the node."},
};

static void put_head(const struct row *r, struct buf *out)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", r->name, r->help, r->name, r->type);
}

static void put_value(unsigned which, const struct usage *u, struct buf *out)
{
	if (which == 0)
		buf_printf(out, " %.9f", (double)u->cpu_ns / 1e9);
	else if (which == 1)
		buf_printf(out, " %" PRIu64, u->working);
	else
		buf_printf(out, " %.3f", (double)u->started_ns / 1e9);
	buf_printf(out, " %" PRId64 "\n", u->at_ns / NS_PER_MS);
}

static void put_containers(const struct kubelet *k, unsigned which, struct buf *out)
{
	struct map_iter it = {0};
	struct usage u;

	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;

		for (size_t i = 0; i < p->obs.n; i++) {
			AUTO(free) char *rel = NULL;
			if (!container_usage(p, i, &u, &rel))
				continue;
			buf_printf(out, "%s{container=\"%.*s\",namespace=\"%.*s\",pod=\"%.*s\"}",
				   container_rows[which].name, STR_ARG(p->spec.c[i].name),
				   STR_ARG(p->spec.namespace), STR_ARG(p->spec.name));
			put_value(which, &u, out);
		}
	}
}

static void put_pods(const struct kubelet *k, unsigned which, struct buf *out)
{
	struct map_iter it = {0};
	struct usage u;

	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;
		AUTO(free) char *rel = NULL;

		if (!pod_usage(p, &u, &rel))
			continue;
		buf_printf(out, "%s{namespace=\"%.*s\",pod=\"%.*s\"}", pod_rows[which].name,
			   STR_ARG(p->spec.namespace), STR_ARG(p->spec.name));
		put_value(which, &u, out);
	}
}

void stats_resource(struct kubelet *k, struct buf *out)
{
	struct usage node = {.at_ns = loop_wall(k->loop)};

	for (unsigned i = 0; i < ARRAY_LEN(container_rows); i++) {
		put_head(&container_rows[i], out);
		put_containers(k, i, out);
	}
	for (unsigned i = 0; i < ARRAY_LEN(pod_rows); i++) {
		put_head(&pod_rows[i], out);
		put_pods(k, i, out);
	}
	buf_puts(out, "# TYPE resource_scrape_error gauge\nresource_scrape_error 0\n"
		      "# TYPE scrape_error gauge\nscrape_error 0\n");
	if (usage_read_machine("/proc", &node))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(node_rows); i++) {
		put_head(&node_rows[i], out);
		buf_puts(out, node_rows[i].name);
		put_value(i, &node, out);
	}
}
