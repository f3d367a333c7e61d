/*
 * Answers libgit2's questions for credentials and checks the server's identity: an SSH host key
 * must stand in known_hosts, a TLS certificate must be valid for the authorities that libgit2
 * knows. Never falls back to weaker credentials, never puts a secret into a message. Helper
 * process only; values live in the request's arena.
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

#include "lib/base/codec.h"

static char *value(struct arena *a, const struct json *auth, const char *key)
{
	struct str v = json_str(json_get(auth, str_c(key)));

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

int gitauth_init(struct gitauth *g, struct arena *a, const struct json *auth, struct err *err)
{
	const char *ca = value(a, auth, "ca.crt") ?: value(a, auth, "caFile");

	g->username = value(a, auth, "username");
	g->password = value(a, auth, "password");
	g->identity = value(a, auth, "identity");
	g->known_hosts = value(a, auth, "known_hosts");
	if (!g->password && value(a, auth, "bearerToken")) {
		g->username = "x-access-token";
		g->password = value(a, auth, "bearerToken");
	}
	return ca ? trust(ca, err) : 0;
}

static int on_credentials(git_credential **out, const char *url, const char *user,
			  unsigned int allowed, void *arg)
{
	struct gitauth *g = arg;

	(void)url;
	if (g->asked++ > 2) {
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

static bool key_matches(struct str line, const char *host, const git_cert_hostkey *cert)
{
	AUTO(buf) struct buf key = {0};
	struct str hosts, rest, type, text, name;
	struct sha256 sum;

	line = str_trim(line);
	if (!line.n || line.p[0] == '#' || !str_cut(line, ' ', &hosts, &rest) ||
	    !str_cut(str_trim(rest), ' ', &type, &text))
		return false;
	str_cut(str_trim(text), ' ', &text, &rest);
	if (base64_decode(text, &key))
		return false;
	sha256_of(buf_view(&key), &sum);
	if (memcmp(sum.bytes, cert->hash_sha256, sizeof(sum.bytes)))
		return false;
	while (str_next(&hosts, ',', &name)) {
		struct str bare = name, tail;

		if (name.n && name.p[0] == '[')
			str_cut(str_sub(name, 1, name.n), ']', &bare, &tail);
		if (str_ieq(bare, str_c(host)))
			return true;
	}
	return false;
}

static int on_certificate(git_cert *cert, int valid, const char *host, void *arg)
{
	struct gitauth *g = arg;
	struct str rest = str_c(g->known_hosts), line;
	const git_cert_hostkey *key = (const git_cert_hostkey *)cert;

	if (cert->cert_type != GIT_CERT_HOSTKEY_LIBSSH2) {
		if (!valid)
			snprintf(g->problem, sizeof(g->problem),
				 "the certificate of %s is not trusted", host);
		return valid ? 0 : GIT_ECERTIFICATE;
	}
	while ((key->type & GIT_CERT_SSH_SHA256) && str_next(&rest, '\n', &line)) {
		if (key_matches(line, host, key))
			return 0;
	}
	snprintf(g->problem, sizeof(g->problem),
		 "the host key of %s does not stand in known_hosts of spec.secretRef", host);
	return GIT_ECERTIFICATE;
}

void gitauth_callbacks(struct gitauth *g, git_remote_callbacks *c)
{
	c->payload = g;
	c->credentials = on_credentials;
	c->certificate_check = on_certificate;
}
