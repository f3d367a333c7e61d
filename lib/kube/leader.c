/*
 * Leader election over a Lease. Every retry period: read the Lease; take it when it is free, ours,
 * or has not changed for a whole lease duration by our own monotonic clock. The holder must renew
 * within renew_ns or is told that it lost. One loop.
 * Specification: k8s.io/client-go/tools/leaderelection.
 */
#include "lib/kube/leader.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

struct leader {
	struct client *client;
	struct leader_opts o;
	char *namespace, *name, *identity;
	struct client_call *call;
	struct loop_timer timer;
	uint64_t observed;   /* revision of the Lease as last seen … */
	int64_t observed_ns; /* … and when it first had it, monotonic */
	int64_t renewed_ns;  /* our last success, monotonic */
	bool leading, releasing;
	void (*released)(void *arg);
	void *released_arg;
};

static void attempt(struct loop *loop, struct loop_timer *t);

static struct loop *loop_of(const struct leader *l)
{
	return l->client->loop;
}

static void later(struct leader *l)
{
	loop_timer_set(loop_of(l), &l->timer, l->o.retry_ns, attempt);
}

/* A third of the lease: what fails then is tried again, more quickly, before it is too late. */
static void hold(struct leader *l)
{
	loop_timer_set(loop_of(l), &l->timer, l->o.lease_ns / 3, attempt);
}

static void lose(struct leader *l)
{
	if (!l->leading)
		return;
	l->leading = false;
	l->o.lost(l->o.arg);
}

static void failed(struct leader *l, const struct err *err)
{
	log_debug("lease not taken", "lease", l->name, "error", err->msg);
	if (l->leading && loop_now(loop_of(l)) - l->renewed_ns > l->o.renew_ns)
		lose(l);
	else
		later(l);
}

static void on_written(void *arg, const struct api_answer *a)
{
	struct leader *l = arg;
	bool first = !l->leading;

	l->call = NULL;
	if (a->err.code != ERR_NONE) {
		failed(l, &a->err);
		return;
	}
	l->renewed_ns = loop_now(loop_of(l));
	l->leading = true;
	hold(l);
	if (first)
		l->o.started(l->o.arg);
}

/* The Lease as we want it; `old` gives what stays. holder "" gives it back. */
static struct json *lease_object(struct leader *l, struct arena *a, const struct json *old,
				 const char *holder)
{
	struct json *lease = old ? json_copy(a, old) : json_new(a, JSON_OBJECT);
	struct json *spec = json_set_object(a, lease, "spec");
	bool ours = str_is(json_str(json_get(spec, STR("holderIdentity"))), l->identity);
	int64_t transitions = json_int(json_get(spec, STR("leaseTransitions")), 0);
	char now[TIME_TEXT_MAX];
	struct str text = time_format_micro(loop_wall(loop_of(l)), now);

	if (!old) {
		json_set(a, lease, STR("metadata"),
			 json_build(a, "{s:s, s:s}", "name", l->name, "namespace", l->namespace));
		json_set_str(a, lease, "apiVersion", STR("coordination.k8s.io/v1"));
		json_set_str(a, lease, "kind", STR("Lease"));
	}
	if (!ours) {
		json_set_str(a, spec, "acquireTime", text);
		json_set_int(a, spec, "leaseTransitions", old ? transitions + 1 : 0);
	}
	json_set_str(a, spec, "holderIdentity", str_c(holder));
	json_set_str(a, spec, "renewTime", text);
	json_set_int(a, spec, "leaseDurationSeconds",
		     holder[0] ? (l->o.lease_ns + NS_PER_S - 1) / NS_PER_S : 1);
	return lease;
}

static void write_lease(struct leader *l, struct arena *a, const struct json *old,
			const char *holder, api_done *done)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = old ? API_UPDATE : API_CREATE,
				.resource = &res_leases,
				.urgent = true,
				.namespace = str_c(l->namespace),
				.timeout_ns = l->o.retry_ns * 2};

	json_write(lease_object(l, a, old, holder), &body);
	call.body = buf_view(&body);
	call.name = old ? str_c(l->name) : STR_NONE;
	l->call = client_call(l->client, &call, done, l);
}

