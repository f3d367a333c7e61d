/*
 * Images for containers: from the store, or else from their registry, by `plumb pull` in a process
 * of its own. What was put into the store by hand is used as it is, whatever the policy, so that
 * clusters without a registry need none. Must never hold credentials longer than a pull. On the
 * kubelet's loop; a pull is for all pods that wait for its image.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kubelet/kubelet.h"
#include "kubelet/main.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

#define PULLS_AT_ONCE 4
#define PULL_TIMEOUT_NS (3600 * NS_PER_S)
#define REQUEST_MAX (4 << 20)

struct image_pull {
	struct kubelet *k;
	struct list node;
	char *name; /* normal */
	struct proc *proc;
	int64_t since;
};

/* ---- words ---- */

static void image_failed(struct pod *p, size_t i, const struct err *why)
{
	const struct container_spec *s = &p->spec.c[i];
	const char *reason = "ErrImagePull";
	const bool absent = why->code == ERR_NOT_FOUND && !p->k->program;
	AUTO(free) char *text = NULL;

	if (why->code == ERR_INVALID) {
		reason = "InvalidImageName";
		text = xasprintf("Failed to apply default image tag \"%.*s\": %s",
				 STR_ARG(s->image), why->msg);
	} else if (s->pull == PULL_NEVER) {
		reason = "ErrImageNeverPull";
		text = xasprintf(
			"Container image \"%.*s\" is not present with pull policy of Never",
			STR_ARG(s->image));
	} else if (absent) {
		text = xasprintf("image \"%.*s\" is not in the image store", STR_ARG(s->image));
	} else {
		text = xasprintf("failed to pull image \"%.*s\": %s", STR_ARG(s->image), why->msg);
	}
	bool again = p->obs.c[i].image.failures > 0;
	pod_on_image(&p->obs.c[i], false, reason, text, pod_now(p->k));
	if (strcmp(reason, "ErrImagePull") != 0) {
		pod_event_of(p, i, "Warning",
			     !strcmp(reason, "InvalidImageName") ? "InspectFailed" : reason, "%s",
			     text);
	} else {
		pod_event_of(p, i, "Warning", "Failed", "Failed to pull image \"%.*s\": %s",
			     STR_ARG(s->image), absent ? text : why->msg);
	}
	pod_event_of(p, i, "Warning", "Failed", "Error: %s", reason);
	if (again && !strcmp(reason, "ErrImagePull")) {
		pod_event_of(p, i, "Normal", "BackOff", "Back-off pulling image \"%.*s\"",
			     STR_ARG(s->image));
		pod_event_of(p, i, "Warning", "Failed", "Error: ImagePullBackOff");
	}
}

static void image_here(struct pod *p, size_t i, const struct image *img, int64_t took_ns)
{
	const struct container_spec *s = &p->spec.c[i];
	AUTO(buf) struct buf took = {0};

	snprintf(p->obs.c[i].image_id, sizeof(p->obs.c[i].image_id), "%.*s", STR_ARG(img->id));
	pod_on_image(&p->obs.c[i], true, NULL, NULL, pod_now(p->k));
	duration_format(took_ns / NS_PER_MS * NS_PER_MS, &took);
	if (took_ns)
		pod_event_of(p, i, "Normal", "Pulled", "Successfully pulled image \"%.*s\" in %s",
			     STR_ARG(s->image), buf_cstr(&took));
	else
		pod_event_of(p, i, "Normal", "Pulled",
			     "Container image \"%.*s\" already present on machine",
			     STR_ARG(s->image));
}

/* ---- a pull ---- */

static void pull_free(struct image_pull *l)
{
	list_remove(&l->node);
	free(l->name);
	free(l);
}

