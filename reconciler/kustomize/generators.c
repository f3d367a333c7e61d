/*
 * configMapGenerator and secretGenerator: an object out of files, literals and environment files,
 * and what happens when a layer generates a name that a layer below has generated already.
 *
 * Values that are made here stand nowhere as such, so they carry no place: an edit of the scalar
 * `key=value` would have to be taken apart again, and a value must never be written over it.
 * Pure. Memory: the caller's arena. Contents of Secrets are flagged and never part of an error.
 */
#include <ctype.h>
#include <string.h>

#include "lib/base/codec.h"
#include "reconciler/kustomize/engine.h"

#include "lib/base/pure.h"

#define BASE64_LINE 70

struct gen {
	struct arena *a;
	const struct kfiles *files;
	struct str name;
	bool secret;
	bool hidden; /* what is read just now was encrypted in the repository */
	struct json *tree;
};

static const char *kind_of(const struct gen *g)
{
	return g->secret ? "Secret" : "ConfigMap";
}

/* As kustomize writes it: one line when it is short, else every line ended, the last one too. */
static struct str encoded(struct arena *a, struct str bytes)
{
	AUTO(buf) struct buf flat = {0};
	AUTO(buf) struct buf out = {0};
	struct str ret;

	base64_encode(bytes, &flat);
	if (flat.n < BASE64_LINE) {
		ret = arena_str(a, buf_view(&flat));
	} else {
		for (size_t i = 0; i < flat.n; i += BASE64_LINE) {
			buf_str(&out, str_sub(buf_view(&flat), i, BASE64_LINE));
			buf_putc(&out, '\n');
		}
		ret = arena_str(a, buf_view(&out));
	}
	buf_wipe(&flat);
	buf_wipe(&out);
	return ret;
}

static int put(struct gen *g, struct str key, struct str value, struct err *err)
{
	bool text = !g->secret && str_is_utf8(value);
	const char *field = g->secret || text ? "data" : "binaryData";
	struct json *v;

	if (json_get(json_get(g->tree, STR("data")), key) ||
	    json_get(json_get(g->tree, STR("binaryData")), key))
		return err_set(err, ERR_INVALID, "%s %.*s has the key %.*s twice", kind_of(g),
			       STR_ARG(g->name), STR_ARG(key));
	v = json_new_str(g->a, text ? value : encoded(g->a, value));
	v->flags |= g->secret || g->hidden ? JSON_F_SENSITIVE : 0;
	json_add(g->a, json_set_object(g->a, g->tree, field), key, v);
	return 0;
}

static int read_file(struct gen *g, struct str path, struct str *ret, struct err *err)
{
	uint32_t number;

	if (g->files->load(g->files->ctx, path, ret, &number, err))
		return err_wrap(err, "%s %.*s", kind_of(g), STR_ARG(g->name));
	g->hidden = g->files->is_secret && g->files->is_secret(g->files->ctx, number, *ret);
	return 0;
}

/* ---- environment files ---- */

/* What Go's unicode.IsSpace takes off the front of a line. */
static size_t space_at(struct str s)
{
	static const char *const wide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
					   "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf",
					   "\xe2\x81\x9f", "\xe3\x80\x80"};

	if (s.n && (*s.p == ' ' || (*s.p >= '\t' && *s.p <= '\r')))
		return 1;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++) {
		if (str_starts(s, str_c(wide[i])))
			return strlen(wide[i]);
	}
	if (s.n >= 3 && !memcmp(s.p, "\xe2\x80", 2) && (unsigned char)s.p[2] <= 0x8a)
		return 3;
	return 0;
}

static int env_line(struct gen *g, struct str line, struct err *err)
{
	struct str key, value;
	size_t n;

	while ((n = space_at(line)))
		line = str_sub(line, n, line.n);
	if (!line.n || *line.p == '#')
		return 0;
	/* A name alone would mean this process' environment, which is none of a repository's
	 * business: it is empty. */
	str_cut(line, '=', &key, &value);
	return key.n ? put(g, key, value, err) : 0;
}

