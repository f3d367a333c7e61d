/*
 * Bridge, pairs and routes over rtnetlink. Must be able to find anything half made by an earlier
 * process and go on from there. Runs on the kubelet's thread, in the node's network namespace.
 */
#include "kubelet/podnet/podnet.h"

#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/os/fs.h"

/* The link that holds the node's address: what other nodes are reached by. */
static void find_link(struct podnet *n, const char *node_ip)
{
	struct ifaddrs *list = NULL;
	uint32_t ip;

	snprintf(n->ifname, sizeof(n->ifname), "eth0");
	if (ip4_parse(str_c(node_ip), &ip) || getifaddrs(&list))
		return;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		const struct sockaddr_in *in = (const void *)i->ifa_addr;
		if (ntohl(in->sin_addr.s_addr) == ip)
			snprintf(n->ifname, sizeof(n->ifname), "%.15s", i->ifa_name);
	}
	freeifaddrs(list);
}

int podnet_init(struct podnet *n, const char *state_dir, const char *node_ip, struct err *err)
{
	*n = (struct podnet){.dir = xasprintf("%s/ips", state_dir)};
	find_link(n, node_ip);
	return fs_mkdirs(n->dir, 0700, err);
}

void podnet_release(struct podnet *n)
{
	struct map_iter it = {0};

	while (map_next(&n->routes, &it))
		free(it.value);
	map_release(&n->routes);
	podnet_tidy(n);
	map_release(&n->leaving);
	free(n->dir);
	*n = (struct podnet){0};
}

int podnet_set_cidr(struct podnet *n, struct str text, struct err *err)
{
	struct err filter = {0};
	struct cidr c;

	if (cidr_parse(text, &c) || c.bits > 29 || c.bits < 8)
		return err_set(err, ERR_INVALID, "podCIDR %.*s is not usable", STR_ARG(text));
	c.addr &= UINT32_MAX << (32 - c.bits);
	if (n->ready) {
		if (c.addr == n->cidr.addr && c.bits == n->cidr.bits)
			return 0;
		return err_set(err, ERR_INVALID, "podCIDR changed to %.*s under running pods",
			       STR_ARG(text));
	}
	if (net_bridge_create(PODNET_BRIDGE, err) ||
	    net_addr_add(PODNET_BRIDGE, c.addr + 1, c.bits, err) ||
	    net_link_up(PODNET_BRIDGE, err) || net_sysctl("net/ipv4/ip_forward", "1", err))
		return -1;
	/* Only then a pod's own Service works behind its bridge port, and policies hold. */
	if (net_bridge_filter(&filter))
		log_warn(
			"pods of this node talk past the packet filter: no NetworkPolicies between "
			"them, and Services fail where client and server are neighbours (modprobe "
			"br_netfilter)",
			"because", filter.msg);
	n->cidr = c;
	n->ready = true;
	return 0;
}

/* ---- one pod ---- */

void podnet_link(struct str uid, char out[16])
{
	char hex[65];

	sha256_hex(uid, hex);
	snprintf(out, 16, "veth%.10s", hex);
}

struct inside {
	uint32_t ip, gateway;
	uint8_t bits;
};

static int set_up_inside(void *arg, struct err *err)
{
	const struct inside *in = arg;
	struct cidr all = {0};

	if (net_link_up("lo", err) || net_addr_add("eth0", in->ip, in->bits, err) ||
	    net_link_up("eth0", err))
		return -1;
	return net_route_add(all, in->gateway, "eth0", err);
}

static int join(struct podnet *n, struct str uid, int ns, uint32_t ip, struct err *err)
{
	struct inside in = {.ip = ip, .gateway = n->cidr.addr + 1, .bits = n->cidr.bits};
	char name[16];

	podnet_link(uid, name);
	map_del(&n->leaving, str_c(name));
	if (net_link_delete(name, err) || net_veth_create(name, "eth0", ns, err) ||
	    net_link_set_master(name, PODNET_BRIDGE, true, err) || net_link_up(name, err))
		return -1;
	return netns_do(ns, set_up_inside, &in, err);
}

int podnet_add(struct podnet *n, struct str uid, const char *path, char ret_ip[16], struct err *err)
{
	uint32_t ip;
	char text[16];
	int ns, rc;

	if (!n->ready)
		return err_set(err, ERR_UNAVAILABLE, "the node has no podCIDR yet");
	if (netns_delete(path, err) || netns_create(path, err))
		return -1;
	ns = netns_open(path, err);
	rc = ns < 0 ? -1 : ipam_take(n, uid, &ip, err);
	if (!rc) {
		ip4_format(ip, text);
		rc = join(n, uid, ns, ip, err);
		if (rc)
			ipam_give_back(n, uid, text);
	}
	fd_cleanup(&ns);
	if (rc) {
		(void)!netns_delete(path, NULL);
		return -1;
	}
	snprintf(ret_ip, 16, "%s", text);
	return 0;
}

/* The kernel deletes the pair with the namespace, in its own time; asking for it takes 20 ms. */
void podnet_del(struct podnet *n, struct str uid, const char *path, const char *ip)
{
	char name[16];

	podnet_link(uid, name);
	(void)!netns_delete(path, NULL);
	ipam_give_back(n, uid, ip);
	map_set(&n->leaving, str_c(name), n);
}

void podnet_tidy(struct podnet *n)
{
	struct map_iter it = {0};

	while (map_next(&n->leaving, &it)) {
		AUTO(free) char *name = xstrndup(it.key.p, it.key.n);
		if (net_link_exists(name))
			(void)!net_link_delete(name, NULL);
		map_del(&n->leaving, str_c(name));
	}
}

/* ---- other nodes ---- */

int podnet_route(struct podnet *n, struct str node, struct str text, uint32_t via, struct err *err)
{
	struct podnet_route *old = map_get(&n->routes, node), want = {.via = via};
	bool none = !text.n || !via || cidr_parse(text, &want.to);

	if (old && !none && old->to.addr == want.to.addr && old->to.bits == want.to.bits &&
	    old->via == via)
		return 0;
	if (old) {
		int rc = net_route_del(old->to, err);
		free(map_del(&n->routes, node));
		if (rc)
			return rc;
	}
	if (none)
		return 0;
	if (net_route_add(want.to, via, n->ifname, err))
		return -1;
	old = xalloc(sizeof(*old));
	*old = want;
	map_set(&n->routes, node, old);
	return 0;
}
