/*
 * `plumb diff`: what a checkout would change in the cluster. The same build and dry run as the
 * reconciler's, with the caller's credentials, and nothing is written: neither there nor in the
 * checkout. Its own loop.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/flags.h"
#include "lib/base/log.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"
#include "reconciler/argo.h"
#include "reconciler/gitwork.h"
#include "reconciler/main.h"

struct diff {
	struct reconciler r;
	struct source source;
	struct arena arena;
	const char *data_dir, *kubeconfig, *namespace, *source_name, *ref, *output;
	const char *folder, *url; /* url: of the source */
	enum plan_format format;
	char *store; /* where a snapshot of the folder is, to be removed */
	struct err err;
	struct json *list; /* of reports, for PLAN_JSON */
	bool differs, failed;
};

static void stop_loop(void *arg)
{
	loop_stop(((struct diff *)arg)->r.loop);
}

static void on_discovery(void *arg, const struct err *err)
{
	struct diff *d = arg;

	d->err = *err;
	stop_loop(d);
}

static int connect_api(struct diff *d, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct kubeconfig k = {0};
	const char *path = *d->kubeconfig ? d->kubeconfig
					  : arena_printf(&a, "%s/admin.kubeconfig", d->data_dir);

	if (kubeconfig_load(path, &k, err))
		return -1;
	d->r.loop = loop_new();
	d->r.client = client_http_new(d->r.loop, &k, "plumb-diff", err);
	kubeconfig_release(&k);
	if (!d->r.client)
		return -1;
	d->r.restmap = restmap_new(d->r.client);
	restmap_refresh(d->r.restmap, on_discovery, d);
	loop_run(d->r.loop);
	if (d->err.code)
		*err = d->err;
	return d->err.code ? -1 : 0;
}

/* The folder as it is, or a revision of its repository. */
static int read_checkout(struct diff *d, struct err *err)
{
	struct source *s = &d->source;

	if (*d->ref) {
		s->revision = xstrdup(d->ref);
		return git_resolve(&d->arena, d->folder, d->ref, &s->mirror, s->commit, err);
	}
	d->store = arena_printf(&d->arena, "%s/plumb-diff.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(d->store)) {
		d->store = NULL;
		return err_sys(err, "make a temporary folder");
	}
	s->mirror = d->store;
	s->revision = xstrdup("checkout");
	return git_snapshot(d->folder, d->store, s->commit, err);
}

static struct obj *object_of(const struct json *tree)
{
	AUTO(buf) struct buf text = {0};

	json_write(tree, &text);
	return obj_from_bytes(buf_view(&text), NULL);
}

static void print(struct diff *d, const struct plan_report *r)
{
	AUTO(buf) struct buf text = {0};

	for (size_t i = 0; i < r->n; i++) {
		d->differs |= r->v[i].action != PLAN_NONE && r->v[i].action != PLAN_KEEP;
		d->failed |= r->v[i].action == PLAN_REFUSED;
	}
	d->failed |= r->error.n > 0;
	if (d->format == PLAN_JSON) {
		json_append(&d->arena, d->list, json_copy(&d->arena, plan_json(&d->arena, r)));
		return;
	}
	plan_print(r, d->format, isatty(STDOUT_FILENO) && !getenv("NO_COLOR"), &text);
	fwrite(text.p, 1, text.n, stdout);
}

static void plan_unit(struct diff *d, const struct json *tree)
{
	struct unitplan plan = {.done = stop_loop, .arg = d};
	struct unit u = {.r = &d->r, .full = true, .plan = &plan};

	struct obj *o = object_of(tree);

	if (!o)
		return;
	unit_take(&u, o);
	obj_unref(o);
	u.key = xasprintf("%s%.*s/%.*s", u.argo ? "application/" : "", STR_ARG(u.o->namespace),
			  STR_ARG(u.o->name));
	plan.report.unit = arena_str(&plan.arena, str_c(u.key));
	map_set(&d->r.units, str_c(u.key), &u);
	run_begin(&u);
	while (u.run)
		loop_run(d->r.loop);
	print(d, &plan.report);
	unit_far_free(&u);
	map_del(&d->r.units, str_c(u.key));
	obj_unref(u.o);
	obj_unref(u.head);
	argo_free(&u);
	free(u.key);
	free(u.broken);
	arena_release(&plan.arena);
}

