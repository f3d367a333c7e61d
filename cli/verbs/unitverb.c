/*
 * Shared by `plumb reconcile`, `suspend`, `resume` and `drift`: options and calls with the admin's
 * credentials. Blocking, for the command line only.
 */
#include "cli/verbs/unitverb.h"

#include <stdio.h>
#include <string.h>

#include "cli/adminconf.h"
#include "cli/datadir.h"
#include "lib/base/timefmt.h"
#include "lib/kube/resources.h"

void unitverb_defaults(struct unitverb *v)
{
	*v = (struct unitverb){
		.data_dir = DATADIR_DEFAULT, .kubeconfig = "", .namespace = UNITVERB_NAMESPACE};
}

int unitverb_open(struct unitverb *v, struct err *err)
{
	struct kubeconfig k = {0};

	if (adminconf_load(v->kubeconfig, v->data_dir, &k, err))
		return -1;
	v->loop = loop_new();
	v->client = client_http_new(v->loop, &k, "plumb-cli", err);
	kubeconfig_release(&k);
	return v->client ? 0 : -1;
}

void unitverb_release(struct unitverb *v)
{
	if (v->client)
		client_free(v->client);
	if (v->loop)
		loop_free(v->loop);
	arena_release(&v->arena);
}

const struct json *unitverb_get(struct unitverb *v, const struct resource *r, const char *namespace,
				const char *name, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {
		.verb = API_GET, .resource = r, .namespace = str_c(namespace), .name = str_c(name)};

	if (client_sync(v->client, &call, &body, err))
		return NULL;
	return json_parse(&v->arena, arena_str(&v->arena, buf_view(&body)), NULL, err);
}

const struct resource *unitverb_find(struct unitverb *v, const char *name, const char **ret_name,
				     struct err *err)
{
	static const char prefix[] = "application/", theirs[] = "argocd";
	bool app = !strncmp(name, prefix, strlen(prefix));
	struct err why = {0};

	*ret_name = app ? name + strlen(prefix) : name;
	if (!app && unitverb_get(v, &res_kustomizations, v->namespace, name, err))
		return &res_kustomizations;
	if (!app && err->code != ERR_NOT_FOUND)
		return NULL;
	if (unitverb_get(v, &res_applications, v->namespace, *ret_name, app ? err : &why))
		return &res_applications;
	if (strcmp(v->namespace, UNITVERB_NAMESPACE) != 0 ||
	    !unitverb_get(v, &res_applications, theirs, *ret_name, &why))
		return NULL;
	v->namespace = theirs;
	return &res_applications;
}

int unitverb_patch(struct unitverb *v, const struct resource *r, const char *namespace,
		   const char *name, const struct json *merge, struct err *err)
{
	AUTO(buf) struct buf body = {0};
	struct api_call call = {.verb = API_PATCH,
				.resource = r,
				.namespace = str_c(namespace),
				.name = str_c(name),
				.patch = API_PATCH_MERGE};

	json_write(merge, &body);
	call.body = buf_view(&body);
	return client_sync(v->client, &call, NULL, err);
}

/* For a while: an annotation with the time when it ends. */
static int suspend_for(struct unitverb *v, const char *name, const char *duration, struct err *err)
{
	char text[TIME_TEXT_MAX];
	struct str until;
	int64_t ns;

	if (duration_parse(str_c(duration), &ns) || ns <= 0)
		return err_set(err, ERR_BAD_REQUEST, "--for: not a duration: %s", duration);
	if (unitverb_open(v, err))
		return -1;
	until = time_format(loop_wall(v->loop) + ns, text);
	if (unitverb_patch(v, &res_kustomizations, v->namespace, name,
			   json_build(&v->arena, "{s:{s:{s:S}}}", "metadata", "annotations",
				      "plumb.dev/suspend-until", until),
			   err))
		return -1;
	printf("%s/%s is suspended until %.*s\n", v->namespace, name, STR_ARG(until));
	return 0;
}

static int suspend(struct unitverb *v, const char *name, bool on, struct err *err)
{
	const struct json *patch =
		json_build(&v->arena, "{s:{s:{s:n}},s:{s:b}}", "metadata", "annotations",
			   "plumb.dev/suspend-until", "spec", "suspend", (int)on);

	if (unitverb_open(v, err) ||
	    unitverb_patch(v, &res_kustomizations, v->namespace, name, patch, err))
		return -1;
	printf("%s/%s %s\n", v->namespace, name, on ? "is suspended" : "is reconciled again");
	return 0;
}

int unitverb_suspend(int argc, char **argv, bool on)
{
	struct unitverb v;
	const char *duration = "";
	const struct flag flags[] = {UNITVERB_FLAGS(&v),
				     on ? (struct flag){"for", 0, FLAG_STRING, &duration,
							"DURATION", "goes on by itself then"}
					: (struct flag){0},
				     {0}};
	const char *verb = on ? "suspend" : "resume";
	const char *usage = on ? "plumb suspend NAME\n\nStops applying a Kustomization and "
				 "correcting its drift, until it is resumed."
			       : "plumb resume NAME\n\nApplies a suspended Kustomization again.";
	struct err err = {0};
	int nargs, rc = 1;

	unitverb_defaults(&v);
	if (flags_parse(argc, argv, flags, usage, &nargs, &err) == 0) {
		if (nargs != 1)
			err_set(&err, ERR_BAD_REQUEST, "name one Kustomization");
		else if (*duration ? !suspend_for(&v, argv[0], duration, &err)
				   : !suspend(&v, argv[0], on, &err))
			rc = 0;
	}
	if (rc)
		fprintf(stderr, "plumb %s: %s\n", verb, err.msg);
	unitverb_release(&v);
	return rc;
}
