/*
 * The baseline level: known ways out of a container. Each check says what it found, in Kubernetes'
 * words. Must never read a missing field as a setting. Pure; memory is the subject's arena.
 */
#include "apiserver/admission/pod_checks.h"

#include <string.h>

#include "lib/base/pure.h"

/* What a walk over the containers gathers. */
struct found {
	const struct pod_subject *p;
	struct json *names, *values;
	bool pod, user, role;
};

static struct found found_new(const struct pod_subject *p)
{
	return (struct found){
		.p = p, .names = json_new(p->a, JSON_ARRAY), .values = json_new(p->a, JSON_ARRAY)};
}

static void blame(struct found *f, const struct json *container)
{
	json_append_str(f->p->a, f->names, json_str_or(json_get(container, STR("name")), STR("")));
}

/* pod and container "a" */
static struct str setters(const struct found *f)
{
	if (!json_len(f->names))
		return STR("pod");
	return arena_strf(f->p->a, "%s%.*s", f->pod ? "pod and " : "",
			  STR_ARG(pod_containers_named(f->p->a, f->names)));
}

static bool any(const struct found *f)
{
	return f->pod || json_len(f->names);
}

static const struct json *security(const struct json *o, const char *field)
{
	return json_get(json_get(o, STR("securityContext")), str_c(field));
}

static bool among(struct str s, const char *const *list)
{
	for (; *list; list++)
		if (str_is(s, *list))
			return true;
	return false;
}

/* ---- appArmorProfile ---- */

static bool apparmor_bad(struct found *f, const struct json *profile)
{
	struct str type = json_str(json_get(profile, STR("type")));

	if (!type.n || str_is(type, "RuntimeDefault") || str_is(type, "Localhost"))
		return false;
	pod_set_add(f->p->a, f->values, type);
	return true;
}

static void apparmor_of(void *arg, const struct json *c)
{
	if (apparmor_bad(arg, security(c, "appArmorProfile")))
		blame(arg, c);
}

static bool apparmor(const struct pod_subject *p, struct pod_fault *ret)
{
	const struct json *notes = json_get(p->meta, STR("annotations"));
	struct json *who = json_new(p->a, JSON_ARRAY), *keys = json_new(p->a, JSON_ARRAY);
	struct found f = found_new(p);

	f.pod = apparmor_bad(&f, security(p->spec, "appArmorProfile"));
	pod_containers(p, apparmor_of, &f);
	for (size_t i = 0; i < json_len(notes); i++) {
		struct str v = json_str(&notes->members[i].value);

		if (!str_starts(notes->members[i].key,
				STR("container.apparmor.security.beta.kubernetes.io/")) ||
		    !v.n || str_is(v, "runtime/default") || str_starts(v, STR("localhost/")))
			continue;
		pod_set_add(p->a, keys, notes->members[i].key);
		pod_set_add(p->a, f.values, v);
	}
	if (any(&f))
		json_append_str(p->a, who, setters(&f));
	if (json_len(keys))
		json_append_str(p->a, who,
				arena_strf(p->a, "annotation%s %.*s",
					   json_len(keys) == 1 ? "" : "s",
					   STR_ARG(pod_quoted(p->a, keys))));
	if (!json_len(who))
		return false;
	ret->reason = json_len(f.values) == 1 ? STR("forbidden AppArmor profile")
					      : STR("forbidden AppArmor profiles");
	ret->detail = arena_strf(p->a, "%.*s must not set AppArmor profile type to %.*s",
				 STR_ARG(pod_joined(p->a, who, " and ")),
				 STR_ARG(pod_quoted(p->a, f.values)));
	return true;
}

/* ---- capabilities ---- */

static void capabilities_of(void *arg, const struct json *c)
{
	static const char *const fine[] = {
		"AUDIT_WRITE", "CHOWN",  "DAC_OVERRIDE",     "FOWNER",  "FSETID",
		"KILL",        "MKNOD",  "NET_BIND_SERVICE", "SETFCAP", "SETGID",
		"SETPCAP",     "SETUID", "SYS_CHROOT",       NULL};
	const struct json *add = json_get(security(c, "capabilities"), STR("add"));
	struct found *f = arg;
	bool bad = false;

	for (size_t i = 0; i < json_len(add); i++) {
		struct str cap = json_str(json_item(add, i));

		if (among(cap, fine))
			continue;
		pod_set_add(f->p->a, f->values, cap);
		bad = true;
	}
	if (bad)
		blame(f, c);
}

static bool capabilities(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	pod_containers(p, capabilities_of, &f);
	if (!any(&f))
		return false;
	ret->reason = STR("non-default capabilities");
	ret->detail =
		arena_strf(p->a, "%.*s must not include %.*s in securityContext.capabilities.add",
			   STR_ARG(setters(&f)), STR_ARG(pod_quoted(p->a, f.values)));
	return true;
}

