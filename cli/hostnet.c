/*
 * The machine's side of an instance's network. Runs on the supervisor's thread before any role
 * starts. Keeps no state but the kernel's: an interrupted start is finished by the next one, and
 * hostnet_down() finds everything by name.
 */
#include "cli/hostnet.h"

#include <stdio.h>
#include <sys/stat.h>

#include "lib/os/fs.h"

#define LINK_BASE UINT32_C(0xac1e0000) /* 172.30.0.0 */
#define VETH_NAME_MAX 16               /* as the kernel has it */

static void names(struct hostnet *h, const struct datadir *d)
{
	snprintf(h->bridge, sizeof(h->bridge), "plbr-%s", d->instance);
	snprintf(h->table, sizeof(h->table), "plumb_%s", d->instance);
}

static void use_network(struct hostnet *h, unsigned x)
{
	h->link = (struct cidr){LINK_BASE + (x << 8), 24};
	h->gateway = h->link.addr + 1;
}

/* The network of an earlier run is in DIR/network, so that nodes keep their addresses. */
static int recall(struct hostnet *h, const struct datadir *d)
{
	AUTO(buf) struct buf text = {0};
	int64_t x;

	if (fs_read(datadir_path(d, "network"), 16, &text, NULL) ||
	    str_to_i64(str_trim(buf_view(&text)), &x) || x < 0 || x > 255)
		return -1;
	use_network(h, (unsigned)x);
	/* Free, or ours from a run that was killed. */
	return net_link_exists(h->bridge) || !net_route_overlaps(h->link) ? 0 : -1;
}

static int choose(struct hostnet *h, const struct datadir *d, struct err *err)
{
	char text[8];

	if (!recall(h, d))
		return 0;
	unsigned start = str_fnv32(str_c(d->path)) & 255;
	for (unsigned i = 0; i < 256; i++) {
		use_network(h, (start + i) & 255);
		if (net_route_overlaps(h->link))
			continue;
		int n = snprintf(text, sizeof(text), "%u\n", (start + i) & 255);
		return fs_write(datadir_path(d, "network"), (struct str){text, (size_t)n}, 0644,
				err);
	}
	return err_set(err, ERR_UNAVAILABLE, "no free network below 172.30.0.0/16");
}

int hostnet_up(struct hostnet *h, const struct datadir *d, struct err *err)
{
	names(h, d);
	if (choose(h, d, err) || net_bridge_create(h->bridge, err) ||
	    net_addr_add(h->bridge, h->gateway, h->link.bits, err) || net_link_up(h->bridge, err) ||
	    net_sysctl("net/ipv4/ip_forward", "1", err))
		return err_wrap(err, "host network");
	return 0;
}

uint32_t hostnet_node_ip(const struct hostnet *h, unsigned i)
{
	return h->link.addr + 10 + i;
}

struct node_setup {
	uint32_t ip, gateway;
	uint8_t bits;
};

static int inside(void *arg, struct err *err)
{
	const struct node_setup *s = arg;
	struct cidr everywhere = {0, 0};

	if (net_link_up("lo", err) || net_addr_add("eth0", s->ip, s->bits, err) ||
	    net_link_up("eth0", err) || net_route_add(everywhere, s->gateway, "eth0", err) ||
	    net_sysctl("net/ipv4/ip_forward", "1", err))
		return -1;
	/* Bridged pod traffic must pass the proxy's rules too; the kubelet tells when it doesn't.
	 */
	(void)!net_bridge_filter(NULL);
	return 0;
}

static void veth_name(char ret[VETH_NAME_MAX], const struct datadir *d, unsigned i)
{
	snprintf(ret, VETH_NAME_MAX, "plv%sn%u", d->instance, i);
}

int hostnet_node(const struct hostnet *h, const struct datadir *d, const char *node, unsigned i,
		 struct err *err)
{
	char veth[VETH_NAME_MAX];
	const char *path = datadir_path(d, "nodes/%s/netns", node);
	struct node_setup s = {hostnet_node_ip(h, i), h->gateway, h->link.bits};

	veth_name(veth, d, i);
	if (fs_mkdirs(datadir_path(d, "nodes/%s", node), 0711, err))
		return -1;
	AUTO(fd) int ns = netns_open(path, NULL);
	if (ns < 0 || !net_link_exists(veth)) {
		if (ns >= 0)
			close(ns);
		ns = -1;
		/* Half-made by a start that was killed: begin again. */
		if (net_link_delete(veth, err) || netns_delete(path, err) ||
		    netns_create(path, err))
			return err_wrap(err, "node %s", node);
		ns = netns_open(path, err);
		if (ns < 0 || net_veth_create(veth, "eth0", ns, err))
			return err_wrap(err, "node %s", node);
	}
	if (net_link_set_master(veth, h->bridge, false, err) || net_link_up(veth, err) ||
	    netns_do(ns, inside, &s, err))
		return err_wrap(err, "node %s", node);
	return 0;
}

