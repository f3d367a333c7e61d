/*
 * Keys and certificates of an instance. P-256 throughout. Private keys are written 0600 and never
 * leave DIR/pki. Blocking; runs before anything else does. What a certificate was made for is
 * written beside it (NAME.for), so a change of addresses makes a new one.
 */
#include "cli/pki.h"

#include <stdio.h>
#include <time.h>

#include "lib/base/arena.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"
#include "lib/kube/client.h"
#include "lib/kube/nodename.h"
#include "lib/os/fs.h"

#define YEAR_S (INT64_C(365) * 24 * 3600)
#define RENEW_NS (INT64_C(30) * 24 * 3600 * NS_PER_S)
#define PEM_MAX 65536

struct authority {
	struct buf cert, key;
	int64_t now_ns;
};

static int64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static int authority_load(const struct datadir *d, struct authority *a, struct err *err)
{
	a->now_ns = wall_ns();
	if (fs_exists(datadir_path(d, "pki/ca.crt"))) {
		if (fs_read(datadir_path(d, "pki/ca.crt"), PEM_MAX, &a->cert, err) ||
		    fs_read(datadir_path(d, "pki/ca.key"), PEM_MAX, &a->key, err))
			return err_wrap(err, "certificate authority");
		return 0;
	}
	if (fs_mkdirs(datadir_path(d, "pki"), 0700, err) ||
	    ca_create("plumb-ca", a->now_ns, 10 * YEAR_S, &a->cert, &a->key, err) ||
	    fs_write(datadir_path(d, "pki/ca.key"), buf_view(&a->key), 0600, err) ||
	    fs_write(datadir_path(d, "pki/ca.crt"), buf_view(&a->cert), 0644, err))
		return err_wrap(err, "certificate authority");
	return 0;
}

static void authority_release(struct authority *a)
{
	buf_release(&a->cert);
	buf_wipe(&a->key);
}

/* One line that says what the certificate is for; another line means another certificate. */
static void purpose(const struct cert_request *r, struct buf *out)
{
	buf_printf(out, "CN=%s", r->common_name);
	for (const char *const *o = r->organizations; o && *o; o++)
		buf_printf(out, " O=%s", *o);
	for (const char *const *s = r->sans; s && *s; s++)
		buf_printf(out, " %s", *s);
	buf_puts(out, r->server ? " server" : "");
	buf_puts(out, r->client ? " client\n" : "\n");
}

static bool still_good(const struct datadir *d, const char *name, struct str want, int64_t now_ns)
{
	AUTO(buf) struct buf was = {0};
	AUTO(buf) struct buf pem = {0};
	struct cert_info info = {0};

	if (fs_read(datadir_path(d, "pki/%s.for", name), PEM_MAX, &was, NULL) ||
	    fs_read(datadir_path(d, "pki/%s.crt", name), PEM_MAX, &pem, NULL) ||
	    !str_eq(buf_view(&was), want) || cert_info(buf_view(&pem), &info, NULL))
		return false;
	bool good = info.not_after_ns - now_ns > RENEW_NS;
	cert_info_release(&info);
	return good;
}

static int ensure_cert(const struct datadir *d, const struct authority *a, const char *name,
		       struct cert_request *r, struct err *err)
{
	AUTO(buf) struct buf want = {0};
	AUTO(buf) struct buf cert = {0};
	struct buf key = {0};
	int rc = -1;

	purpose(r, &want);
	if (still_good(d, name, buf_view(&want), a->now_ns))
		return 0;
	r->lifetime_s = YEAR_S;
	r->now_ns = a->now_ns;
	if (!ca_issue(buf_view(&a->cert), buf_view(&a->key), r, &cert, &key, err) &&
	    !fs_write(datadir_path(d, "pki/%s.key", name), buf_view(&key), 0600, err) &&
	    !fs_write(datadir_path(d, "pki/%s.crt", name), buf_view(&cert), 0644, err))
		rc = fs_write(datadir_path(d, "pki/%s.for", name), buf_view(&want), 0644, err);
	buf_wipe(&key);
	return rc ? err_wrap(err, "certificate %s", name) : 0;
}

/* Always rewritten: it names the server, whose port may have changed. */
static int write_kubeconfig(const struct datadir *d, const struct authority *a, const char *name,
			    const char *server, const char *path, struct err *err)
{
	struct buf cert = {0}, key = {0}, text = {0}, ca = {0};
	int rc = -1;

	buf_str(&ca, buf_view(&a->cert));
	if (!fs_read(datadir_path(d, "pki/%s.crt", name), PEM_MAX, &cert, err) &&
	    !fs_read(datadir_path(d, "pki/%s.key", name), PEM_MAX, &key, err)) {
		struct kubeconfig k = {
			.server = (char *)(uintptr_t)server,
			.ca_pem = (char *)(uintptr_t)buf_cstr(&ca),
			.cert_pem = (char *)(uintptr_t)buf_cstr(&cert),
			.key_pem = (char *)(uintptr_t)buf_cstr(&key),
		};
		kubeconfig_write(&k, "plumb", name, &text);
		rc = fs_write(path, buf_view(&text), 0600, err);
	}
	buf_release(&ca);
	buf_release(&cert);
	buf_wipe(&key);
	buf_wipe(&text);
	return rc;
}

