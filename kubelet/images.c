/*
 * What the Node says of its images, names and sizes; and room made by removing some. Must never
 * walk all of them at once: a few are measured each time evict.c looks, and what isn't measured yet
 * isn't told. On the kubelet's loop; the sizes live as long as the kubelet.
 */
#include <stdlib.h>

#include "kubelet/kubelet.h"
#include "lib/base/log.h"

#define AT_ONCE 5
#define COLLECT_FREE_PERCENT 15 /* as kube: from 85 % on, and not what has just come */
#define COLLECT_AGE_S 120
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

/* ---- making room ---- */

struct oldest {
	struct kubelet *k;
	struct arena *a;
	struct str name;
	int64_t age_s;
};

static bool used_here(struct kubelet *k, struct str name)
{
	AUTO(arena) struct arena a = {0};
	struct map_iter it = {0};
	struct str normal;

	while (map_next(&k->by_uid, &it)) {
		const struct pod *p = it.value;
		for (size_t i = 0; i < p->spec.n; i++) {
			if (!image_name_normal(&a, p->spec.c[i].image, &normal, &(struct err){0}) &&
			    str_eq(normal, name))
				return true;
		}
	}
	return false;
}

static int find_oldest(void *arg, const struct image *img)
{
	struct oldest *o = arg;
	int64_t age_s = image_pulled_ago(o->k->images, img->name, loop_wall(o->k->loop));

	if (age_s < COLLECT_AGE_S || age_s <= o->age_s || used_here(o->k, img->name))
		return 0;
	o->name = arena_str(o->a, img->name);
	o->age_s = age_s;
	return 0;
}

static void on_collected(void *arg, struct proc_result *r UNUSED)
{
	((struct kubelet *)arg)->collecting = NULL;
}

void images_collect(struct kubelet *k, const struct node_room *room)
{
	AUTO(arena) struct arena a = {0};
	struct oldest o = {.k = k, .a = &a};

	if (k->collecting || !k->program || !room->storage_all ||
	    room->storage > room->storage_all / 100 * COLLECT_FREE_PERCENT ||
	    image_each(k->images, find_oldest, &o, &(struct err){0}) || !o.name.n)
		return;
	const char *argv[] = {k->program,   "image",          "rm", arena_cstr(&a, o.name),
			      "--data-dir", k->role.data_dir, NULL};
	struct proc_opts opts = {.argv = argv, .die_with_us = true};
	log_info("the disk gets full: removing an image that is not in use", "image", argv[3]);
	k->collecting = proc_start(k->loop, &opts, on_collected, k, NULL);
}

void images_forget(struct kubelet *k)
{
	struct map_iter it = {0};

	if (k->collecting)
		proc_cancel(k->collecting, true);
	k->collecting = NULL;
	while (map_next(&k->image_sizes, &it))
		free(it.value);
	map_release(&k->image_sizes);
}
