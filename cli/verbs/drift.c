/*
 * `plumb drift`: what was changed past git, on which branch it is told. Reads DriftReports.
 */
#include <stdio.h>
#include <string.h>

#include "cli/verbs/unitverb.h"
#include "cli/verbs/verb.h"
#include "lib/json/yaml.h"
#include "lib/kube/resources.h"

static void print_item(const struct json *item)
{
	struct str ns = json_str(json_get(item, STR("namespace")));
	char object[300];

	snprintf(object, sizeof(object), "%.*s %.*s%s%.*s",
		 STR_ARG(json_str(json_get(item, STR("kind")))), STR_ARG(ns), ns.n ? "/" : "",
		 STR_ARG(json_str(json_get(item, STR("name")))));
	printf("  %-36s %-28.*s %-8.*s %.*s -> %.*s  by %.*s, %.*s\n", object,
	       STR_ARG(json_str(json_get(item, STR("path")))),
	       STR_ARG(json_str(json_get(item, STR("operation")))),
	       STR_ARG(json_str(json_get(item, STR("gitValue")))),
	       STR_ARG(json_str(json_get(item, STR("liveValue")))),
	       STR_ARG(json_str_or(json_get(item, STR("manager")), STR("somebody unknown"))),
	       STR_ARG(json_str(json_get(item, STR("decision")))));
}

static void print_report(const struct json *report)
{
	const struct json *items = json_at(report, "status", "items");

	printf("%.*s/%.*s at %.*s: branch %.*s\n", STR_ARG(meta_namespace(report)),
	       STR_ARG(meta_name(report)), STR_ARG(json_str(json_at(report, "spec", "revision"))),
	       STR_ARG(json_str(json_at(report, "spec", "branch"))));
	for (size_t i = 0; i < json_len(items); i++)
		print_item(json_item(items, i));
}

static int drift(struct unitverb *v, const char *output, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	AUTO(buf) struct buf out = {0};
	struct api_call call = {.verb = API_LIST, .resource = &res_driftreports};
	const struct json *list, *items;

	if (unitverb_open(v, err) || client_sync(v->client, &call, &body, err))
		return -1;
	list = json_parse(&v->arena, buf_view(&body), NULL, err);
	if (!list)
		return -1;
	items = json_get(list, STR("items"));
	if (!strcmp(output, "json")) {
		json_write_pretty(list, 2, &out);
		buf_putc(&out, '\n');
	} else if (!strcmp(output, "yaml")) {
		yaml_write(list, &out);
	} else if (!json_len(items)) {
		printf("nothing has drifted\n");
	} else {
		for (size_t i = 0; i < json_len(items); i++)
			print_report(json_item(items, i));
	}
	return !out.n || fwrite(out.p, 1, out.n, stdout) == out.n ? 0 : -1;
}

static int drift_main(int argc, char **argv)
{
	struct unitverb v;
	const char *output = "";
	const struct flag flags[] = {
		UNITVERB_FLAGS(&v),
		{"output", 'o', FLAG_STRING, &output, "FORMAT", "json or yaml"},
		{0}};
	struct err err = {0};
	int nargs, rc = 1;

	unitverb_defaults(&v);
	if (flags_parse(argc, argv, flags,
			"plumb drift\n\nWhat was changed in the cluster past git.", &nargs, &err) ||
	    drift(&v, output, &err))
		fprintf(stderr, "plumb drift: %s\n", err.msg);
	else
		rc = 0;
	unitverb_release(&v);
	return rc;
}

const struct verb verb_drift = {
	.name = "drift", .help = "what was changed past git", .main = drift_main};
