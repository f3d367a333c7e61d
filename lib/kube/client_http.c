/*
 * The API client over HTTPS: calls and, in client_http_watch.c, watches. Everything happens on the
 * loop that the client was made on. Never logs bodies: Secrets pass through here.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/kube/client-http.h"

struct client_call {
	struct http_client_api *client;
	struct http_running *running;
	api_done *done;
	void *arg;
};

static const char *method_of(enum api_verb v)
{
	static const char *const methods[] = {
		[API_GET] = "GET",      [API_LIST] = "GET",    [API_CREATE] = "POST",
		[API_UPDATE] = "PUT",   [API_PATCH] = "PATCH", [API_APPLY] = "PATCH",
		[API_DELETE] = "DELETE"};

	return methods[v];
}

static const char *content_type_of(const struct api_call *call)
{
	static const char *const patches[] = {[API_PATCH_MERGE] = "application/merge-patch+json",
					      [API_PATCH_STRATEGIC] =
						      "application/strategic-merge-patch+json",
					      [API_PATCH_JSON] = "application/json-patch+json"};

	if (!call->body.p)
		return NULL;
	if (call->verb == API_APPLY)
		return "application/apply-patch+yaml";
	return call->verb == API_PATCH ? patches[call->patch] : "application/json";
}

size_t client_http_headers(const struct http_client_api *h, const char *accept,
			   const char *impersonate, struct http_header out[4])
{
	size_t n = 0;

	out[n++] = (struct http_header){STR("Accept"), str_c(accept ? accept : "application/json")};
	out[n++] = (struct http_header){STR("User-Agent"), str_c(h->user_agent)};
	if (h->authorization)
		out[n++] = (struct http_header){STR("Authorization"), str_c(h->authorization)};
	if (impersonate)
		out[n++] = (struct http_header){STR("Impersonate-User"), str_c(impersonate)};
	return n;
}

const char *client_http_accept(bool metadata_only, bool list)
{
	if (!metadata_only)
		return NULL;
	return list ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
		      "application/json"
		    : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
		      "application/json";
}

static void call_done(void *arg, const struct http_answer *answer)
{
	struct client_call *call = arg;
	struct api_answer a = {.status = answer->status, .body = answer->body};

	if (!answer->status)
		a.err = *answer->err;
	else if (answer->status / 100 != 2)
		client_answer_error(answer->status, answer->body, &a.err);
	call->done(call->arg, &a);
	free(call);
}

static struct client_call *start(struct http_client_api *h, struct http_call *http, api_done *done,
				 void *arg)
{
	struct client_call *call = xalloc(sizeof(*call));

	*call = (struct client_call){.client = h, .done = done, .arg = arg};
	http->done = call_done;
	http->arg = call;
	call->running = http_client_call(h->http, http);
	return call;
}

static struct client_call *http_api_call(struct client *c, const struct api_call *api,
					 api_done *done, void *arg)
{
	struct http_client_api *h = CONTAINER_OF(c, struct http_client_api, client);
	AUTO(buf) struct buf path = {0};
	struct http_header headers[4];
	struct http_call http = {.method = method_of(api->verb),
				 .headers = headers,
				 .body = api->body,
				 .content_type = content_type_of(api),
				 .timeout_ns = api->timeout_ns,
				 .rank = api->urgent       ? HTTP_CALL_URGENT
					 : api->background ? HTTP_CALL_LAST
							   : HTTP_CALL_IN_TURN};

	client_path(api, c->field_manager, &path);
	http.path = buf_view(&path);
	http.nheaders = client_http_headers(
		h, client_http_accept(api->metadata_only, api->verb == API_LIST), api->impersonate,
		headers);
	return start(h, &http, done, arg);
}

static struct client_call *http_api_raw(struct client *c, const char *path, const char *accept,
					api_done *done, void *arg)
{
	struct http_client_api *h = CONTAINER_OF(c, struct http_client_api, client);
	struct http_header headers[4];
	struct http_call http = {.method = "GET", .headers = headers, .path = str_c(path)};

	http.nheaders = client_http_headers(h, accept, NULL, headers);
	return start(h, &http, done, arg);
}

static void http_api_cancel(struct client *c, struct client_call *call)
{
	(void)c;
	http_call_cancel(call->running);
	free(call);
}

static void http_api_free(struct client *c)
{
	struct http_client_api *h = CONTAINER_OF(c, struct http_client_api, client);

	http_client_free(h->http);
	if (h->authorization)
		explicit_bzero(h->authorization, strlen(h->authorization));
	free(h->authorization);
	free(h->user_agent);
	free(h);
}

static const struct client_ops http_ops = {
	.call = http_api_call,
	.call_cancel = http_api_cancel,
	.watch = client_http_watch,
	.watch_cancel = client_http_watch_cancel,
	.raw = http_api_raw,
	.free = http_api_free,
};

/* "https://host:port" or "https://[v6]:port"; a path behind it is refused. */
static int server_split(const char *server, char host[256], int *ret_port, bool *ret_tls,
			struct err *err)
{
	struct str rest = str_c(server), name, port;
	int64_t number;

	*ret_tls = str_starts(rest, STR("https://"));
	if (!*ret_tls && !str_starts(rest, STR("http://")))
		return err_set(err, ERR_PARSE, "server %s: must start with https://", server);
	rest = str_sub(rest, *ret_tls ? 8 : 7, rest.n);
	if (rest.n && rest.p[rest.n - 1] == '/')
		rest.n--;
	*ret_port = *ret_tls ? 443 : 80;
	name = rest;
	if (rest.n && rest.p[rest.n - 1] != ']' && str_rcut(rest, ':', &name, &port)) {
		if (str_to_i64(port, &number) || number < 1 || number > 65535)
			return err_set(err, ERR_PARSE, "server %s: bad port", server);
		*ret_port = (int)number;
	}
	if (name.n > 1 && name.p[0] == '[')
		name = str_sub(name, 1, name.n - 2);
	if (!name.n || name.n > 255 || memchr(name.p, '/', name.n))
		return err_set(err, ERR_PARSE, "server %s: not a host and port", server);
	memcpy(host, name.p, name.n);
	host[name.n] = 0;
	return 0;
}

struct client *client_http_new(struct loop *l, const struct kubeconfig *k,
			       const char *field_manager, struct err *err)
{
	struct tls_files files = {.ca_pem = str_c(k->ca_pem),
				  .cert_pem = str_c(k->cert_pem),
				  .key_pem = str_c(k->key_pem),
				  .insecure = k->insecure};
	struct http_client_opts opts = {0};
	struct http_client_api *h;
	char host[256];
	bool tls;

	if (server_split(k->server, host, &opts.port, &tls, err))
		return NULL;
	opts.host = k->tls_server_name ? k->tls_server_name : host;
	opts.connect_to = k->tls_server_name ? host : NULL;
	if (tls && !(opts.tls = tls_client_new(&files, err)))
		return NULL;
	h = xalloc(sizeof(*h));
	h->http = http_client_new(l, &opts, err);
	tls_unref(&opts.tls);
	if (!h->http) {
		free(h);
		return NULL;
	}
	h->client = (struct client){.ops = &http_ops, .loop = l, .field_manager = field_manager};
	h->user_agent = xasprintf("%s/%s", field_manager ? field_manager : "plumb", PLUMB_VERSION);
	h->authorization = k->token ? xasprintf("Bearer %s", k->token) : NULL;
	return &h->client;
}
