/*
 * What one kustomization says about the resources below it, in kustomize's order: generators, then
 * patches, namespace, names, labels, annotations, JSON patches, replicas, images, replacements.
 * Errors are put at the entry that caused them. Pure.
 */
#include <string.h>

#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

/* ---- generators ---- */

static bool any_id_is(const struct kres *r, const struct kid *want)
{
	struct kid now = kres_id(r);

	if (kid_eq(&now, want))
		return true;
	for (size_t i = 0; i < r->npast; i++) {
		if (kid_eq(&r->past[i], want))
			return true;
	}
	return false;
}

static int absorb(struct kbuild *b, struct kres *made, struct err *err)
{
	struct kid id = kres_id(made);
	struct kres *match = NULL;
	struct kres_list *l = &b->to->l;

	for (size_t i = 0; i < l->n; i++) {
		if (!any_id_is(&l->v[i], &id))
			continue;
		if (match)
			return err_set(err, ERR_INVALID, "several resources are %.*s %.*s",
				       STR_ARG(id.kind), STR_ARG(id.name));
		match = &l->v[i];
	}
	if (match) {
		if (made->behavior != KB_MERGE && made->behavior != KB_REPLACE)
			return err_set(err, ERR_INVALID,
				       "%.*s %.*s exists; behavior must be merge or replace",
				       STR_ARG(id.kind), STR_ARG(id.name));
		kustomize_absorb(b->a, match, made);
		if (made->behavior == KB_REPLACE) {
			match->generated = true;
			match->maker = made->maker;
			match->configured = made->origin;
		}
		return 0;
	}
	if (made->behavior == KB_MERGE || made->behavior == KB_REPLACE)
		return err_set(err, ERR_INVALID,
			       "there is no %.*s %.*s that could be merged or replaced",
			       STR_ARG(id.kind), STR_ARG(id.name));
	*kres_push(b->a, l) = *made;
	return 0;
}

static int generate(struct kbuild *b, const struct json *list, bool secret, struct err *err)
{
	const struct json *options = json_get(b->k, STR("generatorOptions"));

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *entry = json_item(list, i);
		const struct rendered_object at = {.file = b->file,
						   .line = render_line(b->r, entry, 1)};
		struct kres made = {.origin = arena_dup(b->a, &at, sizeof(at)), .generated = true};
		struct err why = {0};

		if (b->maker) {
			made.origin = b->maker->origin;
			made.maker = kres_id(b->maker).name;
		}
		if (kustomize_generate(b->a, &b->files, entry, secret, options, &made, &why) ||
		    absorb(b, &made, &why))
			return kbuild_blame(b, entry, &why, err);
	}
	return 0;
}

int kbuild_generate(struct kbuild *b, struct err *err)
{
	return generate(b, json_get(b->k, STR("configMapGenerator")), false, err) ||
			       generate(b, json_get(b->k, STR("secretGenerator")), true, err)
		       ? -1
		       : 0;
}

/* ---- transformers ---- */

static int namespace(struct kbuild *b, struct err *err)
{
	const struct knamespace n = {.value = json_get(b->k, STR("namespace")),
				     .specs = &b->to->config->namespace};
	struct err why = {0};

	return kustomize_namespace(b->a, &b->to->l, &n, &why) ? kbuild_blame(b, n.value, &why, err)
							      : 0;
}

static int names(struct kbuild *b, struct err *err)
{
	const struct kconfig *c = b->to->config;

	if (kustomize_affix(b->a, &b->to->l, &c->name_prefix,
			    json_str(json_get(b->k, STR("namePrefix"))), false) ||
	    kustomize_affix(b->a, &b->to->l, &c->name_suffix,
			    json_str(json_get(b->k, STR("nameSuffix"))), true))
		return render_fail(b->r, b->file, 0, err, "names cannot be changed");
	return 0;
}

/* One entry of `labels`: which fields its pairs go into. */
static int label_fields(struct kbuild *b, const struct json *entry, struct kspecs *ret,
			struct err *err)
{
	const struct kconfig *c = b->to->config;
	const struct kspecs *more = NULL;
	const struct kspec meta = {.path = STR("metadata/labels"), .create = true};
	const struct json *fields = json_get(entry, STR("fields"));

	if (kspecs_read(b->a, ret, fields ?: json_get(entry, STR("fieldSpecs")), err))
		return -1;
	if (json_bool(json_get(entry, STR("includeSelectors")), false))
		more = &c->labels;
	else if (json_bool(json_get(entry, STR("includeTemplates")), false))
		more = &c->template_labels;
	for (size_t i = 0; i < c->all_labels.n; i++) {
		if (kspecs_add(b->a, ret, &c->all_labels.v[i], err))
			return -1;
	}
	for (size_t i = 0; more && i < more->n; i++) {
		if (kspecs_add(b->a, ret, &more->v[i], err))
			return -1;
	}
	return kspecs_add(b->a, ret, &meta, err);
}

static int labels(struct kbuild *b, struct err *err)
{
	const struct json *list = json_get(b->k, STR("labels"));
	const struct json *common = json_get(b->k, STR("commonLabels"));
	struct err why = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *entry = json_item(list, i);
		struct kspecs specs = {0};

		if (label_fields(b, entry, &specs, &why) ||
		    kustomize_pairs(b->a, &b->to->l, &specs, json_get(entry, STR("pairs")), &why))
			return kbuild_blame(b, entry, &why, err);
	}
	if (kustomize_pairs(b->a, &b->to->l, &b->to->config->labels, common, &why))
		return kbuild_blame(b, common, &why, err);
	return 0;
}

static int annotations(struct kbuild *b, struct err *err)
{
	const struct json *common = json_get(b->k, STR("commonAnnotations"));
	struct err why = {0};

	if (kustomize_pairs(b->a, &b->to->l, &b->to->config->annotations, common, &why))
		return kbuild_blame(b, common, &why, err);
	return 0;
}

static int each(struct kbuild *b, const char *field, const struct kspecs *specs,
		int (*step)(struct arena *a, struct kres_list *l, const struct kspecs *specs,
			    const struct json *entry, struct err *err),
		struct err *err)
{
	const struct json *list = json_get(b->k, str_c(field));
	struct err why = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		if (step(b->a, &b->to->l, specs, json_item(list, i), &why))
			return kbuild_blame(b, json_item(list, i), &why, err);
	}
	return 0;
}

static int replacements(struct kbuild *b, struct err *err)
{
	const struct json *list = json_get(b->k, STR("replacements"));
	struct err why = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		struct json *one = json_new(b->a, JSON_ARRAY);

		json_append(b->a, one, json_item(list, i));
		if (kustomize_replacements(b->a, &b->files, &b->to->l, one, &why))
			return kbuild_blame(b, json_item(list, i), &why, err);
	}
	return 0;
}

int kbuild_transform(struct kbuild *b, struct err *err)
{
	const struct kconfig *c = b->to->config;

	if (kbuild_patches(b, err) || namespace(b, err) || names(b, err) || labels(b, err) ||
	    annotations(b, err) || kbuild_patches6902(b, err))
		return -1;
	if (each(b, "replicas", &c->replicas, kustomize_replicas, err) ||
	    each(b, "images", &c->images, kustomize_image, err))
		return -1;
	return replacements(b, err);
}
