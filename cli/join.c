/*
 * See join.h. Must never send a token to a server whose certificate the token's hash doesn't
 * vouch for: the authority is fetched without credentials, checked, and only then trusted. Keys are
 * made here and never leave the machine. One thread, a loop of its own for each call.
 */
#include "cli/join.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/arena.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"
#include "lib/kube/client.h"
#include "lib/kube/nodename.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

#define PEM_MAX 65536
#define HASH_LEN 64
#define CALL_TIMEOUT (10 * NS_PER_S)
#define SIGN_TIMEOUT_MS 60000
#define LOOK_MS 100

#define CLIENT "kubernetes.io/kube-apiserver-client"

struct joining {
	const struct join *j;
	struct arena a;
	struct buf ca;
	bool changed;
};

/* ---- files ---- */

/* DIR/pki/WHAT-NODE.SUFFIX, in the arena. */
static const char *file(struct joining *g, const char *what, const char *suffix)
{
	return arena_printf(&g->a, "%s/pki/%s-%s.%s", g->j->dir->path, what, g->j->node, suffix);
}

static int64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/* How long a certificate still lasts; 0 = it doesn't, or isn't there. */
static int64_t left_ns(const char *path)
{
	AUTO(buf) struct buf pem = {0};
	struct cert_info info = {0};

	if (!fs_exists(path) || fs_read(path, PEM_MAX, &pem, NULL) ||
	    cert_info(buf_view(&pem), &info, NULL))
		return 0;
	cert_info_release(&info);
	return MAX(info.not_after_ns - wall_ns(), 0);
}

/* ---- the authority ---- */

int join_hash(struct str pem, char ret[65], struct err *err)
{
	AUTO(buf) struct buf hex = {0};
	struct cert_info info = {0};

	if (cert_info(pem, &info, err))
		return -1;
	hex_encode((struct str){(const char *)info.spki_sha256, sizeof(info.spki_sha256)}, &hex);
	cert_info_release(&info);
	snprintf(ret, 65, "%s", buf_cstr(&hex));
	return 0;
}

struct fetch {
	struct buf *to;
	struct err err;
	bool done;
};

static void on_fetched(void *arg, const struct api_answer *a)
{
	struct fetch *f = arg;

	f->err = a->err;
	if (!a->err.code)
		buf_str(f->to, a->body);
	f->done = true;
}

static int fetch_authority(struct joining *g, struct err *err)
{
	struct kubeconfig k = {.server = (char *)(uintptr_t)g->j->server, .insecure = true};
	struct loop *l = loop_new();
	struct client *c = client_http_new(l, &k, "plumb-agent", err);
	struct fetch f = {.to = &g->ca};

	if (c)
		client_raw(c, "/cacerts", "*/*", on_fetched, &f);
	while (c && !f.done)
		loop_turn(l, -1);
	client_free(c);
	loop_free(l);
	if (!c || !f.err.code)
		return c ? 0 : -1;
	*err = f.err;
	return err_wrap(err, "%s", g->j->server);
}

/* "ID.SECRET.HASH" → "ID.SECRET" and the hash. */
static int split_token(struct joining *g, struct str *ret_token, struct str *ret_hash,
		       struct err *err)
{
	struct str all = str_c(g->j->token ? g->j->token : "");

	if (!all.n)
		return err_set(err, ERR_INVALID,
			       "this machine has not joined yet: --token is needed (plumb token "
			       "create, on the server)");
	if (!str_rcut(all, '.', ret_token, ret_hash) || ret_hash->n != HASH_LEN ||
	    str_find(*ret_token, STR(".")) < 0)
		return err_set(err, ERR_INVALID, "--token is not of the form ID.SECRET.HASH");
	return 0;
}

