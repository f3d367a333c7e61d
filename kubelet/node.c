/*
 * This node in the API: registers it, renews its Lease every ten seconds, tells its status when it
 * changes and every five minutes, and learns from the Nodes its podCIDR and the routes to the
 * others. Must keep trying for ever: the API may be away for any time. On the kubelet's loop.
 */
#include "kubelet/node_core.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kubelet/image/image-internal.h"
#include "kubelet/kubelet.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"
#include "lib/os/ready.h"

#define LEASE_S 40
#define RENEW_NS (10 * NS_PER_S)
#define REPORT_NS (300 * NS_PER_S)
#define RETRY_NS (500 * NS_PER_MS)
#define KUBELET_PORT 10250
#define KUBE_VERSION "v1.32.0+plumb." PLUMB_VERSION

/* ---- facts ---- */

static const char *first_line(struct arena *a, const char *path)
{
	AUTO(buf) struct buf text = {0};
	struct str line, rest;

	(void)!fs_read(path, 4096, &text, NULL);
	str_cut(buf_view(&text), '\n', &line, &rest);
	return arena_cstr(a, line.p ? line : STR(""));
}

static const char *os_image(struct arena *a)
{
	AUTO(buf) struct buf text = {0};
	struct str rest, line, name, value;

	(void)!fs_read("/etc/os-release", 65536, &text, NULL);
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		if (str_cut(line, '=', &name, &value) && str_is(name, "PRETTY_NAME") && value.n > 2)
			return arena_cstr(a, str_sub(value, 1, value.n - 2));
	}
	return "Linux";
}

static int64_t memory_available(void)
{
	AUTO(buf) struct buf text = {0};
	struct str rest, line;
	int64_t kib;

	(void)!fs_read("/proc/meminfo", 65536, &text, NULL);
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		struct str head, tail;
		if (str_cut(line, ':', &head, &tail) && str_is(head, "MemAvailable") &&
		    str_rcut(str_trim(tail), ' ', &head, &tail) && !str_to_i64(head, &kib))
			return kib * 1024;
	}
	return INT64_MAX;
}

struct node_room node_room(const struct kubelet *k)
{
	struct statvfs v = {0};
	bool known = !statvfs(k->dir, &v);
	int64_t all = (int64_t)(v.f_blocks * v.f_frsize);

	return (struct node_room){.memory = memory_available(),
				  .memory_low = NODE_MEMORY_LOW,
				  .storage = known ? (int64_t)(v.f_bavail * v.f_frsize) : INT64_MAX,
				  .storage_low = all / NODE_STORAGE_SHARE,
				  .storage_all = all};
}

static void facts(struct kubelet *k, struct arena *a, struct node_facts *f)
{
	static struct utsname u;
	struct sysinfo s = {0};
	struct statvfs v = {0};

	(void)!uname(&u);
	(void)!sysinfo(&s);
	(void)!statvfs(k->dir, &v);
	*f = (struct node_facts){
		.name = k->node_name,
		.volumes = k->volumes,
		.ip = k->node_ip,
		.runtime = k->rt.name,
		.runtime_version = k->rt.version,
		.kernel = u.release,
		.os_image = os_image(a),
		.arch = image_architecture(),
		.machine_id = first_line(a, "/etc/machine-id"),
		.boot_id = first_line(a, "/proc/sys/kernel/random/boot_id"),
		.version = KUBE_VERSION,
		.cpus = sysconf(_SC_NPROCESSORS_ONLN),
		.memory = (int64_t)s.totalram * s.mem_unit,
		.storage = (int64_t)(v.f_blocks * v.f_frsize),
		.storage_available = (int64_t)(v.f_bavail * v.f_frsize),
		.memory_available = memory_available(),
		.max_pods = NODE_PODS_MAX,
		.port = KUBELET_PORT,
		.now_ns = loop_wall(k->loop),
	};
	k->resources = (struct node_resources){f->cpus * 1000, f->memory, f->storage};
}

/* ---- status ---- */

static void report(struct kubelet *k);
static void register_node(struct kubelet *k);

static void on_report_due(struct loop *l, struct loop_timer *t)
{
	struct kubelet *k = CONTAINER_OF(t, struct kubelet, report);

	(void)l;
	if (k->registered)
		report(k);
	else
		register_node(k);
}

void node_report_soon(struct kubelet *k)
{
	if (k->registered)
		loop_timer_set(k->loop, &k->report, 0, on_report_due);
}

void kubelet_check_ready(struct kubelet *k)
{
	if (k->told_ready || !k->registered || !k->synced || !k->net.ready)
		return;
	k->told_ready = true;
	log_info("ready", "node", k->node_name, "runtime", k->rt.name);
	ready_notify(k->loop);
}