/* ---- what is the host's ---- */

static bool host_namespaces(const struct pod_subject *p, struct pod_fault *ret)
{
	static const char *const fields[] = {"hostNetwork", "hostPID", "hostIPC"};
	struct json *set = json_new(p->a, JSON_ARRAY);

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (json_bool(json_get(p->spec, str_c(fields[i])), false))
			json_append_str(p->a, set, arena_strf(p->a, "%s=true", fields[i]));
	ret->reason = STR("host namespaces");
	ret->detail = pod_joined(p->a, set, ", ");
	return json_len(set) > 0;
}

static bool host_path(const struct pod_subject *p, struct pod_fault *ret)
{
	const struct json *volumes = json_get(p->spec, STR("volumes"));
	struct json *names = json_new(p->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(volumes); i++)
		if (json_get(json_item(volumes, i), STR("hostPath")))
			json_append_str(p->a, names,
					json_str(json_get(json_item(volumes, i), STR("name"))));
	ret->reason = STR("hostPath volumes");
	ret->detail = arena_strf(p->a, "volume%s %.*s", json_len(names) == 1 ? "" : "s",
				 STR_ARG(pod_quoted(p->a, names)));
	return json_len(names) > 0;
}

static void host_ports_of(void *arg, const struct json *c)
{
	const struct json *ports = json_get(c, STR("ports"));
	struct found *f = arg;
	bool bad = false;

	for (size_t i = 0; i < json_len(ports); i++) {
		int64_t port = json_int(json_get(json_item(ports, i), STR("hostPort")), 0);

		if (!port)
			continue;
		pod_set_add(f->p->a, f->values, arena_strf(f->p->a, "%lld", (long long)port));
		bad = true;
	}
	if (bad)
		blame(f, c);
}

static bool host_ports(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	pod_containers(p, host_ports_of, &f);
	if (!any(&f))
		return false;
	ret->reason = STR("hostPort");
	ret->detail = arena_strf(p->a, "%.*s %s hostPort%s %.*s", STR_ARG(setters(&f)),
				 json_len(f.names) == 1 ? "uses" : "use",
				 json_len(f.values) == 1 ? "" : "s",
				 STR_ARG(pod_joined(p->a, f.values, ", ")));
	return true;
}

/* ---- privileged, procMount ---- */

static void privileged_of(void *arg, const struct json *c)
{
	if (json_bool(security(c, "privileged"), false))
		blame(arg, c);
}

static bool privileged(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	pod_containers(p, privileged_of, &f);
	ret->reason = STR("privileged");
	ret->detail = arena_strf(p->a, "%.*s must not set securityContext.privileged=true",
				 STR_ARG(setters(&f)));
	return any(&f);
}

static void proc_mount_of(void *arg, const struct json *c)
{
	struct str mount = json_str(security(c, "procMount"));
	struct found *f = arg;

	if (!mount.n || str_is(mount, "Default"))
		return;
	pod_set_add(f->p->a, f->values, mount);
	blame(f, c);
}

static bool proc_mount(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	pod_containers(p, proc_mount_of, &f);
	ret->reason = STR("procMount");
	ret->detail = arena_strf(p->a, "%.*s must not set securityContext.procMount to %.*s",
				 STR_ARG(setters(&f)), STR_ARG(pod_quoted(p->a, f.values)));
	return any(&f);
}

/* ---- seLinuxOptions ---- */

static bool selinux_bad(struct found *f, const struct json *o)
{
	struct str type = json_str(json_get(o, STR("type")));
	bool user = json_str(json_get(o, STR("user"))).n,
	     role = json_str(json_get(o, STR("role"))).n;
	bool bad = type.n && !str_is(type, "container_t") && !str_is(type, "container_init_t") &&
		   !str_is(type, "container_kvm_t") &&
		   !(f->p->minor >= 31 && str_is(type, "container_engine_t"));

	if (bad)
		pod_set_add(f->p->a, f->values, type);
	f->user |= user;
	f->role |= role;
	return bad || user || role;
}

static void selinux_of(void *arg, const struct json *c)
{
	if (selinux_bad(arg, security(c, "seLinuxOptions")))
		blame(arg, c);
}

