/*
 * The shell around the rule set: two informers mark Services dirty, guard.c follows
 * policies, hostports.c this node's pods, a short timer gathers what belongs together, and one
 * transaction brings it into the kernel. At the start, and after a transaction that the kernel
 * refused or a table that somebody deleted, the table is written whole, in one transaction too, so
 * there is no instant without rules. Must never decide what a rule says: that is the pure core's.
 * On the client's loop; owns informers and rule set.
 */
#include "proxy/proxy.h"

#include <stdlib.h>
#include <time.h>

#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"
#include "proxy/guard.h"
#include "proxy/health.h"
#include "proxy/hostports.h"
#include "proxy/udp.h"

#define INDEX_SERVICE "service"
#define BRIDGE "plumb0" /* the pods' */
#define LABEL_ZONE "topology.kubernetes.io/zone"

enum {
	GATHER_NS = 1000 * 1000, /* events of one change arrive together */
	RETRY_NS = 1000 * 1000 * 1000,
};
static const int64_t probe_ns = 30 * NS_PER_S;

struct proxy {
	struct proxy_opts o;
	struct client *client;
	struct informer *services, *slices, *self; /* self: our Node */
	struct ruleset *rules;
	struct guard *guard;
	struct hostports *hostports;
	struct health *health;
	struct udp_before *udp_before;
	struct map dirty; /* key of a Service → non-NULL */
	struct loop_timer sync, probe;
	bool full;    /* the next transaction writes everything */
	bool synced;  /* once */
	bool failing; /* the kernel refused the last transaction */
	struct metric_value *duration, *partial, *whole, *failures;
};

static void sync_now(struct loop *l, struct loop_timer *t);

