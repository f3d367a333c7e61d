/*
 * Answers libgit2's questions for credentials and checks the server's identity: an SSH host key
 * must stand in known_hosts, a TLS certificate must be valid for the authorities that libgit2
 * knows. Never falls back to weaker credentials, never gives them to another host than the one
 * that the source names, never puts a secret into a message. Helper process only; values live in
 * the request's arena.
 */
#include "reconciler/gitauth.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <git2/cert.h>
#include <git2/credential.h>
#include <git2/errors.h>
#include <git2/global.h>

#include "lib/base/buf.h"
#include "lib/http/proxied.h"
#include "reconciler/knownhosts.h"

#define ATTEMPTS_MAX 2

static char *value(struct arena *a, const struct json *auth, const char *key)
{
	struct str v = json_str(json_get(auth, str_c(key)));

	return v.n && !memchr(v.p, 0, v.n) ? arena_cstr(a, v) : NULL;
}

/* What people paste into Secrets ends with a line break. */
static char *word(struct arena *a, const struct json *auth, const char *key)
{
	struct str v = str_trim(json_str(json_get(auth, str_c(key))));

	for (size_t i = 0; i < v.n; i++) {
		if ((unsigned char)v.p[i] < ' ')
			return NULL;
	}
	return v.n ? arena_cstr(a, v) : NULL;
}

/* libgit2 reads authorities from files only. */
static int trust(const char *pem, struct err *err)
{
	char path[64];
	size_t n = strlen(pem);
	int fd = memfd_create("ca", 0);

	if (fd < 0 || write(fd, pem, n) != (ssize_t)n)
		return err_sys(err, "keep ca.crt");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, path, NULL) < 0)
		return err_set(err, ERR_INVALID, "ca.crt: not a certificate");
	return 0;
}

/* "host" and port of a url; of git@host:path, too. */
static struct str authority(struct str url, int *port)
{
	struct str rest = url, host, tail;
	ptrdiff_t at = str_find(url, STR("://"));
	int64_t n;

	*port = str_starts(url, STR("https:")) ? 443 : str_starts(url, STR("http:")) ? 80 : 22;
	if (at >= 0)
		rest = str_sub(url, (size_t)at + 3, url.n);
	if (str_cut(rest, '/', &host, &tail))
		rest = host;
	if (str_rcut(rest, '@', &host, &tail))
		rest = tail;
	if (rest.n && rest.p[0] == '[') {
		str_cut(str_sub(rest, 1, rest.n), ']', &host, &tail);
		if (tail.n)
			tail = str_sub(tail, 1, tail.n);
	} else {
		str_cut(rest, ':', &host, &tail);
	}
	if (at >= 0 && tail.n && !str_to_i64(tail, &n) && n > 0 && n < 65536)
		*port = (int)n;
	return host;
}

static int proxy_init(struct gitauth *g, struct arena *a, const struct json *proxy, struct err *err)
{
	if (!json_is(proxy, JSON_OBJECT))
		return 0;
	g->proxy = word(a, proxy, "address");
	g->proxy_user = word(a, proxy, "username");
	g->proxy_password = word(a, proxy, "password");
	if (!g->proxy)
		return err_set(err, ERR_INVALID, "spec.proxySecretRef: address is missing");
	return 0;
}

int gitauth_init(struct gitauth *g, struct arena *a, const struct json *request, struct err *err)
{
	const struct json *auth = json_get(request, STR("auth"));
	const char *ca = value(a, auth, "ca.crt") ?: value(a, auth, "caFile");
	struct str url = json_str(json_get(request, STR("url")));
	const char *bearer = word(a, auth, "bearerToken");
	bool http = str_starts(url, STR("http://")) || str_starts(url, STR("https://"));

	g->host = arena_cstr(a, authority(url, &g->port));
	g->username = word(a, auth, "username");
	g->password = word(a, auth, "password");
	g->identity = value(a, auth, "identity");
	g->known_hosts = value(a, auth, "known_hosts");
	if (!g->password && bearer && http)
		g->header = arena_printf(a, "Authorization: Bearer %s", bearer);
	if (http && (value(a, auth, "tls.crt") || value(a, auth, "certFile")))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.secretRef: client certificates are not supported");
	if (proxy_init(g, a, json_get(auth, STR("proxy")), err))
		return -1;
	/* libgit2 would connect directly. */
	if (g->proxy && !str_starts(url, STR("https://")) && !str_starts(url, STR("file://")))
		return err_set(err, ERR_UNSUPPORTED,
			       "spec.proxySecretRef: only https:// repositories are fetched by a "
			       "proxy");
	/* libgit2 would read the repository's configuration first, and a part of the environment.
	 */
	if (http && !g->proxy)
		g->proxy = http_proxy_for(str_starts(url, STR("https:")), str_c(g->host), g->port);
	return ca ? trust(ca, err) : 0;
}

