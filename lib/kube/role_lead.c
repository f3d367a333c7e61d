/*
 * The life of a role that leads: waits for its Lease, works, gives the Lease back when it is told
 * to stop, dies when it is lost. Never works without leading. One loop.
 */
#include "lib/kube/role_lead.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/kube/leader.h"

static void end_work(struct lead *l)
{
	if (l->started)
		l->stop(l->arg);
	l->started = false;
}

static void on_started(void *arg)
{
	struct lead *l = arg;
	int code;

	log_info("leading");
	l->started = true;
	code = l->start(l->arg);
	if (!code)
		return;
	l->code = code;
	loop_stop(l->role->loop);
}

static void on_lost(void *arg)
{
	struct lead *l = arg;

	log_error("lost the lease, ending");
	l->code = 1;
	loop_stop(l->role->loop);
}

static void on_released(void *arg)
{
	struct lead *l = arg;

	loop_stop(l->role->loop);
}

static void on_stop(void *arg)
{
	struct lead *l = arg;

	/* Asked twice: the lease may run out by itself. */
	if (l->stopping) {
		loop_stop(l->role->loop);
		return;
	}
	l->stopping = true;
	end_work(l);
	leader_release(l->leader, on_released, l);
}

void lead_prepare(struct lead *l)
{
	l->role->stop = on_stop;
	l->role->stop_arg = l;
}

int lead_run(struct lead *l)
{
	char *identity = leader_identity(l->role->data_dir);
	struct leader_opts o = {.namespace = "kube-system",
				.name = l->lease,
				.identity = identity,
				.started = on_started,
				.lost = on_lost,
				.arg = l};
	int code;

	l->leader = leader_new(l->role->client, &o);
	free(identity);
	code = role_run(l->role) ?: l->code;
	end_work(l);
	leader_free(l->leader);
	l->leader = NULL;
	return code;
}
