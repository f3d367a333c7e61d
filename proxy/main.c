/*
 * The process `plumb proxy`: options, and the dataplane on the role's loop. A clean stop leaves
 * the rules where they are, so that a restart breaks no connection; they go with the network
 * namespace.
 */
#include "proxy/main.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/kube/role.h"
#include "lib/os/ready.h"
#include "proxy/proxy.h"
#include "proxy/status.h"

struct process {
	struct role role;
	const char *node, *cidr;
	struct proxy *proxy;
	struct proxy_status_opts told;
};

static void on_synced(void *arg)
{
	ready_notify(((struct process *)arg)->role.loop);
}

static bool is_ready(void *arg)
{
	return proxy_synced(((struct process *)arg)->proxy);
}

static bool is_healthy(void *arg)
{
	return proxy_healthy(((struct process *)arg)->proxy);
}

static int check(const struct process *p, struct proxy_opts *o, struct err *err)
{
	if (!p->role.kubeconfig_path)
		return err_set(err, ERR_BAD_REQUEST, "--kubeconfig is required");
	if (!*p->node)
		return err_set(err, ERR_BAD_REQUEST, "--node-name is required");
	if (*p->cidr && cidr_parse(str_c(p->cidr), &o->rules.cluster))
		return err_set(err, ERR_BAD_REQUEST, "--cluster-cidr %s: not an IPv4 network",
			       p->cidr);
	return 0;
}

int proxy_main(int argc, char **argv)
{
	struct process p = {.node = "",
			    .cidr = "10.244.0.0/16",
			    .told = {.healthz = "0.0.0.0:10256", .metrics = "127.0.0.1:10249"}};
	struct proxy_status *status;
	struct proxy_opts o = {0};
	const struct flag flags[] = {
		ROLE_FLAGS(&p.role),
		{"node-name", 0, FLAG_STRING, &p.node, "NAME", "the Node whose dataplane this is"},
		{"cluster-cidr", 0, FLAG_STRING, &p.cidr, "NET",
		 "the pod network; empty = unknown"},
		{"healthz-bind-address", 0, FLAG_STRING, &p.told.healthz, "ADDR:PORT",
		 "say there whether this node's dataplane works; empty = nowhere"},
		{"metrics-bind-address", 0, FLAG_STRING, &p.told.metrics, "ADDR:PORT",
		 "serve metrics and /proxyMode there; empty = nowhere"},
		{0}};
	struct err err = {0};
	int nargs, code;

	role_defaults(&p.role, "proxy");
	if (flags_parse(argc, argv, flags,
			"plumb proxy --node-name NAME --kubeconfig FILE [OPTION]…\n\n"
			"Keeps nftables table " RULESET_TABLE
			" of this network namespace true to the "
			"cluster's Services.",
			&nargs, &err) != 0 ||
	    check(&p, &o, &err) != 0) {
		fprintf(stderr, "plumb proxy: %s\n", err.msg);
		return 2;
	}
	o.node = p.node;
	o.synced = on_synced;
	o.arg = &p;
	p.role.ready = is_ready;
	p.role.ready_arg = &p;
	if (role_start(&p.role, &err) != 0)
		return 1;
	p.proxy = proxy_start(p.role.client, &o);
	p.told.healthy = is_healthy;
	p.told.arg = &p;
	status = proxy_status_start(p.role.loop, &p.told);
	code = role_run(&p.role);
	proxy_status_stop(status);
	proxy_stop(p.proxy);
	role_release(&p.role);
	return code;
}
