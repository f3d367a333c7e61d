/*
 * Both ends of a request to the outside. The child answers with few headers, those that somebody
 * asks for, and never with one that was sent. Credentials go through stdin, so none stands in a
 * command line. The child runs a loop of its own.
 */
#include "reconciler/webcall.h"

#include <string.h>

#include "lib/base/timefmt.h"
#include "lib/http/client.h"
#include "lib/http/proxied.h"

#define TIMEOUT_DEFAULT (20 * NS_PER_S)
#define ANSWER_MAX (6u << 20)
#define REQUEST_HEADERS_MAX 20

int weburl_parse(struct str url, struct weburl *ret, struct err *err)
{
	struct str rest, host, port;
	int64_t number;

	*ret = (struct weburl){0};
	if (str_starts(url, STR("https://"))) {
		ret->tls = true;
		rest = str_sub(url, 8, url.n);
	} else if (str_starts(url, STR("http://"))) {
		rest = str_sub(url, 7, url.n);
	} else {
		return err_set(err, ERR_INVALID, "an address must be http:// or https://");
	}
	ret->port = ret->tls ? 443 : 80;
	ret->path = STR("/");
	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '/' || rest.p[i] == '?') {
			ret->path = str_sub(rest, i, rest.n);
			rest.n = i;
			break;
		}
	}
	for (size_t i = 0; i < url.n; i++) {
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
			return err_set(err, ERR_INVALID, "not an address");
	}
	if (ret->path.p[0] != '/')
		return err_set(err, ERR_INVALID, "an address needs a path before its query");
	ret->host = rest;
	if (str_rcut(rest, ':', &host, &port) && !(port.n && port.p[port.n - 1] == ']')) {
		if (str_to_i64(port, &number) || number < 1 || number > 65535)
			return err_set(err, ERR_INVALID, "not a port");
		ret->host = host;
		ret->port = (int)number;
	}
	if (ret->host.n > 2 && ret->host.p[0] == '[')
		ret->host = str_sub(ret->host, 1, ret->host.n - 2);
	if (!ret->host.n || ret->host.n > 253 || str_find(ret->host, STR("@")) >= 0)
		return err_set(err, ERR_INVALID, "not an address");
	return 0;
}

struct githelper *webcall_start(struct loop *l, const struct webcall *c, githelper_done *done,
				void *arg)
{
	AUTO(arena) struct arena a = {0};
	int64_t limit = c->timeout_ns ? c->timeout_ns : TIMEOUT_DEFAULT;
	struct json *request = json_build(&a, "{s:s,s:S,s:S,s:I}", "method", c->method, "url",
					  c->url, "body", c->body, "timeout", limit);

	if (c->headers)
		json_set(&a, request, STR("headers"), c->headers);
	if (c->content_type.n)
		json_set_str(&a, request, "contentType", c->content_type);
	if (c->ca.n)
		json_set_str(&a, request, "ca", c->ca);
	if (c->proxy)
		json_set(&a, request, STR("proxy"), c->proxy);
	return githelper_start(l, "web-call", request, limit + 2 * NS_PER_S, done, arg);
}

/* ---- the child ---- */

struct call {
	struct arena *a;
	struct loop *loop;
	struct json *answer;
	struct err err;
};

static const char *const kept[] = {
	"retry-after",         "x-ratelimit-remaining", "x-ratelimit-reset",
	"ratelimit-remaining", "ratelimit-reset",       "content-type",
};

static struct json *answer_make(struct arena *a, int status, const struct http_headers *from,
				struct str body)
{
	struct json *answer = json_build(a, "{s:i,s:S}", "status", status, "body",
					 str_is_utf8(body) ? arena_str(a, body) : STR(""));
	struct json *headers = json_set_object(a, answer, "headers");

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		struct str v = http_header(from, kept[i]);

		if (v.p && v.n < 200 && str_is_utf8(v))
			json_set_str(a, headers, kept[i], arena_str(a, v));
	}
	return answer;
}

static void on_answer(void *arg, const struct http_answer *answer)
{
	struct call *c = arg;

	loop_stop(c->loop);
	if (answer->status)
		c->answer = answer_make(c->a, answer->status, &answer->headers, answer->body);
	else
		c->err = *answer->err;
}

static bool header_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	}
	return true;
}

