/*
 * Counting sealed values by key: in the cluster's SealedSecrets, which are read whole, and in
 * repositories, as the reconciler notes on their GitRepositories (plumb.dev/sealed-values) whenever
 * there is more than one key. Nothing is opened for it.
 */
#include "cli/keyuses.h"

#include <stdio.h>
#include <string.h>

#include "lib/kube/resources.h"

#define NOTED "plumb.dev/sealed-values"

static const struct resource sealed = {"plumb.dev", "v1", "sealedsecrets", "SealedSecret", true};
static const struct resource sources = {"source.toolkit.fluxcd.io", "v1", "gitrepositories",
					"GitRepository", true};

static struct keyuse *slot(struct keyuses *u, const char *id)
{
	size_t i = 0;

	while (i < u->n && strcmp(u->v[i].id, id) != 0)
		i++;
	if (i == KEYUSES_MAX)
		return NULL;
	if (i == u->n)
		snprintf(u->v[u->n++].id, sizeof(u->v[0].id), "%s", id);
	return &u->v[i];
}

struct keyuse keyuses_of(const struct keyuses *u, const uint8_t id[SEAL_ID_BYTES])
{
	char text[SEAL_ID_TEXT];

	seal_id_text(id, text);
	for (size_t i = 0; i < u->n; i++)
		if (!strcmp(u->v[i].id, text))
			return u->v[i];
	return (struct keyuse){.id = ""};
}

static void count_object(struct keyuses *u, const struct json *o)
{
	const struct json *values = json_at(o, "spec", "encryptedData");
	const struct json_member *m = json_members(values);

	for (size_t i = 0; i < json_len(values); i++) {
		uint8_t id[SEAL_ID_BYTES];
		char text[SEAL_ID_TEXT];
		struct keyuse *use;

		if (seal_value_id(json_str(&m[i].value), id, NULL) != 0)
			continue;
		use = slot(u, seal_id_text(id, text));
		if (use)
			use->cluster++;
	}
}

/* "ID=3,ID=1"; anybody may have written it. */
static void count_noted(struct keyuses *u, const struct json *o)
{
	struct str all = meta_annotation(o, NOTED), one, id, n;
	uint64_t values;
	char text[SEAL_ID_TEXT];

	u->unseen += !all.n;
	while (all.n && str_next(&all, ',', &one)) {
		struct keyuse *use;

		if (!str_cut(one, '=', &id, &n) || id.n != SEAL_ID_TEXT - 1 ||
		    str_to_u64(n, &values) != 0)
			continue;
		memcpy(text, id.p, id.n);
		text[id.n] = '\0';
		use = slot(u, text);
		if (use)
			use->repositories += values;
	}
}

static int each(struct client *c, const struct resource *r, struct keyuses *u,
		void (*count)(struct keyuses *u, const struct json *o), struct err *err)
{
	struct api_call call = {.verb = API_LIST, .resource = r};
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf body = {0};
	const struct json *items;

	if (client_sync(c, &call, &body, err) != 0)
		return -1;
	items = json_get(json_parse(&a, buf_view(&body), NULL, err), STR("items"));
	for (size_t i = 0; items && i < json_len(items); i++)
		count(u, json_item(items, i));
	return items ? 0 : -1;
}

int keyuses_find(struct client *c, struct keyuses *ret, struct err *err)
{
	ret->n = ret->unseen = 0;
	return each(c, &sealed, ret, count_object, err) || each(c, &sources, ret, count_noted, err)
		       ? -1
		       : 0;
}
