/*
 * The shell around the pod machine: asks it what to do, does it, tells it what came of it. Must
 * never decide by itself; what is decided is in pod_core.c. Runs on the kubelet's loop; a pod is
 * owned by kubelet.by_uid until it is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/claims.h"
#include "kubelet/volume/volume.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define ROUNDS_MAX 8

struct pod_clock pod_now(const struct kubelet *k)
{
	return (struct pod_clock){loop_now(k->loop), loop_wall(k->loop)};
}

void pod_event(struct pod *p, const char *type, const char *reason, const char *fmt, ...)
{
	AUTO(buf) struct buf text = {0};
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	if (p->k->events)
		recorder_event(p->k->events, p->tree, type, reason, "%s", buf_cstr(&text));
}

/* "spec.containers{web}": the part of the pod that kubectl shows as the event's SUBOBJECT. */
static struct str path_of(struct arena *a, const struct container_spec *s)
{
	const char *list = s->ephemeral ? "ephemeralContainers"
			   : s->init    ? "initContainers"
					: "containers";

	return arena_strf(a, "spec.%s{%.*s}", list, STR_ARG(s->name));
}

void pod_event_of(struct pod *p, size_t i, const char *type, const char *reason, const char *fmt,
		  ...)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct json *part;
	va_list ap;

	if (!p->k->events)
		return;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	part = json_build(&a, "{s:s, s:s, s:o, s:S}", "apiVersion", "v1", "kind", "Pod", "metadata",
			  json_get(p->tree, STR("metadata")), "fieldPath",
			  path_of(&a, &p->spec.c[i]));
	recorder_event(p->k->events, part, type, reason, "%s", buf_cstr(&text));
}

/* ---- what it is told ---- */

static void use_ref(void *ctx, bool secret, struct str name)
{
	struct pod *p = ctx;

	refs_use(p->k->refs, secret ? REF_SECRET : REF_CONFIGMAP, p->spec.namespace, name);
}

static void drop_ref(void *ctx, bool secret, struct str name)
{
	struct pod *p = ctx;

	refs_drop(p->k->refs, secret ? REF_SECRET : REF_CONFIGMAP, p->spec.namespace, name);
}

struct refs_check {
	struct pod *p;
	bool ready;
};

static void check_ref(void *ctx, bool secret, struct str name)
{
	struct refs_check *c = ctx;
	const struct obj *o;

	c->ready &= refs_get(c->p->k->refs, secret ? REF_SECRET : REF_CONFIGMAP,
			     c->p->spec.namespace, name, &o);
}

static bool refs_ready(struct pod *p)
{
	struct refs_check c = {p, true};

	pod_refs(&p->spec, check_ref, &c);
	return c.ready;
}

static int read_spec(const struct obj *o, struct arena *a, const struct json **ret_tree,
		     struct pod_spec *ret, struct err *err)
{
	*ret_tree = obj_tree(o, a);
	return pod_spec_read(a, *ret_tree, ret, err);
}

static void save_pod(struct pod *p)
{
	AUTO(free) char *path = xasprintf("%s/pod.json", p->dir);

	(void)!write_quick(path, p->obj->bytes, 0600, NULL);
}

static void on_soon(struct loop *l, struct loop_timer *t);

void pod_wake(struct pod *p)
{
	if (!p->removed && !loop_timer_armed(&p->soon))
		loop_timer_set(p->k->loop, &p->soon, 0, on_soon);
}

struct pod *pod_new(struct kubelet *k, const struct obj *o, struct err *err)
{
	struct pod *p = xalloc(sizeof(*p));