static int ensure_client(const struct datadir *d, const struct authority *a, const char *name,
			 const char *user, const char *group, struct err *err)
{
	const char *orgs[] = {group, NULL};
	struct cert_request r = {
		.common_name = user, .organizations = group ? orgs : NULL, .client = true};

	return ensure_cert(d, a, name, &r, err);
}

struct identity {
	const char *file, *user, *group;
};

static const struct identity control_plane[] = {
	{"scheduler", "system:kube-scheduler", NULL},
	{"controllers", "system:kube-controller-manager", NULL},
	{"reconciler", "system:plumb:reconciler", NULL},
};

static int ensure_server(const struct datadir *d, const struct authority *a, const char *const *ips,
			 struct err *err)
{
	char ip_sans[16][64];
	const char *sans[32] = {"DNS:localhost", "DNS:kubernetes", "DNS:kubernetes.default",
				"DNS:kubernetes.default.svc",
				"DNS:kubernetes.default.svc.cluster.local"};
	size_t n = 5;
	struct cert_request r = {.common_name = "kube-apiserver", .sans = sans, .server = true};

	for (size_t i = 0; i < ARRAY_LEN(ip_sans) && ips[i]; i++) {
		snprintf(ip_sans[i], sizeof(ip_sans[i]), "IP:%s", ips[i]);
		sans[n++] = ip_sans[i];
	}
	return ensure_cert(d, a, "apiserver", &r, err);
}

static int ensure_token_key(const struct datadir *d, struct err *err)
{
	struct buf key = {0};
	AUTO(buf) struct buf csr = {0};
	const char *path = datadir_path(d, "pki/sa.key");

	if (fs_exists(path))
		return 0;
	int rc = csr_create("service-accounts", NULL, NULL, &key, &csr, err);
	if (!rc)
		rc = fs_write(path, buf_view(&key), 0600, err);
	buf_wipe(&key);
	return rc;
}

static int control_plane_files(const struct datadir *d, const struct authority *a,
			       const struct pki_cluster *c, struct err *err)
{
	if (ensure_server(d, a, c->server_ips, err) || ensure_token_key(d, err) ||
	    ensure_client(d, a, "apiserver-kubelet", "kube-apiserver-kubelet-client",
			  "plumb:apiserver", err) ||
	    ensure_client(d, a, "front-proxy", "front-proxy-client", NULL, err) ||
	    ensure_client(d, a, "admin", "plumb-admin", "system:masters", err))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(control_plane); i++) {
		const struct identity *id = &control_plane[i];
		if (ensure_client(d, a, id->file, id->user, id->group, err) ||
		    write_kubeconfig(d, a, id->file, c->server,
				     datadir_path(d, "pki/%s.kubeconfig", id->file), err))
			return -1;
	}
	return write_kubeconfig(d, a, "admin", c->server, datadir_path(d, "admin.kubeconfig"), err);
}

int pki_control_plane(const struct datadir *d, const struct pki_cluster *c, struct err *err)
{
	struct authority a = {0};
	int rc = authority_load(d, &a, err);

	if (!rc)
		rc = control_plane_files(d, &a, c, err);
	authority_release(&a);
	return rc;
}

static int node_files(const struct datadir *d, const struct authority *a,
		      const struct pki_cluster *c, const char *node, const char *ip,
		      struct err *err)
{
	char kubelet[128], proxy[128], serving[128], user[128], dns_san[128], ip_san[64], own[300];
	const char *sans[] = {dns_san, ip_san, own, NULL};
	struct cert_request r = {.common_name = user, .sans = sans, .server = true};
	const char *server = c->node_server ? c->node_server : c->server;

	snprintf(kubelet, sizeof(kubelet), "kubelet-client-%s", node);
	snprintf(serving, sizeof(serving), "kubelet-%s", node);
	snprintf(proxy, sizeof(proxy), "proxy-%s", node);
	snprintf(user, sizeof(user), "system:node:%s", node);
	snprintf(dns_san, sizeof(dns_san), "DNS:%s", node);
	snprintf(ip_san, sizeof(ip_san), "IP:%s", ip);
	snprintf(own, sizeof(own), "DNS:%s" KUBELET_NAME_END, node);
	if (ensure_cert(d, a, serving, &r, err) ||
	    ensure_client(d, a, kubelet, user, "system:nodes", err) ||
	    ensure_client(d, a, proxy, "system:kube-proxy", NULL, err))
		return -1;
	if (write_kubeconfig(d, a, kubelet, server,
			     datadir_path(d, "pki/kubelet-%s.kubeconfig", node), err))
		return -1;
	return write_kubeconfig(d, a, proxy, server,
				datadir_path(d, "pki/proxy-%s.kubeconfig", node), err);
}

int pki_node(const struct datadir *d, const struct pki_cluster *c, const char *node, const char *ip,
	     struct err *err)
{
	struct authority a = {0};
	int rc = authority_load(d, &a, err);

	if (!rc)
		rc = node_files(d, &a, c, node, ip, err);
	authority_release(&a);
	return rc ? err_wrap(err, "node %s", node) : 0;
}
