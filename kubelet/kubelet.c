/*
 * The kubelet itself: brings back what ran before, then follows the API, and turns what that says
 * into calls on pods. Its own end touches no pod; the next one takes them over. One thread, one
 * loop.
 */
#include "kubelet/claims.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kubelet/volume/volume.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

#define CGROUP2_MAGIC_NR 0x63677270

/* ---- what the API says ---- */

static void on_pod(void *arg, const struct obj *old, const struct obj *new)
{
	struct kubelet *k = arg;
	struct err err = {0};
	struct pod *p;

	if (old && (!new || !str_eq(old->uid, new->uid))) {
		p = map_get(&k->by_uid, old->uid);
		if (p)
			pod_gone(p);
	}
	if (!new)
		return;
	p = map_get(&k->by_uid, new->uid);
	if (p)
		pod_update(p, new);
	else if ((p = pod_new(k, new, &err)))
		pod_admission(p);
	else
		log_error("a pod is unusable: ignored", "pod", log_fmt("%.*s", STR_ARG(new->name)),
			  "error", err.msg);
}

struct pod *pod_named(struct kubelet *k, struct str namespace, struct str name)
{
	const struct obj *o = informer_get(k->pods, namespace, name);
	struct pod *found = o ? map_get(&k->by_uid, o->uid) : NULL;
	struct map_iter it = {0};

	while (!found && map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (str_eq(p->spec.namespace, namespace) && str_eq(p->spec.name, name))
			found = p;
	}
	return found;
}

/* After the first list: what is on disk but not in the API has been deleted meanwhile. */
static void on_progress(void *arg)
{
	struct kubelet *k = arg;
	struct map_iter it = {0};

	if (k->synced || !informer_synced(k->pods))
		return;
	k->synced = true;
	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		const struct obj *o = informer_get(k->pods, p->spec.namespace, p->spec.name);
		if (!o || !str_eq(o->uid, p->spec.uid))
			pod_gone(p);
	}
	kubelet_check_ready(k);
}

struct ref_change {
	struct str ns, name;
	bool secret, hit;
};

static void match_ref(void *ctx, bool secret, struct str name)
{
	struct ref_change *c = ctx;

	c->hit |= secret == c->secret && str_eq(name, c->name);
}

static void on_claim(struct kubelet *k, enum ref_kind kind, struct str ns, struct str name)
{
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		if (p->removed || !claims_changed(p, kind, ns, name))
			continue;
		pod_retry_now(&p->obs);
		pod_wake(p);
	}
}

static void on_ref(void *arg, enum ref_kind kind, struct str ns, struct str name)
{
	struct kubelet *k = arg;
	struct map_iter it = {0};
	struct err err = {0};

	if (kind == REF_CLAIM || kind == REF_VOLUME) {
		on_claim(k, kind, ns, name);
		return;
	}

	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		struct ref_change c = {ns, name, kind == REF_SECRET, false};
		if (!str_eq(p->spec.namespace, ns) || p->removed)
			continue;
		pod_refs(&p->spec, match_ref, &c);
		if (!c.hit)
			continue;
		pod_retry_now(&p->obs);
		if (p->obs.volumes.state == PART_READY && !pod_stopping(&p->spec, &p->obs)) {
			struct payload_in in = pod_payload_in(p);
			if (volumes_update(p->dir, &in, &err))
				log_warn("cannot update a volume", "pod", p->uid, "error", err.msg);
		}
		pod_wake(p);
	}
}

/* An image was put into the store: who waits for one looks again. */
static void on_images(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct kubelet *k = CONTAINER_OF(w, struct kubelet, images_watch);
	struct map_iter it = {0};
	char events[4096];

	(void)l, (void)ready;
	while (read(w->fd, events, sizeof(events)) > 0)
		;
	k->images_told = false;
	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		bool waits = false;
		for (size_t i = 0; i < p->obs.n; i++)
			waits |= p->obs.c[i].image.state == PART_FAILED;
		if (!waits)
			continue;
		pod_retry_now(&p->obs);
		pod_wake(p);
	}
}

static int watch_images(struct kubelet *k, struct err *err)
{
	AUTO(free) char *refs = xasprintf("%s/refs", k->images);

	if (image_store_init(k->images, err))
		return -1;
	k->images_watch =
		(struct loop_fd){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .fn = on_images};
	if (k->images_watch.fd < 0 ||
	    inotify_add_watch(k->images_watch.fd, refs, IN_MOVED_TO | IN_DELETE) < 0)
		return err_sys(err, "watch %s", refs);
	return loop_fd_set(k->loop, &k->images_watch, EPOLLIN, err);
}