static int env_file(struct gen *g, struct str path, struct err *err)
{
	struct str rest, line;

	if (read_file(g, path, &rest, err))
		return -1;
	if (!rest.n)
		return 0;
	if (str_starts(rest, STR("\xef\xbb\xbf")))
		rest = str_sub(rest, 3, rest.n);
	for (size_t i = 1; str_next(&rest, '\n', &line); i++) {
		if (!str_is_utf8(line))
			return err_set(err, ERR_INVALID, "%.*s:%zu: not UTF-8", STR_ARG(path), i);
		if (str_ends(line, STR("\r")))
			line.n--;
		if (env_line(g, line, err))
			return err_wrap(err, "%.*s:%zu", STR_ARG(path), i);
	}
	return 0;
}

/* ---- files and literals ---- */

static int file(struct gen *g, struct str source, struct err *err)
{
	struct str key, path, rest, value, folder;

	if (!str_cut(source, '=', &key, &path)) {
		path = source;
		if (!str_rcut(source, '/', &folder, &key))
			key = source;
	} else if (!key.n || !path.n || str_cut(path, '=', &rest, &value)) {
		return err_set(err, ERR_INVALID,
			       "%s %.*s: a file is `path` or `key=path`, not %.*s", kind_of(g),
			       STR_ARG(g->name), STR_ARG(source));
	}
	if (read_file(g, path, &value, err))
		return -1;
	return put(g, key, value, err);
}

static int literal(struct gen *g, struct str source, struct err *err)
{
	struct str key, value;

	if (!str_cut(source, '=', &key, &value) || !key.n)
		return err_set(err, ERR_INVALID, "%s %.*s: a literal is `key=value`", kind_of(g),
			       STR_ARG(g->name));
	if (value.n >= 2 && value.p[0] == value.p[value.n - 1] && strchr("'\"", value.p[0]) &&
	    value.p[0])
		value = str_sub(value, 1, value.n - 2);
	g->hidden = false;
	return put(g, key, value, err);
}

static int each(struct gen *g, const struct json *list, const char *field,
		int (*fn)(struct gen *g, struct str source, struct err *err), struct err *err)
{
	if (list && !json_is(list, JSON_ARRAY) && !json_is(list, JSON_NULL))
		return err_set(err, ERR_INVALID, "%s: a list is expected", field);
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *v = json_item(list, i);

		if (!json_is(v, JSON_STRING))
			return err_set(err, ERR_INVALID, "%s[%zu]: text is expected", field, i);
		if (fn(g, json_str(v), err))
			return -1;
	}
	return 0;
}

/* ---- options ---- */

/* The entry's own first: generatorOptions only add what it doesn't say. */
static int put_map(struct gen *g, const struct json *options, const char *field, struct err *err)
{
	const struct json *map = json_get(options, str_c(field));
	struct json_member *m = json_members(map);
	struct json *to;

	if (map && !json_is(map, JSON_OBJECT) && !json_is(map, JSON_NULL))
		return err_set(err, ERR_INVALID, "options.%s: a map is expected", field);
	for (size_t i = 0; m && i < json_len(map); i++) {
		if (!json_is(&m[i].value, JSON_STRING))
			return err_set(err, ERR_INVALID, "options.%s.%.*s: text is expected", field,
				       STR_ARG(m[i].key));
		to = json_set_object(g->a, json_get(g->tree, STR("metadata")), field);
		if (!json_get(to, m[i].key))
			json_set(g->a, to, m[i].key, kvalue(g->a, &m[i].value));
	}
	return 0;
}

static int put_options(struct gen *g, const struct json *own, const struct json *general,
		       struct kres *ret, struct err *err)
{
	static const struct str suffix = {"disableNameSuffixHash", 21}, fixed = {"immutable", 9};

	if (own && !json_is(own, JSON_OBJECT) && !json_is(own, JSON_NULL))
		return err_set(err, ERR_INVALID, "options: a map is expected");
	if (put_map(g, own, "labels", err) || put_map(g, own, "annotations", err) ||
	    put_map(g, general, "labels", err) || put_map(g, general, "annotations", err))
		return -1;
	if (json_bool(json_get(own, fixed), false) || json_bool(json_get(general, fixed), false))
		json_set_bool(g->a, g->tree, "immutable", true);
	ret->needs_hash = !json_bool(json_get(own, suffix), false) &&
			  !json_bool(json_get(general, suffix), false);
	return 0;
}

