/*
 * See csrapprove.h. It asks the API server about the requester's rights, one request after
 * another, and so is a shell of its own and no pure controller. Must never approve what it did not
 * ask about, nor a request that has changed meanwhile: the update names the version it was about.
 */
#include "controllers/csrapprove.h"

#include <stdlib.h>
#include <string.h>

#include "controllers/csrsigners.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"
#include "lib/kube/workqueue.h"

static const struct resource reviews = {"authorization.k8s.io", "v1", "subjectaccessreviews",
					"SubjectAccessReview", false};

struct csrapprove {
	struct client *client;
	struct informer *requests;
	struct workqueue *queue;
	struct client_call *call;
	struct buf key; /* of the request that the running call is about; one at a time */
	const char *right;
	bool busy;
};

static void next(void *arg);

/* ---- the end of one ---- */

static void finish(struct csrapprove *p, bool again)
{
	AUTO(buf) struct buf key = p->key;

	p->key = (struct buf){0};
	p->busy = false;
	if (again)
		workqueue_add_failed(p->queue, buf_view(&key));
	else
		workqueue_forget(p->queue, buf_view(&key));
	workqueue_done(p->queue, buf_view(&key));
	next(p);
}

/* ---- approving ---- */

static void on_approved(void *arg, const struct api_answer *a)
{
	struct csrapprove *p = arg;

	p->call = NULL;
	if (!a->err.code)
		log_info("certificate request approved", "name", buf_cstr(&p->key), "right",
			 p->right);
	else if (a->err.code != ERR_NOT_FOUND)
		log_warn("certificate request not approved", "name", buf_cstr(&p->key), "error",
			 a->err.msg);
	finish(p, a->err.code && a->err.code != ERR_NOT_FOUND);
}

static struct str message_of(const char *right)
{
	if (!strcmp(right, "selfnodeclient"))
		return STR("Auto approving self kubelet client certificate after "
			   "SubjectAccessReview.");
	if (!strcmp(right, "nodeclient"))
		return STR("Auto approving kubelet client certificate after SubjectAccessReview.");
	if (!strcmp(right, "selfnodeserver"))
		return STR("Auto approving self kubelet serving certificate after "
			   "SubjectAccessReview.");
	return STR("Auto approving the proxy of a node after SubjectAccessReview.");
}

static void approve(struct csrapprove *p, const struct obj *o)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	struct json *v = json_copy(&a, obj_tree(o, &a));
	char now[TIME_TEXT_MAX];
	struct str at = time_format(loop_wall(p->client->loop), now);
	struct json *c = json_append_object(
		&a, json_set_array(&a, json_set_object(&a, v, "status"), "conditions"));

	json_set_str(&a, c, "type", STR("Approved"));
	json_set_str(&a, c, "status", STR("True"));
	json_set_str(&a, c, "reason", STR("AutoApproved"));
	json_set_str(&a, c, "message", message_of(p->right));
	json_set_str(&a, c, "lastUpdateTime", at);
	json_set_str(&a, c, "lastTransitionTime", at);
	json_write(v, &body);
	p->call = client_call(p->client,
			      &(struct api_call){.verb = API_UPDATE,
						 .resource = &res_certificatesigningrequests,
						 .name = buf_view(&p->key),
						 .subresource = "approval",
						 .body = buf_view(&body)},
			      on_approved, p);
}

static void on_reviewed(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct csrapprove *p = arg;
	struct err err = answer->err;
	const struct json *v = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);
	const struct obj *o = informer_get(p->requests, STR_NONE, buf_view(&p->key));

	p->call = NULL;
	if (!o) {
		finish(p, false);
		return;
	}
	if (json_bool(json_at(v, "status", "allowed"), false)) {
		approve(p, o);
		return;
	}
	/* The right may be given later, and people may still approve. */
	log_info("certificate request waits for approval", "name", buf_cstr(&p->key), "why",
		 v ? "the requester may not create such" : err.msg);
	finish(p, true);
}

/* ---- asking ---- */

static void ask(struct csrapprove *p, const struct json *csr)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	const struct json *from = json_get(csr, STR("spec"));
	struct json *o = json_build(&a, "{s:s,s:s,s:{}}", "apiVersion", "authorization.k8s.io/v1",
				    "kind", "SubjectAccessReview", "spec"),
		    *spec = json_get(o, STR("spec"));

	json_set_str(&a, spec, "user", json_str(json_get(from, STR("username"))));
	json_set_str(&a, spec, "uid", json_str(json_get(from, STR("uid"))));
	if (json_get(from, STR("groups")))
		json_set(&a, spec, STR("groups"), json_get(from, STR("groups")));
	if (json_get(from, STR("extra")))
		json_set(&a, spec, STR("extra"), json_get(from, STR("extra")));
	json_set(&a, spec, STR("resourceAttributes"),
		 json_build(&a, "{s:s,s:s,s:s,s:s,s:s}", "group", "certificates.k8s.io", "version",
			    "*", "resource", "certificatesigningrequests", "subresource", p->right,
			    "verb", "create"));
	json_write(o, &body);
	p->call = client_call(p->client,
			      &(struct api_call){.verb = API_CREATE,
						 .resource = &reviews,
						 .body = buf_view(&body)},
			      on_reviewed, p);
}

static void next(void *arg)
{
	struct csrapprove *p = arg;
	struct str key;

	while (!p->busy && workqueue_get(p->queue, &key)) {
		AUTO(arena) struct arena a = {0};
		const struct obj *o = informer_get(p->requests, STR_NONE, key);
		const struct json *csr = o && !o->deleted_ns ? obj_tree(o, &a) : NULL;

		p->right = csr ? csr_wanted_right(csr) : NULL;
		if (!p->right) {
			workqueue_forget(p->queue, key);
			workqueue_done(p->queue, key);
			continue;
		}
		p->busy = true;
		buf_str(&p->key, key);
		ask(p, csr);
	}
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	struct csrapprove *p = arg;

	(void)old;
	if (new)
		workqueue_add(p->queue, new->name);
}

/* ---- life ---- */

struct csrapprove *csrapprove_start(struct client *c)
{
	struct csrapprove *p = xalloc(sizeof(*p));

	p->client = c;
	p->queue = workqueue_new(c->loop, "csrapproving",
				 (struct backoff){.base_ns = NS_PER_S, .max_ns = 60 * NS_PER_S});
	workqueue_on_ready(p->queue, next, p);
	p->requests = informer_new(
		c, &(struct informer_opts){.resource = &res_certificatesigningrequests});
	informer_on_change(p->requests, on_change, p);
	informer_start(p->requests);
	return p;
}

void csrapprove_stop(struct csrapprove *p)
{
	if (!p)
		return;
	client_call_cancel(p->client, p->call);
	informer_free(p->requests);
	workqueue_free(p->queue);
	buf_release(&p->key);
	free(p);
}
