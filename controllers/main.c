/*
 * The controllers' process: one of several at most works, decided over the Lease
 * kube-system/kube-controller-manager. Losing it ends the process; whoever supervises starts it
 * again.
 */
#include "controllers/main.h"

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/leader.h"
#include "lib/kube/role.h"
#include "lib/os/fs.h"
#include "lib/os/ready.h"

struct process {
	struct role role;
	const char *cluster_cidr;
	struct leader *leader;
	struct controllers *controllers;
	bool synced, stopping;
	int code;
};

static void on_synced(void *arg)
{
	((struct process *)arg)->synced = true;
	ready_notify();
}

static void on_started(void *arg)
{
	struct process *p = arg;
	struct controllers_opts o = {
		.cluster_cidr = p->cluster_cidr,
		.root_ca = str_c(p->role.kubeconfig.ca_pem),
		.synced = on_synced,
		.arg = p,
	};
	struct err err = {0};

	random_bytes(&o.seed, sizeof(o.seed));
	log_info("leading");
	p->controllers = controllers_start(p->role.client, &o, &err);
	if (p->controllers)
		return;
	log_error("cannot start", "error", err.msg);
	p->code = 2;
	loop_stop(p->role.loop);
}

static void on_lost(void *arg)
{
	struct process *p = arg;

	log_error("lost the lease, ending");
	p->code = 1;
	loop_stop(p->role.loop);
}

static void on_released(void *arg)
{
	loop_stop(((struct process *)arg)->role.loop);
}

static void on_stop(void *arg)
{
	struct process *p = arg;

	/* Asked twice: the lease may run out by itself. */
	if (p->stopping) {
		loop_stop(p->role.loop);
		return;
	}
	p->stopping = true;
	controllers_stop(p->controllers);
	p->controllers = NULL;
	leader_release(p->leader, on_released, p);
}

static bool is_ready(void *arg)
{
	return ((struct process *)arg)->synced;
}

static struct leader *elect(struct process *p)
{
	char *identity = leader_identity(p->role.data_dir);
	struct leader_opts o = {
		.namespace = "kube-system",
		.name = "kube-controller-manager",
		.identity = identity,
		.started = on_started,
		.lost = on_lost,
		.arg = p,
	};
	struct leader *l = leader_new(p->role.client, &o);

	free(identity);
	return l;
}

int controllers_main(int argc, char **argv)
{
	struct process p = {.cluster_cidr = "10.244.0.0/16"};
	struct role *r = &p.role;
	const struct flag flags[] = {
		ROLE_FLAGS(r),
		{"cluster-cidr", 0, FLAG_STRING, &p.cluster_cidr, "CIDR",
		 "the pod network, of which each node gets a /24"},
		{0},
	};
	struct err err = {0};
	int nargs;

	role_defaults(r, "controllers");
	if (flags_parse(argc, argv, flags, "plumb controllers [OPTION]…", &nargs, &err) != 0) {
		fprintf(stderr, "plumb controllers: %s\n", err.msg);
		return 2;
	}
	if (!r->kubeconfig_path) {
		fprintf(stderr, "plumb controllers: --kubeconfig is required\n");
		return 2;
	}
	r->ready = is_ready;
	r->stop = on_stop;
	r->ready_arg = r->stop_arg = &p;
	if (role_start(r, &err) != 0)
		return 1;
	p.leader = elect(&p);
	p.code = role_run(r) ?: p.code;
	controllers_stop(p.controllers);
	leader_free(p.leader);
	role_release(r);
	return p.code;
}
