/*
 * What a restarted kubelet must know, one small file a pod, written by rename before each start and
 * after each change. Restoring does nothing to a pod: it reads, adopts what still runs, and leaves
 * the rest to the machine. A file that can't be read is as none: then all of the pod's containers
 * are cleared away and started anew. On the kubelet's loop.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/kubelet.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define STATE_MAX (8 << 20)

int write_quick(const char *path, struct str text, mode_t mode, struct err *err)
{
	AUTO(free) char *tmp = xasprintf("%s.new", path);
	AUTO(fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return err_sys(err, "make %s", tmp);
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, "write %s", tmp);
		text = str_sub(text, (size_t)n, text.n);
	}
	if (fchmod(fd, mode) || rename(tmp, path))
		return err_sys(err, "write %s", path);
	return 0;
}

/* ---- writing ---- */

static struct json *end_json(struct arena *a, const struct cont_end *e)
{
	if (!e->set)
		return NULL;
	return json_build(a, "{s:i, s:s, s:s, s:I, s:I, s:s}", "code", e->exit_code, "reason",
			  e->reason, "message", e->message ? e->message : "", "started",
			  e->started_wall, "finished", e->finished_wall, "id", e->id);
}

static void put_container(struct arena *a, const struct pod *p, size_t i, struct json *v)
{
	const struct cont_obs *c = &p->obs.c[i];
	const struct pod_cont *s = &p->cont[i];

	json_set_str(a, v, "name", p->spec.c[i].name);
	json_set_int(a, v, "state", c->state);
	json_set_str(a, v, "id", str_c(c->id));
	json_set_str(a, v, "image", str_c(c->image_id));
	json_set_int(a, v, "attempt", s->now ? (int64_t)s->now->number : -1);
	json_set_int(a, v, "next", s->next);
	json_set_int(a, v, "log", s->log);
	json_set_int(a, v, "logPrevious", s->log_previous);
	json_set_int(a, v, "restarts", c->restarts);
	json_set_int(a, v, "crashes", c->crashes);
	json_set_int(a, v, "startedWall", c->started_wall);
	json_set_bool(a, v, "started", c->started);
	json_set_bool(a, v, "ready", c->ready);
	json_set(a, v, STR("end"), end_json(a, &c->end));
	json_set(a, v, STR("last"), end_json(a, &c->last));
}

void state_save(struct pod *p)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf out = {0};
	AUTO(free) char *path = xasprintf("%s/state.json", p->dir);
	struct json *v = json_new(&a, JSON_OBJECT), *list;
	struct err err = {0};

	json_set_str(&a, v, "ip", str_c(p->obs.ip));
	json_set_bool(&a, v, "sandbox", p->obs.sandbox.state == PART_READY);
	json_set_bool(&a, v, "tornDown", p->obs.torn_down);
	json_set_int(&a, v, "start", p->obs.start_wall);
	json_set_int(&a, v, "end", p->obs.end);
	json_set_str(&a, v, "endReason", str_c(p->obs.end_reason));
	json_set_str(&a, v, "endMessage", str_c(p->obs.end_message));
	list = json_set_array(&a, v, "containers");
	for (size_t i = 0; i < p->obs.n; i++)
		put_container(&a, p, i, json_append_object(&a, list));
	json_write(v, &out);
	if (write_quick(path, buf_view(&out), 0600, &err))
		log_error("cannot note a pod's state", "pod", p->uid, "error", err.msg);
}

/* ---- reading ---- */

static void copy(char *to, size_t max, const struct json *v)
{
	snprintf(to, max, "%.*s", STR_ARG(json_str(v)));
}

static void read_end(const struct json *v, struct cont_end *e)
{
	struct str message = json_str(json_at(v, "message"));

	if (!json_is(v, JSON_OBJECT))
		return;
	*e = (struct cont_end){.set = true, .exit_code = (int)json_int(json_at(v, "code"), 0)};
	copy(e->reason, sizeof(e->reason), json_at(v, "reason"));
	copy(e->id, sizeof(e->id), json_at(v, "id"));
	e->message = message.n ? xstrndup(message.p, message.n) : NULL;
	e->started_wall = json_int(json_at(v, "started"), 0);
	e->finished_wall = json_int(json_at(v, "finished"), 0);
}

static bool id_ok(const char *id)
{
	return strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64;
}

