/*
 * Pods as the scheduler sees them: what they ask for and where they may go, read once from the
 * object. Pure; each projection owns an arena of its own.
 */
#include "scheduler/core.h"

#include "lib/base/quantity.h"
#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

enum { DEFAULT_CPU_M = 100 };
#define DEFAULT_MEMORY (INT64_C(200) * 1024 * 1024)

int64_t amounts_other(const struct amounts *a, struct str name)
{
	for (size_t i = 0; i < a->n; i++)
		if (str_eq(a->others[i].name, name))
			return a->others[i].value;
	return 0;
}

static struct amount *other_slot(struct arena *arena, struct amounts *a, struct str name)
{
	struct amount *grown;

	for (size_t i = 0; i < a->n; i++)
		if (str_eq(a->others[i].name, name))
			return &a->others[i];
	grown = arena_array(arena, a->n + 1, sizeof(*grown));
	if (a->n)
		memcpy(grown, a->others, a->n * sizeof(*grown));
	grown[a->n].name = arena_str(arena, name);
	a->others = grown;
	return &a->others[a->n++];
}

/* Sums over all pods of a node stay far from overflow; no node has that much of anything. */
#define AMOUNT_MAX (INT64_C(1) << 50)

static int64_t bounded(int64_t v)
{
	return MIN(MAX(v, 0), AMOUNT_MAX);
}

/* A resource list into amounts; values that don't parse were refused by the API server. */
static void amounts_read(struct arena *arena, const struct json *list, struct amounts *ret)
{
	const struct json_member *m = json_members(list);

	*ret = (struct amounts){0};
	for (size_t i = 0; i < json_len(list); i++) {
		struct str text = json_str(&m[i].value);
		struct quantity q;

		if (json_is(&m[i].value, JSON_INT))
			text = arena_strf(arena, "%lld", (long long)json_int(&m[i].value, 0));
		if (quantity_parse(text, &q) != 0)
			continue;
		if (str_is(m[i].key, "cpu"))
			ret->cpu_m = bounded(quantity_milli(q));
		else if (str_is(m[i].key, "memory"))
			ret->memory = bounded(quantity_value(q));
		else if (str_is(m[i].key, "ephemeral-storage"))
			ret->ephemeral = bounded(quantity_value(q));
		else if (!str_is(m[i].key, "pods"))
			other_slot(arena, ret, m[i].key)->value = bounded(quantity_value(q));
	}
}

static int64_t add_capped(int64_t a, int64_t b)
{
	return bounded(a + b);
}

static void amounts_add(struct arena *arena, struct amounts *to, const struct amounts *from)
{
	to->cpu_m = add_capped(to->cpu_m, from->cpu_m);
	to->memory = add_capped(to->memory, from->memory);
	to->ephemeral = add_capped(to->ephemeral, from->ephemeral);
	for (size_t i = 0; i < from->n; i++) {
		struct amount *slot = other_slot(arena, to, from->others[i].name);

		slot->value = add_capped(slot->value, from->others[i].value);
	}
}

static void amounts_max(struct arena *arena, struct amounts *to, const struct amounts *from)
{
	to->cpu_m = MAX(to->cpu_m, from->cpu_m);
	to->memory = MAX(to->memory, from->memory);
	to->ephemeral = MAX(to->ephemeral, from->ephemeral);
	for (size_t i = 0; i < from->n; i++) {
		struct amount *slot = other_slot(arena, to, from->others[i].name);

		slot->value = MAX(slot->value, from->others[i].value);
	}
}

/* floor: what a container counts for in scores when it asks for nothing. */
static void container_requests(struct arena *arena, const struct json *container, bool floor,
			       struct amounts *ret)
{
	amounts_read(arena, json_at(container, "resources", "requests"), ret);
	if (floor && !json_at(container, "resources", "requests", "cpu"))
		ret->cpu_m = DEFAULT_CPU_M;
	if (floor && !json_at(container, "resources", "requests", "memory"))
		ret->memory = DEFAULT_MEMORY;
}

/*
 * Containers run together; init containers one after the other, before them; restartable init
 * containers (sidecars) from their turn on. The most that is ever needed at once counts.
 */
static void pod_requests(struct arena *arena, const struct json *spec, bool floor,
			 struct amounts *ret)
{
	const struct json *main = json_at(spec, "containers"),
			  *init = json_at(spec, "initContainers");
	struct amounts sidecars = {0}, peak = {0}, overhead, one;

