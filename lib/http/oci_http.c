/*
 * Requests to one registry through libcurl: certificates are checked, redirections followed a few
 * steps and never from TLS to plain text, sizes bounded while they arrive. Credentials go to the
 * registry and to the token service that it names, over TLS unless the source says insecure; they
 * never stand in a message. Blocking; helper process only, whose deadline ends what hangs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "lib/base/codec.h"
#include "lib/http/oci.h"
#include "lib/os/lazy.h"

#define TOKEN_MAX (64u << 10)
#define HEADER_MAX 4096u
#define REDIRECTS_MAX 5L
#define ACCEPT                                                                                     \
	"Accept: application/vnd.oci.image.manifest.v1+json, "                                     \
	"application/vnd.oci.image.index.v1+json, "                                                \
	"application/vnd.docker.distribution.manifest.v2+json, "                                   \
	"application/vnd.docker.distribution.manifest.list.v2+json"

struct oci_http {
	struct arena *a;
	CURL *curl;
	const struct oci_name *name;
	struct oci_login login;
	bool insecure;
	const char *scheme;
	char *header; /* Authorization, once it is known; or NULL */
	/* of the request under way */
	struct buf *body;
	int fd; /* where to instead; 0 = nowhere */
	uint64_t max, got;
	bool too_large;
	struct str challenge, link;
};

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
	struct oci_http *h = arg;

	n *= one;
	if (h->got + n > h->max) {
		h->too_large = true;
		return 0;
	}
	h->got += n;
	if (!h->fd) {
		buf_put(h->body, p, n);
		return n;
	}
	for (size_t at = 0; at < n;) {
		ssize_t w = write(h->fd, p + at, n - at);
		if (w < 0 && errno != EINTR)
			return 0;
		at += w > 0 ? (size_t)w : 0;
	}
	return n;
}

static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
	struct oci_http *h = arg;
	struct str name, value;

	n *= one;
	if (n > HEADER_MAX)
		return n;
	if (str_starts((struct str){p, n}, STR("HTTP/"))) {
		/* Another answer begins, after a redirection: what the one before said is void. */
		h->challenge = h->link = STR_NONE;
		return n;
	}
	if (!str_cut((struct str){p, n}, ':', &name, &value))
		return n;
	if (str_ieq(name, STR("www-authenticate")) && !h->challenge.n)
		h->challenge = arena_str(h->a, str_trim(value));
	else if (str_ieq(name, STR("link")))
		h->link = arena_str(h->a, str_trim(value));
	return n;
}

static void blob_opt(struct oci_http *h, CURLoption option, const struct json *secret,
		     const char *key)
{
	struct str v = json_str(json_get(secret, str_c(key)));
	struct curl_blob b = {.data = (void *)v.p, .len = v.n, .flags = CURL_BLOB_COPY};

	if (v.n)
		curl_easy_setopt(h->curl, option, &b);
}

static void text_opt(struct oci_http *h, CURLoption option, const struct json *o, const char *key)
{
	struct str v = str_trim(json_str(json_get(o, str_c(key))));

	if (v.n && !memchr(v.p, 0, v.n))
		curl_easy_setopt(h->curl, option, arena_cstr(h->a, v));
}

static void options(struct oci_http *h, const struct json *request)
{
	const struct json *cert = json_get(request, STR("cert")),
			  *proxy = json_at(request, "auth", "proxy");
	const char *schemes = h->insecure ? "http,https" : "https";

	curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, schemes);
	curl_easy_setopt(h->curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
	curl_easy_setopt(h->curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(h->curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, 20L);
	/* Whoever sends nothing for a minute sends nothing. */
	curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h->curl, CURLOPT_LOW_SPEED_TIME, 60L);
	curl_easy_setopt(h->curl, CURLOPT_USERAGENT, "plumb");
	curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h);
	curl_easy_setopt(h->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, h);
	blob_opt(h, CURLOPT_CAINFO_BLOB, cert, "ca.crt");
	blob_opt(h, CURLOPT_SSLCERT_BLOB, cert, "tls.crt");
	blob_opt(h, CURLOPT_SSLKEY_BLOB, cert, "tls.key");
	if (!json_is(proxy, JSON_OBJECT))
		return;
	text_opt(h, CURLOPT_PROXY, proxy, "address");
	text_opt(h, CURLOPT_PROXYUSERNAME, proxy, "username");
	text_opt(h, CURLOPT_PROXYPASSWORD, proxy, "password");
}

int oci_http_new(struct arena *a, const struct json *request, const struct oci_name *name,
		 struct oci_http **ret, struct err *err)
{
	struct oci_http *h = arena_alloc(a, sizeof(*h));

	h->a = a;
	h->name = name;
	h->insecure = json_bool(json_get(request, STR("insecure")), false);
	h->scheme = h->insecure ? "http" : "https";
	if (oci_login_find(a, json_get(request, STR("auth")), name->host, &h->login, err) ||
	    lazy_load(&lazy_curl, err))
		return -1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	h->curl = curl_easy_init();
	if (!h->curl)
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	options(h, request);
	*ret = h;
	return 0;
}

void oci_http_free(struct oci_http *h)
{
	if (!h)
		return;
	curl_easy_cleanup(h->curl);
	curl_global_cleanup();
}

