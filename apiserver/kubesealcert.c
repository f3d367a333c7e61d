/*
 * The certificate that kubeseal encrypts to, where kubeseal asks for it: /v1/cert.pem through the
 * proxy to Service kube-system/sealed-secrets-controller. Answered here, from the newest active key
 * Secret, as long as that Service selects no pods: then sealed-secrets itself runs and is proxied
 * to as ever. Must never read anything but tls.crt. The core's thread.
 */
#include "apiserver/kubeletproxy-internal.h"
#include "lib/base/codec.h"

#define LABEL "sealedsecrets.bitnami.com/sealed-secrets-key"
#define SERVICE "sealed-secrets-controller"
#define SEEN_MAX 1000

struct search {
	struct front_req *r;
	struct buf best;
	int64_t from_ns; /* when the best one's certificate begins */
	size_t seen;
};

static void look(void *arg, const struct obj *o)
{
	struct search *s = arg;
	struct str state = obj_label(o, STR(LABEL));
	AUTO(buf) struct buf pem = {0};
	struct cert_info info = {.not_before_ns = 0};

	if (!str_is(o->namespace, "kube-system") || !state.p || s->seen == SEEN_MAX ||
	    (state.n && !str_is(state, "active")))
		return;
	s->seen++;
	const struct json *v = obj_tree(o, &s->r->http->arena);
	if (base64_decode(json_str(json_at(v, "data", "tls.crt")), &pem) != 0 ||
	    cert_info(buf_view(&pem), &info, NULL) != 0)
		return;
	if (!s->best.n || info.not_before_ns > s->from_ns) {
		buf_reset(&s->best);
		buf_str(&s->best, buf_view(&pem));
		s->from_ns = info.not_before_ns;
	}
	cert_info_release(&info);
}

/* "http:sealed-secrets-controller:http" and its shorter forms. */
static bool names_it(struct str s)
{
	struct str head, rest;

	if (str_starts(s, STR("http:")))
		s = str_sub(s, 5, s.n);
	str_cut(s, ':', &head, &rest);
	return str_is(head, SERVICE);
}

static bool is_ours(struct front_req *r)
{
	const struct core_req *c = &r->core;
	const struct kind *services =
		core_kind_find(r->f->o.core, STR(""), STR("v1"), STR("services"));
	struct str p = r->http->raw_path;
	const struct obj *o;

	if (!str_is(c->resource, "services") || !str_is(c->subresource, "proxy") ||
	    !str_is(c->namespace, "kube-system") || !names_it(c->name) ||
	    !str_is(r->http->method, "GET") ||
	    !str_is(str_sub(p, kubelet_proxy_prefix(r).n, p.n), "/v1/cert.pem"))
		return false;
	o = services ? core_get(r->f->o.core, services, c->namespace, STR(SERVICE)) : NULL;
	return !o || !json_len(json_at(obj_tree(o, &r->http->arena), "spec", "selector"));
}

bool kubesealcert_serve(struct front_req *r)
{
	const struct kind *secrets =
		core_kind_find(r->f->o.core, STR(""), STR("v1"), STR("secrets"));
	struct search s = {.r = r};
	struct err err = {0};

	if (!secrets || !is_ours(r))
		return false;
	core_each(r->f->o.core, secrets, look, &s);
	if (s.best.n) {
		front_text(r, 200, "application/x-pem-file", buf_view(&s.best));
	} else {
		err_set(&err, ERR_UNAVAILABLE,
			"the certificate for kubeseal isn't made yet: try again in some seconds");
		front_fail(r, &err);
	}
	buf_release(&s.best);
	return true;
}