	*p = (struct pod){.k = k, .obj = obj_ref(o), .api = obj_ref(o)};
	list_init(&p->attempts);
	if (read_spec(o, &p->arena, &p->tree, &p->spec, err)) {
		arena_release(&p->arena);
		obj_unref(p->obj);
		obj_unref(p->api);
		free(p);
		return NULL;
	}
	p->uid = xstrndup(p->spec.uid.p, p->spec.uid.n);
	p->dir = xasprintf("%s/pods/%s", k->dir, p->uid);
	pod_obs_init(&p->obs, &p->spec);
	p->cont = xalloc(p->spec.n * sizeof(*p->cont));
	for (size_t i = 0; i < p->spec.n; i++)
		p->cont[i].log = p->cont[i].log_previous = -1;
	p->obs.start_wall = loop_wall(k->loop);
	p->obs.start_mono = loop_now(k->loop);
	map_set(&k->by_uid, str_c(p->uid), p);
	if (fs_mkdirs(p->dir, 0700, err))
		log_error("cannot make the pod's folder", "pod", p->uid, "error", err->msg);
	save_pod(p);
	pod_refs(&p->spec, use_ref, p);
	claims_start(p);
	tokens_start(p);
	pod_wake(p);
	return p;
}

/* Restarts a running container whose image was changed; nothing else of a container may change. */
static void notice_images(struct pod *p)
{
	for (size_t i = 0; i < p->spec.n; i++) {
		const struct container_spec *s = &p->spec.c[i];
		if (!p->cont[i].image || str_is(s->image, p->cont[i].image) ||
		    (s->init && !s->sidecar))
			continue;
		free(p->cont[i].image);
		p->cont[i].image = NULL;
		p->obs.c[i].image = (struct part){0};
		p->obs.c[i].crashes = 0;
		p->obs.c[i].retry_at = 0;
		if (p->obs.c[i].state != CONT_RUNNING)
			continue;
		pod_event_of(p, i, "Normal", "Killing",
			     "Container %.*s definition changed, will be restarted",
			     STR_ARG(s->name));
		pod_on_swap(&p->obs.c[i]);
	}
}

/* Room for ephemeral containers that have come; true when any have. */
static bool grow(struct pod *p)
{
	size_t n = p->obs.n;

	if (p->spec.n == n)
		return false;
	pod_obs_grow(&p->obs, &p->spec);
	p->cont = xreallocarray(p->cont, p->spec.n, sizeof(*p->cont));
	for (; n < p->spec.n; n++)
		p->cont[n] = (struct pod_cont){.log = -1, .log_previous = -1};
	return true;
}

static bool meta_differs(const struct json *a, const struct json *b)
{
	static const char *const parts[] = {"labels", "annotations"};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		const struct json *x = json_at(a, "metadata", parts[i]);
		const struct json *y = json_at(b, "metadata", parts[i]);
		if (!x != !y || (x && !json_equal(x, y)))
			return true;
	}
	return false;
}

/* Files of the downward API show labels and annotations, and a start may have failed for one. */
static void follow_meta(struct pod *p)
{
	struct payload_in in = pod_payload_in(p);
	struct err err = {0};

	pod_retry_now(&p->obs);
	if (p->obs.volumes.state == PART_READY && !pod_stopping(&p->spec, &p->obs) &&
	    volumes_update(p->dir, &in, &err))
		log_warn("cannot update a volume", "pod", p->uid, "error", err.msg);
}

void pod_update(struct pod *p, const struct obj *o)
{
	struct arena a = {0};
	struct pod_spec spec;
	const struct json *tree;
	struct err err = {0};
	bool was_deleting = p->spec.deleting, grown, renamed;

	if (o->revision > p->api->revision) {
		obj_unref(p->api);
		p->api = obj_ref(o);
	}
	if (read_spec(o, &a, &tree, &spec, &err) || spec.nmain != p->spec.nmain ||
	    spec.n < p->spec.n) {
		log_warn("ignoring a change of a pod", "pod", p->uid, "error", err.msg);
		arena_release(&a);
		return;
	}
	renamed = meta_differs(p->tree, tree);
	pod_refs(&spec, use_ref, p);
	pod_refs(&p->spec, drop_ref, p);
	const struct obj *old = p->obj;
	p->obj = obj_ref(o);
	arena_release(&p->arena);
	obj_unref(old);
	p->arena = a;
	p->tree = tree;
	p->spec = spec;
	grown = grow(p);
	if (grown || (spec.deleting && !was_deleting))
		save_pod(p);
	if (renamed)
		follow_meta(p);
	notice_images(p);
	pod_notice_end(p);
	pod_wake(p);
}

