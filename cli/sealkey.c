/*
 * Finding a cluster's public key: a file, a URL, the repository one stands in, or the API. What
 * arrives is checked by its parser; the key is public, so how it travels matters only for whom
 * one seals to: an http URL is refused unless it is this machine's.
 */
#include "cli/sealkey.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/adminconf.h"
#include "lib/http/client.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

enum { PUB_FILE_MAX = 64 * 1024 };

struct fetch {
	struct loop *loop;
	struct buf body;
	struct err err;
};

static void on_done(void *arg, const struct http_answer *a)
{
	struct fetch *f = arg;

	if (a->err && a->err->code != ERR_NONE)
		f->err = *a->err;
	else if (a->status != 200)
		err_set(&f->err, ERR_BAD_REQUEST, "HTTP %d", a->status);
	else
		buf_str(&f->body, a->body);
	loop_stop(f->loop);
}

struct url {
	bool tls;
	char *host;
	int port;
	struct str path;
};

static int url_parse(struct str s, struct url *ret, struct err *err)
{
	struct str scheme = str_starts(s, STR("https://")) ? STR("https://") : STR("http://");
	struct str rest = str_sub(s, scheme.n, s.n), authority, path, host, port;
	int64_t n;

	ret->tls = scheme.n == 8;
	str_cut(rest, '/', &authority, &path);
	ret->path = path.p && path.n ? (struct str){path.p - 1, path.n + 1} : STR("/");
	n = ret->tls ? 443 : 80;
	if (str_rcut(authority, ':', &host, &port)) {
		if (str_to_i64(port, &n) != 0 || n < 1 || n > 65535)
			return err_set(err, ERR_BAD_REQUEST, "not a URL");
	} else {
		host = authority;
	}
	if (!host.n || host.n > 253)
		return err_set(err, ERR_BAD_REQUEST, "not a URL");
	if (!ret->tls && !str_is(host, "localhost") && !str_is(host, "127.0.0.1"))
		return err_set(err, ERR_BAD_REQUEST,
			       "over http anybody could put their own key there: must be https");
	ret->port = (int)n;
	ret->host = xstrndup(host.p, host.n);
	return 0;
}

static int fetch_url(const struct url *u, struct buf *ret, struct err *err)
{
	struct fetch f = {.loop = loop_new()};
	struct tls_files trust = {0};
	struct tls_ctx *tls = u->tls ? tls_client_new(&trust, err) : NULL;
	struct http_client_opts o = {.host = u->host, .port = u->port, .tls = tls};
	struct http_call call = {.method = "GET",
				 .path = u->path,
				 .max_body = PUB_FILE_MAX,
				 .done = on_done,
				 .arg = &f};
	struct http_client *c = u->tls && !tls ? NULL : http_client_new(f.loop, &o, err);
	int rc = -1;

	if (c) {
		http_client_call(c, &call);
		loop_run(f.loop);
		http_client_free(c);
		rc = f.err.code ? err_set(err, f.err.code, "%s", f.err.msg) : 0;
	}
	tls_unref(&tls);
	loop_free(f.loop);
	buf_str(ret, buf_view(&f.body));
	buf_release(&f.body);
	return rc;
}

static int from_cert(const char *cert, struct buf *ret, struct err *err)
{
	struct str s = str_c(cert);
	struct url u = {0};
	int rc;

	if (str_starts(s, STR("file://")))
		return fs_read(cert + 7, PUB_FILE_MAX, ret, err);
	if (!str_starts(s, STR("https://")) && !str_starts(s, STR("http://")))
		return fs_read(cert, PUB_FILE_MAX, ret, err);
	rc = url_parse(s, &u, err) || fetch_url(&u, ret, err) ? -1 : 0;
	free(u.host);
	return rc;
}

/* Only comments: the cluster hasn't put its key there yet. */
static bool is_empty(struct str text)
{
	struct str line;

	while (text.p && str_next(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n && *line.p != '#')
			return false;
	}
	return true;
}

/* .plumb/cluster.pub here or above; NULL when there is none that says a key. */
static char *in_repository(struct buf *ret)
{
	AUTO(free) char *dir = realpath(".", NULL);

	while (dir && *dir) {
		char *path = xasprintf("%s/.plumb/cluster.pub", dir);

		if (fs_exists(path) && fs_read(path, PUB_FILE_MAX, ret, NULL) == 0 &&
		    !is_empty(buf_view(ret)))
			return path;
		buf_reset(ret);
		free(path);
		*strrchr(dir, '/') = '\0';
	}
	return NULL;
}

struct client *admin_client(const struct sealkey_opts *o, struct loop **ret_loop, struct err *err)
{
	struct kubeconfig k = {0};
	struct client *c;

	*ret_loop = NULL;
	if (adminconf_load(o->kubeconfig, o->data_dir, &k, err))
		return NULL;
	*ret_loop = loop_new();
	c = client_http_new(*ret_loop, &k, "plumb", err);
	kubeconfig_release(&k);
	return c;
}

static int from_api(const struct sealkey_opts *o, struct buf *ret, struct err *err)
{
	struct api_call call = {.verb = API_GET,
				.resource = &res_configmaps,
				.namespace = STR("kube-public"),
				.name = STR("plumb-sealing-key")};
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct loop *loop;
	struct client *c = admin_client(o, &loop, err);
	int rc = c ? client_sync(c, &call, &body, err) : -1;

	if (rc == 0) {
		const struct json *v = json_parse(&a, buf_view(&body), NULL, err);

		rc = v ? 0 : -1;
		buf_str(ret, json_str(json_at(v, "data", "cluster.pub")));
	}
	if (c)
		client_free(c);
	if (loop)
		loop_free(loop);
	return rc;
}

int sealkey_find(const struct sealkey_opts *o, struct seal_pub *ret, char **ret_from,
		 struct err *err)
{
	AUTO(buf) struct buf text = {0};
	int rc;

	if (*o->cert) {
		*ret_from = xstrdup(o->cert);
		rc = from_cert(o->cert, &text, err);
	} else if ((*ret_from = in_repository(&text)) != NULL) {
		rc = 0;
	} else {
		*ret_from = xstrdup(SEALKEY_API);
		rc = from_api(o, &text, err);
		if (rc != 0)
			return err_wrap(err, "no public key: neither --key FILE nor "
					     ".plumb/cluster.pub here or above, and no cluster to "
					     "ask");
	}
	if (rc == 0)
		rc = seal_pub_parse(buf_view(&text), ret, err);
	return rc ? err_wrap(err, "public key from %s", *ret_from) : 0;
}
