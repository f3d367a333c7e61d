/*
 * podwatch KUBECONFIG NAMESPACE: prints one line for each step of each pod, as its watch event
 * arrives: milliseconds since the epoch, the pod's name, "made", "bound", "running", "ready" or
 * "gone". What bench/run takes times from.
 */
#include <stdio.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"

static void say(struct loop *l, const struct obj *o, const char *what)
{
	printf("%.3f %.*s %s\n", (double)loop_wall(l) / 1e6, STR_ARG(o->name), what);
	fflush(stdout);
}

/* How far a pod has come: 1 made, 2 bound, 3 running, 4 ready. */
static int step_of(const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *t = o ? obj_tree(o, &a) : NULL;

	if (!t)
		return 0;
	if (str_is(json_str(json_get(condition_find(t, "Ready"), STR("status"))), "True"))
		return 4;
	if (str_is(json_str(json_at(t, "status", "phase")), "Running"))
		return 3;
	return json_str(json_at(t, "spec", "nodeName")).n ? 2 : 1;
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	static const char *const names[] = {"", "made", "bound", "running", "ready"};
	struct loop *l = arg;

	if (!new) {
		say(l, old, "gone");
		return;
	}
	for (int s = step_of(old) + 1; s <= step_of(new); s++)
		say(l, new, names[s]);
}

int main(int argc, char **argv)
{
	struct kubeconfig k;
	struct err err = {0};
	struct loop *l = loop_new();
	struct informer_opts o = {.resource = &res_pods};
	struct informer *i;
	struct client *c;

	log_init("podwatch", LOG_WARN, "text");
	if (argc != 3 || kubeconfig_load(argv[1], &k, &err) ||
	    !(c = client_http_new(l, &k, "podwatch", &err))) {
		fprintf(stderr, "podwatch KUBECONFIG NAMESPACE: %s\n", err.msg);
		return 2;
	}
	o.namespace = str_c(argv[2]);
	i = informer_new(c, &o);
	informer_on_change(i, on_change, l);
	informer_start(i);
	loop_run(l);
	return 0;
}