void pod_gone(struct pod *p)
{
	pod_on_gone(&p->spec, &p->obs);
	pod_wake(p);
}

void pod_free(struct pod *p)
{
	if (!p)
		return;
	map_del(&p->k->by_uid, str_c(p->uid));
	loop_timer_cancel(p->k->loop, &p->soon);
	loop_timer_cancel(p->k->loop, &p->later);
	for (size_t i = 0; i < p->spec.n; i++) {
		probes_stop(p, i);
		handler_cancel(p->cont[i].hook);
		free(p->cont[i].image);
		free(p->cont[i].pulling);
	}
	status_cancel(p);
	if (p->giving)
		proc_cancel(p->giving, true);
	pod_tokens_free(p);
	attempts_forget(p);
	pod_refs(&p->spec, drop_ref, p);
	claims_free(p);
	pod_obs_release(&p->obs);
	free(p->cont);
	obj_unref(p->api);
	arena_release(&p->arena);
	obj_unref(p->obj);
	buf_release(&p->sent);
	free(p->dir);
	free(p->uid);
	free(p);
}

/* ---- what it does ---- */

static void do_sandbox(struct pod *p)
{
	AUTO(free) char *ns = xasprintf("%s/netns", p->dir);
	struct err err = {0};
	char ip[16] = "";
	int rc = class_check(p, &err);

	if (rc)
		;
	else if (p->spec.host_network)
		snprintf(ip, sizeof(ip), "%s", p->k->node_ip);
	else {
		/* What an earlier process, or one before a reboot, left of it. */
		podnet_del(&p->k->net, p->spec.uid, ns, p->obs.ip);
		rc = podnet_add(&p->k->net, p->spec.uid, ns, ip, &err);
	}
	pod_on_sandbox(&p->obs, rc == 0, ip, pod_now(p->k));
	if (!rc && (sandbox_setup(p, &err) || pod_write_files(p, &err))) {
		pod_on_sandbox(&p->obs, false, ip, pod_now(p->k));
		rc = -1;
	}
	if (rc)
		pod_event(p, "Warning", "FailedCreatePodSandBox",
			  "Failed to create pod sandbox: %s", err.msg);
}

static void do_teardown(struct pod *p)
{
	AUTO(free) char *ns = xasprintf("%s/netns", p->dir);

	volumes_teardown(p->dir);
	sandbox_teardown(p);
	if (!p->spec.host_network)
		podnet_del(&p->k->net, p->spec.uid, ns, p->obs.ip);
	cgroup_remove(p->k, p->spec.uid);
	pod_on_torn_down(&p->obs);
}

static void free_later(void *arg)
{
	struct kubelet *k = ((struct pod *)arg)->k;

	pod_free(arg);
	localvolumes_look(k);
}

static void on_trash_gone(void *arg, struct proc_result *r)
{
	(void)arg, (void)r;
}

void trash_empty(struct kubelet *k)
{
	AUTO(free) char *trash = xasprintf("%s/trash", k->dir);
	const char *argv[] = {"rm", "-rf", "--one-file-system", trash, NULL};
	struct proc_opts o = {.argv = argv};

	(void)!proc_start(k->loop, &o, on_trash_gone, NULL, NULL);
}

