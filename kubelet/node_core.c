/* Builds the Node object. Must keep what others wrote into its conditions. Pure. */
#include "kubelet/node_core.h"

#include "lib/base/timefmt.h"
#include "lib/kube/obj.h"
#include "lib/kube/pvnames.h"

#include "lib/base/pure.h"

static struct json *labels(struct arena *a, const struct node_facts *f, struct json *meta)
{
	struct json *l = json_set_object(a, meta, "labels");

	json_set_str(a, l, "kubernetes.io/hostname", str_c(f->name));
	json_set_str(a, l, "kubernetes.io/os", STR("linux"));
	json_set_str(a, l, "kubernetes.io/arch", str_c(f->arch));
	json_set_str(a, l, "beta.kubernetes.io/os", STR("linux"));
	json_set_str(a, l, "beta.kubernetes.io/arch", str_c(f->arch));
	return l;
}

struct json *node_meta(struct arena *a, const struct node_facts *f)
{
	struct json *o = json_new(a, JSON_OBJECT), *meta = json_set_object(a, o, "metadata");

	if (f->volumes)
		json_set_str(a, json_set_object(a, meta, "annotations"), LOCAL_FOLDER,
			     str_c(f->volumes));
	return o;
}

struct json *node_object(struct arena *a, const struct node_facts *f)
{
	struct json *o = node_meta(a, f), *meta;

	json_set_str(a, o, "apiVersion", STR("v1"));
	json_set_str(a, o, "kind", STR("Node"));
	meta = json_set_object(a, o, "metadata");
	json_set_str(a, meta, "name", str_c(f->name));
	labels(a, f, meta);
	json_set_object(a, o, "spec");
	json_set(a, o, STR("status"), node_status(a, f, NULL));
	return o;
}

static void resources(struct arena *a, const struct node_facts *f, struct json *r)
{
	json_set_str(a, r, "cpu", arena_strf(a, "%lld", (long long)f->cpus));
	json_set_str(a, r, "memory", arena_strf(a, "%lldKi", (long long)f->memory / 1024));
	json_set_str(a, r, "ephemeral-storage",
		     arena_strf(a, "%lldKi", (long long)f->storage / 1024));
	json_set_str(a, r, "pods", arena_strf(a, "%lld", (long long)f->max_pods));
}

/* Resources that others give a node: an administrator, an operator of devices. */
static bool is_extended(struct str name)
{
	return str_find(name, STR("/")) >= 0;
}

bool node_extended_differ(const struct json *status)
{
	const struct json *capacity = json_get(status, STR("capacity")),
			  *allocatable = json_get(status, STR("allocatable"));
	const struct json_member *m = json_members(capacity);

	for (size_t i = 0; i < json_len(capacity); i++)
		if (is_extended(m[i].key) &&
		    !json_equal(json_get(allocatable, m[i].key), &m[i].value))
			return true;
	m = json_members(allocatable);
	for (size_t i = 0; i < json_len(allocatable); i++)
		if (is_extended(m[i].key) && !json_get(capacity, m[i].key))
			return true;
	return false;
}

/* What others say that there is can be had, and nothing that they no longer say: null in a merge
 * patch takes it away. */
static void extended(struct arena *a, const struct json *old, struct json *to)
{
	const struct json *capacity = json_get(old, STR("capacity")),
			  *allocatable = json_get(old, STR("allocatable"));
	const struct json_member *m = json_members(allocatable);

	for (size_t i = 0; i < json_len(allocatable); i++)
		if (is_extended(m[i].key) && !json_get(capacity, m[i].key))
			json_set(a, to, m[i].key, json_new(a, JSON_NULL));
	m = json_members(capacity);
	for (size_t i = 0; i < json_len(capacity); i++)
		if (is_extended(m[i].key))
			json_set(a, to, m[i].key, json_copy(a, &m[i].value));
}

static void put_address(struct arena *a, struct json *list, const char *type, const char *address)
{
	struct json *o = json_append_object(a, list);

	json_set_str(a, o, "type", str_c(type));
	json_set_str(a, o, "address", str_c(address));
}

