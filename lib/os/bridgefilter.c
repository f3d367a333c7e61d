/*
 * Has what a bridge carries pass the packet filter of this network namespace: without it, pods of
 * one node talk past the rules, Services answer from addresses that nobody asked, and policies
 * don't hold. The kernel's part of it is a module that nothing loads by itself. Blocking; once at
 * the start.
 */
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/os/net.h"
#include "lib/os/proc.h"

#define SYSCTL "net/bridge/bridge-nf-call-iptables"

static void load(const char *modprobe)
{
	const char *const argv[] = {modprobe, "-q", "br_netfilter", NULL};
	struct proc_opts o = {.argv = argv, .timeout_ns = 10 * NS_PER_S};
	struct proc_result r = {0};

	/* Whether it worked is seen by what is there then. */
	if (!proc_run(&o, &r, NULL))
		proc_result_release(&r);
}

int net_bridge_filter(struct err *err)
{
	if (access("/proc/sys/" SYSCTL, F_OK))
		load("modprobe");
	if (access("/proc/sys/" SYSCTL, F_OK))
		load("/sbin/modprobe");
	return net_sysctl(SYSCTL, "1", err);
}
