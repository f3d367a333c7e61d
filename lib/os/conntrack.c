/*
 * Forgetting flows: connection tracking sends what belongs to a known UDP flow where the first
 * datagram went, for as long as datagrams keep coming, and a client's port that a dead TCP
 * connection had to the same dead end again; when that endpoint is gone the flow must go too. Over
 * ctnetlink (libmnl), in the calling thread's network namespace. Blocking: one dump, then one
 * message a flow. Must never touch other protocols than these.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <time.h>

#include "lib/os/net.h"

enum { FLOWS_MAX = 65536 };

struct flow {
	struct net_flow f;
	uint32_t src; /* the client */
	uint16_t src_port;
	uint32_t id; /* as the kernel sends it: a later flow of the same ports has another */
};

struct dump {
	bool (*gone)(void *arg, const struct net_flow *f);
	void *arg;
	struct flow *v; /* those to forget */
	size_t n, cap;
};

struct tuple {
	uint32_t src, dst;
	uint16_t src_port, dst_port;
	uint8_t proto;
};

static void read_tuple(const struct nlattr *nest, struct tuple *ret)
{
	const struct nlattr *part, *at;

	*ret = (struct tuple){0};
	mnl_attr_for_each_nested(part, nest)
	{
		uint16_t kind = mnl_attr_get_type(part);

		if (kind != CTA_TUPLE_IP && kind != CTA_TUPLE_PROTO)
			continue;
		mnl_attr_for_each_nested(at, part)
		{
			uint16_t type = mnl_attr_get_type(at), len = mnl_attr_get_payload_len(at);

			if (kind == CTA_TUPLE_IP && type == CTA_IP_V4_SRC && len == 4)
				ret->src = ntohl(mnl_attr_get_u32(at));
			else if (kind == CTA_TUPLE_IP && type == CTA_IP_V4_DST && len == 4)
				ret->dst = ntohl(mnl_attr_get_u32(at));
			else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_NUM && len == 1)
				ret->proto = mnl_attr_get_u8(at);
			else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_SRC_PORT && len == 2)
				ret->src_port = ntohs(mnl_attr_get_u16(at));
			else if (kind == CTA_TUPLE_PROTO && type == CTA_PROTO_DST_PORT && len == 2)
				ret->dst_port = ntohs(mnl_attr_get_u16(at));
		}
	}
}

/* Is a TCP connection over? The next one of the same ports begins anew then, whatever we do. */
static bool is_over(const struct nlattr *info)
{
	const struct nlattr *tcp, *at;

	mnl_attr_for_each_nested(tcp, info)
	{
		if (mnl_attr_get_type(tcp) != CTA_PROTOINFO_TCP)
			continue;
		mnl_attr_for_each_nested(at, tcp)
		{
			if (mnl_attr_get_type(at) == CTA_PROTOINFO_TCP_STATE &&
			    mnl_attr_get_payload_len(at) == 1)
				return mnl_attr_get_u8(at) == TCP_CONNTRACK_TIME_WAIT ||
				       mnl_attr_get_u8(at) == TCP_CONNTRACK_CLOSE;
		}
	}
	return false;
}

static int on_flow(const struct nlmsghdr *h, void *arg)
{
	struct dump *d = arg;
	struct tuple orig = {0}, reply = {0};
	const struct nlattr *at;
	struct net_flow f;
	uint32_t id = 0;
	bool over = false;

	mnl_attr_for_each(at, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(at) == CTA_TUPLE_ORIG)
			read_tuple(at, &orig);
		else if (mnl_attr_get_type(at) == CTA_TUPLE_REPLY)
			read_tuple(at, &reply);
		else if (mnl_attr_get_type(at) == CTA_ID && mnl_attr_get_payload_len(at) == 4)
			id = mnl_attr_get_u32(at);
		else if (mnl_attr_get_type(at) == CTA_PROTOINFO)
			over = is_over(at);
	}
	f = (struct net_flow){orig.proto, orig.dst, orig.dst_port, reply.src, reply.src_port};
	if ((f.proto != IPPROTO_UDP && f.proto != IPPROTO_TCP) || over || d->n == FLOWS_MAX ||
	    !d->gone(d->arg, &f))
		return MNL_CB_OK;
	if (d->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->v = xreallocarray(d->v, d->cap, sizeof(*d->v));
	}
	d->v[d->n++] = (struct flow){f, orig.src, orig.src_port, id};
	return MNL_CB_OK;
}

static struct nlmsghdr *message(char *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = (uint32_t)time(NULL);
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_INET;
	g->version = NFNETLINK_V0;
	return h;
}

/* Sends, and runs the answers through fn. */
static int talk(struct mnl_socket *s, const struct nlmsghdr *h, mnl_cb_t fn, void *arg)
{
	char buf[16384];
	uint32_t seq = h->nlmsg_seq, port = mnl_socket_get_portid(s);
	int rc = mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -1 : 1;

	while (rc > 0) {
		ssize_t n = mnl_socket_recvfrom(s, buf, sizeof(buf));

		rc = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, seq, port, fn, arg);
	}
	return rc;
}

static void forget(struct mnl_socket *s, const struct flow *f)
{
	char buf[1024];
	struct nlmsghdr *h = message(buf, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
	struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG), *part;

	part = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	mnl_attr_put_u32(h, CTA_IP_V4_SRC, htonl(f->src));
	mnl_attr_put_u32(h, CTA_IP_V4_DST, htonl(f->f.to));
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, f->f.proto);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(f->src_port));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(f->f.to_port));
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
	/* Never a connection that came to be since it was looked at. */
	if (f->id)
		mnl_attr_put_u32(h, CTA_ID, f->id);
	/* Gone by itself meanwhile is as good. */
	if (talk(s, h, NULL, NULL) < 0)
		errno = 0;
}

int net_flows_forget(bool (*gone)(void *arg, const struct net_flow *f), void *arg, struct err *err)
{
	struct mnl_socket *s = mnl_socket_open(NETLINK_NETFILTER);
	struct dump d = {.gone = gone, .arg = arg};
	char buf[256];
	int rc = -1;

	if (s && mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0)
		rc = talk(s, message(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP), on_flow, &d);
	if (rc < 0)
		err_sys(err, "connection tracking");
	for (size_t i = 0; rc >= 0 && i < d.n; i++)
		forget(s, &d.v[i]);
	if (s)
		mnl_socket_close(s);
	free(d.v);
	return rc < 0 ? -1 : (int)d.n;
}
