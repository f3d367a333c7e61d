/*
 * Requests through proxies, by libcurl: it knows CONNECT, SOCKS, the proxies' ways to ask for
 * passwords. Certificates are checked, sizes bounded while they arrive,
 * and the proxy's own answers are not taken for the server's. Must never follow a redirect nor put
 * a credential into a message. Blocking, in helper processes only; the answer is the caller's
 * arena's.
 */
#include "lib/http/proxied.h"

#include <string.h>

#include <curl/curl.h>

#include "lib/base/timefmt.h"
#include "lib/os/lazy.h"

#define HEADERS_MAX 100
#define HEADER_MAX 4096u

struct proxied {
	struct arena *a;
	CURL *curl;
	struct curl_slist *list;
	struct buf body;
	size_t max;
	bool too_large;
	struct http_proxied_answer *answer;
};

static size_t on_body(char *p, size_t one, size_t n, void *arg)
{
	struct proxied *q = arg;

	n *= one;
	if (q->body.n + n > q->max) {
		q->too_large = true;
		return 0;
	}
	buf_put(&q->body, p, n);
	return n;
}

static size_t on_header(char *p, size_t one, size_t n, void *arg)
{
	struct proxied *q = arg;
	struct http_headers *h = &q->answer->headers;
	struct str name, value;

	n *= one;
	/* Another answer begins: what the one before said is void. */
	if (str_starts((struct str){p, n}, STR("HTTP/")))
		h->n = 0;
	else if (n <= HEADER_MAX && h->n < HEADERS_MAX &&
		 str_cut((struct str){p, n}, ':', &name, &value))
		h->v[h->n++] = (struct http_header){arena_str(q->a, str_trim(name)),
						    arena_str(q->a, str_trim(value))};
	return n;
}

static void add_header(struct proxied *q, struct str name, struct str value)
{
	/* curl takes "Name;" for one without a value. */
	q->list =
		curl_slist_append(q->list, arena_printf(q->a, value.n ? "%.*s: %.*s" : "%.*s;%.*s",
							STR_ARG(name), STR_ARG(value)));
}

static void headers(struct proxied *q, const struct http_proxied *from)
{
	for (size_t i = 0; i < from->nheaders; i++)
		add_header(q, from->headers[i].name, from->headers[i].value);
	if (from->content_type)
		add_header(q, STR("Content-Type"), str_c(from->content_type));
	else
		q->list = curl_slist_append(q->list, "Content-Type:");
	/* What we say is for the server, not for the proxy. */
	curl_easy_setopt(q->curl, CURLOPT_HTTPHEADER, q->list);
	curl_easy_setopt(q->curl, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(q->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

static void road(struct proxied *q, const struct http_proxied *from)
{
	struct curl_blob ca = {
		.data = (void *)(uintptr_t)from->ca.p, .len = from->ca.n, .flags = CURL_BLOB_COPY};

	curl_easy_setopt(q->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(q->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(q->curl, CURLOPT_TIMEOUT_MS, (long)(from->timeout_ns / NS_PER_MS));
	if (ca.len)
		curl_easy_setopt(q->curl, CURLOPT_CAINFO_BLOB, &ca);
	curl_easy_setopt(q->curl, CURLOPT_PROXY, from->proxy);
	/* Who calls has looked at the environment. */
	curl_easy_setopt(q->curl, CURLOPT_NOPROXY, "");
	if (from->proxy_user)
		curl_easy_setopt(q->curl, CURLOPT_PROXYUSERNAME, from->proxy_user);
	if (from->proxy_password)
		curl_easy_setopt(q->curl, CURLOPT_PROXYPASSWORD, from->proxy_password);
}

static void request(struct proxied *q, const struct http_proxied *from)
{
	curl_easy_setopt(q->curl, CURLOPT_URL, from->url);
	curl_easy_setopt(q->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(q->curl, CURLOPT_WRITEDATA, q);
	curl_easy_setopt(q->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(q->curl, CURLOPT_HEADERDATA, q);
	if (from->body.n) {
		curl_easy_setopt(q->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)from->body.n);
		curl_easy_setopt(q->curl, CURLOPT_POSTFIELDS, from->body.p);
	} else if (!strcmp(from->method, "POST")) {
		curl_easy_setopt(q->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
		curl_easy_setopt(q->curl, CURLOPT_POSTFIELDS, "");
	}
	curl_easy_setopt(q->curl, CURLOPT_CUSTOMREQUEST, from->method);
}

static int perform(struct proxied *q, struct err *err)
{
	CURLcode rc = curl_easy_perform(q->curl);
	long status = 0, connect = 0;

	curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(q->curl, CURLINFO_HTTP_CONNECTCODE, &connect);
	if (q->too_large)
		return err_set(err, ERR_LIMIT, "the answer is larger than %zu bytes", q->max);
	if (connect == 407 || (rc == CURLE_OK && status == 407))
		return err_set(err, ERR_FORBIDDEN, "the proxy refused the credentials");
	if (rc == CURLE_COULDNT_RESOLVE_PROXY)
		return err_set(err, ERR_UNAVAILABLE, "the proxy's name is not known");
	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(err, ERR_UNAVAILABLE, "the server's certificate is not trusted");
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "no answer in time");
	if (rc != CURLE_OK && connect / 100 > 2)
		return err_set(err, ERR_UNAVAILABLE, "the proxy answered %ld", connect);
	if (rc != CURLE_OK)
		return err_set(err, ERR_UNAVAILABLE, "%s", curl_easy_strerror(rc));
	q->answer->status = (int)status;
	q->answer->body = arena_str(q->a, buf_view(&q->body));
	return 0;
}

int http_proxied_call(struct arena *a, const struct http_proxied *from,
		      struct http_proxied_answer *ret, struct err *err)
{
	struct proxied q = {.a = a, .max = from->max_body, .answer = ret};
	int rc;

	*ret = (struct http_proxied_answer){
		.headers.v = arena_array(a, HEADERS_MAX, sizeof(struct http_header))};
	if (lazy_load(&lazy_curl, err))
		return -1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	q.curl = curl_easy_init();
	if (!q.curl)
		return err_set(err, ERR_INTERNAL, "libcurl does not start");
	request(&q, from);
	road(&q, from);
	headers(&q, from);
	rc = perform(&q, err);
	curl_slist_free_all(q.list);
	curl_easy_cleanup(q.curl);
	curl_global_cleanup();
	buf_wipe(&q.body);
	return rc;
}
