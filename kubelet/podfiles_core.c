/*
 * Files that every pod finds in /etc. The first line of hosts is what Kubernetes' own tests know a
 * managed file by. Must never let a pod's lists grow the files without bound: what a resolver takes
 * is what Kubernetes lets through. Pure; owns nothing.
 */
#include "kubelet/podfiles_core.h"

#include "lib/base/pure.h"

#define HOSTNAME_MAX 63
#define FQDN_MAX 64
#define WORDS_MAX 64

/* ---- names ---- */

static struct str short_name(const struct pod_spec *s)
{
	struct str name = json_str(json_at(s->spec, "hostname"));

	if (!name.n)
		name = s->name;
	if (name.n > HOSTNAME_MAX)
		name.n = HOSTNAME_MAX;
	while (name.n && (name.p[name.n - 1] == '-' || name.p[name.n - 1] == '.'))
		name.n--;
	return name;
}

static void put_fqdn(const struct pod_spec *s, const struct node_names *n, struct buf *out)
{
	buf_printf(out, "%.*s.%.*s.%.*s.svc.%.*s", STR_ARG(short_name(s)),
		   STR_ARG(json_str(json_at(s->spec, "subdomain"))), STR_ARG(s->namespace),
		   STR_ARG(n->domain));
}

int pod_hostname(struct arena *a, const struct pod_spec *s, const struct node_names *n,
		 struct str *ret, struct err *err)
{
	AUTO(buf) struct buf whole = {0};

	if (s->host_network) {
		*ret = n->node;
		return 0;
	}
	if (!json_bool(json_at(s->spec, "setHostnameAsFQDN"), false) ||
	    !json_str(json_at(s->spec, "subdomain")).n) {
		*ret = arena_str(a, short_name(s));
		return 0;
	}
	put_fqdn(s, n, &whole);
	if (whole.n > FQDN_MAX)
		return err_set(err, ERR_INVALID,
			       "the pod's FQDN %s is too long for a host name: %zu characters, "
			       "at most %d are possible",
			       buf_cstr(&whole), whole.n, FQDN_MAX);
	*ret = arena_str(a, buf_view(&whole));
	return 0;
}

/* ---- hosts ---- */

static void put_aliases(const struct pod_spec *s, struct buf *out)
{
	const struct json *aliases = json_at(s->spec, "hostAliases");

	if (json_len(aliases))
		buf_puts(out, "\n# Entries added by HostAliases.\n");
	for (size_t i = 0; i < json_len(aliases); i++) {
		const struct json *alias = json_item(aliases, i),
				  *names = json_at(alias, "hostnames");
		buf_str(out, json_str(json_at(alias, "ip")));
		for (size_t j = 0; j < json_len(names); j++)
			buf_printf(out, "\t%.*s", STR_ARG(json_str(json_item(names, j))));
		buf_putc(out, '\n');
	}
}

void pod_hosts(const struct pod_spec *s, const struct node_names *n, struct str ip, struct str host,
	       struct buf *out)
{
	if (s->host_network) {
		buf_puts(out, "# Kubernetes-managed hosts file (host network).\n");
		buf_str(out, host);
		if (out->p[out->n - 1] != '\n')
			buf_putc(out, '\n');
		put_aliases(s, out);
		return;
	}
	buf_puts(out, "# Kubernetes-managed hosts file.\n"
		      "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
		      "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
		      "fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
	if (ip.n) {
		buf_printf(out, "%.*s\t", STR_ARG(ip));
		if (json_str(json_at(s->spec, "subdomain")).n) {
			put_fqdn(s, n, out);
			buf_putc(out, '\t');
		}
		buf_printf(out, "%.*s\n", STR_ARG(short_name(s)));
	}
	put_aliases(s, out);
}

/* ---- resolv.conf ---- */

struct words {
	struct str v[WORDS_MAX];
	size_t n;
};

static void add_word(struct words *w, struct str s)
{
	for (size_t i = 0; i < w->n; i++) {
		if (str_eq(w->v[i], s))
			return;
	}
	if (s.n && w->n < WORDS_MAX)
		w->v[w->n++] = s;
}

struct resolver {
	struct words servers, searches, options;
};

static struct str option_name(struct str option)
{
	struct str name, value;

