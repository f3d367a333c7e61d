/*
 * driftlag KUBECONFIG ROUNDS: edits one ConfigMap c-N in namespace `many` after the other and waits
 * until the reconciler has put git's value back: edit and correction, both over the API, as the
 * watch tells of them. The time in between is what noticing and putting back took together.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/kube/informer.h"
#include "lib/kube/resources.h"

#define ROUNDS_MAX 1000

struct bench {
	struct loop *loop;
	struct client *client;
	char name[32];
	size_t n, rounds;
	int64_t seen_ns, took[ROUNDS_MAX]; /* seen_ns: when the watch told of the edit */
};

static void on_written(void *arg, const struct api_answer *answer)
{
	(void)arg;
	if (answer->err.code) {
		fprintf(stderr, "driftlag: %s\n", answer->err.msg);
		exit(1);
	}
}

static void edit(struct bench *b)
{
	struct api_call call = {.verb = API_PATCH,
				.resource = &res_configmaps,
				.namespace = STR("many"),
				.patch = API_PATCH_MERGE,
				.body = STR("{\"data\":{\"key\":\"edited\"}}")};

	snprintf(b->name, sizeof(b->name), "c-%zu", b->n + 1);
	call.name = str_c(b->name);
	client_call(b->client, &call, on_written, b);
}

static int by_time(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return (a > b) - (a < b);
}

static void on_change(void *arg, const struct obj *old, const struct obj *new)
{
	AUTO(arena) struct arena a = {0};
	struct bench *b = arg;

	if (!old || !new || !str_is(new->name, b->name))
		return;
	if (str_is(json_str(json_at(obj_tree(new, &a), "data", "key")), "edited")) {
		b->seen_ns = loop_now(b->loop);
		return;
	}
	if (!b->seen_ns)
		return;
	b->took[b->n++] = loop_now(b->loop) - b->seen_ns;
	b->seen_ns = 0;
	if (b->n < b->rounds) {
		edit(b);
		return;
	}
	qsort(b->took, b->n, sizeof(*b->took), by_time);
	printf("drift, from the edit to git's value: median %.1f ms, worst %.1f ms of %zu "
	       "(bar: noticed in 10 ms)\n",
	       (double)b->took[b->n / 2] / 1e6, (double)b->took[b->n - 1] / 1e6, b->n);
	loop_stop(b->loop);
}

static void on_progress(void *arg)
{
	struct bench *b = arg;

	if (!b->name[0])
		edit(b);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct informer_opts o = {.resource = &res_configmaps, .namespace = STR("many")};
	struct kubeconfig k;
	struct err err = {0};
	struct informer *i;

	b.loop = loop_new();
	log_init("driftlag", LOG_WARN, "text");
	if (argc != 3 || kubeconfig_load(argv[1], &k, &err) ||
	    !(b.client = client_http_new(b.loop, &k, "driftlag", &err))) {
		fprintf(stderr, "driftlag KUBECONFIG ROUNDS: %s\n", err.msg);
		return 2;
	}
	b.rounds = (size_t)strtoul(argv[2], NULL, 10);
	if (!b.rounds || b.rounds > ROUNDS_MAX)
		return 2;
	i = informer_new(b.client, &o);
	informer_on_change(i, on_change, &b);
	informer_on_progress(i, on_progress, &b);
	informer_start(i);
	loop_run(b.loop);
	return 0;
}