static void info(struct arena *a, const struct node_facts *f, struct json *i)
{
	json_set_str(a, i, "architecture", str_c(f->arch));
	json_set_str(a, i, "bootID", str_c(f->boot_id));
	json_set_str(a, i, "machineID", str_c(f->machine_id));
	json_set_str(a, i, "systemUUID", str_c(f->machine_id));
	json_set_str(a, i, "kernelVersion", str_c(f->kernel));
	json_set_str(a, i, "osImage", str_c(f->os_image));
	json_set_str(a, i, "operatingSystem", STR("linux"));
	json_set_str(a, i, "containerRuntimeVersion",
		     arena_strf(a, "%s://%s", f->runtime, f->runtime_version));
	json_set_str(a, i, "kubeletVersion", str_c(f->version));
	json_set_str(a, i, "kubeProxyVersion", str_c(f->version));
}

static void condition(struct arena *a, struct json *holder, const struct node_facts *f,
		      const char *type, const char *status, const char *reason, const char *message)
{
	char text[TIME_TEXT_MAX];

	condition_set(a, holder, type, status, reason, str_c(message), f->now_ns);
	json_set_str(a, condition_find(holder, type), "lastHeartbeatTime",
		     time_format(f->now_ns, text));
}

static void conditions(struct arena *a, const struct node_facts *f, struct json *holder)
{
	bool memory = f->memory_available < NODE_MEMORY_LOW;
	bool disk = f->storage_available < f->storage / NODE_STORAGE_SHARE;

	condition(a, holder, f, "MemoryPressure", memory ? "True" : "False",
		  memory ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
		  memory ? "kubelet has insufficient memory available"
			 : "kubelet has sufficient memory available");
	condition(a, holder, f, "DiskPressure", disk ? "True" : "False",
		  disk ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
		  disk ? "kubelet has disk pressure" : "kubelet has no disk pressure");
	condition(a, holder, f, "PIDPressure", "False", "KubeletHasSufficientPID",
		  "kubelet has sufficient PID available");
	condition(a, holder, f, "Ready", "True", "KubeletReady", "kubelet is posting ready status");
}

static void handlers(struct arena *a, const struct node_facts *f, struct json *list)
{
	const char *const names[] = {"", f->runtime};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct json *o = json_append_object(a, list);
		struct json *can = json_set_object(a, o, "features");
		json_set_str(a, o, "name", str_c(names[i]));
		json_set_bool(a, can, "recursiveReadOnlyMounts", true);
		json_set_bool(a, can, "userNamespaces", false);
	}
}

struct json *node_status(struct arena *a, const struct node_facts *f, const struct json *old)
{
	struct json *holder = json_new(a, JSON_OBJECT), *st = json_set_object(a, holder, "status"),
		    *list;
	const struct json *had = json_at(old, "conditions");

	resources(a, f, json_set_object(a, st, "capacity"));
	resources(a, f, json_set_object(a, st, "allocatable"));
	extended(a, old, json_get(st, STR("allocatable")));
	if (json_is(had, JSON_ARRAY))
		json_set(a, st, STR("conditions"), json_copy(a, had));
	conditions(a, f, holder);
	list = json_set_array(a, st, "addresses");
	put_address(a, list, "InternalIP", f->ip);
	put_address(a, list, "Hostname", f->name);
	info(a, f, json_set_object(a, st, "nodeInfo"));
	if (f->images)
		json_set(a, st, STR("images"), f->images);
	handlers(a, f, json_set_array(a, st, "runtimeHandlers"));
	json_set_int(
		a, json_set_object(a, json_set_object(a, st, "daemonEndpoints"), "kubeletEndpoint"),
		"Port", f->port);
	return st;
}

const char *node_event_reason(struct str type, struct str status)
{
	static const char *const reasons[][3] = {
		{"MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"},
		{"DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"},
		{"PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"},
		{"Ready", "NodeReady", "NodeNotReady"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (str_is(type, reasons[i][0]))
			return reasons[i][str_is(status, "True") ? 1 : 2];
	return NULL;
}