static void read_container(struct pod *p, size_t i, const struct json *v)
{
	struct cont_obs *c = &p->obs.c[i];
	struct pod_cont *s = &p->cont[i];
	int64_t wall = loop_wall(p->k->loop), mono = loop_now(p->k->loop);
	int64_t attempt = json_int(json_at(v, "attempt"), -1);
	int64_t state = json_int(json_at(v, "state"), CONT_WAITING);

	copy(c->id, sizeof(c->id), json_at(v, "id"));
	copy(c->image_id, sizeof(c->image_id), json_at(v, "image"));
	s->next = (unsigned)json_int(json_at(v, "next"), 0);
	s->log = (int)json_int(json_at(v, "log"), -1);
	s->log_previous = (int)json_int(json_at(v, "logPrevious"), -1);
	c->restarts = (unsigned)json_int(json_at(v, "restarts"), 0);
	c->crashes = (unsigned)json_int(json_at(v, "crashes"), 0);
	c->started_wall = json_int(json_at(v, "startedWall"), 0);
	c->started_mono = MAX(mono - MAX(wall - c->started_wall, 0), 1);
	read_end(json_at(v, "end"), &c->end);
	read_end(json_at(v, "last"), &c->last);
	if (state == CONT_EXITED && c->end.set) {
		c->state = CONT_EXITED;
		if (cont_restarts(&p->spec.c[i], c->end.exit_code))
			c->retry_at = mono + crash_backoff_s(c->crashes) * NS_PER_S -
				      MAX(wall - c->end.finished_wall, 0);
	}
	if (attempt < 0 || !id_ok(c->id))
		return;
	if (state == CONT_RUNNING) {
		c->state = CONT_RUNNING;
		c->started = json_bool(json_at(v, "started"), false);
		c->ready = json_bool(json_at(v, "ready"), false);
		attempt_adopt(p, i, (unsigned)attempt, c->id);
	} else if (state == CONT_STARTING) {
		/* Nobody saw whether it came to life: cleared away, then tried again. */
		pod_on_start_failed(c, "ContainerCreating", NULL, pod_now(p->k));
		c->retry_at = 0;
		attempt_clear(p, i, (unsigned)attempt, c->id);
	} else {
		attempt_clear(p, i, (unsigned)attempt, c->id);
	}
}

static const struct json *container_of_name(const struct json *list, struct str name)
{
	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_str(json_at(json_item(list, i), "name")), name))
			return json_item(list, i);
	}
	return NULL;
}

static bool netns_alive(const struct pod *p)
{
	AUTO(free) char *path = xasprintf("%s/netns", p->dir);
	AUTO(fd) int fd = netns_open(path, NULL);

	return fd >= 0;
}

static void read_state(struct pod *p, const struct json *v)
{
	struct pod_obs *o = &p->obs;
	int64_t wall = loop_wall(p->k->loop), mono = loop_now(p->k->loop);

	copy(o->ip, sizeof(o->ip), json_at(v, "ip"));
	o->start_wall = json_int(json_at(v, "start"), wall);
	o->start_mono = MAX(mono - MAX(wall - o->start_wall, 0), 1);
	o->end = (enum pod_end)json_int(json_at(v, "end"), POD_END_NONE);
	copy(o->end_reason, sizeof(o->end_reason), json_at(v, "endReason"));
	copy(o->end_message, sizeof(o->end_message), json_at(v, "endMessage"));
	o->torn_down = json_bool(json_at(v, "tornDown"), false);
	if (json_bool(json_at(v, "sandbox"), false) && (p->spec.host_network || netns_alive(p)))
		o->sandbox.state = PART_READY;
	/* Volumes are set up again: that is quick, and repairs what a reboot unmounted. */
	for (size_t i = 0; i < o->n; i++) {
		const struct json *c =
			container_of_name(json_at(v, "containers"), p->spec.c[i].name);
		if (c)
			read_container(p, i, c);
	}
}

static void restore_one(struct kubelet *k, const char *uid)
{
	AUTO(free) char *pod_path = xasprintf("%s/pods/%s/pod.json", k->dir, uid);
	AUTO(free) char *state_path = xasprintf("%s/pods/%s/state.json", k->dir, uid);
	AUTO(free) char *dir = xasprintf("%s/pods/%s", k->dir, uid);
	AUTO(buf) struct buf pod = {0}, state = {0};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct obj *o = NULL;
	struct pod *p = NULL;

	if (!fs_read(pod_path, STATE_MAX, &pod, &err))
		o = obj_from_bytes(buf_view(&pod), &err);
	if (o && str_is(o->uid, uid))
		p = pod_new(k, o, &err);
	obj_unref(o);
	if (!p) {
		log_warn("a pod's folder is unreadable: removed", "pod", uid, "error", err.msg);
		(void)!fs_remove_tree(dir, NULL);
		return;
	}
	if (fs_read(state_path, STATE_MAX, &state, NULL))
		return;
	const struct json *v = json_parse(&a, buf_view(&state), NULL, NULL);
	if (v)
		read_state(p, v);
}

void state_restore(struct kubelet *k)
{
	AUTO(free) char *path = xasprintf("%s/pods", k->dir);
	DIR *d = opendir(path);

	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] != '.' && path_part_ok(str_c(e->d_name)))
			restore_one(k, e->d_name);
	}
	if (d)
		closedir(d);
	if (k->by_uid.n)
		log_info("pods of an earlier run found", "pods", log_i64((int64_t)k->by_uid.n));
}
