/*
 * A pod's volumes, and their owner: sets them up, has file systems of devices mounted (`plumb
 * mount`), and gives persistent ones to the pod's fsGroup (`plumb give`), in processes of their
 * own, since that may take any time. Must never hold up other pods. On the kubelet's loop; the
 * process is the pod's, and ends with it.
 */
#include <stdio.h>

#include "kubelet/kubelet.h"
#include "kubelet/main.h"
#include "kubelet/volume/volume.h"

#define GIVE_MAX POD_VOLUMES_MAX

struct give {
	const char *argv[3 * GIVE_MAX + 4];
	size_t n;
	struct arena *a;
};

static void done(struct pod *p, const struct err *err)
{
	bool ok = !err || !err->code;

	pod_on_volumes(&p->obs, ok, pod_now(p->k));
	if (!ok)
		pod_event(p, "Warning", "FailedMount", "%s", err->msg);
	pod_wake(p);
}

static void on_given(void *arg, struct proc_result *r)
{
	struct pod *p = arg;
	struct err err = {0};

	p->giving = NULL;
	if (r->status)
		err_set(&err, ERR_IO, "applyFSGroup failed: %s", buf_cstr(&r->err));
	done(p, &err);
}

static void add(void *ctx, const char *path)
{
	struct give *g = ctx;

	if (g->n < GIVE_MAX + 3)
		g->argv[g->n++] = arena_cstr(g->a, str_c(path));
}

static void on_mounted(void *arg, struct proc_result *r)
{
	struct pod *p = arg;
	struct err err = {0};

	p->giving = NULL;
	if (!r->status) {
		pod_volumes(p);
		return;
	}
	err_set(&err, ERR_IO, "MountVolume.MountDevice failed: %s", buf_cstr(&r->err));
	done(p, &err);
}

static void add_device(void *ctx, const struct device_mount *m)
{
	struct give *g = ctx;

	if (g->n + 3 > 3 * GIVE_MAX + 2)
		return;
	g->argv[g->n++] = arena_cstr(g->a, str_c(m->device));
	g->argv[g->n++] = arena_cstr(g->a, m->type);
	g->argv[g->n++] = arena_cstr(g->a, str_c(m->at));
}

static void start(struct pod *p, const char *const *argv,
		  void (*fn)(void *arg, struct proc_result *r))
{
	struct proc_opts o = {.argv = argv, .die_with_us = true};
	struct err err = {0};

	if (p->k->program)
		p->giving = proc_start(p->k->loop, &o, fn, p, &err);
	else
		err_set(&err, ERR_UNSUPPORTED, "there is no helper for volumes");
	if (!p->giving)
		done(p, &err);
}

/* True when it has begun: there is something to mount first. */
static bool mount_devices(struct pod *p, const struct payload_in *in)
{
	AUTO(arena) struct arena a = {0};
	struct give g = {.argv = {p->k->program, "mount"}, .n = 2, .a = &a};

	volumes_to_mount(p->dir, in, add_device, &g);
	if (g.n == 2)
		return false;
	start(p, g.argv, on_mounted);
	return true;
}

void pod_volumes(struct pod *p)
{
	struct payload_in in = pod_payload_in(p);
	AUTO(arena) struct arena a = {0};
	struct give g = {.argv = {p->k->program, "give"}, .n = 3, .a = &a};
	struct err err = {0};

	if (volumes_setup(p->dir, &in, &err)) {
		done(p, &err);
		return;
	}
	if (mount_devices(p, &in))
		return;
	g.argv[2] = arena_printf(
		&a, "%lld",
		(long long)json_int(json_at(p->spec.spec, "securityContext", "fsGroup"), -1));
	volumes_ungrouped(p->dir, &in, add, &g);
	if (g.n == 3) {
		done(p, NULL);
		return;
	}
	start(p, g.argv, on_given);
}

int kubelet_give_main(int argc, char **argv)
{
	struct err err = {0};
	int64_t gid;

	if (argc < 3 || str_to_i64(str_c(argv[1]), &gid) || gid < 0 || gid > INT32_MAX) {
		fprintf(stderr, "plumb give is started by kubelets\n");
		return 2;
	}
	for (int i = 2; i < argc; i++) {
		if (volume_give(argv[i], gid, &err)) {
			fprintf(stderr, "%s\n", err.msg);
			return 1;
		}
	}
	return 0;
}