/* Free, ours, or untouched for a lease duration since we first saw it so. */
static bool takeable(struct leader *l, const struct json *lease)
{
	struct str holder = json_str(json_at(lease, "spec", "holderIdentity"));
	int64_t now = loop_now(loop_of(l));
	uint64_t revision = 0;

	if (str_to_u64(json_str(json_at(lease, "metadata", "resourceVersion")), &revision))
		return false;
	if (revision != l->observed) {
		l->observed = revision;
		l->observed_ns = now;
	}
	return !holder.n || str_is(holder, l->identity) || now - l->observed_ns > l->o.lease_ns;
}

static void on_read(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct leader *l = arg;
	struct err err = answer->err;
	const struct json *lease;

	l->call = NULL;
	if (err.code == ERR_NOT_FOUND) {
		write_lease(l, &a, NULL, l->identity, on_written);
		return;
	}
	lease = err.code == ERR_NONE ? json_parse(&a, answer->body, NULL, &err) : NULL;
	if (!lease) {
		failed(l, &err);
	} else if (takeable(l, lease)) {
		write_lease(l, &a, lease, l->identity, on_written);
	} else {
		lose(l);
		later(l);
	}
}

static void read_lease(struct leader *l, api_done *done)
{
	struct api_call call = {.verb = API_GET,
				.resource = &res_leases,
				.urgent = true,
				.namespace = str_c(l->namespace),
				.name = str_c(l->name),
				.timeout_ns = l->o.retry_ns * 2};

	l->call = client_call(l->client, &call, done, l);
}

static void attempt(struct loop *loop, struct loop_timer *t)
{
	struct leader *l = CONTAINER_OF(t, struct leader, timer);

	(void)loop;
	read_lease(l, on_read);
}

struct leader *leader_new(struct client *c, const struct leader_opts *o)
{
	struct leader *l = xalloc(sizeof(*l));

	l->client = c;
	l->o = *o;
	l->namespace = xstrdup(o->namespace);
	l->name = xstrdup(o->name);
	l->identity = xstrdup(o->identity);
	l->o.lease_ns = o->lease_ns ? o->lease_ns : 60 * NS_PER_S;
	l->o.renew_ns = o->renew_ns ? o->renew_ns : 40 * NS_PER_S;
	l->o.retry_ns = o->retry_ns ? o->retry_ns : 2 * NS_PER_S;
	loop_timer_set(c->loop, &l->timer, 0, attempt);
	return l;
}

/* ---- giving it back ---- */

static void on_released(void *arg, const struct api_answer *a)
{
	struct leader *l = arg;

	(void)a;
	l->call = NULL;
	l->leading = false;
	l->released(l->released_arg);
}

static void on_read_for_release(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct leader *l = arg;
	struct err err = answer->err;
	const struct json *lease;

	l->call = NULL;
	lease = err.code == ERR_NONE ? json_parse(&a, answer->body, NULL, &err) : NULL;
	if (lease && str_is(json_str(json_at(lease, "spec", "holderIdentity")), l->identity))
		write_lease(l, &a, lease, "", on_released);
	else
		on_released(l, answer);
}

void leader_release(struct leader *l, void (*done)(void *arg), void *arg)
{
	l->released = done;
	l->released_arg = arg;
	client_call_cancel(l->client, l->call);
	loop_timer_cancel(loop_of(l), &l->timer);
	if (l->releasing)
		return;
	l->releasing = true;
	if (l->leading)
		read_lease(l, on_read_for_release);
	else
		done(arg);
}

void leader_free(struct leader *l)
{
	if (!l)
		return;
	client_call_cancel(l->client, l->call);
	loop_timer_cancel(loop_of(l), &l->timer);
	free(l->namespace);
	free(l->name);
	free(l->identity);
	free(l);
}