/* What `kubectl describe node` tells of. The node's name does as its uid, as with Kubernetes'. */
static void node_event(struct kubelet *k, const char *reason)
{
	AUTO(arena) struct arena a = {0};

	if (k->events)
		recorder_event(k->events,
			       json_build(&a, "{s:s, s:s, s:{s:s, s:s}}", "apiVersion", "v1",
					  "kind", "Node", "metadata", "name", k->node_name, "uid",
					  k->node_name),
			       "Normal", reason, "Node %s status is now: %s", k->node_name, reason);
}

static void tell_changes(struct kubelet *k, const struct json *old, const struct json *status)
{
	const struct json *all = json_get(status, STR("conditions"));

	for (size_t i = 0; i < json_len(all); i++) {
		const struct json *c = json_item(all, i);
		struct str type = json_str(json_get(c, STR("type"))),
			   now = json_str(json_get(c, STR("status")));
		const char *reason = node_event_reason(type, now);
		AUTO(buf) struct buf name = {0};

		if (!reason)
			continue;
		buf_str(&name, type);
		if (!str_eq(now, json_str(json_get(condition_find(old, buf_cstr(&name)),
						   STR("status")))))
			node_event(k, reason);
	}
}

static void on_reported(void *arg, const struct api_answer *a)
{
	struct kubelet *k = arg;

	if (a->err.code) {
		log_warn("cannot tell the node's status, trying again", "error", a->err.msg);
		if (a->err.code == ERR_NOT_FOUND)
			k->registered = false;
		loop_timer_set(k->loop, &k->report, RETRY_NS, on_report_due);
		return;
	}
	loop_timer_set(k->loop, &k->report, REPORT_NS, on_report_due);
	kubelet_check_ready(k);
}

static void report(struct kubelet *k)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct node_facts f;
	const struct obj *o =
		k->nodes ? informer_get(k->nodes, STR_NONE, str_c(k->node_name)) : NULL;
	const struct json *tree = o ? obj_tree(o, &a) : NULL, *old = json_get(tree, STR("status"));
	struct json *v = json_new(&a, JSON_OBJECT), *status;
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_nodes,
				.name = str_c(k->node_name),
				.subresource = "status",
				.patch = API_PATCH_MERGE};

	facts(k, &a, &f);
	f.images = images_list(k, &a);
	status = node_status(&a, &f, old);
	tell_changes(k, tree, status);
	json_set(&a, v, STR("status"), status);
	json_write(v, &body);
	call.body = buf_view(&body);
	loop_timer_set(k->loop, &k->report, REPORT_NS, on_report_due);
	client_call(k->client, &call, on_reported, k);
}

/* ---- registration ---- */

static void on_told(void *arg UNUSED, const struct api_answer *a)
{
	if (a->err.code)
		log_warn("cannot tell of this node's volumes", "error", a->err.msg);
}

/* A Node that is there already may be from before its folder was told, or moved. */
static void tell_volumes(struct kubelet *k)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct node_facts f;
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_nodes,
				.name = str_c(k->node_name),
				.patch = API_PATCH_MERGE};

	facts(k, &a, &f);
	json_write(node_meta(&a, &f), &body);
	call.body = buf_view(&body);
	client_call(k->client, &call, on_told, NULL);
}

static void on_registered(void *arg, const struct api_answer *a)
{
	struct kubelet *k = arg;

	if (a->err.code && a->err.code != ERR_EXISTS) {
		log_warn("cannot register the node, trying again", "error", a->err.msg);
		loop_timer_set(k->loop, &k->report, RETRY_NS, on_report_due);
		return;
	}
	k->registered = true;
	if (!a->err.code)
		log_info("node registered", "node", k->node_name);
	else
		tell_volumes(k);
	report(k);
}

static void register_node(struct kubelet *k)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct node_facts f;
	struct api_call call = {.verb = API_CREATE, .resource = &res_nodes};

	facts(k, &a, &f);
	json_write(node_object(&a, &f), &body);
	call.body = buf_view(&body);
	client_call(k->client, &call, on_registered, k);
}

/* ---- the lease ---- */

static void renew(struct kubelet *k, bool make);

static void on_renew_due(struct loop *l, struct loop_timer *t)
{
	struct kubelet *k = CONTAINER_OF(t, struct kubelet, heartbeat);

	(void)l;
	podnet_tidy(&k->net);
	renew(k, false);
}

static void on_made(void *arg, const struct api_answer *a)
{
	struct kubelet *k = arg;

	if (a->err.code && a->err.code != ERR_EXISTS)
		log_warn("cannot make the node's lease, trying again", "error", a->err.msg);
	loop_timer_set(k->loop, &k->heartbeat, a->err.code ? NS_PER_S : RENEW_NS, on_renew_due);
}

