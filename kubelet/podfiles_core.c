/* Files that every pod finds in /etc. Pure; owns nothing. */
#include "kubelet/podfiles_core.h"

#include "lib/base/pure.h"

#define HOSTNAME_MAX 63

struct str pod_hostname(struct arena *a, const struct pod_spec *s, struct str node_name)
{
	struct str name = json_str(json_at(s->spec, "hostname"));

	if (s->host_network)
		return node_name;
	if (!name.n)
		name = s->name;
	if (name.n > HOSTNAME_MAX)
		name.n = HOSTNAME_MAX;
	while (name.n && (name.p[name.n - 1] == '-' || name.p[name.n - 1] == '.'))
		name.n--;
	return arena_str(a, name);
}

void pod_hosts(const struct pod_spec *s, struct str hostname, struct str ip, struct buf *out)
{
	const struct json *aliases = json_at(s->spec, "hostAliases");
	struct str sub = json_str(json_at(s->spec, "subdomain"));

	buf_puts(out, "# Written by plumb.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
	if (ip.n) {
		buf_printf(out, "%.*s\t", STR_ARG(ip));
		if (sub.n)
			buf_printf(out, "%.*s.%.*s.%.*s.svc.cluster.local\t", STR_ARG(hostname),
				   STR_ARG(sub), STR_ARG(s->namespace));
		buf_printf(out, "%.*s\n", STR_ARG(hostname));
	}
	for (size_t i = 0; i < json_len(aliases); i++) {
		const struct json *alias = json_item(aliases, i),
				  *names = json_at(alias, "hostnames");
		buf_str(out, json_str(json_at(alias, "ip")));
		for (size_t j = 0; j < json_len(names); j++)
			buf_printf(out, "\t%.*s", STR_ARG(json_str(json_item(names, j))));
		buf_putc(out, '\n');
	}
}

static void put_words(const struct json *list, const char *before, struct buf *out)
{
	for (size_t i = 0; i < json_len(list); i++)
		buf_printf(out, "%s%.*s", before, STR_ARG(json_str(json_item(list, i))));
}

static void put_servers(const struct json *list, struct buf *out)
{
	for (size_t i = 0; i < json_len(list); i++)
		buf_printf(out, "nameserver %.*s\n", STR_ARG(json_str(json_item(list, i))));
}

static void put_options(const struct json *config, bool ndots, struct buf *out)
{
	const struct json *list = json_at(config, "options");

	for (size_t i = 0; i < json_len(list); i++)
		ndots &= !str_is(json_str(json_at(json_item(list, i), "name")), "ndots");
	if (!json_len(list) && !ndots)
		return;
	buf_puts(out, "options");
	if (ndots)
		buf_puts(out, " ndots:5");
	for (size_t i = 0; i < json_len(list); i++) {
		struct str value = json_str(json_at(json_item(list, i), "value"));
		buf_printf(out, " %.*s%s%.*s",
			   STR_ARG(json_str(json_at(json_item(list, i), "name"))),
			   value.n ? ":" : "", STR_ARG(value));
	}
	buf_putc(out, '\n');
}

void pod_resolv(const struct pod_spec *s, struct str dns, struct str domain, struct str host,
		struct buf *out)
{
	struct str policy = json_str_or(json_at(s->spec, "dnsPolicy"), STR("ClusterFirst"));
	const struct json *config = json_at(s->spec, "dnsConfig"),
			  *own = json_at(config, "searches");
	bool cluster = dns.n && (str_is(policy, "ClusterFirstWithHostNet") ||
				 (str_is(policy, "ClusterFirst") && !s->host_network));

	if (!cluster && !str_is(policy, "None")) {
		buf_str(out, host);
		if (out->n && out->p[out->n - 1] != '\n')
			buf_putc(out, '\n');
	}
	if (cluster || json_len(own)) {
		buf_puts(out, "search");
		if (cluster)
			buf_printf(out, " %.*s.svc.%.*s svc.%.*s %.*s", STR_ARG(s->namespace),
				   STR_ARG(domain), STR_ARG(domain), STR_ARG(domain));
		put_words(own, " ", out);
		buf_putc(out, '\n');
	}
	if (cluster)
		buf_printf(out, "nameserver %.*s\n", STR_ARG(dns));
	put_servers(json_at(config, "nameservers"), out);
	put_options(config, cluster, out);
}
