/*
 * kubectl's annotation of what it applied last, read for what kubectl may take over from its own
 * earlier self without a conflict, and written so that a client-side apply later on prunes rightly.
 * What the annotation holds was written by a client: a text that is no object of the version at
 * hand counts as none. Pure; everything lives in the arena.
 */
#include "lib/schema/lastapplied.h"

#include "lib/schema/fieldset.h"

#include "lib/base/pure.h"

#define ANNOTATION STR("kubectl.kubernetes.io/last-applied-configuration")
/* What all annotations of an object may be, keys and values. */
enum { ANNOTATIONS_MAX = 256 * 1024 };

static const struct json *annotations(const struct json *object)
{
	return json_at(object, "metadata", "annotations");
}

struct json *lastapplied_kept(struct arena *a, const struct schema *s, const struct json *live,
			      const struct apply_opts *o)
{
	struct str text = json_str(json_get(annotations(live), ANNOTATION));
	struct err ignored = {0};
	struct fieldset_diff diff;
	struct json *said;

	if (!str_is(o->manager, "kubectl") || !text.n)
		return NULL;
	said = json_parse(a, text, NULL, &ignored);
	if (!json_is(said, JSON_OBJECT) ||
	    !str_eq(json_str(json_get(said, STR("apiVersion"))), o->api_version))
		return NULL;
	/* What stands otherwise in the live object now somebody else has made so. */
	fieldset_compare(a, s, live, said, &diff);
	return fieldset_minus(a, fieldset_of(a, s, said), diff.changed);
}

void lastapplied_follow(struct arena *a, struct json *next, const struct json *config,
			const struct apply_opts *o)
{
	struct json *all = json_at(next, "metadata", "annotations");
	struct json *said;
	AUTO(buf) struct buf text = {0};
	size_t size = 0;

	if (!str_is(o->manager, "kubectl") || !json_str(json_get(all, ANNOTATION)).n)
		return;
	said = json_copy(a, config);
	if (annotations(said))
		json_del(json_at(said, "metadata", "annotations"), ANNOTATION);
	json_write_sorted(said, &text);
	buf_putc(&text, '\n');
	json_set(a, all, ANNOTATION, json_new_str(a, buf_view(&text)));
	for (size_t i = 0; i < json_len(all); i++)
		size += all->members[i].key.n + json_str(&all->members[i].value).n;
	if (size > ANNOTATIONS_MAX)
		json_del(all, ANNOTATION);
}