/* All that wait for it hear of it. */
static void tell(struct kubelet *k, const char *name, int64_t since, const struct err *why)
{
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it)) {
		struct pod *p = it.value;
		for (size_t i = 0; i < p->spec.n; i++) {
			AUTO(arena) struct arena a = {0};
			struct err err = *why;
			struct image img;
			if (!p->cont[i].pulling || strcmp(p->cont[i].pulling, name) != 0)
				continue;
			free(p->cont[i].pulling);
			p->cont[i].pulling = NULL;
			if (!err.code && !image_find(&a, k->images, p->spec.c[i].image, &img, &err))
				image_here(p, i, &img, MAX(loop_now(k->loop) - since, 1));
			else
				image_failed(p, i, &err);
			pod_wake(p);
		}
	}
}

static void wake_waiting(struct kubelet *k)
{
	struct map_iter it = {0};

	while (map_next(&k->by_uid, &it))
		pod_wake(it.value);
}

static void on_pulled(void *arg, struct proc_result *r)
{
	struct image_pull *l = arg;
	struct kubelet *k = l->k;
	AUTO(free) char *name = xstrdup(l->name);
	int64_t since = l->since;
	struct err err = {0};

	if (r->timed_out)
		err_set(&err, ERR_TIMEOUT, "it took longer than an hour");
	else if (r->status)
		err_set(&err, ERR_UNAVAILABLE, "%.*s", STR_ARG(str_trim(buf_view(&r->err))));
	pull_free(l);
	tell(k, name, since, &err);
	wake_waiting(k);
}

static bool slot_free(const struct kubelet *k)
{
	size_t n = 0;

	for (const struct list *l = k->pulls.next; l != &k->pulls; l = l->next)
		n++;
	return n < PULLS_AT_ONCE;
}

/* What a Secret of type kubernetes.io/dockerconfigjson or dockercfg says. */
static void add_login(struct arena *a, const struct json *secret, struct json *list)
{
	AUTO(buf) struct buf text = {0};
	struct str now = json_str(json_get(json_at(secret, "data"), STR(".dockerconfigjson")));
	struct str old = json_str(json_get(json_at(secret, "data"), STR(".dockercfg")));
	struct json *o = json_append_object(a, list);

	if (base64_decode(now.n ? now : old, &text))
		buf_reset(&text);
	json_set_str(a, o, ".dockerconfigjson",
		     now.n ? arena_str(a, buf_view(&text))
			   : arena_strf(a, "{\"auths\":%.*s}", STR_ARG(buf_view(&text))));
	buf_wipe(&text);
}

static void write_request(struct pod *p, const char *name, struct buf *out)
{
	struct arena a = {0};
	const struct json *refs = json_at(p->spec.spec, "imagePullSecrets");
	struct json *v = json_build(&a, "{s:s, s:[]}", "image", name, "auths");

	for (size_t i = 0; i < json_len(refs); i++) {
		const struct obj *o;
		if (refs_get(p->k->refs, REF_SECRET, p->spec.namespace,
			     json_str(json_at(json_item(refs, i), "name")), &o) &&
		    o)
			add_login(&a, obj_tree(o, &a), json_get(v, STR("auths")));
	}
	json_write(v, out);
	arena_release(&a);
}

/* A pull must fail before its pod's patience ends; the way out is the machine's. */
static const char *const *pull_env(struct arena *a)
{
	static const char *const passed[] = {"HTTP_PROXY",    "HTTPS_PROXY", "NO_PROXY",
					     "http_proxy",    "https_proxy", "no_proxy",
					     "SSL_CERT_FILE", "SSL_CERT_DIR"};
	const char **env = arena_array(a, ARRAY_LEN(passed) + 3, sizeof(*env));
	size_t n = 0;

	env[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	env[n++] = "RES_OPTIONS=timeout:2 attempts:2";
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		const char *value = getenv(passed[i]);
		if (value)
			env[n++] = arena_printf(a, "%s=%s", passed[i], value);
	}
	return env;
}