static int learn_authority(struct joining *g, struct err *err)
{
	struct str token, hash;
	char have[65];

	const char *path = datadir_path(g->j->dir, "pki/ca.crt");
	if (fs_exists(path))
		return fs_read(path, PEM_MAX, &g->ca, err);
	if (split_token(g, &token, &hash, err) || fetch_authority(g, err))
		return -1;
	if (join_hash(buf_view(&g->ca), have, err) || !str_is(hash, have))
		return err_set(err, ERR_INVALID,
			       "%s is not the cluster that the token is for: its authority's key "
			       "has another hash",
			       g->j->server);
	return fs_write(path, buf_view(&g->ca), 0644, err);
}

/* ---- one certificate ---- */

struct wanted {
	const char *name; /* of its files */
	const char *signer, *cn, *org, *san;
};

static struct json *request_of(struct joining *g, const struct wanted *w, struct str csr)
{
	bool server = w->san != NULL;
	AUTO(buf) struct buf text = {0};

	base64_encode(csr, &text);
	return json_build(&g->a, "{s:s,s:s,s:{s:s},s:{s:S,s:s,s:[s,s]}}", "apiVersion",
			  "certificates.k8s.io/v1", "kind", "CertificateSigningRequest", "metadata",
			  "generateName", server ? "csr-server-" : "csr-node-", "spec", "request",
			  arena_str(&g->a, buf_view(&text)), "signerName", w->signer, "usages",
			  "digital signature", server ? "server auth" : "client auth");
}

static struct json *call(struct joining *g, struct client *c, enum api_verb verb, struct str name,
			 const struct json *body, struct err *err)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf answer = {0};
	struct api_call q = {.verb = verb,
			     .resource = &res_certificatesigningrequests,
			     .name = name,
			     .timeout_ns = CALL_TIMEOUT};

	if (body)
		json_write(body, &text);
	q.body = buf_view(&text);
	if (client_sync(c, &q, &answer, err))
		return NULL;
	return json_parse(&g->a, arena_str(&g->a, buf_view(&answer)), NULL, err);
}

static int pause_turn(void)
{
	struct timespec t = {.tv_nsec = LOOK_MS * NS_PER_MS};

	return nanosleep(&t, NULL);
}

/* Until it has been signed. */
static int await(struct joining *g, struct client *c, struct str name, struct buf *ret,
		 struct err *err)
{
	for (int waited = 0; waited < SIGN_TIMEOUT_MS; waited += LOOK_MS) {
		const struct json *v = call(g, c, API_GET, name, NULL, err);
		struct str cert = json_str(json_at(v, "status", "certificate"));
		const struct json *no = condition_find(v, "Denied");

		if (!v)
			return -1;
		if (cert.n)
			return base64_decode(cert, ret) ? err_set(err, ERR_PARSE, "not base64") : 0;
		no = no ? no : condition_find(v, "Failed");
		if (no)
			return err_set(err, ERR_FORBIDDEN, "certificate request %.*s: %.*s",
				       STR_ARG(name), STR_ARG(json_str(json_at(no, "message"))));
		(void)!pause_turn();
	}
	return err_set(err, ERR_TIMEOUT, "certificate request %.*s waits for approval",
		       STR_ARG(name));
}

static int ask(struct joining *g, const struct kubeconfig *as, const struct wanted *w,
	       struct buf *key, struct buf *cert, struct err *err)
{
	const char *orgs[] = {w->org, NULL}, *sans[] = {w->san, NULL};
	AUTO(buf) struct buf csr = {0};
	struct loop *l = loop_new();
	struct client *c = client_http_new(l, as, "plumb-agent", err);
	struct json *v = NULL;
	int rc = -1;

	if (c && !csr_create(w->cn, w->org ? orgs : NULL, w->san ? sans : NULL, key, &csr, err))
		v = call(g, c, API_CREATE, STR_NONE, request_of(g, w, buf_view(&csr)), err);
	if (v)
		rc = await(g, c, meta_name(v), cert, err);
	client_free(c);
	loop_free(l);
	return rc;
}

/* The key first: a certificate that is there has its key. */
static int ensure(struct joining *g, const struct kubeconfig *as, const struct wanted *w,
		  struct err *err)
{
	const char *crt = file(g, w->name, "crt");
	AUTO(buf) struct buf cert = {0};
	struct buf key = {0};
	int rc;