static int headers_of(struct arena *a, const struct json *request, struct http_call *ret,
		      struct err *err)
{
	const struct json *from = json_get(request, STR("headers"));
	struct json_member *m = json_members(from);
	struct http_header *v = arena_array(a, REQUEST_HEADERS_MAX, sizeof(*v));
	size_t n = 0;

	v[n++] = (struct http_header){STR("User-Agent"), STR("plumb")};
	for (size_t i = 0; m && i < json_len(from) && n < REQUEST_HEADERS_MAX; i++) {
		struct str value = json_str(&m[i].value);

		if (!header_valid(m[i].key) || !header_valid(value))
			return err_set(err, ERR_INVALID, "a header has control characters");
		v[n++] = (struct http_header){m[i].key, value};
	}
	ret->headers = v;
	ret->nheaders = n;
	return 0;
}

static struct http_client *connect_to(struct call *c, const struct weburl *url, struct str ca,
				      struct err *err)
{
	struct tls_files trust = {.ca_pem = ca};
	struct http_client_opts o = {.host = arena_cstr(c->a, url->host), .port = url->port};
	struct http_client *client;

	if (url->tls) {
		o.tls = tls_client_new(&trust, err);
		if (!o.tls)
			return NULL;
	}
	client = http_client_new(c->loop, &o, err);
	tls_unref(&o.tls);
	return client;
}

/* NULL where it is absent, or would end early in there. */
static const char *word(struct arena *a, const struct json *from, const char *key)
{
	struct str v = str_trim(json_str(json_get(from, str_c(key))));

	return v.n && header_valid(v) ? arena_cstr(a, v) : NULL;
}

/* *ret NULL = none stands in the way. */
static int proxy_for(struct arena *a, const struct json *request, const struct weburl *url,
		     const char **ret, struct err *err)
{
	const struct json *named = json_get(request, STR("proxy"));

	*ret = named ? word(a, named, "address") : http_proxy_for(url->tls, url->host, url->port);
	if (named && !*ret)
		return err_set(err, ERR_INVALID, "spec.proxySecretRef: address is missing");
	return 0;
}

static struct json *by_proxy(struct arena *a, const struct json *request, const char *by,
			     const struct http_call *call, struct err *err)
{
	const struct json *proxy = json_get(request, STR("proxy"));
	struct http_proxied_answer answer;
	struct http_proxied q = {.method = call->method,
				 .url = word(a, request, "url"),
				 .headers = call->headers,
				 .nheaders = call->nheaders,
				 .content_type = call->content_type,
				 .body = call->body,
				 .ca = json_str(json_get(request, STR("ca"))),
				 .timeout_ns = call->timeout_ns,
				 .max_body = ANSWER_MAX,
				 .proxy = by,
				 .proxy_user = word(a, proxy, "username"),
				 .proxy_password = word(a, proxy, "password")};

	if (http_proxied_call(a, &q, &answer, err))
		return NULL;
	return answer_make(a, answer.status, &answer.headers, answer.body);
}

struct json *webcall_run(struct arena *a, const struct json *request, struct err *err)
{
	struct call c = {.a = a};
	struct weburl url;
	struct http_client *client;
	const char *by;
	struct str type = json_str(json_get(request, STR("contentType")));
	struct http_call call = {
		.method = arena_cstr(a, json_str_or(json_get(request, STR("method")), STR("GET"))),
		.content_type = type.n ? arena_cstr(a, type) : NULL,
		.body = json_str(json_get(request, STR("body"))),
		.timeout_ns = json_int(json_get(request, STR("timeout")), TIMEOUT_DEFAULT),
		.max_body = ANSWER_MAX,
		.done = on_answer,
		.arg = &c};

	if (weburl_parse(json_str(json_get(request, STR("url"))), &url, err) ||
	    headers_of(a, request, &call, err))
		return NULL;
	if (proxy_for(a, request, &url, &by, err))
		return NULL;
	if (by)
		return by_proxy(a, request, by, &call, err);
	call.path = url.path;
	c.loop = loop_new();
	client = connect_to(&c, &url, json_str(json_get(request, STR("ca"))), err);
	if (client) {
		http_client_call(client, &call);
		loop_run(c.loop);
		if (!c.answer)
			*err = c.err;
		http_client_free(client);
	}
	loop_free(c.loop);
	return c.answer;
}