/* ---- which Kustomizations ---- */

static bool wanted(const struct diff *d, const struct json *o, int n, char **names)
{
	const struct json *ref = json_at(o, "spec", "sourceRef");
	struct str ns = json_str_or(json_get(ref, STR("namespace")), meta_namespace(o)), rest, name;

	if (!n)
		return str_cut(str_c(d->source_name), '/', &rest, &name) && str_eq(ns, rest) &&
		       str_eq(json_str(json_get(ref, STR("name"))), name) &&
		       str_is(json_str(json_get(ref, STR("kind"))), "GitRepository");
	for (int i = 0; i < n; i++) {
		if (str_is(meta_name(o), names[i]) && str_is(meta_namespace(o), d->namespace))
			return true;
	}
	return false;
}

/* Applications name an address: that of the GitRepository, or they are named themselves. */
static bool wanted_app(const struct diff *d, const struct json *o, int n, char **names)
{
	static const char prefix[] = "application/";
	const struct json *source = application_source(json_get(o, STR("spec")));

	if (!n)
		return d->url && str_is(json_str(json_get(source, STR("repoURL"))), d->url);
	for (int i = 0; i < n; i++) {
		bool app = !strncmp(names[i], prefix, strlen(prefix));

		if (str_is(meta_name(o), names[i] + (app ? strlen(prefix) : 0)) &&
		    (str_is(meta_namespace(o), d->namespace) ||
		     str_is(meta_namespace(o), "argocd")))
			return true;
	}
	return false;
}

/* Whatever source a Kustomization names, the checkout stands in for it. */
static void stand_in(struct diff *d, const struct json *o)
{
	AUTO(arena) struct arena a = {0};
	const struct json *ref = json_at(o, "spec", "sourceRef");
	struct str ns = json_str_or(json_get(ref, STR("namespace")), meta_namespace(o));

	map_set(&d->r.sources, obj_key(&a, ns, json_str(json_get(ref, STR("name")))), &d->source);
	d->source.r = &d->r;
	if (!d->source.o)
		d->source.o = obj_from_bytes(
			STR("{\"kind\":\"GitRepository\",\"metadata\":{\"name\":\"checkout\"}}"),
			NULL);
}

static const struct json *list(struct diff *d, const struct resource *r, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_LIST, .resource = r};
	const struct json *all;

	if (client_sync(d->r.client, &call, &body, err))
		return NULL;
	all = json_parse(&d->arena, arena_str(&d->arena, buf_view(&body)), NULL, err);
	return all ? json_get(all, STR("items")) : NULL;
}

static void find_url(struct diff *d)
{
	struct err none = {0};
	const struct json *items = list(d, &res_gitrepositories, &none);

	for (size_t i = 0; i < json_len(items); i++) {
		const struct json *o = json_item(items, i);
		struct str key = obj_key(&d->arena, meta_namespace(o), meta_name(o));

		if (str_is(key, d->source_name))
			d->url = arena_cstr(&d->arena, json_str(json_at(o, "spec", "url")));
	}
}

/* As the reconciler would sync it now; what was asked of it is asked of that one. */
static int plan_apps(struct diff *d, int n, char **names, size_t *found, struct err *err)
{
	const struct json *items = list(d, &res_applications, err);

	if (!items)
		return -1;
	find_url(d);
	for (size_t i = 0; i < json_len(items); i++) {
		struct json *o = json_item(items, i), *t;
		struct err why = {0};

		if (!wanted_app(d, o, n, names))
			continue;
		json_set_str(&d->arena, o, "apiVersion", STR("argoproj.io/v1alpha1"));
		json_set_str(&d->arena, o, "kind", STR("Application"));
		json_del(o, STR("operation"));
		json_del(json_at(o, "metadata", "annotations"), STR(ARGO_REFRESH));
		if (application_translate(&d->arena, o, &t, &why))
			return err_set(err, why.code, "application %.*s: %s", STR_ARG(meta_name(o)),
				       why.msg);
		stand_in(d, t);
		plan_unit(d, o);
		++*found;
	}
	return 0;
}