	*ret = (struct amounts){0};
	for (size_t i = 0; i < json_len(init); i++) {
		const struct json *c = json_item(init, i);
		struct amounts now = {0};

		container_requests(arena, c, floor, &one);
		if (str_is(json_str(json_at(c, "restartPolicy")), "Always")) {
			amounts_add(arena, &sidecars, &one);
			amounts_max(arena, &peak, &sidecars);
			continue;
		}
		amounts_add(arena, &now, &sidecars);
		amounts_add(arena, &now, &one);
		amounts_max(arena, &peak, &now);
	}
	amounts_add(arena, ret, &sidecars);
	for (size_t i = 0; i < json_len(main); i++) {
		container_requests(arena, json_item(main, i), floor, &one);
		amounts_add(arena, ret, &one);
	}
	amounts_max(arena, ret, &peak);
	amounts_read(arena, json_at(spec, "overhead"), &overhead);
	amounts_add(arena, ret, &overhead);
}

static size_t count_ports(const struct json *containers)
{
	size_t n = 0;

	for (size_t i = 0; i < json_len(containers); i++)
		n += json_len(json_at(json_item(containers, i), "ports"));
	return n;
}

static void pod_ports(struct sched_pod *p, const struct json *spec)
{
	const struct json *containers = json_at(spec, "containers");

	p->ports = arena_array(&p->arena, count_ports(containers) + 1, sizeof(*p->ports));
	for (size_t i = 0; i < json_len(containers); i++) {
		const struct json *ports = json_at(json_item(containers, i), "ports");

		for (size_t j = 0; j < json_len(ports); j++) {
			const struct json *port = json_item(ports, j);
			struct str ip = json_str(json_at(port, "hostIP"));
			int64_t number = json_int(json_at(port, "hostPort"), 0);

			if (number <= 0)
				continue;
			if (str_is(ip, "0.0.0.0") || str_is(ip, "::"))
				ip = STR_NONE;
			p->ports[p->nports++] = (struct host_port){
				arena_str(&p->arena, ip),
				arena_str(&p->arena,
					  json_str_or(json_at(port, "protocol"), STR("TCP"))),
				number,
			};
		}
	}
}

static void pod_claims(struct sched_pod *p, const struct json *spec)
{
	const struct json *list = json_at(spec, "volumes");

	p->claims = arena_array(&p->arena, json_len(list) + 1, sizeof(*p->claims));
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);
		struct str name = json_str(json_at(v, "persistentVolumeClaim", "claimName"));

		if (json_at(v, "ephemeral"))
			name = arena_strf(&p->arena, "%.*s-%.*s", STR_ARG(p->name),
					  STR_ARG(json_str(json_at(v, "name"))));
		if (name.n)
			p->claims[p->nclaims++] = obj_key(&p->arena, p->namespace, name);
	}
}

struct str sched_image_name(struct arena *a, struct str name)
{
	ptrdiff_t slash = str_find(name, STR("/")), next;
	struct str head = str_sub(name, 0, slash < 0 ? 0 : (size_t)slash), last = name;
	bool host = str_find(head, STR(".")) >= 0 || str_find(head, STR(":")) >= 0 ||
		    str_is(head, "localhost");
	const char *before = slash < 0 ? "docker.io/library/" : "docker.io/";

	while ((next = str_find(last, STR("/"))) >= 0)
		last = str_sub(last, (size_t)next + 1, last.n);
	return arena_strf(a, "%s%.*s%s", host ? "" : before, STR_ARG(name),
			  str_find(last, STR(":")) < 0 ? ":latest" : "");
}

static void add_images(struct sched_pod *p, const struct json *containers)
{
	for (size_t i = 0; i < json_len(containers); i++) {
		struct str image = json_str(json_at(json_item(containers, i), "image"));

		if (image.n)
			p->images[p->nimages++] = sched_image_name(&p->arena, image);
	}
}

static void pod_images(struct sched_pod *p, const struct json *spec)
{
	const struct json *main = json_at(spec, "containers"),
			  *init = json_at(spec, "initContainers");

	p->images = arena_array(&p->arena, json_len(main) + json_len(init) + 1, sizeof(struct str));
	add_images(p, init);
	add_images(p, main);
}

static const struct json *keep(struct sched_pod *p, const struct json *v)
{
	return json_len(v) ? json_copy(&p->arena, v) : NULL;
}

#define REQUIRED "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"

static void add_term(struct sched_pod *p, const struct json *j, int64_t weight,
		     struct affinity_terms *to)
{
	struct affinity_term *t = &to->v[to->n++];

	*t = (struct affinity_term){
		.key = arena_str(&p->arena, json_str(json_at(j, "topologyKey"))),
		.weight = weight,
		.namespaces = keep(p, json_at(j, "namespaces")),
	};
	if (json_at(j, "namespaceSelector")) /* an empty one means all namespaces */
		t->namespace_selector = json_copy(&p->arena, json_at(j, "namespaceSelector"));
	if (selector_from_json(&p->arena, json_copy(&p->arena, json_at(j, "labelSelector")),
			       &t->selector, NULL) != 0)
		t->selector.nothing = true;
}

