/*
 * The process `plumb dns`: options, and the name server on the role's loop. One runs on each node,
 * at the same address everywhere: the address stands on the node's loopback, so a pod's question
 * never leaves its node.
 */
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/kube/role.h"
#include "lib/os/fs.h"
#include "lib/os/net.h"
#include "lib/os/ready.h"
#include "proxy/dns.h"
#include "proxy/main.h"

struct process {
	struct role role;
	const char *address, *domain, *resolv_conf;
	struct dns *dns;
};

static void on_synced(void *arg)
{
	ready_notify(((struct process *)arg)->role.loop);
}

static bool is_ready(void *arg)
{
	return dns_synced(((struct process *)arg)->dns);
}

static void read_upstreams(const struct process *p, struct dns_opts *o)
{
	AUTO(buf) struct buf text = {0};
	struct err err = {0};

	if (fs_read(p->resolv_conf, 65536, &text, &err))
		log_warn("names outside the cluster are unknown", "error", err.msg);
	o->nupstream = dns_upstreams(buf_view(&text), o->address, o->upstream);
}

static int start(struct process *p, struct dns_opts *o, struct err *err)
{
	if (net_link_up("lo", err) || net_addr_add("lo", o->address, 32, err))
		return -1;
	read_upstreams(p, o);
	p->dns = dns_start(p->role.client, o, err);
	return p->dns ? 0 : -1;
}

int dns_main(int argc, char **argv)
{
	struct process p = {.address = "10.96.0.10",
			    .domain = "cluster.local",
			    .resolv_conf = "/etc/resolv.conf"};
	struct dns_opts o = {.port = 53, .synced = on_synced, .arg = &p};
	const struct flag flags[] = {
		ROLE_FLAGS(&p.role),
		{"address", 0, FLAG_STRING, &p.address, "IP", "where to answer; put on lo"},
		{"domain", 0, FLAG_STRING, &p.domain, "NAME", "the cluster's domain"},
		{"resolv-conf", 0, FLAG_STRING, &p.resolv_conf, "FILE",
		 "who knows the names outside the cluster"},
		{0}};
	struct err err = {0};
	int nargs, code = 1;

	role_defaults(&p.role, "dns");
	if (flags_parse(argc, argv, flags,
			"plumb dns --kubeconfig FILE [OPTION]…\n\n"
			"The cluster's name server.",
			&nargs, &err) ||
	    !p.role.kubeconfig_path || ip4_parse(str_c(p.address), &o.address)) {
		fprintf(stderr, "plumb dns: %s\n",
			err.code ? err.msg : "--kubeconfig and an IPv4 --address are required");
		return 2;
	}
	o.domain = p.domain;
	p.role.ready = is_ready;
	p.role.ready_arg = &p;
	if (role_start(&p.role, &err))
		return 1;
	if (start(&p, &o, &err))
		log_error("cannot start", "error", err.msg);
	else
		code = role_run(&p.role);
	dns_stop(p.dns);
	role_release(&p.role);
	return code;
}
