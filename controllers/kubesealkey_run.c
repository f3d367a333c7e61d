/*
 * kubeseal's first key pair, and the Service that it looks for: made once in a cluster's life, some
 * seconds after the start, by a thread of its own at the lowest priority, because finding primes
 * takes a while. A key that is there already, from wherever, is left as it is. The private key is
 * wiped here as soon as the API has it. On the role's loop but for the one thread, which touches
 * nothing but its own fields.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "controllers/kubeseal.h"
#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/http/tls.h"
#include "lib/kube/resources.h"

#define WAIT (3 * NS_PER_S)
#define RETRY (30 * NS_PER_S)
#define LIFETIME_S (10L * 365 * 24 * 3600)

enum { BITS = 3072 };

struct kubesealkey {
	struct client *client;
	struct client_call *call;
	struct loop_timer timer;
	pthread_t thread;
	bool running; /* the thread is to be joined */
	/* the thread's until it is joined */
	int64_t now_ns;
	struct buf cert, key;
	struct err err;
};

static void look(struct loop *l, struct loop_timer *t);

static void again(struct kubesealkey *k, const char *why)
{
	log_warn("cannot make the key for kubeseal, trying again", "error", why);
	loop_timer_set(k->client->loop, &k->timer, RETRY, look);
}

/* ---- the Service ---- */

static void on_service(void *arg, const struct api_answer *answer)
{
	struct kubesealkey *k = arg;

	k->call = NULL;
	if (answer->err.code && answer->err.code != ERR_EXISTS)
		again(k, answer->err.msg);
}

/* Without address, selector or endpoints: only so that kubeseal finds the name. */
static void make_service(struct kubesealkey *k)
{
	static const char body[] =
		"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":"
		"\"" KUBESEAL_SERVICE "\",\"namespace\":\"kube-system\"},\"spec\":{\"clusterIP\":"
		"\"None\",\"ports\":[{\"name\":\"http\",\"port\":8080}]}}";
	struct api_call call = {.verb = API_CREATE,
				.resource = &res_services,
				.namespace = STR("kube-system"),
				.body = str_c(body)};

	k->call = client_call(k->client, &call, on_service, k);
}

/* ---- the key ---- */

static void on_made(void *arg, const struct api_answer *answer)
{
	struct kubesealkey *k = arg;

	k->call = NULL;
	if (answer->err.code) {
		again(k, answer->err.msg);
		return;
	}
	log_info("a key for kubeseal is made");
	make_service(k);
}

static void set_base64(struct arena *a, struct json *to, const char *field, struct str bytes)
{
	struct buf text = {0};

	base64_encode(bytes, &text);
	json_set_str(a, to, field, buf_view(&text));
	buf_wipe(&text);
}

static void put_secret(struct kubesealkey *k)
{
	AUTO(arena) struct arena a = {0};
	struct json *o = json_build(&a, "{s:s,s:s,s:s,s:{s:s,s:s,s:{s:s}}}", "apiVersion", "v1",
				    "kind", "Secret", "type", "kubernetes.io/tls", "metadata",
				    "namespace", "kube-system", "generateName",
				    "sealed-secrets-key", "labels", KUBESEAL_KEY, "active");
	struct json *data = json_set_object(&a, o, "data");
	struct buf body = {0};
	struct api_call call = {
		.verb = API_CREATE, .resource = &res_secrets, .namespace = STR("kube-system")};

	set_base64(&a, data, "tls.crt", buf_view(&k->cert));
	set_base64(&a, data, "tls.key", buf_view(&k->key));
	json_write(o, &body);
	call.body = buf_view(&body);
	k->call = client_call(k->client, &call, on_made, k);
	buf_wipe(&body);
	buf_wipe(&k->key);
	buf_release(&k->cert);
}

static void on_generated(void *arg)
{
	struct kubesealkey *k = arg;

	if (!k->running)
		return;
	pthread_join(k->thread, NULL);
	k->running = false;
	if (k->err.code)
		again(k, k->err.msg);
	else
		put_secret(k);
}

static void *generate(void *arg)
{
	struct kubesealkey *k = arg;
	struct cert_rsa r = {.common_name = "sealed-secrets",
			     .bits = BITS,
			     .lifetime_s = LIFETIME_S,
			     .now_ns = k->now_ns};

	/* Of this thread alone. */
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
	if (cert_rsa_create(&r, &k->cert, &k->key, &k->err) != 0)
		buf_wipe(&k->key);
	loop_post(k->client->loop, on_generated, k);
	return NULL;
}

/* ---- is there one ---- */

static void on_listed(void *arg, const struct api_answer *answer)
{
	AUTO(arena) struct arena a = {0};
	struct kubesealkey *k = arg;
	struct err err = answer->err;
	const struct json *list = err.code ? NULL : json_parse(&a, answer->body, NULL, &err);

	k->call = NULL;
	if (!list) {
		again(k, err.msg);
	} else if (json_len(json_get(list, STR("items")))) {
		make_service(k);
	} else {
		k->err = (struct err){.code = ERR_NONE};
		k->now_ns = loop_wall(k->client->loop);
		k->running = pthread_create(&k->thread, NULL, generate, k) == 0;
		if (!k->running)
			again(k, "no thread");
	}
}

static void look(struct loop *l, struct loop_timer *t)
{
	struct kubesealkey *k = CONTAINER_OF(t, struct kubesealkey, timer);
	struct api_call call = {
		.verb = API_LIST,
		.resource = &res_secrets,
		.namespace = STR("kube-system"),
		.query = "labelSelector=sealedsecrets.bitnami.com%2Fsealed-secrets-key"};

	(void)l;
	k->call = client_call(k->client, &call, on_listed, k);
}

struct kubesealkey *kubesealkey_start(struct client *c)
{
	struct kubesealkey *k = xalloc(sizeof(*k));

	k->client = c;
	loop_timer_set(c->loop, &k->timer, WAIT, look);
	return k;
}

void kubesealkey_stop(struct kubesealkey *k)
{
	if (!k)
		return;
	loop_timer_cancel(k->client->loop, &k->timer);
	client_call_cancel(k->client, k->call);
	if (k->running) {
		/* What it has posted still comes, and finds nothing to do: k stays. */
		pthread_join(k->thread, NULL);
		k->running = false;
		buf_wipe(&k->key);
		buf_release(&k->cert);
		return;
	}
	buf_wipe(&k->key);
	buf_release(&k->cert);
	free(k);
}
