/*
 * Looks after what pods use of the node, every few seconds: measures those that have limits on
 * disk, tells the API when memory or disk run low, and then lets one pod go at a time. Must never
 * walk a pod's files itself, which may be many: `du` does, in a process of its own with a deadline.
 * On the kubelet's loop; a measurement is freed when it is done or the kubelet ends.
 */
#include "kubelet/evict_core.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "kubelet/stats.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define LOOK_NS (10 * NS_PER_S)
#define MEASURE_TIMEOUT_NS (60 * NS_PER_S)
#define OUTPUT_MAX ((size_t)1 << 20)
#define PATHS_MAX (3 * POD_CONTAINERS_MAX + POD_VOLUMES_MAX)

/* One pod's measurement. */
struct measure {
	struct kubelet *k;
	struct list node;
	struct proc *proc;
	char *uid;
	const char *argv[PATHS_MAX + 4]; /* du -skx -- PATH… */
	size_t slot[PATHS_MAX + 4]; /* of each path: container, or POD_CONTAINERS_MAX + volume */
	size_t n;
	struct arena arena;
};

static void measure_free(struct measure *m)
{
	struct pod *p = map_get(&m->k->by_uid, str_c(m->uid));

	if (p)
		p->measuring = false;
	list_remove(&m->node);
	arena_release(&m->arena);
	free(m->uid);
	free(m);
}

/* ---- eviction ---- */

static void evict(struct pod *p, bool pressure, const char *message)
{
	log_warn("evicting a pod", "pod", p->uid, "why", message);
	pod_event(p, "Warning", "Evicted", "%s", message);
	pod_on_evicted(&p->obs, pressure, message);
	pod_wake(p);
}

static void read_line(const struct measure *m, struct str line, struct disk_use *u)
{
	struct str number, path;
	int64_t kib;

	if (!str_cut(line, '\t', &number, &path) || str_to_i64(number, &kib))
		return;
	for (size_t i = 0; i < m->n; i++) {
		if (!str_is(path, m->argv[i]) || m->slot[i] == SIZE_MAX)
			continue;
		int64_t *to = m->slot[i] < POD_CONTAINERS_MAX
				      ? &u->containers[m->slot[i]]
				      : &u->volumes[m->slot[i] - POD_CONTAINERS_MAX];
		*to = MAX(*to, 0) + kib * 1024;
		return;
	}
}

static void on_measured(void *arg, struct proc_result *r)
{
	struct measure *m = arg;
	struct pod *p = map_get(&m->k->by_uid, str_c(m->uid));
	struct str rest = buf_view(&r->out), line;
	AUTO(buf) struct buf message = {0};
	struct disk_use u;

	m->proc = NULL;
	memset(&u, 0xff, sizeof(u));
	while (p && !r->timed_out && str_next(&rest, '\n', &line))
		read_line(m, line, &u);
	if (p && !r->timed_out) {
		p->disk_bytes = disk_sum(&p->spec, &u);
		if (!pod_stopping(&p->spec, &p->obs) && disk_exceeded(&p->spec, &u, &message))
			evict(p, false, buf_cstr(&message));
	}
	measure_free(m);
}

/* ---- measuring ---- */

static void add_path(struct measure *m, char *path, size_t slot)
{
	struct stat st;

	if (lstat(path, &st) || m->n >= PATHS_MAX)
		return;
	m->argv[m->n] = path;
	m->slot[m->n++] = slot;
}

static void add_paths(struct measure *m, const struct pod *p)
{
	const struct json *list = json_at(p->spec.spec, "volumes");

	for (size_t i = 0; i < p->spec.n; i++) {
		if (!p->cont[i].now)
			continue;
		add_path(m, arena_printf(&m->arena, "%s/upper", p->cont[i].now->dir), i);
		add_path(m, arena_printf(&m->arena, "%s/log", p->cont[i].now->dir), i);
		add_path(m, arena_printf(&m->arena, "%s/log.1", p->cont[i].now->dir), i);
	}
	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_at(json_item(list, i), "name"));
		if (disk_volume(json_item(list, i)) && path_part_ok(name))
			add_path(m,
				 arena_printf(&m->arena, "%s/volumes/%.*s", p->dir, STR_ARG(name)),
				 POD_CONTAINERS_MAX + i);
	}
}