static bool same_host(const struct gitauth *g, const char *url)
{
	int port;

	return str_ieq(authority(str_c(url), &port), str_c(g->host)) && port == g->port;
}

static int on_credentials(git_credential **out, const char *url, const char *user,
			  unsigned int allowed, void *arg)
{
	struct gitauth *g = arg;

	if (url && strstr(url, "://") && !same_host(g, url)) {
		snprintf(g->problem, sizeof(g->problem),
			 "redirected to another host, which gets no credentials");
		return GIT_EAUTH;
	}
	if (g->asked++ > ATTEMPTS_MAX || g->header) {
		snprintf(g->problem, sizeof(g->problem), "the server refused the credentials");
		return GIT_EAUTH;
	}
	if (allowed & GIT_CREDENTIAL_USERNAME)
		return git_credential_username_new(out, g->username ?: user ?: "git");
	if (g->identity && (allowed & GIT_CREDENTIAL_SSH_MEMORY))
		return git_credential_ssh_key_memory_new(out, user ?: "git", NULL, g->identity,
							 g->password);
	if (g->username && g->password && (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT))
		return git_credential_userpass_plaintext_new(out, g->username, g->password);
	snprintf(g->problem, sizeof(g->problem),
		 "the server wants credentials, and spec.secretRef has none that fit");
	return GIT_EAUTH;
}

static int on_proxy_credentials(git_credential **out, const char *url, const char *user,
				unsigned int allowed, void *arg)
{
	struct gitauth *g = arg;

	(void)url;
	(void)user;
	if (g->proxy_asked++ <= ATTEMPTS_MAX && g->proxy_user &&
	    (allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT))
		return git_credential_userpass_plaintext_new(out, g->proxy_user,
							     g->proxy_password ?: "");
	snprintf(g->problem, sizeof(g->problem), "the proxy refused the credentials");
	return GIT_EAUTH;
}

static int host_key(struct gitauth *g, const git_cert_hostkey *key, const char *host)
{
	static const char *const why[] = {
		[KNOWN_HOST_NEVER] =
			"the host key of %s does not stand in known_hosts of spec.secretRef",
		[KNOWN_HOST_OTHER] = "the host key of %s is not the one that stands in known_hosts "
				     "of spec.secretRef: it changed, or somebody else answers",
		[KNOWN_HOST_REVOKED] = "the host key of %s is revoked by known_hosts",
	};
	enum known_host found = KNOWN_HOST_NEVER;

	if (key->type & GIT_CERT_SSH_SHA256)
		found = known_host(str_c(g->known_hosts), str_c(host), g->port, key->hash_sha256);
	if (found == KNOWN_HOST_YES)
		return 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(g->problem, sizeof(g->problem), why[found], host);
#pragma GCC diagnostic pop
	return GIT_ECERTIFICATE;
}

static int on_certificate(git_cert *cert, int valid, const char *host, void *arg)
{
	struct gitauth *g = arg;

	if (cert->cert_type == GIT_CERT_HOSTKEY_LIBSSH2)
		return host_key(g, (const git_cert_hostkey *)cert, host);
	if (!valid)
		snprintf(g->problem, sizeof(g->problem), "the certificate of %s is not trusted",
			 host);
	return valid ? 0 : GIT_ECERTIFICATE;
}

void gitauth_callbacks(struct gitauth *g, git_remote_callbacks *c)
{
	c->payload = g;
	c->credentials = on_credentials;
	c->certificate_check = on_certificate;
}

void gitauth_proxy(struct gitauth *g, git_proxy_options *o)
{
	git_proxy_options_init(o, GIT_PROXY_OPTIONS_VERSION);
	if (!g->proxy)
		return;
	o->type = GIT_PROXY_SPECIFIED;
	o->url = g->proxy;
	o->credentials = on_proxy_credentials;
	o->certificate_check = on_certificate;
	o->payload = g;
}
