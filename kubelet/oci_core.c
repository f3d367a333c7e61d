/*
 * Writes config.json. Must never give a container more than its securityContext says: default
 * capabilities are containerd's, inheritable and ambient sets stay empty, kernel files are masked
 * unless privileged. Pure; memory is the caller's arena.
 */
#include "kubelet/oci_core.h"

#include <limits.h>

#include "kubelet/admit_core.h"
#include "kubelet/seccomp_core.h"
#include "lib/base/quantity.h"

#include "lib/base/pure.h"

static const char *const cap_names[] = {"CHOWN",
					"DAC_OVERRIDE",
					"DAC_READ_SEARCH",
					"FOWNER",
					"FSETID",
					"KILL",
					"SETGID",
					"SETUID",
					"SETPCAP",
					"LINUX_IMMUTABLE",
					"NET_BIND_SERVICE",
					"NET_BROADCAST",
					"NET_ADMIN",
					"NET_RAW",
					"IPC_LOCK",
					"IPC_OWNER",
					"SYS_MODULE",
					"SYS_RAWIO",
					"SYS_CHROOT",
					"SYS_PTRACE",
					"SYS_PACCT",
					"SYS_ADMIN",
					"SYS_BOOT",
					"SYS_NICE",
					"SYS_RESOURCE",
					"SYS_TIME",
					"SYS_TTY_CONFIG",
					"MKNOD",
					"LEASE",
					"AUDIT_WRITE",
					"AUDIT_CONTROL",
					"SETFCAP",
					"MAC_OVERRIDE",
					"MAC_ADMIN",
					"SYSLOG",
					"WAKE_ALARM",
					"BLOCK_SUSPEND",
					"AUDIT_READ",
					"PERFMON",
					"BPF",
					"CHECKPOINT_RESTORE"};

static const char *const default_caps[] = {
	"CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
	"MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
	"SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
	"KILL",    "AUDIT_WRITE"};

const struct json *security_field(const struct pod_spec *pod, const struct container_spec *c,
				  const char *key)
{
	const struct json *own = json_at(c->json, "securityContext", key);

	if (own && own->type != JSON_NULL)
		return own;
	return json_at(pod->spec, "securityContext", key);
}

static bool flag(const struct oci_in *in, const char *key, bool otherwise)
{
	return json_bool(json_at(in->c->json, "securityContext", key), otherwise);
}

/* ---- capabilities ---- */

static uint64_t cap_bit(struct str name)
{
	if (str_starts(name, STR("CAP_")))
		name = str_sub(name, 4, name.n);
	for (size_t i = 0; i < ARRAY_LEN(cap_names); i++) {
		if (str_is(name, cap_names[i]))
			return UINT64_C(1) << i;
	}
	return 0;
}

uint64_t oci_caps(const struct oci_in *in, struct err *err)
{
	const struct json *lists = json_at(in->c->json, "securityContext", "capabilities");
	const struct json *add = json_at(lists, "add"), *drop = json_at(lists, "drop");
	uint64_t set = 0;

	if (flag(in, "privileged", false))
		return in->caps;
	for (size_t i = 0; i < ARRAY_LEN(default_caps); i++)
		set |= cap_bit(str_c(default_caps[i]));
	for (size_t i = 0; i < json_len(drop); i++) {
		if (str_is(json_str(json_item(drop, i)), "ALL"))
			set = 0;
	}
	for (size_t i = 0; i < json_len(add); i++) {
		struct str name = json_str(json_item(add, i));
		uint64_t bit = str_is(name, "ALL") ? in->caps : cap_bit(name);
		if (!bit)
			(void)err_set(err, ERR_INVALID, "unknown capability to add %.*s",
				      STR_ARG(name));
		set |= bit;
	}
	for (size_t i = 0; i < json_len(drop); i++)
		set &= ~cap_bit(json_str(json_item(drop, i)));
	return set & in->caps;
}

static void put_caps(struct arena *a, struct json *process, uint64_t set)
{
	static const char *const sets[] = {"bounding", "effective", "permitted"};
	struct json *caps = json_set_object(a, process, "capabilities");

	for (size_t s = 0; s < ARRAY_LEN(sets); s++) {
		struct json *list = json_set_array(a, caps, sets[s]);
		for (size_t i = 0; i < ARRAY_LEN(cap_names); i++) {
			if (set >> i & 1)
				json_append_str(a, list, arena_strf(a, "CAP_%s", cap_names[i]));
		}
	}
	/* CVE-2022-29162: these stay empty. */
	json_set_array(a, caps, "inheritable");
	json_set_array(a, caps, "ambient");
}

/* ---- the process ---- */

static void put_args(struct arena *a, const struct oci_in *in, struct json *out,
		     const struct json *from, bool expand)
{
	for (size_t i = 0; i < json_len(from); i++) {
		struct str s = json_str(json_item(from, i));
		json_append_str(a, out, expand ? expand_vars(a, s, in->env) : s);
	}
}

