/*
 * /openapi/v2 and /openapi/v3 over HTTP: which form a client can read, and whether it already has
 * it. The whole v2 document and the index are kept until the served kinds change; the documents of
 * one group version are made when asked for. The core's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "apiserver/aggregate.h"
#include "apiserver/crd.h"
#include "apiserver/front-internal.h"
#include "apiserver/openapi.h"
#include "lib/base/codec.h"

/* With a dot: an @ is no media type to Go, though clients ask with it. */
#define PROTO_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
#define KINDS_MAX 4096

enum form { FORM_INDEX, FORM_V2_JSON, FORM_V2_PROTO, FORM_MAX };

/* What has been made, of the kinds that `of` sums up. */
struct openapi_cache {
	uint64_t of;
	struct block *v[FORM_MAX];
	char etag[FORM_MAX][67];
};

static const char *const types[] = {"application/json", "application/json", PROTO_TYPE};

/* Kinds live as long as they are served, so their addresses tell whether anything changed; those of
 * definitions may stand where others stood before, and are told apart by their definition's
 * revision.
 */
static uint64_t sum(const struct openapi *o)
{
	uint64_t v = str_hash((struct str){(const char *)o->kinds, o->n * sizeof(*o->kinds)});

	for (size_t i = 0; i < o->n; i++)
		if (crd_version(o->kinds[i]))
			v = v * 31 + crd_version(o->kinds[i])->crd->since;
	return v;
}

static void look(const struct core *c, struct arena *a, struct openapi *ret)
{
	const struct kind **v;
	size_t n = 0;

	while (n < KINDS_MAX && core_kind_at(c, n))
		n++;
	v = arena_array(a, n + 1, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = core_kind_at(c, i);
	*ret = (struct openapi){.kinds = v, .n = n};
}

static void etag_of(struct str text, char ret[67])
{
	char hash[65];

	sha256_hex(text, hash);
	ret[0] = '"';
	memcpy(ret + 1, hash, 64);
	ret[65] = '"';
	ret[66] = 0;
}

static void forget(struct openapi_cache *c)
{
	for (size_t i = 0; i < FORM_MAX; i++)
		block_unref(c->v[i]);
	*c = (struct openapi_cache){0};
}

void openapi_cache_free(struct openapi_cache *c)
{
	if (c)
		forget(c);
	free(c);
}

static struct openapi_cache *make(struct front_req *r, struct openapi *o, enum form form)
{
	struct front *f = r->f;
	struct openapi_cache *c = f->openapi ? f->openapi : xalloc(sizeof(*c));
	uint64_t now = sum(o) + aggregate_openapi_changes(f->aggregate);
	struct buf text = {0};

	f->openapi = c;
	if (c->of != now)
		forget(c);
	c->of = now;
	if (c->v[form])
		return c;
	o->external = aggregate_openapi(f->aggregate, &r->http->arena);
	if (form == FORM_INDEX)
		openapi_v3_index(o, &text);
	else if (form == FORM_V2_JSON)
		openapi_v2_json(o, &text);
	else
		openapi_v2_proto(o, &text);
	etag_of(buf_view(&text), c->etag[form]);
	c->v[form] = block_take(&text);
	return c;
}

static void answer(struct front_req *r, struct block *b, const char *type, const char *etag)
{
	struct http_req *h = r->http;
	struct http_header heads[] = {{STR("Cache-Control"), STR("no-cache, private")},
				      {STR("Vary"), STR("Accept")},
				      {STR("ETag"), str_c(etag)}};
	struct http_reply reply = {.status = 200,
				   .content_type = type,
				   .headers = heads,
				   .nheaders = ARRAY_LEN(heads)};

	if (str_is(http_header(&h->headers, "If-None-Match"), etag)) {
		reply.status = 304;
		reply.content_type = NULL;
		http_reply_bytes(h, &reply, STR_NONE);
	} else {
		http_reply_blocks(h, &reply, &b, 1);
	}
	front_done(r, reply.status);
}

static void answer_group_version(struct front_req *r, const struct openapi *o, struct str path)
{
	struct err err = {0};
	struct buf text = {0};
	char etag[67];

	if (!openapi_v3(o, path, &text)) {
		buf_release(&text);
		err_set(&err, ERR_NOT_FOUND, "the server could not find the requested resource");
		front_fail(r, &err);
		return;
	}
	etag_of(buf_view(&text), etag);
	struct block *b = block_take(&text);
	answer(r, b, types[FORM_INDEX], etag);
	block_unref(b);
}

static enum form v2_form(const struct front_req *r)
{
	struct str accept = http_header(&r->http->headers, "Accept");

	return str_find(accept, STR("proto-openapi.spec.v2")) >= 0 ? FORM_V2_PROTO : FORM_V2_JSON;
}

bool openapi_serve(struct front_req *r)
{
	struct str path = r->http->path, v3 = STR("/openapi/v3/");
	struct openapi o;
	enum form form = FORM_INDEX;

	if (!str_starts(path, STR("/openapi/v")))
		return false;
	look(r->f->o.core, &r->http->arena, &o);
	if (str_starts(path, v3) && path.n > v3.n) {
		answer_group_version(r, &o, str_sub(path, v3.n, path.n));
		return true;
	}
	if (str_is(path, "/openapi/v2"))
		form = v2_form(r);
	else if (!str_is(path, "/openapi/v3") && !str_eq(path, v3))
		return false;
	const struct openapi_cache *c = make(r, &o, form);
	answer(r, c->v[form], types[form], c->etag[form]);
	return true;
}