int throw_away(struct kubelet *k, const char *path, const char *name, struct err *err)
{
	AUTO(free) char *trash = xasprintf("%s/trash", k->dir);
	AUTO(free) char *to = xasprintf("%s/%s", trash, name);
	const char *argv[] = {"rm", "-rf", "--one-file-system", to, NULL};
	struct proc_opts o = {.argv = argv};

	if (fs_mkdirs(trash, 0700, err) || rename(path, to))
		return fs_remove_tree(path, err);
	if (!proc_start(k->loop, &o, on_trash_gone, NULL, err))
		return fs_remove_tree(to, err);
	return 0;
}

static void do_remove(struct pod *p)
{
	struct err err = {0};

	p->removed = true;
	/* Where something is still bound, its removal would be that of others' files. */
	if (!volumes_unmounted(p->dir))
		log_warn("a pod's folder stays behind: something is mounted in it", "pod", p->uid);
	else if (throw_away(p->k, p->dir, p->uid, &err))
		log_warn("a pod's folder stays behind", "pod", p->uid, "error", err.msg);
	log_info("pod removed", "pod",
		 log_fmt("%.*s/%.*s", STR_ARG(p->spec.namespace), STR_ARG(p->spec.name)));
	loop_post(p->k->loop, free_later, p);
}

/* What isn't the machine's business to wait for. */
static bool possible(struct pod *p, const struct pod_action *a)
{
	if (a->act == ACT_VOLUMES)
		return refs_ready(p) && tokens_ready(p) && claims_ready(p);
	if (a->act == ACT_SANDBOX)
		return (p->spec.host_network || p->k->net.ready) && class_ready(p);
	if (a->act == ACT_IMAGE)
		return image_possible(p, a->c);
	if (a->act == ACT_TEARDOWN || a->act == ACT_REMOVE)
		return list_empty(&p->attempts);
	return true;
}

static void perform(struct pod *p, const struct pod_action *a)
{
	switch (a->act) {
	case ACT_SANDBOX:
		do_sandbox(p);
		break;
	case ACT_VOLUMES:
		pod_volumes(p);
		break;
	case ACT_IMAGE:
		pod_image(p, a->c);
		break;
	case ACT_START:
		attempt_start(p, a->c);
		break;
	case ACT_PRE_STOP:
		attempt_pre_stop(p, a->c);
		break;
	case ACT_TERM:
		attempt_term(p, a->c);
		break;
	case ACT_KILL:
		attempt_kill(p, a->c);
		break;
	case ACT_TEARDOWN:
		do_teardown(p);
		break;
	case ACT_CONFIRM:
		status_confirm(p);
		break;
	case ACT_REMOVE:
		do_remove(p);
		break;
	case ACT_MAX:
		break;
	}
}

static size_t one_round(struct pod *p, struct pod_plan *plan)
{
	size_t done = 0;

	pod_leave(p);
	pod_settle(&p->spec, &p->obs, pod_now(p->k));
	pod_step(&p->spec, &p->obs, pod_now(p->k), plan);
	for (size_t i = 0; i < plan->n && !p->removed; i++) {
		if (!possible(p, &plan->v[i]))
			continue;
		log_debug("pod", "pod", p->uid, "does", pod_act_name(plan->v[i].act));
		pod_mark(&p->spec, &p->obs, &plan->v[i], pod_now(p->k));
		perform(p, &plan->v[i]);
		done++;
	}
	return done;
}

static void on_later(struct loop *l, struct loop_timer *t)
{
	(void)l;
	pod_wake(CONTAINER_OF(t, struct pod, later));
}

static void on_soon(struct loop *l, struct loop_timer *t)
{
	struct pod *p = CONTAINER_OF(t, struct pod, soon);
	struct pod_plan *plan = xalloc(sizeof(*plan));
	int rounds = 0;

	while (one_round(p, plan) && !p->removed && ++rounds < ROUNDS_MAX)
		;
	if (!p->removed) {
		state_save(p);
		status_push(p);
		if (plan->wake_at)
			loop_timer_set(l, &p->later, MAX(plan->wake_at - loop_now(l), NS_PER_MS),
				       on_later);
		else
			loop_timer_cancel(l, &p->later);
	}
	free(plan);
}