static void on_renewed(void *arg, const struct api_answer *a)
{
	struct kubelet *k = arg;

	if (a->err.code == ERR_NOT_FOUND) {
		renew(k, true);
		return;
	}
	if (a->err.code)
		log_warn("cannot renew the node's lease, trying again", "error", a->err.msg);
	loop_timer_set(k->loop, &k->heartbeat, a->err.code ? NS_PER_S : RENEW_NS, on_renew_due);
}

static void renew(struct kubelet *k, bool make)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	char now[TIME_TEXT_MAX];
	struct json *spec = json_build(&a, "{s:s, s:i, s:S}", "holderIdentity", k->node_name,
				       "leaseDurationSeconds", LEASE_S, "renewTime",
				       time_format_micro(loop_wall(k->loop), now));
	const struct obj *node =
		k->nodes ? informer_get(k->nodes, STR_NONE, str_c(k->node_name)) : NULL;
	struct json *v = json_build(&a, "{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion",
				    "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name",
				    k->node_name, "namespace", "kube-node-lease", "spec", spec);
	struct api_call call = {.verb = make ? API_CREATE : API_PATCH,
				.resource = &res_leases,
				.urgent = true,
				.namespace = STR("kube-node-lease"),
				.name = make ? STR_NONE : str_c(k->node_name),
				.patch = API_PATCH_MERGE};

	/* It goes with its Node. */
	if (node)
		json_append(&a, json_set_array(&a, json_get(v, STR("metadata")), "ownerReferences"),
			    json_build(&a, "{s:s, s:s, s:s, s:S}", "apiVersion", "v1", "kind",
				       "Node", "name", k->node_name, "uid", node->uid));
	json_write(v, &body);
	call.body = buf_view(&body);
	client_call(k->client, &call, make ? on_made : on_renewed, k);
}

/* ---- other nodes, and what is said of ours ---- */

static struct str internal_ip(const struct json *node)
{
	const struct json *list = json_at(node, "status", "addresses");

	for (size_t i = 0; i < json_len(list); i++) {
		if (str_is(json_str(json_at(json_item(list, i), "type")), "InternalIP"))
			return json_str(json_at(json_item(list, i), "address"));
	}
	return STR_NONE;
}

static void on_our_node(struct kubelet *k, const struct json *node)
{
	struct str cidr = json_str(json_at(node, "spec", "podCIDR"));
	struct err err = {0};
	bool was = k->net.ready;

	if (cidr.n && podnet_set_cidr(&k->net, cidr, &err))
		log_error("cannot set up the pods' network", "error", err.msg);
	if (!was && k->net.ready) {
		struct map_iter it = {0};
		while (map_next(&k->by_uid, &it))
			pod_wake(it.value);
		kubelet_check_ready(k);
	}
	/* Somebody gave us up for lost: say at once that we are here. */
	if (k->registered && k->told_ready && node_extended_differ(json_at(node, "status")))
		node_report_soon(k);
	if (k->registered && k->told_ready &&
	    !str_is(json_str(json_at(condition_find(node, "Ready"), "status")), "True"))
		loop_timer_set(k->loop, &k->report, 100 * NS_PER_MS, on_report_due);
}

static bool cordoned(const struct json *node)
{
	return json_bool(json_at(node, "spec", "unschedulable"), false);
}

static void on_node(void *arg, const struct obj *old, const struct obj *new)
{
	struct kubelet *k = arg;
	AUTO(arena) struct arena a = {0};
	const struct json *node = new ? obj_tree(new, &a) : NULL;
	struct str name = new ? new->name : old ? old->name : STR_NONE;
	struct err err = {0};
	uint32_t via = 0;

	if (str_is(name, k->node_name)) {
		if (old && node && cordoned(obj_tree(old, &a)) != cordoned(node))
			node_event(k, cordoned(node) ? "NodeNotSchedulable" : "NodeSchedulable");
		if (node)
			on_our_node(k, node);
		else if (k->registered) {
			k->registered = false;
			register_node(k);
		}
		return;
	}
	if (node && ip4_parse(internal_ip(node), &via))
		via = 0;
	if (podnet_route(&k->net, name, json_str(json_at(node, "spec", "podCIDR")), via, &err))
		log_warn("no route to another node's pods", "node", log_fmt("%.*s", STR_ARG(name)),
			 "error", err.msg);
}

void node_start(struct kubelet *k)
{
	struct informer_opts o = {.resource = &res_nodes};

	k->nodes = informer_new(k->client, &o);
	informer_on_change(k->nodes, on_node, k);
	informer_start(k->nodes);
	register_node(k);
	renew(k, true);
}

void node_stop(struct kubelet *k)
{
	loop_timer_cancel(k->loop, &k->heartbeat);
	loop_timer_cancel(k->loop, &k->report);
	informer_free(k->nodes);
	k->nodes = NULL;
}
