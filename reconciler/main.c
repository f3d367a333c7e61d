/* The reconciler's process: one of several at most works, decided over the Lease
 * kube-system/plumb-reconciler. */
#include "reconciler/main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/kube/role_lead.h"
#include "lib/os/ready.h"
#include "lib/os/secrecy.h"
#include "reconciler/engine.h"

struct process {
	struct role role;
	struct lead lead;
	struct reconciler_opts opts;
	struct reconciler *reconciler;
};

static void on_synced(void *arg)
{
	ready_notify(((struct process *)arg)->role.loop);
}

static int start(void *arg)
{
	struct process *p = arg;

	p->reconciler = reconciler_start(p->role.client, &p->opts);
	return 0;
}

static void stop(void *arg)
{
	struct process *p = arg;

	reconciler_stop(p->reconciler);
	p->reconciler = NULL;
}

static bool is_ready(void *arg)
{
	struct process *p = arg;

	return p->reconciler && p->reconciler->synced;
}

static int parse(struct process *p, int argc, char **argv, struct err *err)
{
	struct role *r = &p->role;
	struct reconciler_opts *o = &p->opts;
	const struct flag flags[] = {
		ROLE_FLAGS(r),
		{"repo", 0, FLAG_STRING, &o->repo, "URL", "git repository of the root unit"},
		{"branch", 0, FLAG_STRING, &o->branch, "NAME", "its branch"},
		{"path", 0, FLAG_STRING, &o->path, "PATH", "folder in it"},
		{"interval", 0, FLAG_STRING, &o->interval, "DURATION",
		 "how often to look for new commits"},
		{"forge", 0, FLAG_STRING, &o->forge, "KIND=URL",
		 "open drift reports as pull requests there"},
		{"sops-binding", 0, FLAG_STRING, &o->sops_binding, "MODE",
		 "required: refuse what sops encrypted without saying for which object"},
		{"sealing", 0, FLAG_STRING, &o->sealing, "MODE",
		 "auto, commit, propose or off: how sealed values come under a new key"},
		{"webhook-listen", 0, FLAG_STRING, &o->webhook_listen, "ADDR:PORT",
		 "where Receivers' webhooks arrive; empty = nowhere"},
		{"webhook-cert", 0, FLAG_STRING, &o->webhook_cert, "FILE",
		 "certificate for that; plain HTTP without"},
		{"webhook-key", 0, FLAG_STRING, &o->webhook_key, "FILE", "its key"},
		{"default-service-account", 0, FLAG_STRING, &o->default_service_account, "NAME",
		 "whom Kustomizations of other namespaces act as unless they say"},
		{"cluster-name", 0, FLAG_STRING, &o->cluster_name, "NAME", "names drift branches"},
		{0}};
	int nargs;

	role_defaults(r, "reconciler");
	if (flags_parse(argc, argv, flags, "plumb reconciler [OPTION]…", &nargs, err))
		return -1;
	if (!r->kubeconfig_path)
		return err_set(err, ERR_BAD_REQUEST, "--kubeconfig is required");
	if (o->sops_binding && strcmp(o->sops_binding, "required") != 0 &&
	    strcmp(o->sops_binding, "optional") != 0)
		return err_set(err, ERR_BAD_REQUEST,
			       "--sops-binding %s: must be required or optional", o->sops_binding);
	if (o->sealing && strcmp(o->sealing, "auto") && strcmp(o->sealing, "commit") &&
	    strcmp(o->sealing, "propose") && strcmp(o->sealing, "off"))
		return err_set(err, ERR_BAD_REQUEST,
			       "--sealing %s: must be auto, commit, propose or off", o->sealing);
	if (!o->cluster_name || !*o->cluster_name)
		o->cluster_name = "default";
	o->data_dir = r->data_dir;
	o->synced = on_synced;
	o->arg = p;
	return 0;
}

int reconciler_main(int argc, char **argv)
{
	struct process p = {0};
	struct err err = {0};
	int code;

	if (parse(&p, argc, argv, &err)) {
		fprintf(stderr, "plumb reconciler: %s\n", err.msg);
		return 2;
	}
	p.role.ready = is_ready;
	p.role.ready_arg = &p;
	p.lead = (struct lead){.role = &p.role,
			       .lease = "plumb-reconciler",
			       .start = start,
			       .stop = stop,
			       .arg = &p};
	if (!secrecy_no_dumps())
		log_warn("a crash could leave keys in a core file");
	lead_prepare(&p.lead);
	if (role_start(&p.role, &err))
		return 1;
	code = lead_run(&p.lead);
	role_release(&p.role);
	return code;
}