struct json *oci_args(struct arena *a, const struct oci_in *in, struct err *err)
{
	const struct json *command = json_at(in->c->json, "command");
	const struct json *args = json_at(in->c->json, "args");
	struct json *out = json_new(a, JSON_ARRAY);

	if (json_len(command))
		put_args(a, in, out, command, true);
	else
		put_args(a, in, out, json_at(in->image, "Entrypoint"), false);
	if (json_len(args))
		put_args(a, in, out, args, true);
	else if (!json_len(command))
		put_args(a, in, out, json_at(in->image, "Cmd"), false);
	if (!json_len(out)) {
		(void)err_set(err, ERR_INVALID, "no command specified");
		return NULL;
	}
	for (size_t i = 0; i < json_len(out); i++) {
		struct str s = json_str(json_item(out, i));
		if (s.n && memchr(s.p, 0, s.n)) {
			(void)err_set(err, ERR_INVALID, "an argument holds a NUL byte");
			return NULL;
		}
	}
	return out;
}

struct str oci_cwd(const struct oci_in *in)
{
	struct str dir = json_str(json_at(in->c->json, "workingDir"));

	if (dir.n == 0)
		dir = json_str(json_at(in->image, "WorkingDir"));
	return dir.n ? dir : STR("/");
}

/* CVE-2024-21626: a working directory that leads out through a descriptor of the runtime's. */
static bool cwd_ok(struct str dir)
{
	return dir.p[0] == '/' && !memchr(dir.p, 0, dir.n) && !str_starts(dir, STR("/proc/")) &&
	       !str_is(dir, "/proc");
}

struct json *oci_process(struct arena *a, const struct oci_in *in, const struct json *args,
			 bool terminal, struct err *err)
{
	struct json *p = json_new(a, JSON_OBJECT), *user, *list;
	struct str cwd = oci_cwd(in);
	struct err bad = {0};
	uint64_t caps = oci_caps(in, &bad);

	if (bad.code) {
		*err = bad;
		return NULL;
	}
	if (!cwd_ok(cwd)) {
		(void)err_set(err, ERR_INVALID, "working directory %.*s is not allowed",
			      STR_ARG(cwd));
		return NULL;
	}
	json_set_bool(a, p, "terminal", terminal);
	user = json_set_object(a, p, "user");
	json_set_int(a, user, "uid", in->user.uid);
	json_set_int(a, user, "gid", in->user.gid);
	if (in->user.ngroups) {
		list = json_set_array(a, user, "additionalGids");
		for (size_t i = 0; i < in->user.ngroups; i++)
			json_append(a, list, json_new_int(a, in->user.groups[i]));
	}
	json_set(a, p, STR("args"), args);
	list = json_set_array(a, p, "env");
	for (size_t i = 0; i < in->env->n; i++)
		json_append_str(a, list,
				arena_strf(a, "%.*s=%.*s", STR_ARG(in->env->v[i].name),
					   STR_ARG(in->env->v[i].value)));
	json_set_str(a, p, "cwd", cwd);
	put_caps(a, p, caps);
	json_set_bool(a, p, "noNewPrivileges", !flag(in, "allowPrivilegeEscalation", true));
	return p;
}

int oci_oom_score(const struct pod_spec *pod, const struct container_spec *c, int64_t node_memory)
{
	struct quantity q = {0};
	struct str request = json_str(json_at(c->json, "resources", "requests", "memory"));

	if (!strcmp(pod->qos, "Guaranteed"))
		return -997;
	if (!strcmp(pod->qos, "BestEffort") || node_memory <= 0)
		return 1000;
	if (request.n == 0)
		request = json_str(json_at(c->json, "resources", "limits", "memory"));
	(void)!quantity_parse(request, &q);
	int64_t bytes = MIN(quantity_value(q), node_memory);
	int64_t adj = 1000 - (int64_t)((__int128)1000 * bytes / node_memory);
	return (int)(adj < 3 ? 3 : MIN(adj, 999));
}

/* ---- mounts ---- */

static struct json *mount(struct arena *a, struct json *list, const char *to, const char *type,
			  const char *source)
{
	struct json *m = json_append_object(a, list);

	json_set_str(a, m, "destination", str_c(to));
	json_set_str(a, m, "type", str_c(type));
	json_set_str(a, m, "source", str_c(source));
	return m;
}

static void options(struct arena *a, struct json *m, const char *comma_separated)
{
	struct json *list = json_set_array(a, m, "options");
	struct str rest = str_c(comma_separated), part;

	while (str_next(&rest, ',', &part))
		json_append_str(a, list, part);
}

