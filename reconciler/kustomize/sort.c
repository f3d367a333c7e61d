/*
 * The order objects come out in: as they were read, or kustomize's "legacy" order, by kind with
 * what others need first. Pure. Memory: the caller's arena.
 */
#include <stdlib.h>
#include <string.h>

#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

static const char *const first_kinds[] = {"Namespace",
					  "ResourceQuota",
					  "StorageClass",
					  "CustomResourceDefinition",
					  "ServiceAccount",
					  "PodSecurityPolicy",
					  "Role",
					  "ClusterRole",
					  "RoleBinding",
					  "ClusterRoleBinding",
					  "ConfigMap",
					  "Secret",
					  "Endpoints",
					  "Service",
					  "LimitRange",
					  "PriorityClass",
					  "PersistentVolume",
					  "PersistentVolumeClaim",
					  "Deployment",
					  "StatefulSet",
					  "CronJob",
					  "PodDisruptionBudget"};
static const char *const last_kinds[] = {"MutatingWebhookConfiguration",
					 "ValidatingWebhookConfiguration"};

struct row {
	struct kres r;
	size_t at;
	int rank;
	struct str kind_text, id_text;
};

static int by_row(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int c;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	c = str_cmp(a->kind_text, b->kind_text);
	if (!c)
		c = str_cmp(a->id_text, b->id_text);
	return c ? c : (a->at > b->at) - (a->at < b->at);
}

static size_t count_of(const struct json *list, size_t otherwise)
{
	return list ? json_len(list) : otherwise;
}

static int rank_of(struct str kind, const struct json *first, const struct json *last)
{
	size_t n = count_of(first, ARRAY_LEN(first_kinds)),
	       nlast = count_of(last, ARRAY_LEN(last_kinds));

	for (size_t i = 0; i < n; i++) {
		if (first ? str_eq(kind, json_str(json_item(first, i)))
			  : str_is(kind, first_kinds[i]))
			return (int)i - (int)n;
	}
	for (size_t i = 0; i < nlast; i++) {
		if (last ? str_eq(kind, json_str(json_item(last, i))) : str_is(kind, last_kinds[i]))
			return (int)i + 1;
	}
	return 0;
}

static struct row row_of(struct arena *a, const struct kres *r, size_t at)
{
	struct kid id = kres_id(r);
	struct row row = {.r = *r, .at = at};

	row.kind_text = arena_strf(a, "%.*s_%.*s_%.*s", STR_ARG(id.group.n ? id.group : STR("~G")),
				   STR_ARG(id.version.n ? id.version : STR("~V")),
				   STR_ARG(id.kind.n ? id.kind : STR("~K")));
	row.id_text = arena_strf(a, "%.*s|%.*s", STR_ARG(id.namespace.n ? id.namespace : STR("~X")),
				 STR_ARG(id.name.n ? id.name : STR("~N")));
	return row;
}

int kustomize_sort(struct arena *a, struct kres_list *l, const struct json *options,
		   struct err *err)
{
	struct str order = json_str(json_get(options, STR("order")));
	const struct json *legacy = json_get(options, STR("legacySortOptions"));
	const struct json *first = json_get(legacy, STR("orderFirst")),
			  *last = json_get(legacy, STR("orderLast"));
	struct row *rows;

	if (!options || str_is(order, "fifo")) {
		if (legacy)
			return err_set(err, ERR_INVALID,
				       "legacySortOptions need the order \"legacy\"");
		return 0;
	}
	if (!str_is(order, "legacy"))
		return err_set(err, ERR_INVALID, "order must be \"legacy\" or \"fifo\"");
	rows = arena_array(a, l->n + 1, sizeof(*rows));
	for (size_t i = 0; i < l->n; i++) {
		rows[i] = row_of(a, &l->v[i], i);
		rows[i].rank = rank_of(json_str(json_get(l->v[i].tree, STR("kind"))), first, last);
	}
	if (l->n)
		qsort(rows, l->n, sizeof(*rows), by_row);
	for (size_t i = 0; i < l->n; i++)
		l->v[i] = rows[i].r;
	return 0;
}
