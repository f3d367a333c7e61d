/*
 * The shell around the cluster's names: caches, the UDP socket, and what a question leads to. Must
 * never answer before the caches are filled: a name that isn't known yet is no name that isn't. On
 * the client's loop.
 */
#include "proxy/dns.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/kube/resources.h"
#include "proxy/dns-internal.h"

#define INDEX_ADDRESS "address"
#define INDEX_SERVICE "service"

enum { BATCH = 64 /* questions before anything else gets its turn */ };

/* ---- what the caches know ---- */

static const struct json *find_service(void *ctx, struct arena *a, struct str namespace,
				       struct str name)
{
	const struct dns *d = ctx;
	const struct obj *o = informer_get(d->services, namespace, name);

	return o ? obj_tree(o, a) : NULL;
}

static struct dns_list trees(struct arena *a, struct obj_set set)
{
	const struct json **v = arena_array(a, set.n + 1, sizeof(*v));

	for (size_t i = 0; i < set.n; i++)
		v[i] = obj_tree(set.v[i], a);
	return (struct dns_list){v, set.n};
}

static struct dns_list find_slices(void *ctx, struct arena *a, struct str namespace,
				   struct str service)
{
	struct dns *d = ctx;

	return trees(
		a, informer_by_index(d->slices, INDEX_SERVICE, obj_key(a, namespace, service), a));
}

static bool has_namespace(void *ctx, struct str namespace)
{
	const struct dns *d = ctx;

	return informer_get(d->namespaces, STR_NONE, namespace) != NULL;
}

static struct str address_text(struct arena *a, uint32_t ip)
{
	char text[16];

	return arena_str(a, ip4_format(ip, text));
}

static const struct json *service_at(void *ctx, struct arena *a, uint32_t ip)
{
	struct dns *d = ctx;
	struct obj_set set = informer_by_index(d->services, INDEX_ADDRESS, address_text(a, ip), a);

	return set.n ? obj_tree(set.v[0], a) : NULL;
}

static struct dns_list slices_at(void *ctx, struct arena *a, uint32_t ip)
{
	struct dns *d = ctx;

	return trees(a, informer_by_index(d->slices, INDEX_ADDRESS, address_text(a, ip), a));
}

static void index_cluster_ip(const struct obj *o, struct arena *a,
			     void (*put)(void *ctx, struct str value), void *ctx)
{
	struct str ip = json_str(json_at(obj_tree(o, a), "spec", "clusterIP"));

	if (ip.n && !str_is(ip, "None"))
		put(ctx, ip);
}

static void index_endpoints(const struct obj *o, struct arena *a,
			    void (*put)(void *ctx, struct str value), void *ctx)
{
	const struct json *all = json_at(obj_tree(o, a), "endpoints");

	for (size_t i = 0; i < json_len(all); i++) {
		struct str ip = json_str(json_item(json_at(json_item(all, i), "addresses"), 0));

		if (ip.n)
			put(ctx, ip);
	}
}

static void index_service(const struct obj *o, struct arena *a,
			  void (*put)(void *ctx, struct str value), void *ctx)
{
	struct str service = obj_label(o, STR("kubernetes.io/service-name"));

	if (service.n)
		put(ctx, obj_key(a, o->namespace, service));
}

/* ---- questions ---- */

void dns_reply(struct dns *d, const struct dns_client *who, struct str message)
{
	if (who->conn)
		dns_tcp_reply(who->conn, message);
	else
		(void)!sendto(d->udp.fd, message.p, message.n, MSG_NOSIGNAL | MSG_DONTWAIT,
			      (const struct sockaddr *)&who->addr, sizeof(who->addr));
}

static struct dns_facts facts_of(struct dns *d)
{
	return (struct dns_facts){.service = find_service,
				  .slices = find_slices,
				  .namespace = has_namespace,
				  .service_at = service_at,
				  .slices_at = slices_at,
				  .ctx = d,
				  .domain = str_c(d->o.domain)};
}

/* An alias of a name of ours is answered here, of any other by who knows it. */
static void alias(struct dns *d, const struct dns_client *who, struct dns_question *q,
		  struct str target)
{
	const struct dns_facts f = facts_of(d);
	struct dns_question inner = *q;
	AUTO(arena) struct arena a = {0};
	struct dns_answer w, found;
	struct str next = STR_NONE;

	dns_begin(&found, q, DNS_MESSAGE_MAX);
	inner.name = target;
	if (dns_resolve(&f, &a, &inner, &found, &next) == DNS_ANSWERED) {
		dns_begin(&w, q, who->conn ? (size_t)DNS_MESSAGE_MAX : q->room);
		dns_put_name(&w, STR_NONE, DNS_CNAME, 5, target);
		dns_put_addresses_of(&w, target, dns_end(&found, q));
		dns_reply(d, who, dns_end(&w, q));
		buf_release(&w.out);
	} else {
		dns_forward_alias(d, who, q, target);
	}
	buf_release(&found.out);
}

static void resolve(struct dns *d, const struct dns_client *who, struct dns_question *q,
		    struct str message)
{
	const struct dns_facts f = facts_of(d);
	AUTO(arena) struct arena a = {0};
	struct str target = STR_NONE;
	struct dns_answer w;

