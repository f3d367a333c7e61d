/*
 * `plumb status`: what runs, what is applied, what drifted: one screen for somebody who was just
 * woken up. Asks the API with the admin's credentials.
 */
#include <stdio.h>

#include "cli/adminconf.h"
#include "cli/datadir.h"
#include "cli/verbs/verb.h"
#include "lib/base/flags.h"
#include "lib/json/yaml.h"
#include "lib/kube/resources.h"
#include "lib/os/fs.h"

struct status {
	const char *data_dir, *kubeconfig, *output;
	struct arena arena;
	struct client *client;
	struct loop *loop;
	struct json *all; /* what -o json prints */
};

static const struct json *fetch(struct status *s, const struct resource *r, const char *key,
				struct err *err)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_LIST, .resource = r};

	if (client_sync(s->client, &call, &body, err))
		return NULL;
	struct str kept = arena_str(&s->arena, buf_view(&body));
	struct json *list = json_parse(&s->arena, kept, NULL, err);
	if (!list)
		return NULL;
	struct json *items = json_get(list, STR("items"));
	json_set(&s->arena, s->all, str_c(key), items);
	return items;
}

static struct str condition_text(const struct json *o, const char *type, const char *field)
{
	return json_str(json_get(condition_find(o, type), str_c(field)));
}

static void print_nodes(const struct json *nodes)
{
	printf("%-28s %-8s %s\n", "NODE", "READY", "ADDRESS");
	for (size_t i = 0; i < json_len(nodes); i++) {
		const struct json *n = json_item(nodes, i);
		const struct json *addr = json_item(json_at(n, "status", "addresses"), 0);
		printf("%-28.*s %-8.*s %.*s\n", STR_ARG(meta_name(n)),
		       STR_ARG(json_str_or(json_get(condition_find(n, "Ready"), STR("status")),
					   STR("Unknown"))),
		       STR_ARG(json_str(json_get(addr, STR("address")))));
	}
}

static void print_units(const struct json *units)
{
	if (!json_len(units))
		return;
	printf("\n%-28s %-8s %-52s %s\n", "KUSTOMIZATION", "READY", "APPLIED", "MESSAGE");
	for (size_t i = 0; i < json_len(units); i++) {
		const struct json *u = json_item(units, i);
		char name[200];
		snprintf(name, sizeof(name), "%.*s/%.*s", STR_ARG(meta_namespace(u)),
			 STR_ARG(meta_name(u)));
		bool suspended = json_bool(json_at(u, "spec", "suspend"), false);
		printf("%-28s %-8.*s %-52.*s %.*s\n", name,
		       STR_ARG(suspended ? STR("Suspend")
					 : json_str_or(json_get(condition_find(u, "Ready"),
								STR("status")),
						       STR("Unknown"))),
		       STR_ARG(json_str_or(json_at(u, "status", "lastAppliedRevision"), STR("-"))),
		       STR_ARG(condition_text(u, "Ready", "message")));
	}
}

static void print_apps(const struct json *apps)
{
	if (!json_len(apps))
		return;
	printf("\n%-28s %-10s %-12s %-41s %s\n", "APPLICATION", "SYNC", "HEALTH", "REVISION",
	       "MESSAGE");
	for (size_t i = 0; i < json_len(apps); i++) {
		const struct json *o = json_item(apps, i), *status = json_get(o, STR("status"));
		char name[200];

		snprintf(name, sizeof(name), "%.*s/%.*s", STR_ARG(meta_namespace(o)),
			 STR_ARG(meta_name(o)));
		printf("%-28s %-10.*s %-12.*s %-41.*s %.*s\n", name,
		       STR_ARG(json_str_or(json_at(status, "sync", "status"), STR("Unknown"))),
		       STR_ARG(json_str_or(json_at(status, "health", "status"), STR("Unknown"))),
		       STR_ARG(json_str_or(json_at(status, "sync", "revision"), STR("-"))),
		       STR_ARG(json_str(json_get(json_item(json_get(status, STR("conditions")), 0),
						 STR("message")))));
	}
}

static void print_drift(const struct json *reports)
{
	if (!json_len(reports))
		return;
	printf("\n%zu drift report%s open: plumb drift\n", json_len(reports),
	       json_len(reports) == 1 ? "" : "s");
}

static int print_all(struct status *s)
{
	AUTO(buf) struct buf out = {0};

	if (!strcmp(s->output, "json")) {
		json_write_pretty(s->all, 2, &out);
		buf_putc(&out, '\n');
	} else if (!strcmp(s->output, "yaml")) {
		yaml_write(s->all, &out);
	} else {
		print_nodes(json_get(s->all, STR("nodes")));
		print_units(json_get(s->all, STR("kustomizations")));
		print_apps(json_get(s->all, STR("applications")));
		print_drift(json_get(s->all, STR("driftReports")));
		return 0;
	}
	return fwrite(out.p, 1, out.n, stdout) == out.n ? 0 : -1;
}

static int status(struct status *s, struct err *err)
{
	struct kubeconfig k = {0};

	if (adminconf_load(s->kubeconfig, s->data_dir, &k, err))
		return -1;
	s->loop = loop_new();
	s->client = client_http_new(s->loop, &k, "plumb", err);
	kubeconfig_release(&k);
	if (!s->client)
		return -1;
	s->all = json_new(&s->arena, JSON_OBJECT);
	if (!fetch(s, &res_nodes, "nodes", err) ||
	    !fetch(s, &res_kustomizations, "kustomizations", err) ||
	    !fetch(s, &res_applications, "applications", err) ||
	    !fetch(s, &res_driftreports, "driftReports", err))
		return -1;
	return print_all(s);
}

static int status_main(int argc, char **argv)
{
	struct status s = {.data_dir = DATADIR_DEFAULT, .kubeconfig = "", .output = ""};
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &s.data_dir, "DIR", "the instance's data directory"},
		{"kubeconfig", 0, FLAG_STRING, &s.kubeconfig, "FILE",
		 "how to reach the API instead"},
		{"output", 'o', FLAG_STRING, &s.output, "FORMAT", "json or yaml"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs, rc = 1;

	if (flags_parse(argc, argv, flags, "plumb status\n\nNodes, what is applied, and drift.",
			&nargs, &err) ||
	    status(&s, &err))
		fprintf(stderr, "plumb status: %s\n", err.msg);
	else
		rc = 0;
	if (s.client)
		client_free(s.client);
	loop_free(s.loop);
	arena_release(&s.arena);
	return rc;
}

const struct verb verb_status = {
	.name = "status", .help = "nodes, what is applied, and drift", .main = status_main};
