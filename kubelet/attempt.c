/*
 * One attempt at running a container after another: folders, start, end, logs kept. Must never lose
 * sight of a started one: it is noted on disk before it is begun. An attempt is owned by its pod
 * until the runtime says that it is gone. On the kubelet's loop.
 */
#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/kubelet.h"
#include "kubelet/logs_core.h"
#include "kubelet/runtime/rootfs.h"
#include "kubelet/volume/volume.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define MESSAGE_MAX 4096
#define MESSAGE_FROM_LOG_MAX 2048
#define HOOK_TIMEOUT_NS (INT64_C(3600) * NS_PER_S)

char *attempt_dir(const struct pod *p, size_t i, unsigned number)
{
	return xasprintf("%s/containers/%.*s-%u", p->dir, STR_ARG(p->spec.c[i].name), number);
}

static struct attempt *attempt_new(struct pod *p, size_t i, unsigned number, const char *id)
{
	struct attempt *at = xalloc(sizeof(*at));

	*at = (struct attempt){.p = p, .i = i, .number = number, .dir = attempt_dir(p, i, number)};
	snprintf(at->id, sizeof(at->id), "%s", id);
	list_append(&p->attempts, &at->node);
	p->cont[i].now = at;
	return at;
}

static void attempt_free(struct attempt *at)
{
	struct pod_cont *c = &at->p->cont[at->i];

	if (c->now == at)
		c->now = NULL;
	list_remove(&at->node);
	free(at->dir);
	free(at);
}

void attempts_forget(struct pod *p)
{
	LIST_FOREACH (n, &p->attempts) {
		struct attempt *at = CONTAINER_OF(n, struct attempt, node);
		run_forget(at->run);
		attempt_free(at);
	}
}

/* ---- the termination message ---- */

static struct str tail(struct str s, size_t max)
{
	return s.n > max ? str_sub(s, s.n - max, max) : s;
}

/* The text of the log's end, as the container wrote it. */
static void log_tail(const char *path, struct buf *out)
{
	struct log_opts opts = {.limit_bytes = -1};
	struct log_state state = {0};
	AUTO(buf) struct buf text = {0};
	FILE *f = fopen(path, "re");
	struct str rest, line;

	if (!f)
		return;
	(void)!fseek(f, 0, SEEK_END);
	long size = ftell(f), from = size > 16384 ? size - 16384 : 0;
	(void)!fseek(f, from, SEEK_SET);
	char *to = buf_reserve(&text, 16384);
	text.n += fread(to, 1, 16384, f);
	(void)fclose(f);
	rest = buf_view(&text);
	if (from)
		(void)str_next(&rest, '\n', &line);
	(void)log_render(rest, &opts, &state, out);
}

/* What the container left to be read of its end; NULL when nothing. Caller frees. */
static char *end_message(const struct attempt *at, int exit_code)
{
	const struct json *c = at->p->spec.c[at->i].json;
	AUTO(free) char *file = xasprintf("%s/termination-log", at->dir);
	AUTO(buf) struct buf text = {0};
	struct str s;
	struct stat st;

	if (!lstat(file, &st) && S_ISREG(st.st_mode) && st.st_size > 0)
		(void)!fs_read(file, 1 << 20, &text, NULL);
	s = str_sub(buf_view(&text), 0, MESSAGE_MAX);
	if (!s.n && exit_code &&
	    str_is(json_str(json_at(c, "terminationMessagePolicy")), "FallbackToLogsOnError")) {
		AUTO(free) char *log = xasprintf("%s/log", at->dir);
		log_tail(log, &text);
		s = tail(buf_view(&text), MESSAGE_FROM_LOG_MAX);
	}
	if (!s.n || memchr(s.p, 0, s.n) || !str_is_utf8(s))
		return NULL;
	return xstrndup(s.p, s.n);
}

/* ---- what the runtime tells ---- */

static void remove_attempt(struct pod *p, size_t i, int number)
{
	if (number < 0)
		return;
	AUTO(free) char *dir = attempt_dir(p, i, (unsigned)number);
	(void)!rootfs_unmount(dir, NULL);
	(void)!fs_remove_tree(dir, NULL);
}

