/*
 * Validating sealed values. From outside only their format, scope and key can be judged; a cluster
 * that is asked opens them and says whether that worked, nothing of what is in them. One object a
 * request, at the place where kubeseal asks for the same.
 */
#include "cli/sealvalidate.h"

#include <string.h>

#include "lib/json/json.h"
#include "lib/kube/client-http.h"
#include "lib/kube/obj.h"

#define VERIFY                                                                                     \
	"/api/v1/namespaces/kube-system/services/"                                                 \
	"http:sealed-secrets-controller:http/proxy/v1/verify"

/* ---- from outside ---- */

static int value_offline(const struct sealvalidate *v, const struct json *doc,
			 const struct json_member *m, struct err *err)
{
	uint8_t id[SEAL_ID_BYTES];
	char have[SEAL_ID_TEXT], want[SEAL_ID_TEXT];
	enum seal_scope said, scope;

	if (seal_value_id(json_str(&m->value), id, err) != 0)
		return err_wrap(err, "%.*s", STR_ARG(m->key));
	if (memcmp(id, v->pub->id, SEAL_ID_BYTES) != 0)
		return err_set(err, ERR_NOT_FOUND,
			       "%.*s: sealed under key %s, not %s: another cluster's, or an older "
			       "key (with --kubeconfig or --data-dir the cluster is asked)",
			       STR_ARG(m->key), seal_id_text(id, have),
			       seal_id_text(v->pub->id, want));
	if (seal_scope_parse(json_str(json_at(doc, "spec", "scope")), &said) != 0)
		return err_set(err, ERR_INVALID,
			       "spec.scope: must be strict, namespace or cluster");
	if (seal_value_scope(json_str(&m->value), &scope, err) != 0 || scope != said)
		return err_set(err, ERR_FORBIDDEN, "%.*s: sealed with scope %s, the object says %s",
			       STR_ARG(m->key), seal_scope_name(scope), seal_scope_name(said));
	return 0;
}

/* ---- by the cluster ---- */

struct asking {
	struct loop *loop;
	struct arena *a;
	struct err err;
};

static void on_answer(void *arg, const struct http_answer *a)
{
	struct asking *q = arg;

	if (!a->status)
		q->err = *a->err;
	else if (a->status != 200)
		err_set(&q->err, err_from_http(a->status, NULL), "%.*s",
			STR_ARG(json_str_or(
				json_get(json_parse(q->a, a->body, NULL, NULL), STR("message")),
				STR("the cluster could not open it"))));
	loop_stop(q->loop);
}

static int ask(struct client *c, const struct json *doc, struct err *err)
{
	struct http_client_api *h = CONTAINER_OF(c, struct http_client_api, client);
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct asking q = {.loop = c->loop, .a = &a};
	struct http_header headers[4];

	json_write(doc, &body);
	http_client_call(h->http, &(struct http_call){
					  .method = "POST",
					  .path = STR(VERIFY),
					  .body = buf_view(&body),
					  .headers = headers,
					  .nheaders = client_http_headers(h, NULL, NULL, headers),
					  .done = on_answer,
					  .arg = &q});
	loop_run(q.loop);
	if (q.err.code)
		*err = q.err;
	return q.err.code ? -1 : 0;
}

/* ---- */

static int document(const struct sealvalidate *v, struct client *c, const struct json *doc,
		    size_t *n, struct err *err)
{
	const struct json *values = json_at(doc, "spec", "encryptedData");

	if (!str_is(json_str(json_get(doc, STR("kind"))), "SealedSecret"))
		return 0;
	*n += json_len(values);
	if (c)
		return ask(c, doc, err);
	for (size_t i = 0; i < json_len(values); i++)
		if (value_offline(v, doc, &json_members(values)[i], err) != 0)
			return -1;
	return 0;
}

int sealvalidate(const struct sealvalidate *v, struct buf *out, struct err *err)
{
	struct loop *loop = NULL;
	struct client *c = v->where ? admin_client(v->where, &loop, err) : NULL;
	int rc = v->where && !c ? -1 : 0;
	size_t n = 0;

	for (size_t i = 0; i < v->docs->n && rc == 0; i++) {
		rc = document(v, c, v->docs->v[i], &n, err);
		if (rc != 0)
			err_wrap(err, "%.*s", STR_ARG(meta_name(v->docs->v[i])));
	}
	if (rc == 0 && !n)
		rc = err_set(err, ERR_BAD_REQUEST, "no sealed value in it");
	if (rc == 0)
		buf_printf(out, "%zu value%s %s\n", n, n == 1 ? "" : "s",
			   c ? "that the cluster opens" : "sealed to this cluster");
	if (c)
		client_free(c);
	if (loop)
		loop_free(loop);
	return rc;
}