static void measure(struct pod *p)
{
	static const char *const head[] = {"du", "-skx", "--"};
	struct measure *m = xalloc(sizeof(*m));
	struct proc_opts o = {.argv = m->argv,
			      .timeout_ns = MEASURE_TIMEOUT_NS,
			      .max_output = OUTPUT_MAX,
			      .die_with_us = true};

	*m = (struct measure){.k = p->k, .uid = xstrdup(p->uid)};
	list_append(&p->k->measures, &m->node);
	p->measuring = true;
	for (; m->n < ARRAY_LEN(head); m->n++) {
		m->argv[m->n] = head[m->n];
		m->slot[m->n] = SIZE_MAX;
	}
	add_paths(m, p);
	m->argv[m->n] = NULL;
	if (m->n > ARRAY_LEN(head))
		m->proc = proc_start(p->k->loop, &o, on_measured, m, NULL);
	if (!m->proc)
		measure_free(m);
}

/* ---- pressure ---- */

static int64_t memory_used(const struct pod *p)
{
	AUTO(free)
	char *rel = xasprintf("plumb-%s/%s/pod%s", p->k->instance, p->k->node_name, p->uid);
	struct usage u = {0};

	return usage_read("/sys/fs/cgroup", rel, p->k->cgroup_v2, &u) ? 0 : (int64_t)u.working;
}

static void relieve(struct kubelet *k, bool memory, const struct node_room *room)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf message = {0};
	struct evict_candidate *v = arena_array(&a, k->by_uid.n + 1, sizeof(*v));
	struct pod **pods = arena_array(&a, k->by_uid.n + 1, sizeof(struct pod *));
	struct map_iter it = {0};
	size_t n = 0;

	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (p->removed)
			continue;
		if (pod_stopping(&p->spec, &p->obs)) {
			if (!p->obs.torn_down)
				return; /* what is on its way out may be enough */
			continue;
		}
		pods[n] = p;
		v[n++] = (struct evict_candidate){
			&p->spec, memory ? memory_used(p) : p->disk_bytes,
			evict_request(&p->spec, memory ? "memory" : "ephemeral-storage")};
	}
	ptrdiff_t who = evict_choose(v, n);
	if (who < 0)
		return;
	buf_printf(&message,
		   "The node was low on resource: %s. Threshold quantity: %lldKi, available: "
		   "%lldKi. ",
		   memory ? "memory" : "ephemeral-storage",
		   (long long)(memory ? room->memory_low : room->storage_low) / 1024,
		   (long long)(memory ? room->memory : room->storage) / 1024);
	evict(pods[who], true, buf_cstr(&message));
}

/* Twice in a row: a moment's want is nobody's end. */
static void look_at_node(struct kubelet *k)
{
	struct node_room room = node_room(k);
	bool memory = room.memory < room.memory_low, disk = room.storage < room.storage_low;

	images_collect(k, &room);
	if (memory != k->memory_low || disk != k->storage_low)
		node_report_soon(k);
	else if (memory || disk)
		relieve(k, memory, &room);
	k->memory_low = memory;
	k->storage_low = disk;
}

static void on_look(struct loop *l, struct loop_timer *t)
{
	struct kubelet *k = CONTAINER_OF(t, struct kubelet, look);
	struct map_iter it = {0};

	loop_timer_set(l, t, LOOK_NS, on_look);
	look_at_node(k);
	images_look(k);
	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (!p->removed)
			logs_rotate(p);
		if (!p->removed && !p->measuring && !pod_stopping(&p->spec, &p->obs) &&
		    (disk_limited(&p->spec) || k->storage_low))
			measure(p);
	}
}

void evict_start(struct kubelet *k)
{
	list_init(&k->measures);
	loop_timer_set(k->loop, &k->look, LOOK_NS, on_look);
}

void evict_stop(struct kubelet *k)
{
	loop_timer_cancel(k->loop, &k->look);
	if (!k->measures.next)
		return;
	LIST_FOREACH (n, &k->measures) {
		struct measure *m = CONTAINER_OF(n, struct measure, node);
		proc_cancel(m->proc, true);
		measure_free(m);
	}
}