static void on_hook(void *arg, bool ok, const char *message)
{
	struct attempt *at = arg;
	struct pod *p = at->p;
	struct cont_obs *c = &p->obs.c[at->i];
	const struct container_spec *s = &p->spec.c[at->i];

	p->cont[at->i].hook = NULL;
	if (c->stop == STOP_HOOK) {
		if (!ok)
			pod_event_of(p, at->i, "Warning", "FailedPreStopHook",
				     "PreStopHook failed: %s", message);
		pod_on_hook_done(c);
		pod_wake(p);
		return;
	}
	c->post_start_busy = false;
	if (ok) {
		c->started = s->probe[PROBE_STARTUP].action == PROBE_NONE;
		c->ready = c->started && s->probe[PROBE_READINESS].action == PROBE_NONE;
		probes_start(p, at->i);
	} else {
		pod_event_of(p, at->i, "Warning", "FailedPostStartHook", "PostStartHook failed: %s",
			     message);
		pod_on_unhealthy(c, -1);
	}
	pod_wake(p);
}

static void on_started(void *arg, pid_t pid)
{
	struct attempt *at = arg;
	struct pod *p = at->p;
	struct pod_cont *c = &p->cont[at->i];
	const struct container_spec *s = &p->spec.c[at->i];

	/* Both of one moment: a probe's delay is counted by the one, and seen by the other. */
	struct pod_clock now = {loop_moment(p->k->loop), loop_wall(p->k->loop)};

	pod_on_started(s, &p->obs.c[at->i], pid, now);
	cgroup_limit(p->k, &p->spec);
	remove_attempt(p, at->i, c->log_previous);
	c->log_previous = c->log;
	c->log = (int)at->number;
	pod_event_of(p, at->i, "Normal", "Created", "Created container: %.*s", STR_ARG(s->name));
	pod_event_of(p, at->i, "Normal", "Started", "Started container %.*s", STR_ARG(s->name));
	if (s->post_start)
		c->hook = handler_run(p, at->i, s->post_start, HOOK_TIMEOUT_NS, on_hook, at);
	else
		probes_start(p, at->i);
	pod_wake(p);
}

static void start_failed(struct attempt *at, const char *reason, const char *message)
{
	struct pod *p = at->p;
	struct cont_obs *c = &p->obs.c[at->i];
	bool same = !strcmp(c->reason, reason) && c->message && !strcmp(c->message, message);

	at->failed = true;
	pod_on_start_failed(c, reason, message, pod_now(p->k));
	if (!same || c->start_failures < 3)
		pod_event_of(p, at->i, "Warning", "Failed", "Error: %s", message);
	pod_wake(p);
}

static void on_failed(void *arg, bool created UNUSED, const char *message)
{
	struct attempt *at = arg;
	struct pod *p = at->p;

	at->failed = true;
	pod_on_start_error(&p->spec.c[at->i], &p->obs.c[at->i], message, pod_now(p->k));
	pod_event_of(p, at->i, "Warning", "Failed", "Error: %s", message);
	pod_wake(p);
}

static void on_ended(void *arg, const struct run_end *end)
{
	struct attempt *at = arg;
	struct pod *p = at->p;
	struct cont_obs *c = &p->obs.c[at->i];
	const struct container_spec *s = &p->spec.c[at->i];
	AUTO(free) char *message = end_message(at, end->exit_code);

	probes_stop(p, at->i);
	handler_cancel(p->cont[at->i].hook);
	p->cont[at->i].hook = NULL;
	if (end->lost && !message)
		message = xstrdup("The container could not be located when it was looked for");
	pod_on_exited(s, c, end->exit_code, end->oom, end->finished_wall, message, pod_now(p->k));
	if (!pod_stopping(&p->spec, &p->obs) && c->retry_at > loop_now(p->k->loop))
		pod_event_of(p, at->i, "Warning", "BackOff",
			     "Back-off restarting failed container %.*s in pod %.*s_%.*s(%s)",
			     STR_ARG(s->name), STR_ARG(p->spec.name), STR_ARG(p->spec.namespace),
			     p->uid);
	pod_wake(p);
}

static void on_gone(void *arg)
{
	struct attempt *at = arg;
	struct pod *p = at->p;

	if (at->failed)
		remove_attempt(p, at->i, (int)at->number);
	if (p->cont[at->i].now == at)
		subpaths_teardown(p->dir, p->spec.c[at->i].name);
	attempt_free(at);
	pod_wake(p);
}

static const struct run_ops run_ops = {on_started, on_failed, on_ended, on_gone};

/* ---- what the machine asks for ---- */

static int start(struct pod *p, struct attempt *at, const char **ret_reason, struct err *err)
{
	const struct json *c = p->spec.c[at->i].json;
	AUTO(free) char *name = xasprintf("%.*s", STR_ARG(p->spec.c[at->i].name));
	struct run_opts o = {.dir = at->dir,
			     .id = at->id,
			     .name = name,
			     .terminal = json_bool(json_at(c, "tty"), false),
			     .stdin_open = json_bool(json_at(c, "stdin"), false),
			     .stdin_once = json_bool(json_at(c, "stdinOnce"), false)};

	if (container_make(p, at, ret_reason, err))
		return -1;
	state_save(p);
	at->run = run_start(&p->k->rt, &o, &run_ops, at, err);
	return at->run ? 0 : -1;
}