static void put_mounts(struct arena *a, const struct oci_in *in, struct json *config)
{
	struct json *list = json_set_array(a, config, "mounts");
	bool privileged = flag(in, "privileged", false), shm = false;

	for (size_t i = 0; i < in->nmounts; i++)
		shm |= str_is(in->mounts[i].destination, "/dev/shm");
	options(a, mount(a, list, "/proc", "proc", "proc"), "nosuid,noexec,nodev");
	options(a, mount(a, list, "/dev", "tmpfs", "tmpfs"),
		"nosuid,strictatime,mode=755,size=65536k");
	options(a, mount(a, list, "/dev/pts", "devpts", "devpts"),
		"nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
	options(a, mount(a, list, "/dev/mqueue", "mqueue", "mqueue"), "nosuid,noexec,nodev");
	if (!shm)
		options(a, mount(a, list, "/dev/shm", "tmpfs", "shm"),
			"nosuid,noexec,nodev,mode=1777,size=65536k");
	options(a, mount(a, list, "/sys", "sysfs", "sysfs"),
		privileged ? "nosuid,noexec,nodev,rw" : "nosuid,noexec,nodev,ro");
	options(a, mount(a, list, "/sys/fs/cgroup", "cgroup", "cgroup"),
		privileged ? "nosuid,noexec,nodev,relatime,rw" : "nosuid,noexec,nodev,relatime,ro");
	for (size_t i = 0; i < in->nmounts; i++) {
		struct json *m = json_append_object(a, list);
		json_set_str(a, m, "destination", in->mounts[i].destination);
		json_set_str(a, m, "type", STR("bind"));
		json_set_str(a, m, "source", in->mounts[i].source);
		options(a, m,
			arena_printf(a, "rbind,%s,%s%s",
				     in->mounts[i].propagation ? in->mounts[i].propagation
							       : "rprivate",
				     in->mounts[i].readonly ? "ro" : "rw",
				     in->mounts[i].recursive ? ",rro" : ""));
	}
}

/* ---- the rest of linux ---- */

static int64_t amount(const struct oci_in *in, const char *list, const char *name, bool milli)
{
	struct quantity q;

	if (quantity_parse(json_str(json_at(in->c->json, "resources", list, name)), &q))
		return 0;
	return milli ? quantity_milli(q) : quantity_value(q);
}

static void put_device_rules(struct arena *a, const struct oci_in *in, struct json *list)
{
	struct json *rule = json_append_object(a, list);

	json_set_bool(a, rule, "allow", flag(in, "privileged", false));
	json_set_str(a, rule, "access", STR("rwm"));
	for (size_t i = 0; i < json_len(in->claimed); i++) {
		const struct json *d = json_item(in->claimed, i);
		rule = json_append_object(a, list);
		json_set_bool(a, rule, "allow", true);
		json_set(a, rule, STR("type"), json_at(d, "type"));
		json_set(a, rule, STR("major"), json_at(d, "major"));
		json_set(a, rule, STR("minor"), json_at(d, "minor"));
		json_set(a, rule, STR("access"), json_at(d, "access"));
	}
}

static void put_devices(struct arena *a, const struct json *from, struct json *linux_)
{
	struct json *list = json_at(linux_, "devices");

	for (size_t i = 0; i < json_len(from); i++) {
		struct json *d = json_copy(a, json_item(from, i));
		json_del(d, STR("access")); /* stands in the rules */
		json_append(a, list ? list : (list = json_set_array(a, linux_, "devices")), d);
	}
}

static void put_resources(struct arena *a, const struct oci_in *in, struct json *linux_)
{
	struct json *r = json_set_object(a, linux_, "resources"), *cpu;
	int64_t limit_m = amount(in, "limits", "cpu", true);
	int64_t request_m = amount(in, "requests", "cpu", true);
	int64_t memory = amount(in, "limits", "memory", false);

	put_device_rules(a, in, json_set_array(a, r, "devices"));
	if (!request_m)
		request_m = limit_m;
	cpu = json_set_object(a, r, "cpu");
	json_set_int(a, cpu, "shares", MIN(MAX(request_m * 1024 / 1000, 2), 262144));
	if (limit_m > 0) {
		json_set_int(a, cpu, "quota", MAX(MIN(limit_m, 10000000) * 100, 1000));
		json_set_int(a, cpu, "period", 100000);
	}
	if (memory > 0)
		json_set_int(a, json_set_object(a, r, "memory"), "limit", MAX(memory, 4 << 20));
}

static void put_namespaces(struct arena *a, const struct oci_in *in, struct json *linux_)
{
	struct json *list = json_set_array(a, linux_, "namespaces");

	json_set_str(a, json_append_object(a, list), "type", STR("mount"));
	json_set_str(a, json_append_object(a, list), "type", STR("cgroup"));
	if (!in->pod->host_pid) {
		struct json *pid = json_append_object(a, list);
		json_set_str(a, pid, "type", STR("pid"));
		if (in->pidns.n)
			json_set_str(a, pid, "path", in->pidns);
	}
	if (!in->pod->host_ipc) {
		struct json *ipc = json_append_object(a, list);
		json_set_str(a, ipc, "type", STR("ipc"));
		if (in->ipcns.n)
			json_set_str(a, ipc, "path", in->ipcns);
	}
	if (in->netns.n) {
		struct json *net = json_append_object(a, list);
		json_set_str(a, net, "type", STR("network"));
		json_set_str(a, net, "path", in->netns);
	}
	/* In the node's network, too: several nodes may share a machine, and each has its name. */
	json_set_str(a, json_append_object(a, list), "type", STR("uts"));
}

static void put_paths(struct arena *a, struct json *linux_, const char *key,
		      const char *const *paths)
{
	struct json *list = json_set_array(a, linux_, key);

	for (; *paths; paths++)
		json_append_str(a, list, str_c(*paths));
}

static int put_sysctls(struct arena *a, const struct oci_in *in, struct json *linux_,
		       struct err *err)
{
	const struct json *list = json_at(in->pod->spec, "securityContext", "sysctls");

	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_at(json_item(list, i), "name"));
		const char *why = sysctl_refusal(in->pod, name);
		if (why)
			return err_set(err, ERR_INVALID, "forbidden sysctl: \"%.*s\" %s",
				       STR_ARG(name), why);
		char *dots = arena_cstr(a, name);
		for (char *c = dots; *c; c++)
			*c = *c == '/' ? '.' : *c;
		json_set(a, json_set_object(a, linux_, "sysctl"), str_c(dots),
			 json_at(json_item(list, i), "value"));
	}
	return 0;
}

