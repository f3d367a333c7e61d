/*
 * rtnetlink over libmnl: one socket a call, opened in the calling thread's network namespace, one
 * request, its acknowledgement. Blocking for microseconds. Keeps no state.
 */
#include "lib/os/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/os/fs.h"

#define MESSAGE_MAX 1024

/* ---- addresses ---- */

int ip4_parse(struct str s, uint32_t *ret)
{
	uint32_t ip = 0;
	struct str part;
	int n = 0;

	for (; str_next(&s, '.', &part); n++) {
		uint64_t v;
		if (n == 4 || part.n > 3 || str_to_u64(part, &v) || v > 255 ||
		    (part.n > 1 && part.p[0] == '0'))
			return -1;
		ip = ip << 8 | (uint32_t)v;
	}
	if (n != 4)
		return -1;
	*ret = ip;
	return 0;
}

struct str ip4_format(uint32_t ip, char out[16])
{
	int n = snprintf(out, 16, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);

	return (struct str){out, (size_t)n};
}

static uint32_t mask(uint8_t bits)
{
	return bits ? ~UINT32_C(0) << (32 - bits) : 0;
}

int cidr_parse(struct str s, struct cidr *ret)
{
	struct str ip, bits;
	uint64_t n;
	uint32_t addr;

	if (!str_cut(s, '/', &ip, &bits) || ip4_parse(ip, &addr) || str_to_u64(bits, &n) || n > 32)
		return -1;
	*ret = (struct cidr){addr & mask((uint8_t)n), (uint8_t)n};
	return 0;
}

bool cidr_has(struct cidr c, uint32_t ip)
{
	return (ip & mask(c.bits)) == c.addr;
}

/* ---- one request ---- */

struct request {
	char memory[MESSAGE_MAX];
	struct nlmsghdr *h;
};

static void begin(struct request *r, uint16_t type, uint16_t flags)
{
	memset(r->memory, 0, sizeof(r->memory));
	r->h = mnl_nlmsg_put_header(r->memory);
	r->h->nlmsg_type = type;
	r->h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	r->h->nlmsg_seq = 1;
}

/* Sends and reads the answer; errno is the kernel's. */
static int talk(struct request *r, mnl_cb_t on_message, void *arg)
{
	char answer[16384];
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int rc = -1, saved;

	if (!s)
		return -1;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) >= 0 &&
	    mnl_socket_sendto(s, r->h, r->h->nlmsg_len) >= 0) {
		do {
			ssize_t n = mnl_socket_recvfrom(s, answer, sizeof(answer));
			if (n < 0 && errno == EINTR)
				continue;
			rc = n < 0 ? -1
				   : mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(s),
						on_message, arg);
		} while (rc > 0);
	}
	saved = errno;
	mnl_socket_close(s);
	errno = saved;
	return rc < 0 ? -1 : 0;
}

static struct ifinfomsg *begin_link(struct request *r, uint16_t type, uint16_t flags)
{
	begin(r, type, flags);
	struct ifinfomsg *i = mnl_nlmsg_put_extra_header(r->h, sizeof(*i));
	i->ifi_family = AF_UNSPEC;
	return i;
}

static int name_ok(const char *ifname, struct err *err)
{
	if (!*ifname || strlen(ifname) >= IFNAMSIZ || strchr(ifname, '/'))
		return err_set(err, ERR_BAD_REQUEST, "'%s' cannot name a link", ifname);
	return 0;
}

/* ---- links ---- */

int net_link_up(const char *ifname, struct err *err)
{
	struct request r;
	struct ifinfomsg *i = begin_link(&r, RTM_NEWLINK, 0);

	i->ifi_change = i->ifi_flags = IFF_UP;
	mnl_attr_put_strz(r.h, IFLA_IFNAME, ifname);
	return talk(&r, NULL, NULL) ? err_sys(err, "link %s up", ifname) : 0;
}

int net_link_delete(const char *ifname, struct err *err)
{
	struct request r;

	begin_link(&r, RTM_DELLINK, 0);
	mnl_attr_put_strz(r.h, IFLA_IFNAME, ifname);
	if (talk(&r, NULL, NULL) && errno != ENODEV)
		return err_sys(err, "delete link %s", ifname);
	return 0;
}

bool net_link_exists(const char *ifname)
{
	struct request r;

	begin_link(&r, RTM_GETLINK, 0);
	mnl_attr_put_strz(r.h, IFLA_IFNAME, ifname);
	return talk(&r, NULL, NULL) == 0;
}

int net_bridge_create(const char *ifname, struct err *err)
{
	uint8_t mac[6];
	struct request r;

	if (name_ok(ifname, err))
		return -1;
	/* A bridge without an address of its own takes the lowest of its ports', and another one
	 * when that port goes: whoever knew the old one would talk to nobody for a while. */
	random_bytes(mac, sizeof(mac));
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02); /* local, one station's */
	begin_link(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	mnl_attr_put_strz(r.h, IFLA_IFNAME, ifname);
	mnl_attr_put(r.h, IFLA_ADDRESS, sizeof(mac), mac);
	struct nlattr *info = mnl_attr_nest_start(r.h, IFLA_LINKINFO);
	mnl_attr_put_strz(r.h, IFLA_INFO_KIND, "bridge");
	mnl_attr_nest_end(r.h, info);
	if (talk(&r, NULL, NULL) && errno != EEXIST)
		return err_sys(err, "make bridge %s", ifname);
	return 0;
}

