/*
 * What a kustomization may say, and old spellings of it. A field that isn't known is refused by
 * name: leaving out half of what somebody wrote would apply something that nobody wanted. Pure.
 */
#include <string.h>

#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

enum shape { TEXT, LIST, MAP };
struct field {
	const char *name;
	enum shape shape;
	const char *refusal; /* why it is refused, or NULL */
};

#define HELM "charts are not rendered; commit what they render to"

static const struct field known[] = {
	{"apiVersion", TEXT, NULL},
	{"kind", TEXT, NULL},
	{"metadata", MAP, NULL},
	{"resources", LIST, NULL},
	{"bases", LIST, NULL},
	{"components", LIST, NULL},
	{"namespace", TEXT, NULL},
	{"namePrefix", TEXT, NULL},
	{"nameSuffix", TEXT, NULL},
	{"labels", LIST, NULL},
	{"commonLabels", MAP, NULL},
	{"commonAnnotations", MAP, NULL},
	{"images", LIST, NULL},
	{"imageTags", LIST, NULL},
	{"replicas", LIST, NULL},
	{"patches", LIST, NULL},
	{"patchesStrategicMerge", LIST, NULL},
	{"patchesJson6902", LIST, NULL},
	{"replacements", LIST, NULL},
	{"vars", LIST, NULL},
	{"configMapGenerator", LIST, NULL},
	{"secretGenerator", LIST, NULL},
	{"generatorOptions", MAP, NULL},
	{"configurations", LIST, NULL},
	{"crds", LIST, NULL},
	{"openapi", MAP, NULL},
	{"generators", LIST, NULL},
	{"transformers", LIST, NULL},
	{"validators", LIST, NULL},
	{"buildMetadata", LIST, NULL},
	{"sortOptions", MAP, NULL},
	{"helmCharts", LIST, HELM},
	{"helmGlobals", MAP, HELM},
	{"helmChartInflationGenerator", LIST, HELM},
	{"inventory", MAP, "the inventory is kept by the Kustomization itself"},
};

static bool fits(const struct json *v, enum shape shape)
{
	static const enum json_type types[] = {JSON_STRING, JSON_ARRAY, JSON_OBJECT};

	return json_is(v, JSON_NULL) || json_is(v, types[shape]);
}

static int check(struct kbuild *b, const struct json_member *m, struct err *err)
{
	static const char *const words[] = {"text", "a list", "a map"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const struct field *f = &known[i];
		uint32_t line = render_line(b->r, &m->value, 0);

		if (!str_is(m->key, f->name))
			continue;
		if (f->refusal)
			return render_fail(b->r, b->file, line, err, "%s: %s", f->name, f->refusal);
		if (!fits(&m->value, f->shape))
			return render_fail(b->r, b->file, line, err, "%s: %s is expected", f->name,
					   words[f->shape]);
		return 0;
	}
	return render_fail(b->r, b->file, render_line(b->r, &m->value, 0), err,
			   "unknown field %.*s", STR_ARG(m->key));
}

static void append_all(struct arena *a, struct json *k, const char *to, const struct json *from)
{
	struct json *list;

	if (!json_len(from))
		return;
	list = json_set_array(a, k, to);
	for (size_t i = 0; i < json_len(from); i++)
		json_append(a, list, json_item(from, i));
}

/* patches: [a.yaml, b.yaml] is how strategic merge patches were listed once. */
static void old_patches(struct arena *a, struct json *k)
{
	struct json *patches = json_get(k, STR("patches"));
	struct json *now = json_new(a, JSON_ARRAY), *old = json_new(a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(patches); i++) {
		const struct json *v = json_item(patches, i);

		json_append(a, json_is(v, JSON_STRING) ? old : now, v);
	}
	if (!json_len(old))
		return;
	append_all(a, k, "patchesStrategicMerge", old);
	json_set(a, k, STR("patches"), now);
}

static int check_version(struct kbuild *b, struct err *err)
{
	const struct json *v = json_get(b->k, STR("apiVersion"));
	bool component = str_is(json_str(json_get(b->k, STR("kind"))), "Component");
	const char *want =
		component ? "kustomize.config.k8s.io/v1alpha1" : "kustomize.config.k8s.io/v1beta1";

	if (!json_str(v).n || str_is(json_str(v), want))
		return 0;
	return render_fail(b->r, b->file, render_line(b->r, v, 0), err, "apiVersion must be %s",
			   want);
}

static int check_kind(struct kbuild *b, struct err *err)
{
	const struct json *kind = json_get(b->k, STR("kind"));
	struct str want = b->component ? STR("Component") : STR("Kustomization");

	if ((!kind && !b->component) || str_eq(json_str(kind), want))
		return 0;
	/* A component alone may be looked at, too. */
	if (!b->up && str_is(json_str(kind), "Component"))
		return 0;
	return render_fail(b->r, b->file, render_line(b->r, kind, 0), err, "kind must be %.*s here",
			   STR_ARG(want));
}

int kbuild_normalize(struct kbuild *b, const struct json *k, struct err *err)
{
	struct json_member *m = json_members(k);
	struct json *copy;

	for (size_t i = 0; m && i < json_len(k); i++) {
		if (check(b, &m[i], err))
			return -1;
	}
	copy = json_copy(b->a, k);
	append_all(b->a, copy, "resources", json_get(copy, STR("bases")));
	append_all(b->a, copy, "images", json_get(copy, STR("imageTags")));
	old_patches(b->a, copy);
	b->k = copy;
	return check_kind(b, err) || check_version(b, err) ? -1 : 0;
}

/* ---- a Flux Kustomization's own fields ---- */

bool kbuild_has_overlay(const struct render_opts *o)
{
	return o->target_namespace.n || o->name_prefix.n || o->name_suffix.n ||
	       json_len(o->patches) || json_len(o->components) || json_len(o->images) ||
	       json_len(o->build_metadata) || json_len(o->overlay);
}

/* An image of the same name is the Kustomization's. */
static void overlay_images(struct arena *a, struct json *k, const struct json *images)
{
	struct json *list;

	if (!json_len(images))
		return;
	list = json_set_array(a, k, "images");
	for (size_t i = 0; i < json_len(images); i++) {
		const struct json *image = json_item(images, i);
		bool found = false;

		for (size_t n = 0; n < json_len(list) && !found; n++) {
			struct json *have = json_item(list, n);

			found = json_equal(json_get(have, STR("name")),
					   json_get(image, STR("name")));
			if (found)
				*have = *json_copy(a, image);
		}
		if (!found)
			json_append(a, list, image);
	}
}

struct json *kbuild_overlay(struct arena *a, const struct json *k, const struct render_opts *o)
{
	struct json *ret = json_copy(a, k);

	if (o->target_namespace.n)
		json_set_str(a, ret, "namespace", o->target_namespace);
	if (o->name_prefix.n)
		json_set_str(a, ret, "namePrefix", o->name_prefix);
	if (o->name_suffix.n)
		json_set_str(a, ret, "nameSuffix", o->name_suffix);
	append_all(a, ret, "patches", o->patches);
	append_all(a, ret, "components", o->components);
	append_all(a, ret, "buildMetadata", o->build_metadata);
	overlay_images(a, ret, o->images);
	render_overlay(a, ret, o->overlay);
	overlay_images(a, ret, json_get(o->overlay, STR("images")));
	return ret;
}