/* One request. *ret_status is what the server said; -1 when it didn't. */
static int perform(struct oci_http *h, const char *url, const char *authorization, struct buf *body,
		   long *ret_status, struct err *err)
{
	struct curl_slist *list = curl_slist_append(NULL, ACCEPT);
	CURLcode rc;

	if (authorization)
		list = curl_slist_append(list, authorization);
	h->body = body;
	h->too_large = false;
	h->got = 0;
	h->challenge = h->link = STR_NONE;
	buf_reset(body);
	curl_easy_setopt(h->curl, CURLOPT_URL, url);
	curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, list);
	rc = curl_easy_perform(h->curl);
	curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, ret_status);
	curl_slist_free_all(list);
	if (h->too_large)
		return err_set(err, ERR_LIMIT, "%s: the answer is larger than %llu bytes",
			       h->name->host, (unsigned long long)h->max);
	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(err, ERR_UNAUTHORIZED, "the certificate of %s is not trusted",
			       h->name->host);
	if (rc != CURLE_OK)
		return err_set(err, ERR_UNAVAILABLE, "%s: %s", h->name->host,
			       curl_easy_strerror(rc));
	return 0;
}

static char *basic(struct oci_http *h)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf both = {0};

	buf_printf(&both, "%s:%s", h->login.username, h->login.password ?: "");
	base64_encode(buf_view(&both), &text);
	buf_wipe(&both);
	return arena_printf(h->a, "Authorization: Basic %.*s", (int)text.n, text.p);
}

static bool word(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	}
	return s.n > 0;
}

/* A token for the scope that the registry asked for. */
static int token(struct oci_http *h, const struct oci_challenge *c, struct err *err)
{
	AUTO(buf) struct buf url = {0};
	AUTO(buf) struct buf body = {0};
	struct err ignored = {0};
	const struct json *answer;
	struct str t;
	long status = 0;

	if (!word(c->realm) || (!str_starts(c->realm, STR("https://")) &&
				!(h->insecure && str_starts(c->realm, STR("http://")))))
		return err_set(err, ERR_UNAUTHORIZED,
			       "%s names a token service that is not reached over TLS",
			       h->name->host);
	buf_printf(&url, "%.*s%cservice=", STR_ARG(c->realm),
		   str_find(c->realm, STR("?")) < 0 ? '?' : '&');
	url_escape(c->service, &url);
	buf_puts(&url, "&scope=");
	if (c->scope.n)
		url_escape(c->scope, &url);
	else
		buf_printf(&url, "repository%%3A%s%%3Apull", h->name->path);
	h->max = TOKEN_MAX;
	if (perform(h, buf_cstr(&url), h->login.username ? basic(h) : NULL, &body, &status, err))
		return -1;
	answer = json_parse(h->a, arena_str(h->a, buf_view(&body)), NULL, &ignored);
	buf_wipe(&body);
	t = json_str(json_get(answer, STR("token")));
	if (!t.n)
		t = json_str(json_get(answer, STR("access_token")));
	if (status / 100 != 2 || !word(t))
		return err_set(err, ERR_UNAUTHORIZED, "%s refused the credentials (%ld)",
			       h->name->host, status);
	h->header = arena_printf(h->a, "Authorization: Bearer %.*s", STR_ARG(t));
	return 0;
}

static int log_in(struct oci_http *h, struct err *err)
{
	struct oci_challenge c;

	oci_challenge_parse(h->challenge, &c);
	if (h->header)
		return err_set(err, ERR_UNAUTHORIZED, "%s refused the credentials", h->name->host);
	if (c.bearer)
		return token(h, &c, err);
	if (!h->login.username)
		return err_set(err, ERR_UNAUTHORIZED,
			       "%s wants credentials, and none are given for it", h->name->host);
	h->header = basic(h);
	return 0;
}

static int explain(struct oci_http *h, const char *what, long status, struct err *err)
{
	if (status == 404)
		return err_set(err, ERR_NOT_FOUND, "%s/%s: there is no %s", h->name->host,
			       h->name->path, what);
	if (status == 401 || status == 403)
		return err_set(err, ERR_UNAUTHORIZED, "%s refused the credentials (%ld)",
			       h->name->host, status);
	return err_set(err, ERR_UNAVAILABLE, "%s answered %ld to the request for %s", h->name->host,
		       status, what);
}

int oci_http_get(struct oci_http *h, const char *what, size_t max, struct buf *ret,
		 struct str *ret_link, struct err *err)
{
	char *url = arena_printf(h->a, "%s://%s/v2/%s/%s", h->scheme, h->name->api, h->name->path,
				 what);
	long status = 0;

	/* A second try when it asks who we are. */
	for (int i = 0; i < 2; i++) {
		h->max = max;
		if (perform(h, url, h->header, ret, &status, err))
			return -1;
		if (status != 401)
			break;
		if (log_in(h, err))
			return -1;
	}
	if (status != 200)
		return explain(h, what, status, err);
	if (ret_link)
		*ret_link = h->link;
	return 0;
}

/* What an earlier try, or a redirection, left in the file goes. */
static int start_over(int fd, struct err *err)
{
	if (lseek(fd, 0, SEEK_SET) || ftruncate(fd, 0))
		return err_sys(err, "begin the download again");
	return 0;
}

int oci_http_save(struct oci_http *h, const char *what, uint64_t max, int fd, struct err *err)
{
	char *url = arena_printf(h->a, "%s://%s/v2/%s/%s", h->scheme, h->name->api, h->name->path,
				 what);
	AUTO(buf) struct buf token_body = {0};
	long status = 0;
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++) {
		h->max = max;
		h->fd = fd;
		rc = start_over(fd, err) || perform(h, url, h->header, &token_body, &status, err);
		h->fd = 0;
		if (rc || status != 401)
			break;
		rc = log_in(h, err);
	}
	if (rc)
		return -1;
	return status == 200 ? 0 : explain(h, what, status, err);
}
