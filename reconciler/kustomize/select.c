/*
 * Which resources a selector means. Kind, group, version, name and namespace are regular
 * expressions that must fit the whole text; the name and namespace a resource was written with
 * count as well as those it has got. Labels and annotations as kubectl's -l. Pure.
 */
#include "lib/kube/selector.h"
#include "lib/schema/pattern.h"
#include "reconciler/kustomize/kustomize.h"

#include "lib/base/pure.h"

struct wanted {
	struct arena a;
	const struct json *selector;
	struct err *err;
};

/* 1 fits, 0 doesn't, -1 malformed. An absent or empty pattern fits everything. */
static int fits(struct wanted *w, const char *field, struct str value)
{
	struct str pattern = json_str(json_get(w->selector, str_c(field)));
	bool any_case = str_starts(pattern, STR("(?i)")); /* has to stand in front of all */
	struct str inner = str_sub(pattern, any_case ? 4 : 0, pattern.n);
	int found;

	if (!pattern.n)
		return 1;
	found = pattern_search(
		arena_printf(&w->a, "%s^(%.*s)$", any_case ? "(?i)" : "", STR_ARG(inner)), value);
	if (found < 0)
		err_set(w->err, ERR_INVALID, "%s: %.*s is no regular expression that is understood",
			field, STR_ARG(pattern));
	return found;
}

static int fits_one_of(struct wanted *w, const char *field, struct str now, struct str before)
{
	int found = fits(w, field, before);

	return found ? found : fits(w, field, now);
}

static struct str namespace_of(const struct kid *id)
{
	return id->namespace.n ? id->namespace : STR("default");
}

static int fits_id(struct wanted *w, const struct kres *r)
{
	struct kid now = kres_id(r);
	const struct kid *before = r->npast ? &r->past[0] : &now;
	int found = fits(w, "kind", now.kind);

	if (found > 0)
		found = fits(w, "group", now.group);
	if (found > 0)
		found = fits(w, "version", now.version);
	if (found > 0)
		found = fits_one_of(w, "name", now.name, before->name);
	if (found > 0)
		found = fits_one_of(w, "namespace", namespace_of(&now), namespace_of(before));
	return found;
}

static int fits_map(struct wanted *w, const char *field, const struct json *map)
{
	struct str text = json_str(json_get(w->selector, str_c(field)));
	struct selector parsed;

	if (!text.n)
		return 1;
	if (selector_parse(&w->a, text, &parsed, w->err))
		return err_wrap(w->err, "%s", field);
	return selector_match_json(&parsed, map);
}

int kustomize_selects(const struct kres *r, const struct json *selector, bool *ret, struct err *err)
{
	struct wanted w = {.selector = selector, .err = err};
	const struct json *meta = json_get(r->tree, STR("metadata"));
	int found = fits_id(&w, r);

	if (found > 0)
		found = fits_map(&w, "labelSelector", json_get(meta, STR("labels")));
	if (found > 0)
		found = fits_map(&w, "annotationSelector", json_get(meta, STR("annotations")));
	arena_release(&w.a);
	*ret = found > 0;
	return found < 0 ? -1 : 0;
}