static int plan_all(struct diff *d, int n, char **names, struct err *err)
{
	const struct json *items = list(d, &res_kustomizations, err);
	size_t found = 0;

	if (!items)
		return -1;
	d->list = json_new(&d->arena, JSON_ARRAY);
	for (size_t i = 0; i < json_len(items); i++) {
		struct json *o = json_item(items, i);

		if (!wanted(d, o, n, names))
			continue;
		json_set_str(&d->arena, o, "apiVersion", STR("kustomize.toolkit.fluxcd.io/v1"));
		json_set_str(&d->arena, o, "kind", STR("Kustomization"));
		stand_in(d, o);
		plan_unit(d, o);
		found++;
	}
	if (plan_apps(d, n, names, &found, err))
		return -1;
	if (n ? found < (size_t)n : !found)
		return err_set(err, ERR_NOT_FOUND,
			       n ? "no such Kustomization or Application in namespace %s"
				 : "no Kustomization or Application is built from %s",
			       n ? d->namespace : d->source_name);
	return 0;
}

static int diff(struct diff *d, int n, char **names, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	if (read_checkout(d, err) || connect_api(d, err) || plan_all(d, n, names, err))
		return -1;
	if (d->format == PLAN_JSON) {
		json_write_pretty(json_build(&d->arena, "{s:o}", "kustomizations", d->list), 2,
				  &text);
		buf_putc(&text, '\n');
		fwrite(text.p, 1, text.n, stdout);
	}
	return 0;
}

static void release(struct diff *d)
{
	struct err err = {0};

	git_close(d->source.git);
	if (d->r.restmap)
		restmap_free(d->r.restmap);
	if (d->r.client)
		client_free(d->r.client);
	if (d->r.loop)
		loop_free(d->r.loop);
	map_release(&d->r.units);
	map_release(&d->r.sources);
	obj_unref(d->source.o);
	free(d->source.revision);
	if (d->store && fs_remove_tree(d->store, &err))
		fprintf(stderr, "plumb diff: %s\n", err.msg);
	arena_release(&d->arena);
}

static int format_of(struct diff *d, struct err *err)
{
	static const char *const names[] = {"text", "markdown", "json"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!strcmp(d->output, names[i])) {
			d->format = (enum plan_format)i;
			return 0;
		}
	}
	return err_set(err, ERR_BAD_REQUEST, "-o: text, markdown or json");
}

int reconciler_diff_main(int argc, char **argv)
{
	struct diff d = {.data_dir = "/var/lib/plumb",
			 .kubeconfig = "",
			 .namespace = ROOT_NAMESPACE,
			 .source_name = ROOT_NAMESPACE "/root",
			 .ref = "",
			 .output = "text"};
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &d.data_dir, "DIR", "the instance's data directory"},
		{"kubeconfig", 0, FLAG_STRING, &d.kubeconfig, "FILE",
		 "how to reach the API instead"},
		{"namespace", 'n', FLAG_STRING, &d.namespace, "NAME",
		 "where named Kustomizations live"},
		{"source", 0, FLAG_STRING, &d.source_name, "NAMESPACE/NAME",
		 "GitRepository that the checkout is of"},
		{"ref", 0, FLAG_STRING, &d.ref, "REVISION",
		 "a revision instead of the files as they are"},
		{"output", 'o', FLAG_STRING, &d.output, "FORMAT", "text, markdown or json"},
		{0}};
	struct err err = {0};
	int nargs, rc = 2;

	log_init("diff", LOG_ERROR, NULL);
	if (!flags_parse(
		    argc, argv, flags,
		    "plumb diff [PATH [NAME…]]\n\nWhat a checkout would change in the cluster. "
		    "Exit code 1 when it would, 2 on errors.",
		    &nargs, &err) &&
	    !format_of(&d, &err)) {
		d.folder = nargs ? argv[0] : ".";
		if (!diff(&d, nargs > 1 ? nargs - 1 : 0, argv + 1, &err))
			rc = d.failed ? 2 : d.differs;
	}
	if (err.code)
		fprintf(stderr, "plumb diff: %s\n", err.msg);
	release(&d);
	return rc;
}
