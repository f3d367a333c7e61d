/*
 * Patches as kustomizations write them: inline or by file, strategic merge or JSON patch, which is
 * told from the shape alone. A value that a patch sets keeps its place: of the patch's file, or
 * of the text within the kustomization. Pure.
 */
#include <string.h>

#include "reconciler/kbuild.h"

#include "lib/base/pure.h"

struct text {
	struct str s;
	uint32_t file;
	bool has_place;
};

/*
 * An inline text is a file of its own, named after the byte where it stands in the kustomization:
 * that is how an edit finds back into it. Its lines are counted within the kustomization.
 */
static void place_inline(struct kbuild *b, const struct json *v, struct text *t)
{
	const struct yaml_src *src = yaml_src_of(&b->r->out->srcs, v);
	struct git_file part = {.data = t->s};

	t->file = b->file;
	t->has_place = src != NULL;
	if (!src)
		return;
	part.path = arena_strf(b->a, "%.*s#%u", STR_ARG(b->r->out->files.v[src->file].path),
			       src->begin);
	t->file = render_file_number(b->r, &part);
}

static void count_lines(struct kbuild *b, const struct json *v, size_t from)
{
	struct yaml_srcs *srcs = &b->r->out->srcs;
	const struct yaml_src *src = yaml_src_of(srcs, v);
	uint32_t add = !src ? 0 : src->style == YAML_LITERAL ? src->line : src->line - 1;

	for (size_t i = from; add && i < srcs->n; i++)
		srcs->rows[i].line += add;
}

static int parse(struct kbuild *b, const struct text *t, struct kpatch *p, struct err *err)
{
	const struct yaml_limits limits = {.core_booleans = true};
	struct yaml_srcs *srcs = t->has_place ? &b->r->out->srcs : NULL;
	struct yaml_docs docs;

	if (yaml_parse(b->a, t->s, t->file, srcs, &limits, &docs, err))
		return -1;
	if (!docs.n)
		return err_set(err, ERR_INVALID, "the patch is empty");
	if (json_is(docs.v[0], JSON_ARRAY)) {
		if (docs.n > 1)
			return err_set(err, ERR_INVALID, "a JSON patch is one list");
		/* kustomize makes JSON of these the older way: yes and on are booleans. */
		if (yaml_parse(b->a, t->s, t->file, srcs, NULL, &docs, err))
			return -1;
		p->ops = docs.v[0];
		return 0;
	}
	for (size_t i = 0; i < docs.n; i++) {
		if (!json_is(docs.v[i], JSON_OBJECT))
			return err_set(err, ERR_INVALID, "a patch is a map or a list");
	}
	p->docs = docs.v;
	p->ndocs = docs.n;
	return 0;
}

static void hide(struct json *v)
{
	struct json_member *m = json_members(v);

	for (size_t i = 0; m && i < json_len(v); i++)
		hide(&m[i].value);
	for (size_t i = 0; json_is(v, JSON_ARRAY) && i < json_len(v); i++)
		hide(json_item(v, i));
	if (!m && !json_is(v, JSON_ARRAY))
		v->flags |= JSON_F_SENSITIVE;
}

/* Out of an encrypted file: all but whom it is for may be secret. */
static void hide_values(struct kpatch *p)
{
	for (size_t i = 0; p->ops && i < json_len(p->ops); i++)
		if (json_get(json_item(p->ops, i), STR("value")))
			hide(json_get(json_item(p->ops, i), STR("value")));
	for (size_t i = 0; i < p->ndocs; i++) {
		struct json_member *m = json_members(p->docs[i]);

		for (size_t j = 0; m && j < json_len(p->docs[i]); j++)
			if (!str_is(m[j].key, "apiVersion") && !str_is(m[j].key, "kind") &&
			    !str_is(m[j].key, "metadata"))
				hide(&m[j].value);
	}
}

static int from_file(struct kbuild *b, struct str path, struct kpatch *p, struct err *err)
{
	bool secret;

	struct text t = {.has_place = true};

	if (b->files.load(b->files.ctx, path, &t.s, &t.file, err))
		return -1;
	/* Its places are none in the repository's file. */
	secret = b->files.is_secret(b->files.ctx, t.file, t.s);
	t.has_place = !secret;
	if (parse(b, &t, p, err))
		return err_wrap(err, "%.*s", STR_ARG(b->r->out->files.v[t.file].path));
	if (secret)
		hide_values(p);
	return 0;
}

static int inline_text(struct kbuild *b, const struct json *v, struct kpatch *p, struct err *err)
{
	struct text t = {.s = json_str(v)};
	size_t from = b->r->out->srcs.n;

	place_inline(b, v, &t);
	if (parse(b, &t, p, err))
		return -1;
	count_lines(b, v, from);
	return 0;
}