	str_cut(option, ':', &name, &value);
	return name;
}

/* A later option of a name replaces the earlier one. */
static void add_option(struct words *w, struct str option)
{
	for (size_t i = 0; i < w->n; i++) {
		if (str_eq(option_name(w->v[i]), option_name(option))) {
			w->v[i] = option;
			return;
		}
	}
	add_word(w, option);
}

/* The words of a line, which blanks separate. */
static bool next_word(struct str *rest, struct str *ret)
{
	size_t n = 0;

	*rest = str_trim(*rest);
	while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
		n++;
	*ret = str_sub(*rest, 0, n);
	*rest = str_sub(*rest, n, rest->n);
	return n > 0;
}

static void read_host(struct str text, struct resolver *r)
{
	struct str line, key, word;

	while (str_next(&text, '\n', &line)) {
		if (!next_word(&line, &key))
			continue;
		bool search = str_is(key, "search");
		if (search)
			r->searches.n = 0; /* the last line counts */
		while ((search || str_is(key, "nameserver") || str_is(key, "options")) &&
		       next_word(&line, &word)) {
			if (str_is(key, "options"))
				add_option(&r->options, word);
			else
				add_word(search ? &r->searches : &r->servers, word);
		}
	}
}

static void add_list(struct words *w, const struct json *list)
{
	for (size_t i = 0; i < json_len(list); i++)
		add_word(w, json_str(json_item(list, i)));
}

static void put_words(const char *key, const struct words *w, struct buf *out)
{
	if (!w->n)
		return;
	buf_puts(out, key);
	for (size_t i = 0; i < w->n; i++)
		buf_printf(out, " %.*s", STR_ARG(w->v[i]));
	buf_putc(out, '\n');
}

static void cluster_first(struct arena *a, const struct pod_spec *s, const struct node_names *n,
			  struct resolver *r)
{
	struct words of_host = r->searches;

	*r = (struct resolver){0};
	add_word(&r->servers, n->dns);
	add_word(&r->searches,
		 arena_strf(a, "%.*s.svc.%.*s", STR_ARG(s->namespace), STR_ARG(n->domain)));
	add_word(&r->searches, arena_strf(a, "svc.%.*s", STR_ARG(n->domain)));
	add_word(&r->searches, n->domain);
	for (size_t i = 0; i < of_host.n; i++)
		add_word(&r->searches, of_host.v[i]);
	add_option(&r->options, STR("ndots:5"));
}

void pod_resolv(const struct pod_spec *s, const struct node_names *n, struct str host,
		struct buf *out)
{
	AUTO(arena) struct arena a = {0};
	struct str policy = json_str_or(json_at(s->spec, "dnsPolicy"), STR("ClusterFirst"));
	const struct json *config = json_at(s->spec, "dnsConfig"),
			  *options = json_at(config, "options");
	struct resolver r = {0};

	if (!str_is(policy, "None"))
		read_host(host, &r);
	if (n->dns.n && (str_is(policy, "ClusterFirstWithHostNet") ||
			 (str_is(policy, "ClusterFirst") && !s->host_network)))
		cluster_first(&a, s, n, &r);
	add_list(&r.servers, json_at(config, "nameservers"));
	add_list(&r.searches, json_at(config, "searches"));
	for (size_t i = 0; i < json_len(options); i++) {
		struct str name = json_str(json_at(json_item(options, i), "name"));
		struct str value = json_str(json_at(json_item(options, i), "value"));
		add_option(&r.options, arena_strf(&a, "%.*s%s%.*s", STR_ARG(name),
						  value.n ? ":" : "", STR_ARG(value)));
	}
	put_words("search", &r.searches, out);
	for (size_t i = 0; i < r.servers.n; i++)
		buf_printf(out, "nameserver %.*s\n", STR_ARG(r.servers.v[i]));
	put_words("options", &r.options, out);
}