static bool selinux(const struct pod_subject *p, struct pod_fault *ret)
{
	struct json *said = json_new(p->a, JSON_ARRAY);
	struct found f = found_new(p);

	f.pod = selinux_bad(&f, security(p->spec, "seLinuxOptions"));
	pod_containers(p, selinux_of, &f);
	if (!any(&f))
		return false;
	if (json_len(f.values))
		json_append_str(p->a, said,
				arena_strf(p->a, "type%s %.*s", json_len(f.values) == 1 ? "" : "s",
					   STR_ARG(pod_quoted(p->a, f.values))));
	if (f.user)
		json_append_str(p->a, said, STR("user may not be set"));
	if (f.role)
		json_append_str(p->a, said, STR("role may not be set"));
	ret->reason = STR("seLinuxOptions");
	ret->detail = arena_strf(p->a, "%.*s set forbidden securityContext.seLinuxOptions: %.*s",
				 STR_ARG(setters(&f)), STR_ARG(pod_joined(p->a, said, "; ")));
	return true;
}

/* ---- seccompProfile ---- */

static bool seccomp_bad(struct found *f, const struct json *profile)
{
	struct str type = json_str(json_get(profile, STR("type")));

	if (!type.n || str_is(type, "RuntimeDefault") || str_is(type, "Localhost"))
		return false;
	pod_set_add(f->p->a, f->values, type);
	return true;
}

static void seccomp_of(void *arg, const struct json *c)
{
	if (seccomp_bad(arg, security(c, "seccompProfile")))
		blame(arg, c);
}

static bool seccomp(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	f.pod = seccomp_bad(&f, security(p->spec, "seccompProfile"));
	pod_containers(p, seccomp_of, &f);
	if (!any(&f))
		return false;
	ret->reason = STR("seccompProfile");
	ret->detail =
		arena_strf(p->a, "%.*s must not set securityContext.seccompProfile.type to %.*s",
			   STR_ARG(setters(&f)), STR_ARG(pod_quoted(p->a, f.values)));
	return true;
}

/* ---- sysctls ---- */

static bool sysctl_fine(struct str name, int minor)
{
	static const struct {
		const char *name;
		int since;
	} fine[] = {{"kernel.shm_rmid_forced", 0},
		    {"net.ipv4.ip_local_port_range", 0},
		    {"net.ipv4.tcp_syncookies", 0},
		    {"net.ipv4.ping_group_range", 0},
		    {"net.ipv4.ip_unprivileged_port_start", 0},
		    {"net.ipv4.ip_local_reserved_ports", 27},
		    {"net.ipv4.tcp_keepalive_time", 29},
		    {"net.ipv4.tcp_fin_timeout", 29},
		    {"net.ipv4.tcp_keepalive_intvl", 29},
		    {"net.ipv4.tcp_keepalive_probes", 29},
		    {"net.ipv4.tcp_rmem", 32},
		    {"net.ipv4.tcp_wmem", 32}};

	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (fine[i].since <= minor && str_is(name, fine[i].name))
			return true;
	return false;
}

static bool sysctls(const struct pod_subject *p, struct pod_fault *ret)
{
	const struct json *list = security(p->spec, "sysctls");
	struct json *bad = json_new(p->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(list); i++) {
		struct str name = json_str(json_get(json_item(list, i), STR("name")));

		if (!sysctl_fine(name, p->minor))
			json_append_str(p->a, bad, name);
	}
	ret->reason = STR("forbidden sysctls");
	ret->detail = pod_joined(p->a, bad, ", ");
	return json_len(bad) > 0;
}

/* ---- windowsHostProcess ---- */

static void host_process_of(void *arg, const struct json *c)
{
	if (json_bool(json_get(security(c, "windowsOptions"), STR("hostProcess")), false))
		blame(arg, c);
}

static bool host_process(const struct pod_subject *p, struct pod_fault *ret)
{
	struct found f = found_new(p);

	f.pod = json_bool(json_get(security(p->spec, "windowsOptions"), STR("hostProcess")), false);
	pod_containers(p, host_process_of, &f);
	ret->reason = STR("hostProcess");
	ret->detail = arena_strf(
		p->a, "%.*s must not set securityContext.windowsOptions.hostProcess=true",
		STR_ARG(setters(&f)));
	return any(&f);
}

const struct pod_check pod_checks_baseline[] = {
	{"appArmorProfile", 0, NULL, apparmor},
	{"capabilities_baseline", 0, NULL, capabilities},
	{"hostNamespaces", 0, NULL, host_namespaces},
	{"hostPathVolumes", 0, NULL, host_path},
	{"hostPorts", 0, NULL, host_ports},
	{"privileged", 0, NULL, privileged},
	{"procMount", 0, NULL, proc_mount},
	{"seLinuxOptions", 0, NULL, selinux},
	{"seccompProfile_baseline", 0, NULL, seccomp},
	{"sysctls", 0, NULL, sysctls},
	{"windowsHostProcess", 0, NULL, host_process},
	{0},
};