int net_veth_create(const char *a, const char *b, int peer_netns_fd, struct err *err)
{
	struct request r;

	if (name_ok(a, err) || name_ok(b, err))
		return -1;
	begin_link(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	mnl_attr_put_strz(r.h, IFLA_IFNAME, a);
	struct nlattr *info = mnl_attr_nest_start(r.h, IFLA_LINKINFO);
	mnl_attr_put_strz(r.h, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(r.h, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(r.h, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(r.h, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(r.h, IFLA_IFNAME, b);
	if (peer_netns_fd >= 0)
		mnl_attr_put_u32(r.h, IFLA_NET_NS_FD, (uint32_t)peer_netns_fd);
	mnl_attr_nest_end(r.h, peer);
	mnl_attr_nest_end(r.h, data);
	mnl_attr_nest_end(r.h, info);
	return talk(&r, NULL, NULL) ? err_sys(err, "make link %s", a) : 0;
}

static int set_hairpin(const char *ifname)
{
	struct request r;
	struct ifinfomsg *i = begin_link(&r, RTM_SETLINK, 0);

	i->ifi_family = AF_BRIDGE;
	i->ifi_index = (int)if_nametoindex(ifname);
	struct nlattr *info = mnl_attr_nest_start(r.h, IFLA_PROTINFO);
	mnl_attr_put_u8(r.h, IFLA_BRPORT_MODE, 1);
	mnl_attr_nest_end(r.h, info);
	return talk(&r, NULL, NULL);
}

int net_link_set_master(const char *ifname, const char *bridge, bool hairpin, struct err *err)
{
	struct request r;
	unsigned master = if_nametoindex(bridge);

	if (!master)
		return err_sys(err, "bridge %s", bridge);
	begin_link(&r, RTM_NEWLINK, 0);
	mnl_attr_put_strz(r.h, IFLA_IFNAME, ifname);
	mnl_attr_put_u32(r.h, IFLA_MASTER, master);
	if (talk(&r, NULL, NULL) || (hairpin && set_hairpin(ifname)))
		return err_sys(err, "put %s on bridge %s", ifname, bridge);
	return 0;
}

int net_link_set_mtu(const char *ifname, uint32_t mtu, struct err *err)
{
	struct request r;

	begin_link(&r, RTM_NEWLINK, 0);
	mnl_attr_put_strz(r.h, IFLA_IFNAME, ifname);
	mnl_attr_put_u32(r.h, IFLA_MTU, mtu);
	return talk(&r, NULL, NULL) ? err_sys(err, "mtu of %s", ifname) : 0;
}

/* ---- addresses and routes ---- */

int net_addr_add(const char *ifname, uint32_t ip, uint8_t bits, struct err *err)
{
	struct request r;
	uint32_t be = htonl(ip);

	begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(r.h, sizeof(*m));
	m->ifa_family = AF_INET;
	m->ifa_prefixlen = bits;
	m->ifa_index = if_nametoindex(ifname);
	if (!m->ifa_index)
		return err_sys(err, "link %s", ifname);
	mnl_attr_put_u32(r.h, IFA_LOCAL, be);
	mnl_attr_put_u32(r.h, IFA_ADDRESS, be);
	if (bits < 31)
		mnl_attr_put_u32(r.h, IFA_BROADCAST, htonl(ip | ~mask(bits)));
	if (talk(&r, NULL, NULL) && errno != EEXIST)
		return err_sys(err, "address of %s", ifname);
	return 0;
}

int net_addr_del(const char *ifname, uint32_t ip, uint8_t bits, struct err *err)
{
	struct request r;

	begin(&r, RTM_DELADDR, 0);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(r.h, sizeof(*m));
	m->ifa_family = AF_INET;
	m->ifa_prefixlen = bits;
	m->ifa_index = if_nametoindex(ifname);
	if (!m->ifa_index)
		return 0;
	mnl_attr_put_u32(r.h, IFA_LOCAL, htonl(ip));
	if (talk(&r, NULL, NULL) && errno != EADDRNOTAVAIL)
		return err_sys(err, "address of %s", ifname);
	return 0;
}

static struct rtmsg *begin_route(struct request *r, uint16_t type, uint16_t flags, struct cidr to)
{
	begin(r, type, flags);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(r->h, sizeof(*m));
	m->rtm_family = AF_INET;
	m->rtm_dst_len = to.bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_scope = RT_SCOPE_NOWHERE;
	if (to.bits)
		mnl_attr_put_u32(r->h, RTA_DST, htonl(to.addr));
	return m;
}

int net_route_add(struct cidr to, uint32_t via, const char *ifname, struct err *err)
{
	struct request r;
	char text[16];
	struct rtmsg *m = begin_route(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, to);
	unsigned index = ifname ? if_nametoindex(ifname) : 0;

	if (ifname && !index)
		return err_sys(err, "link %s", ifname);
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_type = RTN_UNICAST;
	m->rtm_scope = via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	if (via)
		mnl_attr_put_u32(r.h, RTA_GATEWAY, htonl(via));
	if (ifname)
		mnl_attr_put_u32(r.h, RTA_OIF, index);
	if (talk(&r, NULL, NULL))
		return err_sys(err, "route to %.*s/%u%s%s", STR_ARG(ip4_format(to.addr, text)),
			       to.bits, ifname ? " by " : "", ifname ? ifname : "");
	return 0;
}

int net_route_del(struct cidr to, struct err *err)
{
	struct request r;
	char text[16];

	begin_route(&r, RTM_DELROUTE, 0, to);
	if (talk(&r, NULL, NULL) && errno != ESRCH)
		return err_sys(err, "route to %.*s/%u", STR_ARG(ip4_format(to.addr, text)),
			       to.bits);
	return 0;
}

#define WITHIN_MAX 1024

struct overlap {
	struct cidr c;
	bool found;
	struct cidr *within; /* those that lie in c, or NULL */
	size_t n;
};

static int each_route(const struct nlmsghdr *h, void *arg)
{
	struct overlap *o = arg;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	uint32_t dst = 0;

	if (m->rtm_family != AF_INET || m->rtm_dst_len == 0 || m->rtm_table != RT_TABLE_MAIN)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == RTA_DST)
			dst = ntohl(mnl_attr_get_u32(a));
	}
	struct cidr r = {dst, m->rtm_dst_len};
	if (cidr_has(r, o->c.addr) || cidr_has(o->c, r.addr))
		o->found = true;
	if (o->within && o->n < WITHIN_MAX && r.bits >= o->c.bits && cidr_has(o->c, r.addr))
		o->within[o->n++] = r;
	return MNL_CB_OK;
}

static int dump_routes(struct overlap *o)
{
	struct request r;

	begin(&r, RTM_GETROUTE, NLM_F_DUMP);
	r.h->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(r.h, sizeof(*m));
	m->rtm_family = AF_INET;
	return talk(&r, each_route, o);
}

int net_routes_flush(struct cidr c, struct err *err)
{
	AUTO(free) struct cidr *v = xreallocarray(NULL, WITHIN_MAX, sizeof(*v));
	struct overlap o = {.c = c, .within = v};
	int rc = 0;

	if (dump_routes(&o))
		return err_sys(err, "list routes");
	for (size_t i = 0; i < o.n; i++)
		if (net_route_del(v[i], err))
			rc = -1;
	return rc;
}

bool net_route_overlaps(struct cidr c)
{
	struct overlap o = {.c = c};

	/* Unknown is taken for yes: better another network than a stolen one. */
	return dump_routes(&o) ? true : o.found;
}

int net_sysctl(const char *name, const char *value, struct err *err)
{
	AUTO(free) char *path = xasprintf("/proc/sys/%s", name);
	AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t n = strlen(value);

	if (fd < 0 || write(fd, value, n) != (ssize_t)n)
		return err_sys(err, "sysctl %s", name);
	return 0;
}

/* ---- which address is ours ---- */

struct first_address {
	unsigned oif; /* 0 = any that isn't loopback */
	uint32_t ip;
};

static int each_address(const struct nlmsghdr *h, void *arg)
{
	struct first_address *f = arg;
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (f->ip || m->ifa_family != AF_INET || (f->oif && m->ifa_index != f->oif) ||
	    m->ifa_scope != RT_SCOPE_UNIVERSE)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFA_LOCAL)
			f->ip = ntohl(mnl_attr_get_u32(a));
	}
	return MNL_CB_OK;
}

static int each_default(const struct nlmsghdr *h, void *arg)
{
	struct first_address *f = arg;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;

	if (m->rtm_family != AF_INET || m->rtm_dst_len != 0 || f->oif)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == RTA_OIF)
			f->oif = mnl_attr_get_u32(a);
	}
	return MNL_CB_OK;
}

uint32_t net_default_ip(void)
{
	struct request r;
	struct first_address f = {0};

	begin(&r, RTM_GETROUTE, NLM_F_DUMP);
	r.h->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	struct rtmsg *m = mnl_nlmsg_put_extra_header(r.h, sizeof(*m));
	m->rtm_family = AF_INET;
	if (talk(&r, each_default, &f))
		return 0;
	begin(&r, RTM_GETADDR, NLM_F_DUMP);
	r.h->nlmsg_flags &= (uint16_t)~NLM_F_ACK;
	struct ifaddrmsg *i = mnl_nlmsg_put_extra_header(r.h, sizeof(*i));
	i->ifa_family = AF_INET;
	return talk(&r, each_address, &f) ? 0 : f.ip;
}
