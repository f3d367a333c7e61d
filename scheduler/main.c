/*
 * The scheduler's process: one of several at most works, decided over the Lease
 * kube-system/kube-scheduler. Losing it ends the process; whoever supervises starts it again.
 */
#include "scheduler/main.h"

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/role_lead.h"
#include "lib/os/fs.h"
#include "lib/os/ready.h"

struct process {
	struct role role;
	struct lead lead;
	struct scheduler *scheduler;
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
	struct scheduler_opts o = {.synced = on_synced, .arg = p};

	random_bytes(&o.seed, sizeof(o.seed));
	p->scheduler = scheduler_start(p->role.client, &o);
	return 0;
}

static void stop(void *arg)
{
	struct process *p = arg;

	scheduler_stop(p->scheduler);
	p->scheduler = NULL;
}

static bool is_ready(void *arg)
{
	return ((struct process *)arg)->synced;
}

int scheduler_main(int argc, char **argv)
{
	struct process p = {0};
	struct role *r = &p.role;
	const struct flag flags[] = {ROLE_FLAGS(r), {0}};
	struct err err = {0};
	int nargs, code;

	role_defaults(r, "scheduler");
	if (flags_parse(argc, argv, flags, "plumb scheduler [OPTION]…", &nargs, &err) != 0) {
		fprintf(stderr, "plumb scheduler: %s\n", err.msg);
		return 2;
	}
	if (!r->kubeconfig_path) {
		fprintf(stderr, "plumb scheduler: --kubeconfig is required\n");
		return 2;
	}
	r->ready = is_ready;
	r->ready_arg = &p;
	p.lead = (struct lead){
		.role = r, .lease = "kube-scheduler", .start = start, .stop = stop, .arg = &p};
	lead_prepare(&p.lead);
	if (role_start(r, &err) != 0)
		return 1;
	code = lead_run(&p.lead);
	role_release(r);
	return code;
}