static enum kbehavior behavior_of(const struct json *entry)
{
	struct str s = json_str(json_get(entry, STR("behavior")));

	if (str_is(s, "create"))
		return KB_CREATE;
	if (str_is(s, "replace"))
		return KB_REPLACE;
	return str_is(s, "merge") ? KB_MERGE : KB_UNSPECIFIED;
}

static int check_fields(const struct json *entry, bool secret, struct err *err)
{
	static const char *const known[] = {"name", "namespace", "behavior", "files", "literals",
					    "envs", "env",       "options",  "type"};
	struct json_member *m = json_members(entry);

	if (!json_is(entry, JSON_OBJECT))
		return err_set(err, ERR_INVALID, "a generator is a map");
	for (size_t i = 0; m && i < json_len(entry); i++) {
		bool ok = false;

		for (size_t k = 0; k < ARRAY_LEN(known) - !secret; k++)
			ok |= str_is(m[i].key, known[k]);
		if (!ok)
			return err_set(err, ERR_INVALID, "unknown field %.*s", STR_ARG(m[i].key));
	}
	return 0;
}

static int fill(struct gen *g, const struct json *entry, struct err *err)
{
	struct str env = json_str(json_get(entry, STR("env")));

	if (each(g, json_get(entry, STR("envs")), "envs", env_file, err) ||
	    (env.n && env_file(g, env, err)) ||
	    each(g, json_get(entry, STR("files")), "files", file, err))
		return -1;
	return each(g, json_get(entry, STR("literals")), "literals", literal, err);
}

int kustomize_generate(struct arena *a, const struct kfiles *files, const struct json *entry,
		       bool secret, const struct json *options, struct kres *ret, struct err *err)
{
	struct gen g = {.a = a, .files = files, .secret = secret};
	struct str namespace = json_str(json_get(entry, STR("namespace")));
	struct str type = json_str_or(json_get(entry, STR("type")), STR("Opaque"));

	g.name = json_str(json_get(entry, STR("name")));
	if (check_fields(entry, secret, err))
		return -1;
	if (!g.name.n)
		return err_set(err, ERR_INVALID, "a generated %s must have a name", kind_of(&g));
	g.tree = json_build(a, "{s:s,s:s,s:{s:S}}", "apiVersion", "v1", "kind", kind_of(&g),
			    "metadata", "name", g.name);
	if (namespace.n)
		json_set_str(a, json_get(g.tree, STR("metadata")), "namespace", namespace);
	if (secret)
		json_set_str(a, g.tree, "type", type.n ? type : STR("Opaque"));
	if (fill(&g, entry, err) ||
	    put_options(&g, json_get(entry, STR("options")), options, ret, err))
		return -1;
	ret->tree = g.tree;
	ret->behavior = behavior_of(entry);
	return 0;
}

/* ---- merge and replace ---- */

/* tree.path[field] = below overlaid with above; nothing when both are empty. */
static void overlay(struct arena *a, struct json *to, const struct json *below, const char *field)
{
	const struct json *map = json_get(below, str_c(field));
	struct json_member *m = json_members(map);
	struct json *mine;

	if (!m || !json_len(map))
		return;
	mine = json_set_object(a, to, field);
	for (size_t i = 0; i < json_len(map); i++) {
		if (!json_get(mine, m[i].key))
			json_add(a, mine, m[i].key, &m[i].value);
	}
}

void kustomize_absorb(struct arena *a, struct kres *into, const struct kres *from)
{
	struct json *tree = json_copy(a, from->tree);
	struct json *meta = json_set_object(a, tree, "metadata");
	const struct json *old = json_get(into->tree, STR("metadata"));
	struct str namespace = json_str(json_get(old, STR("namespace")));

	overlay(a, meta, old, "labels");
	overlay(a, meta, old, "annotations");
	json_set_str(a, meta, "name", json_str(json_get(old, STR("name"))));
	if (namespace.n)
		json_set_str(a, meta, "namespace", namespace);
	else
		json_del(meta, STR("namespace"));
	if (from->behavior == KB_MERGE) {
		overlay(a, tree, into->tree, "data");
		overlay(a, tree, into->tree, "binaryData");
	}
	into->tree = tree;
	into->needs_hash &= from->needs_hash; /* one of them without is enough */
}
