/*
 * Decides what to do next for one pod. Must never do anything itself: no I/O, no clock. Called on
 * the kubelet's loop, and by golden tests. Owns the text in struct pod_obs, nothing else.
 */
#include "kubelet/pod_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

#define IMAGE_BACKOFF_S 10
#define BACKOFF_MAX_S 300
#define CRASH_FORGOTTEN_NS (600 * NS_PER_S) /* ran that long: the count of crashes starts anew */
#define START_BACKOFF_S 1
#define EVICT_GRACE_S 1
#define FORCED_GRACE_S 1
#define QUIET_NS (NS_PER_S / 2) /* another image's first moments aren't told of */
#define KILL_AGAIN_NS (2 * NS_PER_S)
#define LATE_GRACE_NS (2 * NS_PER_S) /* between a late SIGTERM and SIGKILL, as kube gives */

void pod_obs_init(struct pod_obs *o, const struct pod_spec *s)
{
	*o = (struct pod_obs){.n = s->n, .c = xalloc(s->n * sizeof(*o->c))};
	for (size_t i = 0; i < o->n; i++)
		o->c[i].stop_grace_s = -1;
}

void pod_obs_grow(struct pod_obs *o, const struct pod_spec *s)
{
	o->c = xreallocarray(o->c, s->n, sizeof(*o->c));
	for (; o->n < s->n; o->n++)
		o->c[o->n] = (struct cont_obs){.stop_grace_s = -1};
}

static void end_clear(struct cont_end *e)
{
	free(e->message);
	*e = (struct cont_end){0};
}

void pod_obs_release(struct pod_obs *o)
{
	for (size_t i = 0; i < o->n; i++) {
		end_clear(&o->c[i].end);
		end_clear(&o->c[i].last);
		free(o->c[i].message);
	}
	free(o->c);
	*o = (struct pod_obs){0};
}

/* ---- small questions ---- */

static int64_t doubled(int64_t base_s, unsigned failures, int64_t max_s)
{
	if (failures > 20)
		return max_s;
	return MIN(base_s << failures, max_s);
}

int64_t crash_backoff_s(unsigned crashes)
{
	return crashes < 2 ? 0 : doubled(IMAGE_BACKOFF_S, crashes - 2, BACKOFF_MAX_S);
}

bool cont_restarts(const struct container_spec *s, int exit_code)
{
	if (s->sidecar)
		return true;
	if (s->init && exit_code == 0)
		return false;
	return s->restart == RESTART_ALWAYS || (s->restart == RESTART_ON_FAILURE && exit_code != 0);
}

bool pod_stopping(const struct pod_spec *s, const struct pod_obs *o)
{
	return s->deleting || o->gone || o->end != POD_END_NONE;
}

static bool alive(const struct cont_obs *c)
{
	return c->state == CONT_STARTING || c->state == CONT_RUNNING;
}

static bool init_done(const struct container_spec *s, const struct cont_obs *c)
{
	if (s->sidecar)
		return c->state == CONT_RUNNING && c->started;
	return c->state == CONT_EXITED && c->end.exit_code == 0;
}

bool pod_initialized(const struct pod_spec *s, const struct pod_obs *o)
{
	for (size_t i = s->ninit; i < s->nmain; i++) {
		/* Once a main container ran, a sidecar that restarts doesn't undo it. */
		if (o->c[i].state != CONT_WAITING || o->c[i].restarts || o->c[i].last.set)
			return true;
	}
	for (size_t i = 0; i < s->ninit; i++) {
		if (!init_done(&s->c[i], &o->c[i]))
			return false;
	}
	return true;
}

/* ---- the plan ---- */

static void put(struct pod_plan *p, enum pod_act act, size_t c)
{
	assert(p->n < ARRAY_LEN(p->v));
	p->v[p->n++] = (struct pod_action){act, c};
}

static void wake(struct pod_plan *p, int64_t at)
{
	if (!p->wake_at || at < p->wake_at)
		p->wake_at = at;
}