static void read_required(struct sched_pod *p, const struct json *all, struct affinity_terms *ret)
{
	ret->v = arena_array(&p->arena, json_len(all) + 1, sizeof(*ret->v));
	for (size_t i = 0; i < json_len(all); i++)
		add_term(p, json_item(all, i), 0, ret);
}

static void add_preferred(struct sched_pod *p, const struct json *all, int sign)
{
	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *one = json_item(all, i);

		add_term(p, json_at(one, "podAffinityTerm"),
			 sign * json_int(json_at(one, "weight"), 0), &p->like);
	}
}

/* Read once: whoever is placed later asks every placed pod. */
static void read_pod_affinity(struct sched_pod *p, const struct json *affinity)
{
	const struct json *near = json_at(affinity, "podAffinity"),
			  *away = json_at(affinity, "podAntiAffinity");
	const struct json *should = json_at(near, PREFERRED), *shouldnt = json_at(away, PREFERRED);

	read_required(p, json_at(near, REQUIRED), &p->near);
	read_required(p, json_at(away, REQUIRED), &p->away);
	p->like.v = arena_array(&p->arena, json_len(should) + json_len(shouldnt) + 1,
				sizeof(*p->like.v));
	add_preferred(p, should, 1);
	add_preferred(p, shouldnt, -1);
}

/* What preempting asks of either side. */
static void read_preemption(struct sched_pod *p, const struct json *tree)
{
	const struct json *going = condition_find(tree, "DisruptionTarget");

	p->nominated = arena_str(&p->arena, json_str(json_at(tree, "status", "nominatedNodeName")));
	p->never_preempts = str_is(json_str(json_at(tree, "spec", "preemptionPolicy")), "Never");
	p->preempted = str_is(json_str(json_at(going, "status")), "True") &&
		       str_is(json_str(json_at(going, "reason")), "PreemptionByScheduler");
	if (time_parse(json_str(json_at(tree, "status", "startTime")), &p->start_ns) != 0)
		p->start_ns = INT64_MAX;
}

struct sched_pod *sched_pod_new(const struct obj *o)
{
	struct sched_pod *p = xalloc(sizeof(*p));
	AUTO(arena) struct arena tmp = {0};
	const struct json *tree = obj_tree(o, &tmp), *spec = json_at(tree, "spec");
	const struct json *affinity = json_at(spec, "affinity");
	struct amounts score;

	p->refs = 1;
	p->obj = obj_ref(o);
	p->namespace = o->namespace;
	p->name = o->name;
	p->uid = o->uid;
	p->key = obj_key(&p->arena, o->namespace, o->name);
	p->node_name = arena_str(&p->arena, json_str(json_at(spec, "nodeName")));
	p->owner_uid = arena_str(&p->arena, json_str(json_at(meta_controller(tree), "uid")));
	p->priority = json_int(json_at(spec, "priority"), 0);
	read_preemption(p, tree);
	pod_requests(&p->arena, spec, false, &p->requests);
	pod_requests(&p->arena, spec, true, &score);
	p->score_cpu_m = score.cpu_m;
	p->score_memory = score.memory;
	pod_ports(p, spec);
	pod_claims(p, spec);
	pod_images(p, spec);
	p->node_selector = keep(p, json_at(spec, "nodeSelector"));
	p->node_affinity = keep(p, json_at(affinity, "nodeAffinity"));
	read_pod_affinity(p, affinity);
	p->tolerations = keep(p, json_at(spec, "tolerations"));
	p->spread = keep(p, json_at(spec, "topologySpreadConstraints"));
	return p;
}

struct sched_pod *sched_pod_ref(struct sched_pod *p)
{
	p->refs++;
	return p;
}

void sched_pod_unref(struct sched_pod *p)
{
	if (!p || --p->refs)
		return;
	obj_unref(p->obj);
	arena_release(&p->arena);
	free(p);
}

static bool finished(const struct json *tree)
{
	struct str phase = json_str(json_at(tree, "status", "phase"));

	return str_is(phase, "Succeeded") || str_is(phase, "Failed");
}

bool sched_pod_is_ours(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *tree = obj_tree(o, &a);
	struct str scheduler = json_str(json_at(tree, "spec", "schedulerName"));

	return !o->deleted_ns && !finished(tree) &&
	       !json_str(json_at(tree, "spec", "nodeName")).n &&
	       (!scheduler.n || str_is(scheduler, "default-scheduler")) &&
	       !json_len(json_at(tree, "spec", "schedulingGates"));
}

bool sched_pod_takes_room(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *tree = obj_tree(o, &a);

	return json_str(json_at(tree, "spec", "nodeName")).n && !finished(tree);
}
