/*
 * What a node makes of any Pod: the state machine runs it to its end, its status, environment,
 * volumes and config.json are built. Whatever an API server may let in must not bring a node down.
 */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "kubelet/env_core.h"
#include "kubelet/grpc_core.h"
#include "kubelet/image/image.h"
#include "kubelet/logs_core.h"
#include "kubelet/oci_core.h"
#include "kubelet/podfiles_core.h"
#include "kubelet/probe_core.h"
#include "kubelet/status_core.h"
#include "kubelet/user_core.h"
#include "kubelet/websocket_core.h"
#include "lib/base/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct json *find(void *arg, bool secret, struct str name)
{
	(void)secret, (void)name;
	return arg; /* every object is the pod itself */
}

static struct str token(void *arg, const struct json *source)
{
	(void)arg, (void)source;
	return STR("token");
}

static void ignore_ref(void *ctx, bool secret, struct str name)
{
	(void)ctx, (void)secret, (void)name;
}

static void perform(const struct pod_spec *s, struct pod_obs *o, const struct pod_action *a,
		    struct pod_clock now)
{
	struct cont_obs *c = a->c < o->n ? &o->c[a->c] : NULL;

	pod_mark(s, o, a, now);
	if (a->act == ACT_SANDBOX)
		pod_on_sandbox(o, true, "10.0.0.2", now);
	else if (a->act == ACT_VOLUMES)
		pod_on_volumes(o, true, now);
	else if (a->act == ACT_IMAGE)
		pod_on_image(c, now.mono % 3 != 0, "ErrImagePull", "why", now);
	else if (a->act == ACT_START && now.mono % 5)
		pod_on_started(&s->c[a->c], c, 7, now);
	else if (a->act == ACT_START)
		pod_on_start_failed(c, "CreateContainerError", "why", now);
	else if (a->act == ACT_KILL || a->act == ACT_TERM)
		pod_on_exited(&s->c[a->c], c, 137, false, now.wall, NULL, now);
	else if (a->act == ACT_PRE_STOP)
		pod_on_hook_done(c);
	else if (a->act == ACT_TEARDOWN)
		pod_on_torn_down(o);
	else if (a->act == ACT_CONFIRM)
		pod_on_confirmed(o, true, now);
}

static void live(struct arena *a, struct pod_spec *s)
{
	struct pod_clock now = {NS_PER_S, NS_PER_S};
	struct pod_plan *plan = xalloc(sizeof(*plan));
	struct pod_obs o;

	pod_obs_init(&o, s);
	for (int i = 0; i < 60 && !o.removed; i++, now.mono += NS_PER_S + 1, now.wall += NS_PER_S) {
		AUTO(buf) struct buf out = {0};
		struct status_in in = {.spec = s,
				       .obs = &o,
				       .old = json_at(s->json, "status"),
				       .host_ip = "1.1.1.1",
				       .runtime = "crun",
				       .now = now};
		if (i == 40)
			s->deleting = true;
		if (i == 50)
			o.gone = true;
		pod_settle(s, &o, now);
		pod_step(s, &o, now, plan);
		for (size_t j = 0; j < plan->n; j++)
			perform(s, &o, &plan->v[j], now);
		for (size_t j = 0; j < o.n; j++) {
			if (o.c[j].state == CONT_RUNNING &&
			    (now.mono / NS_PER_S + (int64_t)j) % 7 == 0)
				pod_on_exited(&s->c[j], &o.c[j], i % 3, false, now.wall, NULL, now);
		}
		json_write(pod_status(a, &in), &out);
	}
	pod_obs_release(&o);
	free(plan);
}

static void build(struct arena *a, const struct pod_spec *s, const struct json *pod)
{
	struct payload_in in = {
		.pod = s,
		.fields = {.pod = pod, .pod_ip = STR("1.2.3.4"), .host_ip = STR("1.1.1.1")},
		.node = {1000, 1 << 30, 1 << 30},
		.find = find,
		.token = token,
		.arg = (void *)(uintptr_t)pod};
	const struct json *volumes = json_at(s->spec, "volumes");

	for (size_t i = 0; i < json_len(volumes); i++) {
		struct payload p;
		struct err err = {0};
		if (payload_of(a, &in, json_item(volumes, i), &p, &err))
			continue;
		for (size_t j = 0; j < p.n; j++) {
			if (!payload_path_ok(p.v[j].path))
				abort();
		}
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct json *services[] = {pod};
		struct env_in e = {.in = &in,
				   .c = &s->c[i],
				   .image = pod,
				   .services = services,
				   .nservices = 1,
				   .hostname = STR("h")};
		struct user_in u = {
			.pod = s, .c = &s->c[i], .image = pod, .passwd = STR("root:x:0:0::/:\n")};
		struct oci_in o = {.pod = s,
				   .c = &s->c[i],
				   .image = pod,
				   .rootfs = STR("/r"),
				   .cgroup = STR("/c"),
				   .hostname = STR("h"),
				   .caps = UINT64_MAX >> 23,
				   .oom_score_adj = INT_MIN};
		struct env env;
		struct err err = {0};
		if (env_build(a, &e, &env, &err) || user_of(&u, &o.user, &err))
			continue;
		o.env = &env;
		if (!oci_config(a, &o, &err) && !err.code)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = {(const char *)data, n}, normal;
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	struct log_opts logs = {.timestamps = true, .limit_bytes = -1};
	struct log_state state = {0};
	struct err err = {0};
	struct pod_spec s;

	if (log_render(in, &logs, &state, &out) > n)
		abort();
	struct grpc_call call = {0};
	struct probe_url from = {STR("h"), STR("/a"), 80, false}, to;
	(void)grpc_feed(&call, in, &out);
	if (call.in.n > n || call.message.n > n)
		abort();
	grpc_release(&call);
	if (!probe_redirect(&a, &from, in, &to) && (!to.path.n || to.path.p[0] != '/'))
		abort();
	AUTO(buf) struct buf frames = {0};
	struct ws_frame frame;
	buf_str(&frames, in);
	for (size_t at = 0, took; at < n; at += took) {
		took = ws_parse(frames.p + at, n - at, &frame);
		if (took == 0 || took == WS_BROKEN)
			break;
		if (took > n - at || frame.payload.n > took)
			abort();
	}
	if (!image_name_normal(&a, in, &normal, &err) &&
	    image_name_normal(&a, normal, &normal, &err))
		abort(); /* a normal name is its own normal form */
	const struct json *pod = json_parse(&a, in, NULL, &err);
	if (!pod || pod_spec_read(&a, pod, &s, &err))
		return 0;
	pod_refs(&s, ignore_ref, NULL);
	buf_reset(&out);
	struct node_names names = {STR("node"), STR("10.96.0.10"), STR("cluster.local")};
	struct str hostname;
	(void)!pod_hostname(&a, &s, &names, &hostname, &(struct err){0});
	pod_hosts(&s, &names, STR("1.2.3.4"), STR(""), &out);
	pod_resolv(&s, &names, STR(""), &out);
	build(&a, &s, pod);
	live(&a, &s);
	return 0;
}