/* Asks for a part's action when it is due; true when the part is ready. */
static bool step_part(const struct part *part, const struct pod_action *a, struct pod_clock now,
		      struct pod_plan *p)
{
	if (part->state == PART_READY)
		return true;
	if (part->state == PART_FAILED && now.mono < part->retry_at)
		wake(p, part->retry_at);
	else if (part->state != PART_BUSY)
		put(p, a->act, a->c);
	return false;
}

static int64_t grace_ns(const struct pod_spec *s, const struct cont_obs *c)
{
	int64_t grace_s = s->grace_s;

	/* A pod on its way out has its own say, unless the container was given less. */
	if (c->stop_grace_s >= 0 && (!s->deleting || c->stop_grace_s < grace_s))
		grace_s = c->stop_grace_s;
	return MIN(grace_s, INT64_C(1) << 31) * NS_PER_S;
}

static void step_stop_container(const struct pod_spec *s, const struct pod_obs *o, size_t i,
				struct pod_clock now, struct pod_plan *p)
{
	const struct cont_obs *c = &o->c[i];
	int64_t deadline = c->stop_since + grace_ns(s, c);

	if (c->state != CONT_RUNNING)
		return; /* STARTING: its end is near, one way or the other */
	bool hook = c->stop == STOP_NONE && s->c[i].pre_stop && grace_ns(s, c) > 0;
	bool term = !hook && (c->stop == STOP_NONE ||
			      (c->stop == STOP_HOOK && (c->hook_done || now.mono >= deadline)));
	if (term && grace_ns(s, c) && now.mono < o->leaves_at) {
		wake(p, o->leaves_at);
		return;
	}
	if (hook || term) {
		bool asked = c->stop == STOP_HOOK || grace_ns(s, c);
		put(p, hook ? ACT_PRE_STOP : asked ? ACT_TERM : ACT_KILL, i);
		return;
	}
	if (c->stop == STOP_TERM)
		deadline = MAX(deadline, c->kill_at);
	if (c->stop == STOP_KILL)
		deadline = c->kill_at + KILL_AGAIN_NS;
	if (c->stop != STOP_HOOK && now.mono >= deadline) {
		put(p, ACT_KILL, i);
		return;
	}
	wake(p, deadline);
}

/* Its hook runs at once, as kube's; then it serves the others to their end, or that of the time. */
static void step_stop_sidecar(const struct pod_spec *s, const struct pod_obs *o, size_t i,
			      struct pod_clock now, struct pod_plan *p)
{
	const struct cont_obs *c = &o->c[i];
	int64_t deadline = o->stop_since + grace_ns(s, c);
	bool hook = c->stop == STOP_NONE && s->c[i].pre_stop;
	bool turn = now.mono >= deadline || c->stop == STOP_TERM || c->stop == STOP_KILL;

	for (size_t j = i + 1; j < s->nmain && !turn; j++) {
		if (alive(&o->c[j]) && (j >= s->ninit || s->c[j].sidecar)) {
			if (hook && c->state == CONT_RUNNING)
				put(p, ACT_PRE_STOP, i);
			wake(p, deadline);
			return;
		}
	}
	step_stop_container(s, o, i, now, p);
}

static void step_end(const struct pod_spec *s, const struct pod_obs *o, struct pod_clock now,
		     struct pod_plan *p)
{
	bool any_alive = false;

	for (size_t i = 0; i < o->n; i++) {
		any_alive |= alive(&o->c[i]);
		if (alive(&o->c[i]) && s->c[i].sidecar)
			step_stop_sidecar(s, o, i, now, p);
		else if (alive(&o->c[i]))
			step_stop_container(s, o, i, now, p);
	}
	if (any_alive || o->removed)
		return;
	if (!o->torn_down)
		put(p, ACT_TEARDOWN, 0);
	else if (o->gone)
		put(p, ACT_REMOVE, 0);
	else if (s->deleting)
		(void)step_part(&o->confirm, &(struct pod_action){ACT_CONFIRM, 0}, now, p);
}

static void step_container(const struct pod_spec *s, const struct pod_obs *o, size_t i,
			   struct pod_clock now, struct pod_plan *p)
{
	const struct cont_obs *c = &o->c[i];