static int forward_routes(const struct hostnet *h, struct buf *notes, struct err *err)
{
	const struct cidr *nets[] = {&h->services, &h->pods};
	char ip[16];

	for (size_t i = 0; i < ARRAY_LEN(nets); i++) {
		if (net_route_overlaps(*nets[i])) {
			buf_printf(notes,
				   "%.*s/%u is routed elsewhere on this machine: reach it from the "
				   "nodes\n",
				   STR_ARG(ip4_format(nets[i]->addr, ip)), nets[i]->bits);
			continue;
		}
		if (net_route_add(*nets[i], hostnet_node_ip(h, 0), h->bridge, err))
			return -1;
	}
	return 0;
}

/*
 * Only one instance can answer on the machine's own addresses: the first one. It is marked by the
 * table plumb_nodeports, whose one chain names it; a chain in a table keeps others from deleting
 * it.
 */
static void release_nodeports(const struct hostnet *h)
{
	AUTO(buf) struct buf cmd = {0};

	buf_printf(&cmd,
		   "delete chain ip plumb_nodeports owner_%s\ndelete table ip plumb_nodeports\n",
		   h->table);
	(void)!nft_run(buf_view(&cmd), NULL); /* fails as a whole when the mark is not ours */
}

static bool claim_nodeports(const struct hostnet *h)
{
	AUTO(buf) struct buf cmd = {0};

	release_nodeports(h);
	buf_printf(&cmd, "create table ip plumb_nodeports\nadd chain ip plumb_nodeports owner_%s\n",
		   h->table);
	return nft_run(buf_view(&cmd), NULL) == 0;
}

int hostnet_forward(const struct hostnet *h, struct buf *notes, struct err *err)
{
	AUTO(buf) struct buf cmd = {0};
	char link[16], node[16];
	char localnet[64];

	if (forward_routes(h, notes, err))
		return err_wrap(err, "host routes");
	struct str l = ip4_format(h->link.addr, link), n = ip4_format(hostnet_node_ip(h, 0), node);
	buf_printf(&cmd,
		   "table ip %s {}\nflush table ip %s\ntable ip %s {\n"
		   " chain postrouting {\n"
		   "  type nat hook postrouting priority srcnat;\n"
		   "  ip saddr %.*s/%u oifname != \"%s\" masquerade\n"
		   "  oifname \"%s\" ip saddr 127.0.0.0/8 masquerade\n }\n",
		   h->table, h->table, h->table, STR_ARG(l), h->link.bits, h->bridge, h->bridge);
	if (!claim_nodeports(h)) {
		buf_printf(notes,
			   "NodePorts of another instance own this machine's addresses: use %.*s\n",
			   STR_ARG(n));
		buf_puts(&cmd, "}\n");
	} else {
		buf_printf(&cmd,
			   " chain prerouting {\n"
			   "  type nat hook prerouting priority dstnat;\n"
			   "  iifname != \"%s\" fib daddr type local meta l4proto { tcp, udp } th "
			   "dport 30000-32767 dnat to %.*s\n }\n"
			   " chain output {\n"
			   "  type nat hook output priority -100;\n"
			   "  fib daddr type local meta l4proto { tcp, udp } th dport 30000-32767 "
			   "dnat to %.*s\n }\n}\n",
			   h->bridge, STR_ARG(n), STR_ARG(n));
	}
	snprintf(localnet, sizeof(localnet), "net/ipv4/conf/%s/route_localnet", h->bridge);
	if (net_sysctl(localnet, "1", err) || nft_run(buf_view(&cmd), err))
		return err_wrap(err, "host forwarding");
	return 0;
}

void hostnet_down(const struct datadir *d)
{
	struct hostnet h = {0};
	char veth[VETH_NAME_MAX];
	AUTO(buf) struct buf cmd = {0};

	names(&h, d);
	buf_printf(&cmd, "table ip %s {}\ndelete table ip %s\n", h.table, h.table);
	(void)!nft_run(buf_view(&cmd), NULL);
	release_nodeports(&h);
	/* A pair goes with its node's namespace, but only once the kernel gets to that. */
	for (unsigned i = 0; i < HOSTNET_NODES_MAX; i++) {
		veth_name(veth, d, i);
		(void)!net_link_delete(veth, NULL);
	}
	/* Routes over the bridge go with it. */
	(void)!net_link_delete(h.bridge, NULL);
}
