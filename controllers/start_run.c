/*
 * Starts all controllers of the registry on one manager, and beside it what isn't a plain
 * controller: garbage collection and namespace deletion. One loop.
 */
#include "controllers/controller.h"
#include "controllers/gc.h"
#include "controllers/hpa.h"
#include "controllers/main.h"
#include "controllers/namespace_deletion.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/zoneinfo.h"

enum { NODE_BITS = 24 };
#define LOOK_AGAIN (10 * NS_PER_MS)

struct controllers {
	struct client *client;
	struct controllers_opts opts;
	struct controllers_config config;
	char *root_ca;
	struct buf ca_key;
	struct manager *manager;
	struct restmap *map;
	struct gc *gc;
	struct hpa *hpa;
	struct namespace_deletion *namespaces;
	struct loop_timer synced;
};

/* "10.244.0.0/16" */
static int parse_cidr(const char *text, struct controllers_config *ret, struct err *err)
{
	struct str address, bits, part;
	int64_t prefix, octet;
	uint32_t ip = 0;
	size_t n = 0;

	if (!str_cut(str_c(text), '/', &address, &bits) || str_to_i64(bits, &prefix) != 0 ||
	    prefix < 8 || prefix > NODE_BITS)
		return err_set(err, ERR_INVALID,
			       "cluster CIDR %s: must be an IPv4 network of at most /%d", text,
			       NODE_BITS);
	for (; str_next(&address, '.', &part); n++) {
		if (n == 4 || str_to_i64(part, &octet) != 0 || octet < 0 || octet > 255)
			return err_set(err, ERR_INVALID, "cluster CIDR %s: bad address", text);
		ip = ip << 8 | (uint32_t)octet;
	}
	if (n != 4)
		return err_set(err, ERR_INVALID, "cluster CIDR %s: bad address", text);
	ret->cluster_bits = (unsigned)prefix;
	ret->cluster_net = ip & ~(UINT32_MAX >> prefix);
	return 0;
}

static void on_synced(struct loop *l, struct loop_timer *t)
{
	struct controllers *c = CONTAINER_OF(t, struct controllers, synced);

	if (!manager_synced(c->manager)) {
		loop_timer_set(l, t, LOOK_AGAIN, on_synced);
		return;
	}
	log_info("controlling");
	if (c->opts.synced)
		c->opts.synced(c->opts.arg);
}

struct controllers *controllers_start(struct client *client, const struct controllers_opts *o,
				      struct err *err)
{
	struct controllers_config config = {.node_bits = NODE_BITS};
	struct controllers *c;

	if (o->cluster_cidr && parse_cidr(o->cluster_cidr, &config, err) != 0)
		return NULL;
	c = xalloc(sizeof(*c));
	c->client = client;
	c->opts = *o;
	c->config = config;
	c->config.find_zone = zoneinfo_find;
	c->config.started_ns = loop_wall(client->loop);
	c->config.seal_interval = o->seal_interval;
	if (o->root_ca.n) {
		c->root_ca = xstrndup(o->root_ca.p, o->root_ca.n);
		c->config.root_ca = str_c(c->root_ca);
	}
	buf_str(&c->ca_key, o->ca_key);
	c->config.ca_key = buf_view(&c->ca_key);
	c->manager = manager_new(client, o->seed);
	for (size_t i = 0; controller_registry[i]; i++)
		manager_add(c->manager, controller_registry[i], &c->config);
	c->map = restmap_new(client);
	c->gc = gc_new(client, c->manager, c->map);
	c->namespaces = namespace_deletion_new(client, c->manager, c->map);
	c->hpa = hpa_new(client, c->manager, c->map, o->autoscaler_period);
	manager_start(c->manager);
	gc_start(c->gc);
	namespace_deletion_start(c->namespaces);
	loop_timer_set(client->loop, &c->synced, 0, on_synced);
	return c;
}

void controllers_stop(struct controllers *c)
{
	if (!c)
		return;
	loop_timer_cancel(c->client->loop, &c->synced);
	manager_stop(c->manager);
	hpa_free(c->hpa);
	namespace_deletion_free(c->namespaces);
	gc_free(c->gc);
	manager_free(c->manager);
	restmap_free(c->map);
	free(c->root_ca);
	buf_wipe(&c->ca_key);
	free(c);
}

bool controllers_idle(const struct controllers *c)
{
	return manager_synced(c->manager) && manager_idle(c->manager) && gc_idle(c->gc) &&
	       namespace_deletion_idle(c->namespaces) && hpa_idle(c->hpa);
}