static int64_t stopwatch(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void schedule(struct proxy *p, int64_t after_ns)
{
	if (!loop_timer_armed(&p->sync))
		loop_timer_set(p->client->loop, &p->sync, after_ns, sync_now);
}

static void mark(struct proxy *p, struct str namespace, struct str name)
{
	AUTO(arena) struct arena a = {0};

	map_set(&p->dirty, obj_key(&a, namespace, name), p);
	schedule(p, GATHER_NS);
}

static void on_service(void *arg, const struct obj *old, const struct obj *new)
{
	const struct obj *o = new ? new : old;

	mark(arg, o->namespace, o->name);
}

static void mark_slice(struct proxy *p, const struct obj *o)
{
	struct str service = o ? obj_label(o, STR("kubernetes.io/service-name")) : STR_NONE;

	if (service.n)
		mark(p, o->namespace, service);
}

static void on_slice(void *arg, const struct obj *old, const struct obj *new)
{
	mark_slice(arg, old);
	mark_slice(arg, new);
}

/* Whom a Service sends us to may depend on where we are. */
static void on_self(void *arg, const struct obj *old, const struct obj *new)
{
	struct str was = old ? obj_label(old, STR(LABEL_ZONE)) : STR_NONE,
		   is = new ? obj_label(new, STR(LABEL_ZONE)) : STR_NONE;
	AUTO(arena) struct arena a = {0};
	struct proxy *p = arg;
	struct obj_set all;

	if (str_eq(was, is))
		return;
	all = informer_list(p->services, &a);
	for (size_t i = 0; i < all.n; i++)
		mark(p, all.v[i]->namespace, all.v[i]->name);
}

static void on_others(void *arg)
{
	schedule(arg, GATHER_NS);
}

static void on_progress(void *arg)
{
	struct proxy *p = arg;

	/* A cluster without Services is complete too. */
	if (!p->synced)
		schedule(p, GATHER_NS);
}

static void index_service(const struct obj *o, struct arena *a,
			  void (*put)(void *ctx, struct str value), void *ctx)
{
	struct str service = obj_label(o, STR("kubernetes.io/service-name"));

	if (service.n)
		put(ctx, obj_key(a, o->namespace, service));
}

static struct str zone(const struct proxy *p)
{
	const struct obj *node = informer_get(p->self, STR_NONE, str_c(p->o.node));

	return node ? obj_label(node, STR(LABEL_ZONE)) : STR_NONE;
}

/* What a Service wants now; its UDP addresses go to `fronts`. */
static void refresh(struct proxy *p, struct str key, struct arena *a, struct udp_fronts *fronts)
{
	struct service *s = NULL;
	struct str namespace, name;
	const struct obj *o;
	const struct json **slices;
	struct obj_set set;

	obj_key_split(key, &namespace, &name);
	o = informer_get(p->services, namespace, name);
	set = informer_by_index(p->slices, INDEX_SERVICE, key, a);
	slices = arena_array(a, set.n + 1, sizeof(const struct json *));
	for (size_t i = 0; i < set.n; i++)
		slices[i] = obj_tree(set.v[i], a);
	if (o)
		s = service_read(a, obj_tree(o, a), slices, set.n,
				 &(struct place){str_c(p->o.node), zone(p)});
	if (s)
		udp_add(a, fronts, s);
	udp_left(p->udp_before, a, fronts, key, s);
	ruleset_put(p->rules, key, s);
	health_set(p->health, key, s ? s->health_port : 0, s ? service_local(s) : 0);
}

static void forget_stale(struct proxy *p, struct udp_fronts *fronts)
{
	struct err err = {0};

	/* Best effort: without connection tracking over netlink such flows end by their timeout. */
	if ((fronts->n || fronts->ndead) && p->o.forget(udp_gone, fronts, &err) < 0)
		log_debug("stale flows stay", "error", err.msg);
}

static int run(struct proxy *p, struct buf *text, struct err *err)
{
	return text->n ? p->o.run(buf_view(text), err) : 0;
}

/* 0 when the kernel has what is wanted. */
static int apply(struct proxy *p, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	if (!p->full) {
		ruleset_diff(p->rules, &text);
		if (!run(p, &text, err)) {
			metric_add(p->partial, 1);
			ruleset_commit(p->rules);
			return 0;
		}
		log_warn("writing the table anew", "because", err->msg);
		metric_add(p->failures, 1);
		p->full = true;
		buf_reset(&text);
	}
	ruleset_full(p->rules, &text);
	if (run(p, &text, err))
		return -1;
	metric_add(p->whole, 1);
	ruleset_commit(p->rules);
	p->full = false;
	return 0;
}

/*
 * How long connection tracking keeps what it translates, in the namespace we run in: as kube-proxy
 * sets it. A half closed connection outlives the kernel's minute, and an idle one doesn't take
 * five days to be forgotten. A kernel that has no such names (yet) keeps its own times.
 */
static void tracking_times(void)
{
	(void)!net_sysctl("net/netfilter/nf_conntrack_tcp_timeout_close_wait", "3600", NULL);
	(void)!net_sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", "86400", NULL);
}

static void first_sync(struct proxy *p)
{
	p->synced = true;
	tracking_times();
	log_info("table written", "services", log_i64((int64_t)informer_count(p->services)),
		 "objects", log_i64((int64_t)ruleset_count(p->rules)));
	if (p->o.synced)
		p->o.synced(p->o.arg);
}

static bool all_known(const struct proxy *p)
{
	return informer_synced(p->services) && informer_synced(p->slices) &&
	       informer_synced(p->self) && guard_synced(p->guard) && hostports_synced(p->hostports);
}

static void sync_now(struct loop *l, struct loop_timer *t)
{
	struct proxy *p = CONTAINER_OF(t, struct proxy, sync);
	AUTO(arena) struct arena a = {0};
	struct udp_fronts fronts = {0};
	struct map_iter it = {0};
	struct err err = {0};
	int64_t begin = stopwatch();

	(void)l;
	/* Half a picture would take away what works. */
	if (!all_known(p))
		return;
	while (map_next(&p->dirty, &it)) {
		refresh(p, it.key, &a, &fronts);
		map_del(&p->dirty, it.key);
	}
	guard_render(p->guard);
	p->failing = apply(p, &err) != 0;
	if (p->failing) {
		log_error("the kernel refuses the table", "err", err.msg);
		metric_add(p->failures, 1);
		schedule(p, RETRY_NS);
		return;
	}
	hostports_left(p->hostports, &a, &fronts);
	forget_stale(p, &fronts);
	/* Host ports are reached by 127.0.0.1, too, now that the table guards what listens there.
	 */
	if (hostports_any(p->hostports))
		(void)!net_sysctl("net/ipv4/conf/" BRIDGE "/route_localnet", "1", NULL);
	metric_observe(p->duration, (double)(stopwatch() - begin) / (double)NS_PER_S);
	if (!p->synced)
		first_sync(p);
}

/* Somebody's `nft flush ruleset` takes the table along: that is noticed here. */
static void on_probe(struct loop *l, struct loop_timer *t)
{
	struct proxy *p = CONTAINER_OF(t, struct proxy, probe);
	struct err err = {0};

	if (p->synced && p->o.run(STR("list chain ip " RULESET_TABLE " mark-masq"), &err)) {
		log_warn("the table is gone, writing it anew");
		p->full = true;
		schedule(p, GATHER_NS);
	}
	loop_timer_set(l, &p->probe, probe_ns, on_probe);
}

static void metrics_make(struct proxy *p)
{
	static const double buckets[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064,
					 0.128, 0.256, 0.512, 1.024, 2.048, 0};
	struct metric *n = metric_new(METRIC_COUNTER, "plumb_proxy_transactions_total",
				      "nftables transactions by kind", "kind", NULL);
	struct metric *d =
		metric_new(METRIC_HISTOGRAM, "kubeproxy_sync_proxy_rules_duration_seconds",
			   "time to bring a change into the kernel", NULL, buckets);

	p->duration = metric_with(d, (char *)NULL);
	p->partial = metric_with(n, "partial", (char *)NULL);
	p->whole = metric_with(n, "full", (char *)NULL);
	p->failures = metric_with(n, "failed", (char *)NULL);
}

static void hostports_begin(struct proxy *p)
{
	struct hostports_opts o = {.client = p->client,
				   .rules = p->rules,
				   .node = p->o.node,
				   .changed = on_others,
				   .arg = p};

	p->hostports = hostports_start(&o);
}

static void guard_begin(struct proxy *p)
{
	struct guard_opts o = {.client = p->client,
			       .rules = p->rules,
			       .node = p->o.node,
			       .changed = on_others,
			       .arg = p};

	p->guard = guard_start(&o);
}

struct proxy *proxy_start(struct client *c, const struct proxy_opts *o)
{
	struct informer_opts services = {.resource = &res_services};
	struct informer_opts slices = {.resource = &res_endpointslices};
	struct informer_opts self = {.resource = &res_nodes, .metadata_only = true};
	AUTO(arena) struct arena a = {0};
	struct proxy *p = xalloc(sizeof(*p));

	p->o = *o;
	if (!p->o.run)
		p->o.run = nft_run;
	if (!p->o.forget)
		p->o.forget = net_flows_forget;
	p->client = c;
	p->full = true;
	p->rules = ruleset_new(&o->rules);
	p->health = health_new(c->loop);
	p->udp_before = udp_before_new();
	metrics_make(p);
	self.field_selector = arena_printf(&a, "metadata.name=%s", o->node);
	p->services = informer_new(c, &services);
	p->self = informer_new(c, &self);
	p->slices = informer_new(c, &slices);
	informer_add_index(p->slices, INDEX_SERVICE, index_service);
	informer_on_change(p->services, on_service, p);
	informer_on_change(p->self, on_self, p);
	informer_on_change(p->slices, on_slice, p);
	informer_on_progress(p->services, on_progress, p);
	informer_on_progress(p->slices, on_progress, p);
	informer_on_progress(p->self, on_progress, p);
	informer_start(p->services);
	informer_start(p->slices);
	informer_start(p->self);
	guard_begin(p);
	hostports_begin(p);
	loop_timer_set(c->loop, &p->probe, probe_ns, on_probe);
	return p;
}

void proxy_stop(struct proxy *p)
{
	if (!p)
		return;
	loop_timer_cancel(p->client->loop, &p->sync);
	loop_timer_cancel(p->client->loop, &p->probe);
	informer_free(p->services);
	informer_free(p->slices);
	informer_free(p->self);
	guard_stop(p->guard);
	hostports_stop(p->hostports);
	health_free(p->health);
	udp_before_free(p->udp_before);
	ruleset_free(p->rules);
	map_release(&p->dirty);
	free(p);
}

bool proxy_synced(const struct proxy *p)
{
	return p && p->synced;
}

bool proxy_healthy(const struct proxy *p)
{
	return proxy_synced(p) && !p->failing;
}
