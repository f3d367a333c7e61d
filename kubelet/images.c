/*
 * What the Node says of its images: names and sizes. Must never walk all of them at once: a few
 * are measured each time evict.c looks, and what isn't measured yet isn't told. On the kubelet's
 * loop; the sizes live as long as the kubelet.
 */
#include <stdlib.h>

#include "kubelet/kubelet.h"

#define AT_ONCE 5
#define TOLD_MAX 50 /* as kube's nodeStatusMaxImages */

struct scan {
	struct kubelet *k;
	struct arena *a;
	struct told {
		struct str id, names[8];
		size_t nnames;
		int64_t size;
	} v[1000];
	size_t n;
	unsigned may_measure;
	bool unknown;
};

/* One that has just been measured is known from now on. */
static bool size_of(struct scan *s, const struct image *img, int64_t *ret)
{
	int64_t *known = map_get(&s->k->image_sizes, img->id);

	if (!known && !s->may_measure) {
		s->unknown = true;
		return false;
	}
	if (!known) {
		known = xalloc(sizeof(*known));
		*known = image_size(s->k->images, img);
		map_set(&s->k->image_sizes, img->id, known);
		s->may_measure--;
	}
	*ret = *known;
	return true;
}

static int on_image(void *arg, const struct image *img)
{
	struct scan *s = arg;
	struct told *t = NULL;
	int64_t size;

	if (!size_of(s, img, &size))
		return 0;
	for (size_t i = 0; i < s->n && !t; i++)
		t = str_eq(s->v[i].id, img->id) ? &s->v[i] : NULL;
	if (!t) {
		if (s->n == ARRAY_LEN(s->v))
			return 0;
		t = &s->v[s->n++];
		*t = (struct told){.id = arena_str(s->a, img->id), .size = size};
	}
	if (t->nnames < ARRAY_LEN(t->names))
		t->names[t->nnames++] = arena_str(s->a, img->name);
	return 0;
}

static int by_size(const void *x, const void *y)
{
	const struct told *a = x, *b = y;

	return a->size != b->size ? (a->size < b->size ? 1 : -1) : str_cmp(a->id, b->id);
}

static void scan(struct scan *s)
{
	if (image_each(s->k->images, on_image, s, &(struct err){0}))
		s->n = 0;
	qsort(s->v, s->n, sizeof(*s->v), by_size);
}

struct json *images_list(struct kubelet *k, struct arena *a)
{
	struct scan *s = xalloc(sizeof(*s));
	struct json *list = json_new(a, JSON_ARRAY);

	*s = (struct scan){.k = k, .a = a};
	scan(s);
	for (size_t i = 0; i < s->n && i < TOLD_MAX; i++) {
		struct json *o = json_append_object(a, list);
		struct json *names = json_set_array(a, o, "names");
		for (size_t j = 0; j < s->v[i].nnames; j++)
			json_append_str(a, names, s->v[i].names[j]);
		json_set_int(a, o, "sizeBytes", s->v[i].size);
	}
	free(s);
	return list;
}

void images_look(struct kubelet *k)
{
	AUTO(arena) struct arena a = {0};
	struct scan *s;

	if (k->images_told)
		return;
	s = xalloc(sizeof(*s));
	*s = (struct scan){.k = k, .a = &a, .may_measure = AT_ONCE};
	scan(s);
	k->images_told = !s->unknown;
	if (k->images_told)
		node_report_soon(k);
	free(s);
}

void images_forget(struct kubelet *k)
{
	struct map_iter it = {0};

	while (map_next(&k->image_sizes, &it))
		free(it.value);
	map_release(&k->image_sizes);
}