static int put_linux(struct arena *a, const struct oci_in *in, struct json *config, struct err *err)
{
	static const char *const masked[] = {"/proc/acpi",
					     "/proc/asound",
					     "/proc/kcore",
					     "/proc/keys",
					     "/proc/latency_stats",
					     "/proc/timer_list",
					     "/proc/timer_stats",
					     "/proc/sched_debug",
					     "/proc/scsi",
					     "/sys/firmware",
					     "/sys/devices/virtual/powercap",
					     NULL};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL};
	static const char *const none[] = {NULL};
	struct json *l = json_set_object(a, config, "linux");
	bool privileged = flag(in, "privileged", false);
	bool unmask =
		str_is(json_str(json_at(in->c->json, "securityContext", "procMount")), "Unmasked");
	struct str seccomp =
		json_str(json_at(security_field(in->pod, in->c, "seccompProfile"), "type"));

	put_namespaces(a, in, l);
	for (size_t i = 0; i < in->nmounts; i++) {
		/* What is to come through must get past the root first. */
		if (in->mounts[i].propagation &&
		    !str_is(json_str(json_at(l, "rootfsPropagation")), "rshared"))
			json_set_str(a, l, "rootfsPropagation", str_c(in->mounts[i].propagation));
	}
	put_resources(a, in, l);
	json_set_str(a, l, "cgroupsPath", in->cgroup);
	put_paths(a, l, "maskedPaths", privileged || unmask ? none : masked);
	put_paths(a, l, "readonlyPaths", privileged || unmask ? none : readonly);
	if (put_sysctls(a, in, l, err))
		return -1;
	put_devices(a, in->claimed, l);
	if (privileged)
		put_devices(a, in->devices, l);
	if (privileged)
		return 0;
	if (in->seccomp)
		json_set(a, l, STR("seccomp"), in->seccomp);
	else if (str_is(seccomp, "RuntimeDefault"))
		json_set(a, l, STR("seccomp"), seccomp_default(a, oci_caps(in, NULL)));
	return 0;
}

struct json *oci_config(struct arena *a, const struct oci_in *in, struct err *err)
{
	struct json *config = json_new(a, JSON_OBJECT), *root, *process, *args;

	args = oci_args(a, in, err);
	process =
		args ? oci_process(a, in, args, json_bool(json_at(in->c->json, "tty"), false), err)
		     : NULL;
	if (!process)
		return NULL;
	if (in->oom_score_adj != INT_MIN)
		json_set_int(a, process, "oomScoreAdj", in->oom_score_adj);
	json_set_str(a, config, "ociVersion", STR("1.0.2"));
	json_set(a, config, STR("process"), process);
	root = json_set_object(a, config, "root");
	json_set_str(a, root, "path", in->rootfs);
	json_set_bool(a, root, "readonly", flag(in, "readOnlyRootFilesystem", false));
	json_set_str(a, config, "hostname", in->hostname);
	put_mounts(a, in, config);
	if (put_linux(a, in, config, err))
		return NULL;
	return config;
}