	if (c->state == CONT_STARTING)
		return;
	if (c->state == CONT_RUNNING) {
		if (c->unhealthy)
			step_stop_container(s, o, i, now, p);
		if (c->quiet_until > now.mono)
			wake(p, c->quiet_until);
		return;
	}
	if (c->state == CONT_EXITED && !cont_restarts(&s->c[i], c->end.exit_code))
		return;
	if (now.mono < c->retry_at) {
		wake(p, c->retry_at);
		return;
	}
	if (step_part(&c->image, &(struct pod_action){ACT_IMAGE, i}, now, p))
		put(p, ACT_START, i);
}

static void step_run(const struct pod_spec *s, const struct pod_obs *o, struct pod_clock now,
		     struct pod_plan *p)
{
	bool initialized = pod_initialized(s, o);

	if (!step_part(&o->sandbox, &(struct pod_action){ACT_SANDBOX, 0}, now, p) ||
	    !step_part(&o->volumes, &(struct pod_action){ACT_VOLUMES, 0}, now, p))
		return;
	/* They may be there to find out why the others don't start. */
	for (size_t i = s->nmain; i < s->n; i++)
		step_container(s, o, i, now, p);
	for (size_t i = 0; i < s->ninit; i++) {
		if (initialized && !s->c[i].sidecar)
			continue;
		if (init_done(&s->c[i], &o->c[i])) {
			if (s->c[i].sidecar)
				step_container(s, o, i, now, p);
			continue;
		}
		step_container(s, o, i, now, p);
		if (!initialized)
			return;
	}
	for (size_t i = s->ninit; i < s->nmain; i++)
		step_container(s, o, i, now, p);
}

void pod_step(const struct pod_spec *s, const struct pod_obs *o, struct pod_clock now,
	      struct pod_plan *ret)
{
	ret->n = 0;
	ret->wake_at = 0;
	assert(s->n == o->n);
	if (pod_stopping(s, o)) {
		step_end(s, o, now, ret);
		return;
	}
	if (s->deadline_s && o->start_mono)
		wake(ret, o->start_mono + s->deadline_s * NS_PER_S);
	step_run(s, o, now, ret);
}

/* ---- marks: an action was begun ---- */

static void mark_start(struct cont_obs *c)
{
	if (c->state == CONT_EXITED) {
		end_clear(&c->last);
		c->last = c->end;
		c->end = (struct cont_end){0};
		c->restarts++;
	}
	c->state = CONT_STARTING;
	c->stop = STOP_NONE;
	c->hook_done = c->hook_busy = c->unhealthy = c->post_start_busy = false;
	c->started = c->ready = false;
	c->stop_grace_s = -1;
	c->pid = 0;
}

static void mark_stop(const struct pod_spec *s, const struct pod_obs *o, struct cont_obs *c,
		      enum pod_act act, struct pod_clock now)
{
	if (c->stop == STOP_NONE)
		c->stop_since = o->stop_since ? o->stop_since : now.mono;
	if (act == ACT_PRE_STOP) {
		c->stop = STOP_HOOK;
		c->hook_busy = true;
	} else if (act == ACT_TERM) {
		c->stop = STOP_TERM;
		c->kill_at = now.mono + MIN(LATE_GRACE_NS, grace_ns(s, c));
	} else {
		c->stop = STOP_KILL;
		c->kill_at = now.mono;
	}
}

void pod_mark(const struct pod_spec *s, struct pod_obs *o, const struct pod_action *a,
	      struct pod_clock now)
{
	struct cont_obs *c = a->c < o->n ? &o->c[a->c] : NULL;

	switch (a->act) {
	case ACT_SANDBOX:
		o->sandbox.state = PART_BUSY;
		break;
	case ACT_VOLUMES:
		o->volumes.state = PART_BUSY;
		break;
	case ACT_IMAGE:
		c->image.state = PART_BUSY;
		break;
	case ACT_START:
		mark_start(c);
		break;
	case ACT_PRE_STOP:
	case ACT_TERM:
	case ACT_KILL:
		mark_stop(s, o, c, a->act, now);
		break;
	case ACT_CONFIRM:
		o->confirm.state = PART_BUSY;
		break;
	case ACT_REMOVE:
		o->removed = true;
		break;
	case ACT_TEARDOWN:
	case ACT_MAX:
		break;
	}
}

