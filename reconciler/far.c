/*
 * Other clusters: a Kustomization with spec.kubeConfig is rendered here and applied there, with the
 * credentials of a Secret beside it. Each such cluster is a reconciler's shadow: a client, its
 * kinds, watches of what was applied; shared by those whose Secrets hold the same, gone with the
 * last of them. Drift there is not put back, health is watched. A kubeconfig comes from a tenant:
 * nothing that it names on this machine is read or run. On the role's loop.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/base/log.h"
#include "lib/kube/resources.h"
#include "reconciler/run.h"

struct far {
	struct reconciler there;
	struct reconciler *home;
	char *key; /* digest of the kubeconfig */
	size_t units;
};

struct reconciler *unit_there(const struct unit *u)
{
	return u->far ? &u->far->there : u->r;
}

/* ---- clusters ---- */

static struct far *far_get(struct reconciler *r, struct str text, struct err *err)
{
	char key[65];
	struct kubeconfig k;
	struct client *c;
	struct far *f;

	sha256_hex(text, key);
	f = map_get(&r->clusters, str_c(key));
	if (f)
		return f;
	if (kubeconfig_parse(text, &k, err))
		return NULL;
	c = client_http_new(r->loop, &k, FIELD_MANAGER, err);
	kubeconfig_release(&k);
	if (!c)
		return NULL;
	f = xalloc(sizeof(*f));
	f->home = r;
	f->key = xstrdup(key);
	f->there = (struct reconciler){
		.client = c, .loop = r->loop, .opts = r->opts, .restmap = restmap_new(c)};
	map_set(&r->clusters, str_c(key), f);
	return f;
}

static void far_free(struct far *f)
{
	struct reconciler *r = f->home;

	map_del(&r->clusters, str_c(f->key));
	if (!r->clusters.n)
		map_release(&r->clusters);
	kindwatches_free(&f->there);
	map_release(&f->there.owned);
	restmap_free(f->there.restmap);
	client_free(f->there.client);
	free(f->key);
	free(f);
}

void unit_far_free(struct unit *u)
{
	struct far *f = u->far;

	if (!f)
		return;
	farchecks_free(u);
	/* They are watched there. */
	entries_free(u);
	u->far = NULL;
	if (!--f->units)
		far_free(f);
}

static void use(struct unit *u, struct far *f)
{
	if (u->far == f)
		return;
	f->units++;
	unit_far_free(u);
	/* What was applied elsewhere is to be applied here. */
	entries_free(u);
	u->full = true;
	u->far = f;
}

/* ---- a run's ---- */

/* Nobody can get there any more, or ever could. */
static void leave_all(struct run *run, const char *why)
{
	run->prune.ngo = run->prune.nheld = 0;
	log_warn(why, "unit", run->u->key);
	run_farewell_end(run);
}

static void go_on(struct run *run)
{
	if (run->farewell && !run->last_hooks)
		run_prune_go(run);
	else
		run_keys(run);
}

static void on_discovery(void *arg, const struct err *err)
{
	struct run *run = arg;

	run->discovering = false;
	if (err->code)
		run_fail(run, "ReconciliationFailed",
			 arena_strf(&run->arena, "the cluster of spec.kubeConfig: %s", err->msg));
	else
		go_on(run);
}

static struct str value_of(const struct json *data, struct str key)
{
	static const char *const names[] = {"value", "value.yaml"};

	if (key.n)
		return json_str(json_get(data, key));
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct str s = json_str(json_get(data, str_c(names[i])));

		if (s.n)
			return s;
	}
	return STR_NONE;
}

static int connect_far(struct run *run, struct str body, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct buf text = {0};
	struct str key = json_str(json_at(run->spec, "kubeConfig", "secretRef", "key"));
	const struct json *o = json_parse(&a, body, NULL, err);
	struct str value = value_of(json_get(o, STR("data")), key);
	struct far *f = NULL;

	if (o && (!value.n || base64_decode(value, &text)))
		err_set(err, ERR_INVALID, "it holds no kubeconfig under the key %.*s",
			STR_ARG(key.n ? key : STR("value")));
	else if (o)
		f = far_get(run->r, buf_view(&text), err);
	buf_wipe(&text);
	if (f)
		use(run->u, f);
	return f ? 0 : -1;
}

static void on_secret(struct run *run, size_t i, const struct api_answer *answer)
{
	struct err err = answer->err;

	(void)i;
	if (err.code || connect_far(run, answer->body, &err)) {
		/* Whoever took the Secret away, too, wants it gone. */
		if (run->farewell && err.code == ERR_NOT_FOUND) {
			leave_all(run, "the cluster's Secret is gone: its objects stay");
			return;
		}
		run_fail(run, "ReconciliationFailed",
			 arena_strf(&run->arena, "spec.kubeConfig: %s", err.msg));
		return;
	}
	if (restmap_ready(unit_there(run->u)->restmap)) {
		go_on(run);
		return;
	}
	run->discovering = true;
	restmap_refresh(unit_there(run->u)->restmap, on_discovery, run);
}

void run_far(struct run *run)
{
	const struct json *k = json_get(run->spec, STR("kubeConfig"));
	struct api_call call = {.verb = API_GET,
				.resource = &res_secrets,
				.namespace = run->u->o->namespace,
				.name = json_str(json_at(k, "secretRef", "name"))};

	run->phase = RUN_KEYS;
	if (!json_len(k)) {
		unit_far_free(run->u);
		go_on(run);
	} else if (!call.name.n && run->farewell) {
		leave_all(run, "nothing was ever applied by a kubeConfig without secretRef");
	} else if (!call.name.n) {
		run_stall(run, "BuildFailed",
			  STR("spec.kubeConfig: only secretRef is supported, which names a Secret "
			      "with a kubeconfig"));
	} else {
		run_call(run, &call, 0, on_secret);
	}
}
