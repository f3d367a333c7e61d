/*
 * Kustomize's steps: a line with a field path, then documents. The first one serves as generator,
 * selector, list of replacements and list of vars; all of them are the resources.
 */
#include <assert.h>

#include "lib/json/yaml.h"
#include "reconciler/kustomize/fieldpath.h"
#include "reconciler/kustomize/kustomize.h"

#define NODES_MAX 2000

static int load(void *ctx, struct str path, struct str *ret, uint32_t *number, struct err *err)
{
	if (str_starts(path, STR("no")))
		return err_set(err, ERR_NOT_FOUND, "there is no file %.*s", STR_ARG(path));
	*number = 0;
	*ret = *(struct str *)ctx;
	return 0;
}

static void check(const struct json *v)
{
	AUTO(buf) struct buf out = {0};

	json_write_sorted(v, &out);
	assert(out.n);
}

static void paths(struct arena *a, struct json *tree, struct str text)
{
	struct field_path path = field_path_split(a, text, '.');
	struct field_matches found;
	struct json *v = NULL;

	if (!field_get(tree, &path, &v, NULL) && v)
		check(v);
	if (!field_match(a, tree, &path, false, &found, NULL)) {
		for (size_t i = 0; i < found.n; i++)
			check(found.v[i].v);
	}
	if (!field_match(a, tree, &path, true, &found, NULL)) {
		for (size_t i = 0; i < found.n; i++)
			*found.v[i].v = field_resolve(a, text);
	}
	check(tree);
}

static void steps(struct arena *a, struct kres_list *l, const struct json *first, struct str *text)
{
	const struct kfiles files = {.load = load, .ctx = text};
	const struct json *list = json_get(first, STR("list"));
	struct kres made = {0};
	bool fits = false;

	for (int secret = 0; secret < 2; secret++) {
		if (kustomize_generate(a, &files, first, secret, first, &made, NULL))
			continue;
		assert(kustomize_hash(a, made.tree).n == 10);
		kustomize_absorb(a, &l->v[0], &made);
	}
	for (size_t i = 0; i < l->n; i++) {
		if (kustomize_selects(&l->v[i], first, &fits, NULL))
			assert(!fits);
		(void)kustomize_hash(a, l->v[i].tree);
	}
	for (size_t i = 0; i < json_len(list); i++) {
		if (kustomize_bind_var(a, l, json_item(list, i), NULL))
			fits = false;
	}
	if (!kustomize_replacements(a, &files, l, list, NULL) &&
	    !kustomize_vars(a, l, list, list, NULL))
		fits = true;
	for (size_t i = 0; i < l->n; i++)
		check(l->v[i].tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct yaml_limits limits = {.nodes = NODES_MAX};
	struct str in = {(const char *)data, n}, path, text;
	struct kres_list l = {0};
	struct arena a = {0};
	struct yaml_docs docs;

	if (n > 8192)
		return 0;
	str_cut(in, '\n', &path, &text);
	if (!yaml_parse(&a, text, 0, NULL, &limits, &docs, NULL) && docs.n) {
		const struct json *first = json_copy(&a, docs.v[0]);

		for (size_t i = 0; i < docs.n; i++)
			kres_push(&a, &l)->tree = docs.v[i];
		paths(&a, json_copy(&a, first), path);
		steps(&a, &l, first, &text);
	}
	arena_release(&a);
	return 0;
}