void attempt_start(struct pod *p, size_t i)
{
	struct pod_cont *c = &p->cont[i];
	const char *reason = "CreateContainerError";
	struct err err = {0};
	struct sha256 random;
	AUTO(buf) struct buf id = {0};

	random_bytes(&random, sizeof(random));
	hex_encode((struct str){(const char *)random.bytes, sizeof(random.bytes)}, &id);
	struct attempt *at = attempt_new(p, i, c->next++, buf_cstr(&id));
	snprintf(p->obs.c[i].id, sizeof(p->obs.c[i].id), "%s", at->id);
	free(c->image);
	c->image = xstrndup(p->spec.c[i].image.p, p->spec.c[i].image.n);
	if (!start(p, at, &reason, &err))
		return;
	start_failed(at, reason, err.msg);
	runtime_config_drop(&p->k->rt, at->id);
	remove_attempt(p, i, (int)at->number);
	subpaths_teardown(p->dir, p->spec.c[i].name);
	attempt_free(at);
}

void attempt_adopt(struct pod *p, size_t i, unsigned number, const char *id)
{
	struct attempt *at = attempt_new(p, i, number, id);

	at->run = run_adopt(&p->k->rt, at->dir, at->id, &run_ops, at);
	p->obs.c[i].pid = run_pid(at->run);
	p->cont[i].image = xstrndup(p->spec.c[i].image.p, p->spec.c[i].image.n);
	probes_start(p, i);
}

void attempt_clear(struct pod *p, size_t i, unsigned number, const char *id)
{
	struct attempt *at = attempt_new(p, i, number, id);

	at->failed = true;
	at->run = run_clear(&p->k->rt, at->dir, at->id, &run_ops, at);
	p->cont[i].now = NULL;
}

static void tell_killing(struct pod *p, size_t i)
{
	pod_event_of(p, i, "Normal", "Killing", "Stopping container %.*s",
		     STR_ARG(p->spec.c[i].name));
}

/* Signal names that images give: "SIGQUIT", "QUIT", "3". */
static int stop_signal(struct pod *p, size_t i)
{
	static const struct {
		const char *name;
		int number;
	} names[] = {{"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
		     {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"TERM", SIGTERM}, {"KILL", SIGKILL}};
	AUTO(arena) struct arena a = {0};
	struct image img;
	int64_t n;

	if (image_find(&a, p->k->images, p->spec.c[i].image, &img, &(struct err){0}))
		return SIGTERM;
	struct str s = json_str(json_at(img.config, "config", "StopSignal"));
	if (str_starts(s, STR("SIG")))
		s = str_sub(s, 3, s.n);
	for (size_t j = 0; j < ARRAY_LEN(names); j++) {
		if (str_is(s, names[j].name))
			return names[j].number;
	}
	if (str_starts(s, STR("RTMIN+")) && !str_to_i64(str_sub(s, 6, s.n), &n) && n >= 0 && n < 30)
		return SIGRTMIN + (int)n;
	return s.n && !str_to_i64(s, &n) && n > 0 && n < 65 ? (int)n : SIGTERM;
}

void attempt_term(struct pod *p, size_t i)
{
	struct attempt *at = p->cont[i].now;

	/* Of an unhealthy one it was told why. */
	if (!p->spec.c[i].pre_stop && !p->obs.c[i].unhealthy)
		tell_killing(p, i);
	handler_cancel(p->cont[i].hook);
	p->cont[i].hook = NULL;
	if (at && at->run)
		run_signal(at->run, stop_signal(p, i));
}

void attempt_kill(struct pod *p, size_t i)
{
	struct attempt *at = p->cont[i].now;

	handler_cancel(p->cont[i].hook);
	p->cont[i].hook = NULL;
	if (!at || !at->run)
		return;
	if (p->spec.host_pid || p->spec.share_pid)
		run_kill_all(at->run);
	else
		run_signal(at->run, SIGKILL);
}

void attempt_pre_stop(struct pod *p, size_t i)
{
	struct attempt *at = p->cont[i].now;

	if (!p->obs.c[i].unhealthy)
		tell_killing(p, i);
	handler_cancel(p->cont[i].hook);
	p->cont[i].hook = NULL;
	if (at)
		p->cont[i].hook =
			handler_run(p, i, p->spec.c[i].pre_stop, HOOK_TIMEOUT_NS, on_hook, at);
	else
		pod_on_hook_done(&p->obs.c[i]);
}
