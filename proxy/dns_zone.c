/* Answering for the cluster's domain, and for the addresses in it. Pure. */
#include "proxy/dns_zone.h"

#include "lib/base/pure.h"

enum {
	TTL = 5, /* as long as a client may go on believing it */
	PARTS_MAX = 8,
	ANSWERS_MAX = 1000
};

struct asked {
	const struct dns_facts *f;
	struct arena *a;
	const struct dns_question *q;
	struct dns_answer *w;
	struct str part[PARTS_MAX]; /* the name's labels before the domain */
	struct str target;          /* of an alias */
	size_t n;
};

/* ---- saying no ---- */

static enum dns_verdict nothing(struct asked *k, enum dns_code code)
{
	k->w->code = code;
	k->w->authoritative = true;
	dns_put_soa(k->w, k->f->domain, TTL, true);
	return DNS_ANSWERED;
}

static enum dns_verdict answered(struct asked *k)
{
	k->w->authoritative = true;
	return k->w->answers || k->w->truncated ? DNS_ANSWERED : nothing(k, DNS_OK);
}

static bool wants(const struct asked *k, enum dns_type type)
{
	return k->q->type == type || k->q->type == DNS_ANY;
}

/* ---- endpoints ---- */

struct endpoint {
	uint32_t ip;
	struct str host; /* its name within the Service */
	const struct json *slice;
};

