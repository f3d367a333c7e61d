/*
 * The controllers' process: one of several at most works, decided over the Lease
 * kube-system/kube-controller-manager. Losing it ends the process; whoever supervises starts it
 * again.
 */
#include "controllers/main.h"

#include "controllers/csrapprove.h"
#include "controllers/kubeseal.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/role_lead.h"
#include "lib/os/fs.h"
#include "lib/os/ready.h"
#include "lib/os/secrecy.h"

#define KEY_MAX ((size_t)64 << 10)

struct process {
	struct role role;
	struct lead lead;
	const char *cluster_cidr, *signing_key;
	struct buf ca_key;
	int64_t seal_interval, autoscaler_period;
	struct controllers *controllers;
	struct kubesealkey *kubeseal;
	struct csrapprove *csrapprove;
	bool synced;
};

static void on_synced(void *arg)
{
	((struct process *)arg)->synced = true;
	ready_notify(((struct process *)arg)->role.loop);
}

static int start(void *arg)
{
	struct process *p = arg;
	struct controllers_opts o = {
		.cluster_cidr = p->cluster_cidr,
		.root_ca = str_c(p->role.kubeconfig.ca_pem),
		.ca_key = buf_view(&p->ca_key),
		.seal_interval = p->seal_interval,
		.autoscaler_period = p->autoscaler_period,
		.synced = on_synced,
		.arg = p,
	};
	struct err err = {0};

	random_bytes(&o.seed, sizeof(o.seed));
	p->controllers = controllers_start(p->role.client, &o, &err);
	if (p->controllers) {
		p->kubeseal = kubesealkey_start(p->role.client);
		p->csrapprove = csrapprove_start(p->role.client);
		return 0;
	}
	log_error("cannot start", "error", err.msg);
	return 2;
}

static void stop(void *arg)
{
	struct process *p = arg;

	csrapprove_stop(p->csrapprove);
	p->csrapprove = NULL;
	kubesealkey_stop(p->kubeseal);
	p->kubeseal = NULL;
	controllers_stop(p->controllers);
	p->controllers = NULL;
}

static bool is_ready(void *arg)
{
	return ((struct process *)arg)->synced;
}

int controllers_main(int argc, char **argv)
{
	struct process p = {.cluster_cidr = "10.244.0.0/16"};
	struct role *r = &p.role;
	const struct flag flags[] = {
		ROLE_FLAGS(r),
		{"cluster-cidr", 0, FLAG_STRING, &p.cluster_cidr, "CIDR",
		 "the pod network, of which each node gets a /24"},
		{"cluster-signing-key-file", 0, FLAG_STRING, &p.signing_key, "FILE",
		 "the authority's key; approved requests for client certificates are signed with "
		 "it"},
		{"seal-key-interval", 0, FLAG_DURATION, &p.seal_interval, "DURATION",
		 "make a new sealing key that often; 0 = only plumb keys rotate does"},
		{"horizontal-pod-autoscaler-sync-period", 0, FLAG_DURATION, &p.autoscaler_period,
		 "DURATION", "how often each autoscaler has a look (5s)"},
		{0},
	};
	struct err err = {0};
	int nargs, code;

	role_defaults(r, "controllers");
	if (flags_parse(argc, argv, flags, "plumb controllers [OPTION]…", &nargs, &err) != 0) {
		fprintf(stderr, "plumb controllers: %s\n", err.msg);
		return 2;
	}
	if (!r->kubeconfig_path) {
		fprintf(stderr, "plumb controllers: --kubeconfig is required\n");
		return 2;
	}
	if (p.signing_key && fs_read(p.signing_key, KEY_MAX, &p.ca_key, &err) != 0) {
		fprintf(stderr, "plumb controllers: %s\n", err.msg);
		return 2;
	}
	r->ready = is_ready;
	r->ready_arg = &p;
	p.lead = (struct lead){.role = r,
			       .lease = "kube-controller-manager",
			       .start = start,
			       .stop = stop,
			       .arg = &p};
	if (!secrecy_no_dumps())
		log_warn("a crash could leave keys in a core file");
	lead_prepare(&p.lead);
	if (role_start(r, &err) != 0)
		return 1;
	code = lead_run(&p.lead);
	role_release(r);
	buf_wipe(&p.ca_key);
	return code;
}