/* ---- start and end ---- */

/* What this process may hand on: its bounding set. */
static uint64_t bounding_caps(void)
{
	AUTO(buf) struct buf text = {0};
	struct str rest, line, key, value;

	(void)!fs_read("/proc/self/status", 65536, &text, NULL);
	rest = buf_view(&text);
	while (str_next(&rest, '\n', &line)) {
		if (!str_cut(line, ':', &key, &value) || !str_is(key, "CapBnd"))
			continue;
		value = str_trim(value);
		uint64_t caps = 0;
		for (size_t i = 0; i < value.n; i++) {
			char c = value.p[i];
			caps = caps << 4 | (uint64_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
		}
		return caps;
	}
	return 0;
}

static bool cgroup_is_v2(void)
{
	struct statfs s;

	return statfs("/sys/fs/cgroup", &s) == 0 && (unsigned long)s.f_type == CGROUP2_MAGIC_NR;
}

static bool pod_known(void *arg, struct str uid)
{
	const struct kubelet *k = arg;

	return map_has(&k->by_uid, uid);
}

int kubelet_prepare(struct kubelet *k, struct err *err)
{
	AUTO(free) char *pods = NULL;

	list_init(&k->pulls);
	if (!k->node_name || !path_part_ok(str_c(k->node_name)) || !k->node_ip || !*k->node_ip)
		return err_set(err, ERR_BAD_REQUEST, "--node-name and --node-ip are needed");
	if (!path_part_ok(str_c(k->instance)))
		return err_set(err, ERR_BAD_REQUEST, "--instance %s is unusable", k->instance);
	AUTO(free) char *data = realpath(k->role.data_dir, NULL);
	if (!data)
		return err_sys(err, "%s", k->role.data_dir);
	k->dir = xasprintf("%s/nodes/%s", data, k->node_name);
	k->images = xasprintf("%s/images", data);
	k->volumes = xasprintf("%s/volumes", k->dir);
	pods = xasprintf("%s/pods", k->dir);
	if (fs_mkdirs(pods, 0700, err) ||
	    runtime_init(&k->rt, k->loop, k->runtime_choice, k->dir, err) ||
	    podnet_init(&k->net, k->dir, k->node_ip, err) || watch_images(k, err))
		return -1;
	k->caps = bounding_caps();
	k->cgroup_v2 = cgroup_is_v2();
	return 0;
}

int kubelet_follow(struct kubelet *k, struct err *err)
{
	AUTO(free) char *selector = xasprintf("spec.nodeName=%s", k->node_name);
	struct informer_opts pods = {.resource = &res_pods, .field_selector = selector};
	struct informer_opts services = {.resource = &res_services};

	k->events = recorder_new(k->client, "kubelet", k->node_name);
	k->refs = refs_new(k->client, on_ref, k);
	k->services = informer_new(k->client, &services);
	informer_start(k->services);
	node_start(k);
	trash_empty(k);
	state_restore(k);
	podnet_sweep(&k->net, pod_known, k);
	k->pods = informer_new(k->client, &pods);
	informer_on_change(k->pods, on_pod, k);
	informer_on_progress(k->pods, on_progress, k);
	informer_start(k->pods);
	localvolumes_start(k);
	evict_start(k);
	return server_start(k, err);
}

void kubelet_release(struct kubelet *k)
{
	struct map_iter it = {0};

	if (k->loop) {
		server_stop(k);
		localvolumes_stop(k);
		evict_stop(k);
		classes_stop(k);
		pulls_stop(k);
		node_stop(k);
		while (map_next(&k->by_uid, &it))
			pod_free(it.value);
		informer_free(k->pods);
		informer_free(k->services);
		refs_free(k->refs);
		if (k->events)
			recorder_free(k->events);
		loop_fd_del(k->loop, &k->images_watch);
		fd_cleanup(&k->images_watch.fd);
	}
	map_release(&k->by_uid);
	images_forget(k);
	podnet_release(&k->net);
	runtime_release(&k->rt);
	buf_release(&k->last_node_status);
	free(k->dir);
	free(k->images);
	free(k->volumes);
	k->dir = k->images = k->volumes = NULL;
}