static struct str dashed(struct arena *a, uint32_t ip)
{
	return arena_strf(a, "%u-%u-%u-%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static bool is_ready(const struct json *endpoint)
{
	return json_bool(json_at(endpoint, "conditions", "ready"), true);
}

/* Calls fn for each ready IPv4 endpoint until it says stop. */
static void each_endpoint(struct asked *k, const struct dns_list *slices,
			  bool (*fn)(struct asked *k, const struct endpoint *e, void *arg),
			  void *arg)
{
	size_t seen = 0;

	for (size_t i = 0; i < slices->n; i++) {
		const struct json *all = json_at(slices->v[i], "endpoints");

		if (!str_is(json_str(json_at(slices->v[i], "addressType")), "IPv4"))
			continue;
		for (size_t j = 0; j < json_len(all); j++) {
			const struct json *one = json_item(all, j);
			struct endpoint e = {.slice = slices->v[i]};
			struct str host = json_str(json_at(one, "hostname"));

			if (!is_ready(one) ||
			    ip4_parse(json_str(json_item(json_at(one, "addresses"), 0)), &e.ip))
				continue;
			e.host = host.n ? host : dashed(k->a, e.ip);
			if (++seen > ANSWERS_MAX || !fn(k, &e, arg))
				return;
		}
	}
}

static bool put_endpoint(struct asked *k, const struct endpoint *e, void *arg)
{
	(void)arg;
	dns_put_a(k->w, STR_NONE, TTL, e->ip);
	return true;
}

static bool put_named(struct asked *k, const struct endpoint *e, void *arg)
{
	struct str *host = arg;

	if (str_eq(e->host, *host))
		dns_put_a(k->w, STR_NONE, TTL, e->ip);
	return true;
}

/* ---- Services ---- */

static bool headless(const struct json *service)
{
	return str_is(json_str(json_at(service, "spec", "clusterIP")), "None");
}

static struct str external_name(const struct json *service)
{
	if (!str_is(json_str(json_at(service, "spec", "type")), "ExternalName"))
		return STR_NONE;
	return json_str(json_at(service, "spec", "externalName"));
}

static struct str service_name(struct asked *k, struct str namespace, struct str name)
{
	return arena_strf(k->a, "%.*s.%.*s.svc.%.*s", STR_ARG(name), STR_ARG(namespace),
			  STR_ARG(k->f->domain));
}

static bool port_fits(const struct json *port, struct str name, struct str proto)
{
	struct str have = json_str_or(json_at(port, "protocol"), STR("TCP"));

	if (name.n && !str_eq(json_str(json_at(port, "name")), name))
		return false;
	if (!proto.n)
		return true;
	if (have.n != proto.n)
		return false;
	for (size_t i = 0; i < have.n; i++)
		if ((have.p[i] | 0x20) != proto.p[i])
			return false;
	return true;
}

/* Which ports a question is about: both empty = all. */
struct srv {
	struct str port, proto, target;
};

static bool put_srv_endpoint(struct asked *k, const struct endpoint *e, void *arg)
{
	const struct srv *s = arg;
	const struct json *ports = json_at(e->slice, "ports");
	struct str target = arena_strf(k->a, "%.*s.%.*s", STR_ARG(e->host), STR_ARG(s->target));

	for (size_t i = 0; i < json_len(ports); i++)
		if (port_fits(json_item(ports, i), s->port, s->proto))
			dns_put_srv(k->w, TTL, 100,
				    (uint16_t)json_int(json_at(json_item(ports, i), "port"), 0),
				    target);
	return true;
}

static bool put_srv_address(struct asked *k, const struct endpoint *e, void *arg)
{
	const struct srv *s = arg;

	dns_also_a(k->w, arena_strf(k->a, "%.*s.%.*s", STR_ARG(e->host), STR_ARG(s->target)), TTL,
		   e->ip);
	return true;
}

static void put_srv(struct asked *k, const struct json *service, const struct dns_list *slices,
		    struct srv *s)
{
	const struct json *ports = json_at(service, "spec", "ports");
	uint32_t ip;

	if (headless(service)) {
		each_endpoint(k, slices, put_srv_endpoint, s);
		if (k->w->answers)
			each_endpoint(k, slices, put_srv_address, s);
		return;
	}
	for (size_t i = 0; i < json_len(ports); i++)
		if (port_fits(json_item(ports, i), s->port, s->proto))
			dns_put_srv(k->w, TTL, 100,
				    (uint16_t)json_int(json_at(json_item(ports, i), "port"), 0),
				    s->target);
	if (k->w->answers && !ip4_parse(json_str(json_at(service, "spec", "clusterIP")), &ip))
		dns_also_a(k->w, s->target, TTL, ip);
}

static void put_addresses(struct asked *k, const struct json *service,
			  const struct dns_list *slices)
{
	uint32_t ip;

	if (headless(service))
		each_endpoint(k, slices, put_endpoint, NULL);
	else if (!ip4_parse(json_str(json_at(service, "spec", "clusterIP")), &ip))
		dns_put_a(k->w, STR_NONE, TTL, ip);
}

/* [[_port._proto|host].]service.namespace.svc */
static enum dns_verdict service(struct asked *k)
{
	size_t at = k->n - 3;
	struct str namespace = k->part[at + 1], name = k->part[at];
	const struct json *s = k->f->service(k->f->ctx, k->a, namespace, name);
	struct srv srv = {.target = service_name(k, namespace, name)};
	struct dns_list slices;

	if (!s || at > 2)
		return nothing(k, DNS_NO_NAME);
	if (external_name(s).n) {
		if (at)
			return nothing(k, DNS_NO_NAME);
		k->target = external_name(s);
		if (k->q->type == DNS_A || k->q->type == DNS_AAAA)
			return DNS_ALIAS;
		dns_put_name(k->w, STR_NONE, DNS_CNAME, TTL, k->target);
		return answered(k);
	}
	slices = k->f->slices(k->f->ctx, k->a, namespace, name);
	if (at == 2) {
		if (!str_starts(k->part[0], STR("_")) || !str_starts(k->part[1], STR("_")))
			return nothing(k, DNS_NO_NAME);
		srv.port = str_sub(k->part[0], 1, k->part[0].n);
		srv.proto = str_sub(k->part[1], 1, k->part[1].n);
		if (!wants(k, DNS_SRV))
			return nothing(k, DNS_OK);
		put_srv(k, s, &slices, &srv);
		return k->w->answers ? answered(k) : nothing(k, DNS_NO_NAME);
	}
	if (at == 1) {
		if (!wants(k, DNS_A))
			return nothing(k, DNS_OK);
		each_endpoint(k, &slices, put_named, &k->part[0]);
		return k->w->answers ? answered(k) : nothing(k, DNS_NO_NAME);
	}
	if (wants(k, DNS_A))
		put_addresses(k, s, &slices);
	else if (wants(k, DNS_SRV))
		put_srv(k, s, &slices, &srv);
	return answered(k);
}

/* ---- pods ---- */

/* 10-244-0-5.namespace.pod: the address is in the name. */
static enum dns_verdict pod(struct asked *k)
{
	char text[16];
	uint32_t ip;

	if (k->n != 3 || k->part[0].n >= sizeof(text))
		return nothing(k, k->n == 2 ? DNS_OK : DNS_NO_NAME);
	for (size_t i = 0; i < k->part[0].n; i++)
		text[i] = k->part[0].p[i] == '-' ? '.' : k->part[0].p[i];
	if (ip4_parse((struct str){text, k->part[0].n}, &ip) ||
	    !k->f->namespace(k->f->ctx, k->part[1]))
		return nothing(k, DNS_NO_NAME);
	if (wants(k, DNS_A))
		dns_put_a(k->w, STR_NONE, TTL, ip);
	return answered(k);
}

/* ---- the way back ---- */

static bool put_pointer(struct asked *k, const struct endpoint *e, void *arg)
{
	const uint32_t *ip = arg;
	struct str of = json_str(
		json_at(json_at(e->slice, "metadata", "labels"), "kubernetes.io/service-name"));

	if (e->ip == *ip && of.n && k->w->answers < 8)
		dns_put_name(
			k->w, STR_NONE, DNS_PTR, TTL,
			arena_strf(k->a, "%.*s.%.*s", STR_ARG(e->host),
				   STR_ARG(service_name(
					   k, json_str(json_at(e->slice, "metadata", "namespace")),
					   of))));
	return true;
}

static bool reverse_ip(struct str name, uint32_t *ret)
{
	static const char suffix[] = ".in-addr.arpa";
	struct str rest, label;
	uint32_t ip = 0, shift = 0, n = 0;

	if (!str_ends(name, str_c(suffix)))
		return false;
	rest = str_sub(name, 0, name.n - (sizeof(suffix) - 1));
	while (rest.n && str_next(&rest, '.', &label)) {
		uint64_t byte;

		if (n++ == 4 || str_to_u64(label, &byte) || byte > 255)
			return false;
		ip |= (uint32_t)byte << shift;
		shift += 8;
	}
	*ret = ip;
	return n == 4;
}

static enum dns_verdict pointer(struct asked *k, uint32_t ip)
{
	const struct json *s = k->f->service_at(k->f->ctx, k->a, ip);
	struct dns_list slices;

	if (s)
		dns_put_name(k->w, STR_NONE, DNS_PTR, TTL,
			     service_name(k, json_str(json_at(s, "metadata", "namespace")),
					  json_str(json_at(s, "metadata", "name"))));
	slices = k->f->slices_at(k->f->ctx, k->a, ip);
	if (!s)
		each_endpoint(k, &slices, put_pointer, &ip);
	return k->w->answers ? answered(k) : DNS_ELSEWHERE;
}

/* ---- the whole ---- */

/* The labels before the domain; false when the name isn't in it, or has too many. */
static bool split(struct asked *k)
{
	struct str name = k->q->name, domain = k->f->domain, rest;

	if (str_eq(name, domain))
		return true;
	if (name.n <= domain.n + 1 || !str_ends(name, domain) ||
	    name.p[name.n - domain.n - 1] != '.')
		return false;
	rest = str_sub(name, 0, name.n - domain.n - 1);
	while (k->n < PARTS_MAX && rest.n && str_next(&rest, '.', &k->part[k->n]))
		k->n++;
	return true;
}

static enum dns_verdict apex(struct asked *k)
{
	k->w->authoritative = true;
	if (wants(k, DNS_SOA))
		dns_put_soa(k->w, k->f->domain, TTL, false);
	else if (wants(k, DNS_NS))
		dns_put_name(k->w, STR_NONE, DNS_NS, TTL,
			     arena_strf(k->a, "ns.dns.%.*s", STR_ARG(k->f->domain)));
	return answered(k);
}

/* By which version of the specification the names are made. */
static enum dns_verdict version(struct asked *k)
{
	if (wants(k, DNS_TXT))
		dns_put_txt(k->w, TTL, STR("1.1.0"));
	return answered(k);
}

static enum dns_verdict in_zone(struct asked *k)
{
	struct str kind = k->part[k->n - 1];

	if (k->n == 1 && str_is(kind, "dns-version"))
		return version(k);
	if (k->n == 1 && (str_is(kind, "svc") || str_is(kind, "pod")))
		return nothing(k, DNS_OK);
	if (k->n == 2 && str_is(kind, "svc"))
		return nothing(k, k->f->namespace(k->f->ctx, k->part[0]) ? DNS_OK : DNS_NO_NAME);
	if (k->n >= 3 && k->n <= 5 && str_is(kind, "svc"))
		return service(k);
	if (k->n >= 2 && str_is(kind, "pod"))
		return pod(k);
	return nothing(k, DNS_NO_NAME);
}

enum dns_verdict dns_resolve(const struct dns_facts *f, struct arena *a,
			     const struct dns_question *q, struct dns_answer *w,
			     struct str *ret_target)
{
	struct asked k = {.f = f, .a = a, .q = q, .w = w};
	enum dns_verdict verdict;
	uint32_t ip;

	if (reverse_ip(q->name, &ip))
		return pointer(&k, ip);
	if (!split(&k))
		return DNS_ELSEWHERE;
	verdict = k.n ? in_zone(&k) : apex(&k);
	*ret_target = k.target;
	return verdict;
}