/* ---- what came of it ---- */

static void part_result(struct part *p, bool ok, int64_t backoff_s, struct pod_clock now)
{
	if (ok) {
		*p = (struct part){.state = PART_READY};
		return;
	}
	p->state = PART_FAILED;
	p->failures++;
	p->retry_at = now.mono + backoff_s * NS_PER_S;
}

void pod_on_sandbox(struct pod_obs *o, bool ok, const char *ip, struct pod_clock now)
{
	part_result(&o->sandbox, ok, doubled(1, o->sandbox.failures, 60), now);
	if (ok)
		snprintf(o->ip, sizeof(o->ip), "%s", ip);
}

void pod_on_volumes(struct pod_obs *o, bool ok, struct pod_clock now)
{
	part_result(&o->volumes, ok, doubled(1, o->volumes.failures, 120), now);
}

static void why(struct cont_obs *c, const char *reason, const char *message)
{
	free(c->message);
	c->message = message ? xstrdup(message) : NULL;
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

void pod_on_image(struct cont_obs *c, bool ok, const char *reason, const char *message,
		  struct pod_clock now)
{
	part_result(&c->image, ok, doubled(IMAGE_BACKOFF_S, c->image.failures, BACKOFF_MAX_S), now);
	c->swap &= ok;
	why(c, ok ? "" : reason, ok ? NULL : message);
}

void pod_on_started(const struct container_spec *s, struct cont_obs *c, pid_t pid,
		    struct pod_clock now)
{
	c->state = CONT_RUNNING;
	c->pid = pid;
	c->started_wall = now.wall;
	c->started_mono = now.mono;
	c->start_failures = 0;
	c->retry_at = 0;
	c->quiet_until = c->swap ? now.mono + QUIET_NS : 0;
	c->swap = false;
	c->started = s->probe[PROBE_STARTUP].action == PROBE_NONE;
	c->ready = c->started && s->probe[PROBE_READINESS].action == PROBE_NONE;
	c->post_start_busy = s->post_start != NULL;
	if (c->post_start_busy)
		c->started = c->ready = false;
	why(c, "", NULL);
}

void pod_on_start_failed(struct cont_obs *c, const char *reason, const char *message,
			 struct pod_clock now)
{
	/* It didn't run, so it isn't a restart: what was known of the last run comes back. */
	if (c->last.set) {
		c->end = c->last;
		c->last = (struct cont_end){0};
		c->state = CONT_EXITED;
		c->restarts--;
	} else {
		c->state = CONT_WAITING;
	}
	c->retry_at =
		now.mono + doubled(START_BACKOFF_S, c->start_failures++, BACKOFF_MAX_S) * NS_PER_S;
	c->image = (struct part){0};
	c->swap = false;
	why(c, reason, message);
}

void pod_on_start_error(const struct container_spec *s, struct cont_obs *c, const char *message,
			struct pod_clock now)
{
	c->started_wall = c->started_mono = 0;
	pod_on_exited(s, c, 128, false, now.wall, message, now);
	snprintf(c->end.reason, sizeof(c->end.reason), "StartError");
	if (c->retry_at <= now.mono)
		why(c, "RunContainerError", message);
}

void pod_on_exited(const struct container_spec *s, struct cont_obs *c, int exit_code, bool oom,
		   int64_t finished_wall, const char *message, struct pod_clock now)
{
	struct cont_end *e = &c->end;

	end_clear(e);
	*e = (struct cont_end){.set = true, .exit_code = exit_code};
	snprintf(e->reason, sizeof(e->reason), "%s",
		 oom         ? "OOMKilled"
		 : exit_code ? "Error"
			     : "Completed");
	e->message = message && *message ? xstrdup(message) : NULL;
	e->started_wall = c->started_wall;
	e->finished_wall = MAX(finished_wall, c->started_wall);
	snprintf(e->id, sizeof(e->id), "%s", c->id);
	if (c->started_mono && now.mono - c->started_mono > CRASH_FORGOTTEN_NS)
		c->crashes = 0;
	c->crashes++;
	c->retry_at =
		cont_restarts(s, exit_code) ? now.mono + crash_backoff_s(c->crashes) * NS_PER_S : 0;
	c->state = CONT_EXITED;
	c->image = (struct part){0};
	c->pid = 0;
	c->stop = STOP_NONE;
	c->was_ready = c->swap && c->ready;
	c->ready = c->started = c->unhealthy = c->post_start_busy = false;
	why(c, "", NULL);
}

void pod_on_hook_done(struct cont_obs *c)
{
	c->hook_done = true;
	c->hook_busy = false;
}

void pod_on_unhealthy(struct cont_obs *c, int64_t grace_s)
{
	if (c->state != CONT_RUNNING)
		return;
	c->unhealthy = true;
	c->ready = false;
	c->stop_grace_s = grace_s;
}

void pod_on_swap(struct cont_obs *c)
{
	c->unhealthy = c->swap = true; /* but as ready as it was, until it has ended */
	c->stop_grace_s = -1;
}

void pod_on_gone(const struct pod_spec *s, struct pod_obs *o)
{
	o->gone = true;
	for (size_t i = 0; i < o->n && !s->deleting; i++)
		o->c[i].stop_grace_s = FORCED_GRACE_S;
}

void pod_on_evicted(struct pod_obs *o, bool pressure, const char *message)
{
	pod_on_end(o, POD_END_FAILED, "Evicted", message);
	o->by_pressure = pressure;
	for (size_t i = 0; i < o->n; i++)
		o->c[i].stop_grace_s = EVICT_GRACE_S;
}

void pod_on_torn_down(struct pod_obs *o)
{
	o->torn_down = true;
	o->sandbox = (struct part){0};
	o->volumes = (struct part){0};
}

void pod_on_confirmed(struct pod_obs *o, bool ok, struct pod_clock now)
{
	if (ok)
		o->confirm.state = PART_READY;
	else
		part_result(&o->confirm, false, doubled(1, o->confirm.failures, 30), now);
}

void pod_retry_now(struct pod_obs *o)
{
	struct part *parts[] = {&o->sandbox, &o->volumes};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (parts[i]->state == PART_FAILED)
			parts[i]->retry_at = 0;
	}
	for (size_t i = 0; i < o->n; i++) {
		struct cont_obs *c = &o->c[i];
		if (c->image.state == PART_FAILED)
			c->image.retry_at = 0;
		if (c->state == CONT_WAITING)
			c->retry_at = 0;
	}
}