static int start_pull(struct pod *p, const char *name, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct kubelet *k = p->k;
	const char *argv[] = {k->program, "pull", k->images, NULL};
	AUTO(buf) struct buf request = {0};
	struct image_pull *l = xalloc(sizeof(*l));

	*l = (struct image_pull){.k = k, .name = xstrdup(name), .since = loop_now(k->loop)};
	list_append(&k->pulls, &l->node);
	write_request(p, name, &request);
	struct proc_opts o = {.argv = argv,
			      .env = pull_env(&a),
			      .in = buf_view(&request),
			      .die_with_us = true,
			      .timeout_ns = PULL_TIMEOUT_NS};
	l->proc = proc_start(k->loop, &o, on_pulled, l, err);
	buf_wipe(&request);
	if (l->proc)
		return 0;
	pull_free(l);
	return -1;
}

/* ---- what pods ask for ---- */

/* Is the store's the one to be used? */
static bool in_store(struct pod *p, size_t i, const struct image *img)
{
	AUTO(buf) struct buf digest = {0};

	return p->spec.c[i].pull != PULL_ALWAYS || !p->k->program ||
	       !image_pulled(p->k->images, img->name, &digest);
}

static struct image_pull *running(struct kubelet *k, struct str name)
{
	LIST_FOREACH (n, &k->pulls) {
		struct image_pull *l = CONTAINER_OF(n, struct image_pull, node);
		if (str_is(name, l->name))
			return l;
	}
	return NULL;
}

bool image_possible(struct pod *p, size_t i)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct str name;
	struct image img;

	if (slot_free(p->k) || image_name_normal(&a, p->spec.c[i].image, &name, &err) ||
	    running(p->k, name))
		return true;
	return !image_find(&a, p->k->images, name, &img, &err) && in_store(p, i, &img);
}

void pod_image(struct pod *p, size_t i)
{
	AUTO(arena) struct arena a = {0};
	const struct container_spec *s = &p->spec.c[i];
	struct err err = {0};
	struct image img;
	struct str name;

	if (!image_find(&a, p->k->images, s->image, &img, &err) && in_store(p, i, &img)) {
		image_here(p, i, &img, 0);
		return;
	}
	if (image_name_normal(&a, s->image, &name, &err) || s->pull == PULL_NEVER ||
	    !p->k->program) {
		image_failed(p, i, &err);
		return;
	}
	pod_event_of(p, i, "Normal", "Pulling", "Pulling image \"%.*s\"", STR_ARG(s->image));
	free(p->cont[i].pulling);
	p->cont[i].pulling = xstrndup(name.p, name.n);
	err = (struct err){0};
	if (running(p->k, name) || !start_pull(p, p->cont[i].pulling, &err))
		return;
	free(p->cont[i].pulling);
	p->cont[i].pulling = NULL;
	image_failed(p, i, &err);
}

void pulls_stop(struct kubelet *k)
{
	if (!k->pulls.next)
		return;
	LIST_FOREACH (n, &k->pulls) {
		struct image_pull *l = CONTAINER_OF(n, struct image_pull, node);
		proc_cancel(l->proc, true);
		pull_free(l);
	}
}

/* ---- the process ---- */

static int read_request(struct buf *out, struct err *err)
{
	for (;;) {
		char *to = buf_reserve(out, 65536);
		size_t n = fread(to, 1, 65536, stdin);
		if (n == 0)
			return ferror(stdin) ? err_set(err, ERR_IO, "the request can't be read")
					     : 0;
		out->n += n;
		if (out->n > REQUEST_MAX)
			return err_set(err, ERR_LIMIT, "the request is too big");
	}
}

int kubelet_pull_main(int argc, char **argv)
{
	struct arena a = {0};
	struct buf text = {0};
	struct err err = {0};
	const struct json *v;
	bool fetched;
	int rc = -1;

	if (argc != 2) {
		fprintf(stderr, "plumb pull is started by kubelets: see plumb image pull\n");
		return 2;
	}
	if (!read_request(&text, &err) && (v = json_parse(&a, buf_view(&text), NULL, &err)))
		rc = image_pull(argv[1], json_str(json_at(v, "image")), json_at(v, "auths"),
				&fetched, &err);
	if (rc)
		fprintf(stderr, "%s\n", err.msg);
	buf_wipe(&text);
	arena_release(&a);
	return rc ? 1 : 0;
}