	if (left_ns(crt) > g->j->renew_ns)
		return 0;
	rc = ask(g, as, w, &key, &cert, err);
	if (!rc)
		rc = fs_write(file(g, w->name, "key"), buf_view(&key), 0600, err);
	if (!rc)
		rc = fs_write(crt, buf_view(&cert), 0644, err);
	buf_wipe(&key);
	g->changed = true;
	return rc;
}

/* ---- who asks ---- */

static int write_config(struct joining *g, const char *name, const char *to, struct err *err)
{
	struct buf cert = {0}, key = {0}, text = {0};
	int rc = -1;

	if (!fs_read(file(g, name, "crt"), PEM_MAX, &cert, err) &&
	    !fs_read(file(g, name, "key"), PEM_MAX, &key, err)) {
		struct kubeconfig k = {.server = (char *)(uintptr_t)g->j->server,
				       .ca_pem = (char *)(uintptr_t)buf_cstr(&g->ca),
				       .cert_pem = (char *)(uintptr_t)buf_cstr(&cert),
				       .key_pem = (char *)(uintptr_t)buf_cstr(&key)};

		kubeconfig_write(&k, "plumb", g->j->node, &text);
		rc = fs_write(file(g, to, "kubeconfig"), buf_view(&text), 0600, err);
	}
	buf_release(&cert);
	buf_wipe(&key);
	buf_wipe(&text);
	return rc;
}

/* By its own certificate while that is good, by the token otherwise. */
static int ensure_client(struct joining *g, struct err *err)
{
	const struct wanted w = {"kubelet-client", CLIENT "-kubelet",
				 arena_printf(&g->a, "system:node:%s", g->j->node), "system:nodes",
				 NULL};
	struct kubeconfig own = {0}, by_token = {.server = (char *)(uintptr_t)g->j->server,
						 .ca_pem = (char *)(uintptr_t)buf_cstr(&g->ca)};
	struct str token, hash;
	int rc = -1;

	if (left_ns(file(g, "kubelet-client", "crt")) &&
	    !kubeconfig_load(file(g, "kubelet", "kubeconfig"), &own, NULL)) {
		rc = ensure(g, &own, &w, err);
		kubeconfig_release(&own);
	} else if (!split_token(g, &token, &hash, err)) {
		by_token.token = arena_cstr(&g->a, token);
		rc = ensure(g, &by_token, &w, err);
	}
	return rc ? err_wrap(err, "the node's certificate")
		  : write_config(g, w.name, "kubelet", err);
}

static int ensure_servers(struct joining *g, struct err *err)
{
	const struct wanted serving = {"kubelet", "kubernetes.io/kubelet-serving",
				       arena_printf(&g->a, "system:node:%s", g->j->node),
				       "system:nodes",
				       arena_printf(&g->a, "DNS:%s" KUBELET_NAME_END, g->j->node)};
	const struct wanted proxy = {"proxy", CLIENT, "system:kube-proxy", NULL, NULL};
	struct kubeconfig own = {0};
	int rc;

	if (kubeconfig_load(file(g, "kubelet", "kubeconfig"), &own, err))
		return -1;
	rc = ensure(g, &own, &serving, err) || ensure(g, &own, &proxy, err) ? -1 : 0;
	kubeconfig_release(&own);
	return rc ? err_wrap(err, "certificates of the kubelet and the proxy")
		  : write_config(g, "proxy", "proxy", err);
}

int join_cluster(const struct join *j, bool *ret_changed, struct err *err)
{
	struct joining g = {.j = j};
	int rc = fs_mkdirs(datadir_path(j->dir, "pki"), 0700, err);

	if (!rc)
		rc = learn_authority(&g, err);
	if (!rc)
		rc = ensure_client(&g, err);
	if (!rc)
		rc = ensure_servers(&g, err);
	if (ret_changed)
		*ret_changed = g.changed;
	buf_release(&g.ca);
	arena_release(&g.a);
	return rc;
}