static int check_entry(const struct json *entry, struct err *err)
{
	static const char *const fields[] = {"path", "patch", "target", "options"};
	struct json_member *m = json_members(entry);

	if (!json_is(entry, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "a patch entry is a map");
	for (size_t i = 0; m && i < json_len(entry); i++) {
		bool ok = false;

		for (size_t f = 0; f < ARRAY_LEN(fields); f++)
			ok |= str_is(m[i].key, fields[f]);
		if (!ok)
			return err_set(err, ERR_INVALID, "unknown field %.*s", STR_ARG(m[i].key));
	}
	return 0;
}

static int entry_text(struct kbuild *b, const struct json *entry, struct kpatch *p, struct err *err)
{
	struct str path = json_str(json_get(entry, STR("path")));
	struct text t = {.s = json_str(json_get(entry, STR("patch")))};

	if (path.n && t.s.n)
		return err_set(err, ERR_INVALID, "patch and path cannot both be given");
	if (path.n)
		return from_file(b, path, p, err);
	if (!t.s.n)
		return err_set(err, ERR_INVALID, "a patch needs patch or path");
	return inline_text(b, json_get(entry, STR("patch")), p, err);
}

static struct str text_of(void *ctx, const struct json *v)
{
	return kbuild_text(ctx, v);
}

int kbuild_patch(struct kbuild *b, const struct json *entry, struct err *err)
{
	struct kpatch p = {.target = json_get(entry, STR("target")),
			   .types = b->r->types,
			   .text = text_of,
			   .ctx = b->r,
			   .options = json_get(entry, STR("options"))};
	struct err why = {0};

	if (json_is(p.target, JSON_NULL))
		p.target = NULL;
	if (check_entry(entry, &why) || entry_text(b, entry, &p, &why) ||
	    kustomize_patch(b->a, &b->to->l, &p, &why))
		return kbuild_blame(b, entry, &why, err);
	return 0;
}

/* An entry of patchesStrategicMerge: a file's name, or the patch itself. */
static int old_strategic(struct kbuild *b, const struct json *entry, struct err *err)
{
	struct str s = json_str(entry);
	struct kpatch p = {.types = b->r->types, .text = text_of, .ctx = b->r};
	struct err why = {0};
	bool is_inline = memchr(s.p ?: "", '\n', s.n) || str_find(s, STR(": ")) >= 0;

	if (!s.n)
		(void)err_set(&why, ERR_INVALID, "a file's name or a patch is expected");
	if (!s.n || (is_inline ? inline_text(b, entry, &p, &why) : from_file(b, s, &p, &why)) ||
	    (p.ops && err_set(&why, ERR_INVALID, "a strategic merge patch is a map")) ||
	    kustomize_patch(b->a, &b->to->l, &p, &why))
		return kbuild_blame(b, entry, &why, err);
	return 0;
}

int kbuild_patches(struct kbuild *b, struct err *err)
{
	const struct json *old = json_get(b->k, STR("patchesStrategicMerge"));
	const struct json *list = json_get(b->k, STR("patches"));

	for (size_t i = 0; i < json_len(old); i++) {
		if (old_strategic(b, json_item(old, i), err))
			return -1;
	}
	for (size_t i = 0; i < json_len(list); i++) {
		if (kbuild_patch(b, json_item(list, i), err))
			return -1;
	}
	return 0;
}

/* A target of patchesJson6902 names one resource, it is no expression. */
static struct json *exact_target(struct arena *a, const struct json *target)
{
	struct json *ret = json_copy(a, target), *name = json_get(ret, STR("name"));
	AUTO(buf) struct buf out = {0};
	struct str s = json_str(name);

	for (size_t i = 0; i < s.n; i++) {
		if (strchr(".+*?()[]{}|^$\\", s.p[i]))
			buf_putc(&out, '\\');
		buf_putc(&out, s.p[i]);
	}
	if (name)
		json_set_str(a, ret, "name", buf_view(&out));
	return ret;
}

int kbuild_patches6902(struct kbuild *b, struct err *err)
{
	const struct json *list = json_get(b->k, STR("patchesJson6902"));

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *entry = json_item(list, i);
		const struct json *target = json_get(entry, STR("target"));
		struct kpatch p = {.target = target ? exact_target(b->a, target) : NULL};
		struct err why = {0};

		if (!check_entry(entry, &why) && !entry_text(b, entry, &p, &why) && !p.ops)
			(void)err_set(&why, ERR_INVALID, "a JSON patch is a list of operations");
		if (!why.code && !p.target)
			(void)err_set(&why, ERR_INVALID, "a JSON patch needs a target");
		if (why.code || kustomize_patch(b->a, &b->to->l, &p, &why))
			return kbuild_blame(b, entry, &why, err);
	}
	return 0;
}