/* ---- ends that come by themselves ---- */

void pod_on_end(struct pod_obs *o, enum pod_end end, const char *reason, const char *message)
{
	o->end = end;
	snprintf(o->end_reason, sizeof(o->end_reason), "%s", reason);
	snprintf(o->end_message, sizeof(o->end_message), "%s", message);
}

static void settle(const struct pod_spec *s, struct pod_obs *o, struct pod_clock now)
{
	bool failed = false, done = s->nmain > s->ninit;

	if (o->end != POD_END_NONE)
		return;
	if (s->deadline_s && o->start_mono &&
	    now.mono - o->start_mono >= s->deadline_s * NS_PER_S && !s->deleting) {
		pod_on_end(o, POD_END_FAILED, "DeadlineExceeded",
			   "Pod was active on the node longer than the specified deadline");
		return;
	}
	for (size_t i = 0; i < s->nmain; i++) {
		const struct cont_obs *c = &o->c[i];
		bool over = c->state == CONT_EXITED && !cont_restarts(&s->c[i], c->end.exit_code);
		if (i < s->ninit) {
			if (!s->c[i].sidecar && over && c->end.exit_code) {
				pod_on_end(o, POD_END_FAILED, "", "");
				return;
			}
			continue;
		}
		done &= over;
		failed |= over && c->end.exit_code;
	}
	if (done)
		pod_on_end(o, failed ? POD_END_FAILED : POD_END_SUCCEEDED, "", "");
}

void pod_settle(const struct pod_spec *s, struct pod_obs *o, struct pod_clock now)
{
	settle(s, o, now);
	if (!o->stop_since && pod_stopping(s, o))
		o->stop_since = now.mono;
}
