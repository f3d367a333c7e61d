/*
 * The scheduler's process: one of several at most works, decided over the Lease
 * kube-system/kube-scheduler. Losing it ends the process; whoever supervises starts it again.
 */
#include "scheduler/main.h"

#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/leader.h"
#include "lib/kube/role.h"
#include "lib/os/fs.h"
#include "lib/os/ready.h"

struct process {
	struct role role;
	struct leader *leader;
	struct scheduler *scheduler;
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
	struct scheduler_opts o = {.synced = on_synced, .arg = p};

	random_bytes(&o.seed, sizeof(o.seed));
	log_info("leading");
	p->scheduler = scheduler_start(p->role.client, &o);
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
	scheduler_stop(p->scheduler);
	p->scheduler = NULL;
	leader_release(p->leader, on_released, p);
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
	int nargs;
	char *identity;

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
	r->stop = on_stop;
	r->ready_arg = r->stop_arg = &p;
	if (role_start(r, &err) != 0)
		return 1;
	identity = leader_identity(r->data_dir);
	p.leader = leader_new(r->client, &(struct leader_opts){
						 .namespace = "kube-system",
						 .name = "kube-scheduler",
						 .identity = identity,
						 .started = on_started,
						 .lost = on_lost,
						 .arg = &p,
					 });
	free(identity);
	p.code = role_run(r) ?: p.code;
	scheduler_stop(p.scheduler);
	leader_free(p.leader);
	role_release(r);
	return p.code;
}
