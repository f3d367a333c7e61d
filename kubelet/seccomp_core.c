/*
 * RuntimeDefault: system calls that no ordinary program makes and that reach deep into the kernel
 * fail with EPERM unless the capability that governs them was given. A list of what is denied,
 * not of what is allowed: a new kernel's calls stay usable, and the filter stays short (it is
 * compiled at each start). Pure.
 */
#include "kubelet/seccomp_core.h"

#include "lib/base/pure.h"

#define EPERM_NO 1
#define ENOSYS_NO 38
#define CAP(n) (UINT64_C(1) << (n))
enum {
	NET_ADMIN = 12,
	SYS_MODULE = 16,
	SYS_RAWIO = 17,
	SYS_CHROOT = 18,
	SYS_PTRACE = 19,
	SYS_PACCT = 20,
	SYS_ADMIN = 21,
	SYS_BOOT = 22,
	SYS_NICE = 23,
	SYS_TIME = 25,
	SYS_TTY = 26,
	SYSLOG = 34,
	BPF_CAP = 39
};

static const struct {
	uint64_t unless; /* 0: always denied */
	const char *names;
} denied[] = {
	{0, "add_key,keyctl,request_key,kexec_load,kexec_file_load,nfsservctl,uselib,ustat,sysfs,"
	    "_sysctl,get_kernel_syms,query_module,create_module,vm86,vm86old,userfaultfd,"
	    "io_uring_setup,io_uring_enter,io_uring_register"},
	{CAP(SYS_ADMIN), "mount,umount,umount2,mount_setattr,move_mount,open_tree,fsopen,fsconfig,"
			 "fsmount,fspick,pivot_root,swapon,swapoff,quotactl,quotactl_fd,setns,"
			 "unshare,lookup_dcookie,fanotify_init,sethostname,setdomainname,"
			 "open_by_handle_at"},
	{CAP(SYS_ADMIN) | CAP(BPF_CAP), "bpf"},
	{CAP(SYS_ADMIN), "perf_event_open"},
	{CAP(SYS_MODULE), "init_module,finit_module,delete_module"},
	{CAP(SYS_RAWIO), "iopl,ioperm"},
	{CAP(SYS_PTRACE), "process_vm_readv,process_vm_writev,kcmp,pidfd_getfd,process_madvise"},
	{CAP(SYS_PACCT), "acct"},
	{CAP(SYS_BOOT), "reboot"},
	{CAP(SYS_NICE), "mbind,migrate_pages,move_pages,set_mempolicy,set_mempolicy_home_node"},
	{CAP(SYS_TIME), "settimeofday,stime,clock_settime,clock_settime64,clock_adjtime,"
			"clock_adjtime64"},
	{CAP(SYS_TTY), "vhangup"},
	{CAP(SYSLOG), "syslog"},
};

static struct json *rule(struct arena *a, struct json *list, const char *names, int64_t errno_no)
{
	struct json *r = json_append_object(a, list), *to;
	struct str rest = str_c(names), part;

	to = json_set_array(a, r, "names");
	while (str_next(&rest, ',', &part))
		json_append_str(a, to, part);
	json_set_str(a, r, "action", STR("SCMP_ACT_ERRNO"));
	json_set_int(a, r, "errnoRet", errno_no);
	return r;
}

/* clone() with a CLONE_NEW* flag; clone3 hides its flags from a filter, so libc must fall back. */
static void deny_namespaces(struct arena *a, struct json *list)
{
	struct json *arg =
		json_append_object(a, json_set_array(a, rule(a, list, "clone", EPERM_NO), "args"));

	json_set_int(a, arg, "index", 0);
	json_set_int(a, arg, "value", 0x10000000); /* CLONE_NEWUSER: the way to all the others */
	json_set_int(a, arg, "valueTwo", 0x10000000);
	json_set_str(a, arg, "op", STR("SCMP_CMP_MASKED_EQ"));
	rule(a, list, "clone3", ENOSYS_NO);
}

struct json *seccomp_default(struct arena *a, uint64_t caps)
{
	struct json *p = json_new(a, JSON_OBJECT), *list;

	json_set_str(a, p, "defaultAction", STR("SCMP_ACT_ALLOW"));
	list = json_set_array(a, p, "architectures");
#if defined(__aarch64__)
	json_append_str(a, list, STR("SCMP_ARCH_AARCH64"));
	json_append_str(a, list, STR("SCMP_ARCH_ARM"));
#else
	json_append_str(a, list, STR("SCMP_ARCH_X86_64"));
	json_append_str(a, list, STR("SCMP_ARCH_X86"));
	json_append_str(a, list, STR("SCMP_ARCH_X32"));
#endif
	list = json_set_array(a, p, "syscalls");
	for (size_t i = 0; i < ARRAY_LEN(denied); i++) {
		if (!(caps & denied[i].unless))
			rule(a, list, denied[i].names, EPERM_NO);
	}
	if (!(caps & CAP(SYS_ADMIN)))
		deny_namespaces(a, list);
	return p;
}