	dns_begin(&w, q, who->conn ? (size_t)DNS_MESSAGE_MAX : q->room);
	switch (dns_resolve(&f, &a, q, &w, &target)) {
	case DNS_ANSWERED:
		dns_reply(d, who, dns_end(&w, q));
		break;
	case DNS_ELSEWHERE:
		dns_forward(d, who, q, message);
		break;
	case DNS_ALIAS:
		alias(d, who, q, target);
		break;
	}
	buf_release(&w.out);
}

void dns_question(struct dns *d, const struct dns_client *who, struct str message)
{
	AUTO(arena) struct arena a = {0};
	struct dns_question q;
	struct dns_answer w;
	int code = dns_parse(&a, message, &q);

	if (code < 0)
		return;
	if (!code && d->synced) {
		resolve(d, who, &q, message);
		return;
	}
	dns_begin(&w, &q, q.room);
	w.code = code ? (enum dns_code)code : DNS_FAILED;
	dns_reply(d, who, dns_end(&w, &q));
	buf_release(&w.out);
}

static void on_udp(struct loop *l, struct loop_fd *w, uint32_t ready)
{
	struct dns *d = CONTAINER_OF(w, struct dns, udp);
	char in[DNS_EDNS_MAX + 1024];

	(void)l;
	(void)ready;
	for (int i = 0; i < BATCH; i++) {
		struct dns_client who = {0};
		socklen_t size = sizeof(who.addr);
		ssize_t n = recvfrom(w->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&who.addr, &size);

		if (n < 0)
			return;
		if ((size_t)n <= sizeof(in))
			dns_question(d, &who, (struct str){in, (size_t)n});
	}
}

/* ---- beginning and end ---- */

static int listen_udp(struct dns *d, struct err *err)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons(d->o.port),
				 .sin_addr.s_addr = htonl(d->o.address)};

	d->udp = (struct loop_fd){
		.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .fn = on_udp};
	if (d->udp.fd < 0 || bind(d->udp.fd, (struct sockaddr *)&at, sizeof(at)))
		return err_sys(err, "listen for DNS");
	return loop_fd_set(d->loop, &d->udp, EPOLLIN, err);
}

static void on_progress(void *arg)
{
	struct dns *d = arg;

	if (d->synced || !informer_synced(d->services) || !informer_synced(d->slices) ||
	    !informer_synced(d->namespaces))
		return;
	d->synced = true;
	log_info("answering", "services", log_i64((int64_t)informer_count(d->services)));
	if (d->o.synced)
		d->o.synced(d->o.arg);
}

static void watch(struct dns *d)
{
	d->services = informer_new(d->client, &(struct informer_opts){.resource = &res_services});
	d->slices =
		informer_new(d->client, &(struct informer_opts){.resource = &res_endpointslices});
	d->namespaces = informer_new(d->client, &(struct informer_opts){.resource = &res_namespaces,
									.metadata_only = true});
	informer_add_index(d->services, INDEX_ADDRESS, index_cluster_ip);
	informer_add_index(d->slices, INDEX_SERVICE, index_service);
	informer_add_index(d->slices, INDEX_ADDRESS, index_endpoints);
	informer_on_progress(d->services, on_progress, d);
	informer_on_progress(d->slices, on_progress, d);
	informer_on_progress(d->namespaces, on_progress, d);
	informer_start(d->services);
	informer_start(d->namespaces);
	informer_start(d->slices);
}

struct dns *dns_start(struct client *c, const struct dns_opts *o, struct err *err)
{
	struct dns *d = xalloc(sizeof(*d));

	d->o = *o;
	d->client = c;
	d->loop = c->loop;
	d->udp.fd = d->tcp.fd = -1;
	list_init(&d->forwards);
	list_init(&d->conns);
	if (listen_udp(d, err) || dns_tcp_start(d, err)) {
		dns_stop(d);
		return NULL;
	}
	watch(d);
	return d;
}

void dns_stop(struct dns *d)
{
	if (!d)
		return;
	dns_tcp_stop(d);
	dns_forward_stop(d);
	if (d->udp.fd >= 0) {
		loop_fd_del(d->loop, &d->udp);
		close(d->udp.fd);
	}
	if (d->services)
		informer_free(d->services);
	if (d->slices)
		informer_free(d->slices);
	if (d->namespaces)
		informer_free(d->namespaces);
	free(d);
}

bool dns_synced(const struct dns *d)
{
	return d && d->synced;
}

size_t dns_upstreams(struct str text, uint32_t self, uint32_t ret[DNS_UPSTREAMS_MAX])
{
	struct str line, word, rest;
	size_t n = 0;

	while (text.n && str_next(&text, '\n', &line)) {
		uint32_t ip;

		line = str_trim(line);
		if (!str_cut(line, ' ', &word, &rest) || !str_is(word, "nameserver") ||
		    ip4_parse(str_trim(rest), &ip) || ip == self || n == DNS_UPSTREAMS_MAX)
			continue;
		ret[n++] = ip;
	}
	return n;
}
