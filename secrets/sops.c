/*
 * SOPS documents as trees: every encrypted leaf is opened in place under the path it stands at, in
 * the file's order, and all leaves feed the MAC the way the program that wrote them resolved them
 * (YAML 1.2 with Go's numbers). Must never put a value into an error. Pure.
 */
#include "secrets/sops.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"
#include "secrets/sops-internal.h"

enum rule_kind { RULE_SUFFIX, RULE_REGEX, RULE_COMMENT, RULE_NONE };

/* Which keys' values are encrypted; decides for the whole tree below a key. */
struct rule {
	enum rule_kind kind;
	bool hit_is_encrypted;
	struct str suffix;
	regex_t regex;
	struct sops_marked marked; /* RULE_COMMENT, once they were looked for */
};

struct walk {
	struct arena *a;
	const struct sops_docs *d;
	const struct rule *rule;
	struct sops_key key;
	struct sops_mac *mac;
	struct buf path;  /* "stringData:key:" */
	sops_leaf_fn *fn; /* instead of opening */
	void *arg;
	bool flow;
	struct err *err;
};

bool sops_is_encrypted(const struct json *doc)
{
	return json_is(json_at(doc, "sops", "mac"), JSON_STRING) ||
	       json_len(json_at(doc, "sops", "age")) > 0;
}

/* ---- rules ---- */

static int rule_read(const struct json *metadata, struct rule *ret, struct err *err)
{
	static const struct {
		const char *name;
		enum rule_kind kind;
		bool hit_is_encrypted;
	} known[] = {
		{"unencrypted_suffix", RULE_SUFFIX, false},
		{"encrypted_suffix", RULE_SUFFIX, true},
		{"unencrypted_regex", RULE_REGEX, false},
		{"encrypted_regex", RULE_REGEX, true},
		{"unencrypted_comment_regex", RULE_COMMENT, false},
		{"encrypted_comment_regex", RULE_COMMENT, true},
	};
	size_t n = 0;

	*ret = (struct rule){.kind = RULE_SUFFIX, .suffix = STR("_unencrypted")};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		struct str v = json_str(json_get(metadata, str_c(known[i].name)));

		if (!v.n)
			continue;
		if (n++)
			return err_set(err, ERR_INVALID,
				       "sops: more than one rule of what is encrypted");
		ret->kind = known[i].kind;
		ret->hit_is_encrypted = known[i].hit_is_encrypted;
		ret->suffix = v;
		if (known[i].kind == RULE_SUFFIX)
			continue;
		if (sops_regex(v, &ret->regex, err) != 0) {
			ret->kind = RULE_NONE;
			return err_wrap(err, "sops: %s", known[i].name);
		}
		ret->kind = known[i].kind;
	}
	return 0;
}

static void rule_release(struct rule *r)
{
	if (r->kind == RULE_REGEX || r->kind == RULE_COMMENT)
		regfree(&r->regex);
}

static bool rule_hits(const struct rule *r, struct str key)
{
	if (r->kind == RULE_SUFFIX)
		return str_ends(key, r->suffix);
	if (r->kind == RULE_REGEX) {
		AUTO(free) char *text = xstrndup(key.p, key.n);

		return regexec(&r->regex, text, 0, NULL, 0) == 0;
	}
	return false;
}

/* ---- scalars as they count for the MAC ---- */

/* Go's ParseInt with base 0: 0x, 0o, 0b, a leading 0 for octal, "_" between digits. */
static bool go_int(struct str s, int64_t *ret)
{
	char text[80];
	size_t n = 0;
	int base = 0;
	char *end;
	size_t skip;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '_') {
			if (n == sizeof(text) - 1)
				return false;
			text[n++] = s.p[i];
		}
	text[n] = '\0';
	skip = text[0] == '-' || text[0] == '+';
	if (text[skip] < '0' || text[skip] > '9')
		return false;
	if (text[skip] == '0' && (text[skip + 1] == 'o' || text[skip + 1] == 'b')) {
		base = text[skip + 1] == 'o' ? 8 : 2;
		memmove(text + skip, text + skip + 2, n - skip - 1);
	}
	errno = 0;
	*ret = strtoll(text, &end, base);
	return !errno && end != text && !*end;
}

static bool any_of(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_is(s, *words))
			return true;
	return false;
}

static bool go_float(struct str s, double *ret)
{
	char text[80];
	char *end;

	if (!s.n || s.n >= sizeof(text))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("0123456789+-.eE", s.p[i]))
			return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*ret = strtod(text, &end);
	return end != text && !*end;
}

/* The bytes of an unquoted YAML scalar, or false when it is just text. */
static bool plain_scalar(struct str s, struct buf *out, enum sops_type *ret)
{
	static const char *const yes[] = {"true", "True", "TRUE", NULL};
	static const char *const no[] = {"false", "False", "FALSE", NULL};
	static const char *const inf[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", NULL};
	int64_t i;
	double f;

	*ret = SOPS_BOOL;
	if (any_of(s, yes) || any_of(s, no)) {
		buf_puts(out, any_of(s, yes) ? "True" : "False");
		return true;
	}
	*ret = SOPS_FLOAT;
	if (any_of(s, inf)) {
		buf_puts(out, "+Inf");
	} else if (go_int(s, &i)) {
		*ret = SOPS_INT;
		buf_i64(out, i);
	} else if (go_float(s, &f)) {
		sops_float(f, out);
	} else {
		return false;
	}
	return true;
}

/* What the file says there, when it is written without quotes. */
static struct str plain_text(const struct walk *w, const struct json *v)
{
	const struct yaml_src *src = w->d->srcs ? yaml_src_of(w->d->srcs, v) : NULL;

	if (!src || src->style != YAML_PLAIN || src->end > w->d->text.n || src->begin > src->end)
		return STR_NONE;
	return str_sub(w->d->text, src->begin, src->end - src->begin);
}

static enum sops_type scalar_bytes(const struct walk *w, const struct json *v, struct buf *out)
{
	struct str text = plain_text(w, v);
	enum sops_type type = SOPS_STR;

	if (text.p && plain_scalar(text, out, &type))
		return type;
	type = SOPS_STR;
	if (text.p && !json_is(v, JSON_STRING))
		buf_str(out, text); /* Text to sops, though not to Kubernetes: yes, no. */
	else if (json_is(v, JSON_STRING))
		buf_str(out, json_str(v));
	else if (json_is(v, JSON_BOOL))
		buf_puts(out, v->b ? "True" : "False");
	else if (json_is(v, JSON_INT))
		buf_i64(out, v->i);
	else
		sops_float(json_double(v, 0), out);
	if (!text.p && !json_is(v, JSON_STRING))
		type = json_is(v, JSON_BOOL)  ? SOPS_BOOL
		       : json_is(v, JSON_INT) ? SOPS_INT
					      : SOPS_FLOAT;
	return type;
}

enum sops_type sops_scalar(const struct sops_docs *d, const struct json *v, struct buf *out)
{
	struct walk w = {.d = d};

	return scalar_bytes(&w, v, out);
}

/* ---- the walk ---- */

static int failed(struct walk *w)
{
	return err_wrap(w->err, "%.*s", (int)MIN(w->path.n ? w->path.n - 1 : 0, 200),
			w->path.p ? w->path.p : "");
}

static int parse_bool(struct str s, bool *ret)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True", NULL};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False", NULL};

	*ret = any_of(s, yes);
	return *ret || any_of(s, no) ? 0 : -1;
}

/* Gives v the decrypted value, keeping where it came from. */
static int put_value(struct walk *w, struct json *v, enum sops_type type, struct str plain)
{
	uint32_t src = v->src;
	int64_t i;
	bool b;

	if (type == SOPS_INT && str_to_i64(plain, &i) == 0) {
		*v = *json_new_int(w->a, i);
	} else if (type == SOPS_BOOL && parse_bool(plain, &b) == 0) {
		*v = *json_new_bool(w->a, b);
		sops_mac_add(w->mac, b ? STR("True") : STR("False"), true);
	} else if (type == SOPS_FLOAT && plain.n < 64) {
		const struct json *number = json_parse(w->a, arena_str(w->a, plain), NULL, NULL);
		*v = number ? *number : *json_new_str(w->a, plain);
	} else if (type == SOPS_INT || type == SOPS_BOOL || type == SOPS_FLOAT) {
		return err_set(w->err, ERR_PARSE, "not of the type it says");
	} else {
		*v = *json_new_str(w->a, plain);
	}
	if (type != SOPS_BOOL)
		sops_mac_add(w->mac, plain, true);
	v->spare = (uint16_t)(type + 1);
	v->src = src;
	v->flags |= JSON_F_SENSITIVE;
	return 0;
}

static int open_leaf(struct walk *w, struct json *v, bool encrypted)
{
	struct str text = json_str(v);
	struct buf plain = {0};
	enum sops_type type;
	int rc = 0;

	if (w->fn) {
		struct sops_leaf leaf = {v, buf_view(&w->path), encrypted, w->flow};

		return w->fn(w->arg, &leaf, w->err) == 0 ? 0 : failed(w);
	}
	if (json_is(v, JSON_NULL) || (json_is(v, JSON_STRING) && !text.n))
		return 0;
	if (sops_is_value(text) && (encrypted || w->rule->kind == RULE_COMMENT)) {
		rc = sops_value_open(&w->key, text, buf_view(&w->path), &plain, &type, w->err);
		if (rc == 0)
			rc = put_value(w, v, type, buf_view(&plain));
	} else if (encrypted && w->rule->kind != RULE_COMMENT) {
		rc = err_set(w->err, ERR_CORRUPT, "in clear, though its place says encrypted");
	} else {
		scalar_bytes(w, v, &plain);
		sops_mac_add(w->mac, buf_view(&plain), false);
	}
	buf_wipe(&plain);
	return rc == 0 ? 0 : failed(w);
}

static int walk_value(struct walk *w, struct json *v, bool hit);
static int walk_inside(struct walk *w, struct json *v, bool hit);

/* The key as the file spells it: to Kubernetes an unquoted y, on or no is a boolean, to sops text.
 */
static struct str key_text(const struct walk *w, const struct json_member *m)
{
	const struct yaml_src *src = w->d->srcs ? yaml_src_of(w->d->srcs, &m->value) : NULL;
	struct str text;
	size_t n = 0;

	if (!src || (!str_is(m->key, "true") && !str_is(m->key, "false")))
		return m->key;
	text = str_sub(w->d->text, src->key_begin, src->begin - MIN(src->key_begin, src->begin));
	while (n < text.n && ((text.p[n] | 32) >= 'a' && (text.p[n] | 32) <= 'z'))
		n++;
	return n ? str_sub(text, 0, n) : m->key;
}

static int walk_members(struct walk *w, struct json *o, bool hit)
{
	struct json_member *m = json_members(o);

	for (size_t i = 0; i < json_len(o); i++) {
		struct str key = key_text(w, &m[i]);
		size_t mark = w->path.n;
		int rc;

		buf_str(&w->path, key);
		buf_putc(&w->path, ':');
		rc = walk_value(w, &m[i].value, hit || rule_hits(w->rule, key));
		w->path.n = mark;
		if (rc != 0)
			return -1;
	}
	return 0;
}

static bool is_flow(const struct walk *w, const struct json *v)
{
	const struct yaml_src *src = w->d->srcs ? yaml_src_of(w->d->srcs, v) : NULL;

	return src && src->style == YAML_FLOW;
}

/* Depth is bounded by the parser's. */
static int walk_value(struct walk *w, struct json *v, bool hit)
{
	bool was = w->flow;
	int rc;

	w->flow |= is_flow(w, v);
	hit = hit || sops_is_marked(&w->rule->marked, v);
	rc = walk_inside(w, v, hit);
	w->flow = was;
	return rc;
}

static int walk_inside(struct walk *w, struct json *v, bool hit)
{
	if (json_is(v, JSON_OBJECT))
		return walk_members(w, v, hit);
	if (json_is(v, JSON_ARRAY)) {
		for (size_t i = 0; i < json_len(v); i++)
			if (walk_value(w, json_item(v, i), hit) != 0)
				return -1;
		return 0;
	}
	return open_leaf(w, v, w->rule->kind != RULE_NONE && hit == w->rule->hit_is_encrypted);
}

static int walk_all(struct walk *w, const struct json *metadata, struct sops_report *ret)
{
	for (size_t i = 0; i < w->d->docs->n; i++) {
		if (!json_is(w->d->docs->v[i], JSON_OBJECT))
			return err_set(w->err, ERR_PARSE, "sops: document %zu is no mapping",
				       i + 1);
		if (walk_members(w, w->d->docs->v[i], false) != 0)
			return -1;
	}
	ret->mac_ok =
		sops_mac_check(w->mac, &w->key, json_str(json_get(metadata, STR("mac"))),
			       json_str(json_get(metadata, STR("lastmodified"))), &ret->mac) == 0;
	return 0;
}

int sops_each(const struct sops_docs *d, const struct json *metadata, sops_leaf_fn *fn, void *arg,
	      struct err *err)
{
	AUTO(arena) struct arena a = {0};
	struct rule rule = {.kind = RULE_NONE};
	struct walk w = {.d = d, .rule = &rule, .err = err, .fn = fn, .arg = arg};
	int rc = rule_read(metadata, &rule, err);

	if (rc == 0 && rule.kind == RULE_COMMENT)
		rc = sops_find_marked(&a, d, &rule.regex, &rule.marked, err);
	for (size_t i = 0; i < d->docs->n && rc == 0; i++) {
		if (!json_is(d->docs->v[i], JSON_OBJECT))
			rc = err_set(err, ERR_PARSE, "sops: document %zu is no mapping", i + 1);
		else
			w.flow = is_flow(&w, d->docs->v[i]);
		if (rc == 0)
			rc = walk_members(&w, d->docs->v[i], false);
	}
	buf_release(&w.path);
	rule_release(&rule);
	return rc;
}

int sops_open_keyed(struct arena *a, const struct sops_docs *d, struct sops_key *ret_key,
		    struct sops_report *ret, struct err *err)
{
	const struct json *metadata = d->docs->n ? json_get(d->docs->v[0], STR("sops")) : NULL;
	struct rule rule = {.kind = RULE_NONE};
	struct walk w = {.a = a, .d = d, .rule = &rule, .err = err};
	struct json *kept;
	int rc;

	*ret = (struct sops_report){.mac_ok = false};
	*ret_key = (struct sops_key){{0}};
	if (!json_is(metadata, JSON_OBJECT))
		return err_set(err, ERR_PARSE, "not encrypted with sops");
	kept = json_copy(a, metadata);
	for (size_t i = 0; i < d->docs->n; i++)
		json_del(d->docs->v[i], STR("sops"));
	rc = rule_read(kept, &rule, err);
	if (rc == 0)
		rc = sops_data_key(d->keys, kept, &w.key, err);
	if (rc == 0) {
		w.mac = sops_mac_new(json_bool(json_get(kept, STR("mac_only_encrypted")), false));
		rc = walk_all(&w, kept, ret);
	}
	if (rc == 0)
		*ret_key = w.key;
	sops_mac_free(w.mac);
	sodium_memzero(&w.key, sizeof(w.key));
	buf_release(&w.path);
	rule_release(&rule);
	return rc;
}

int sops_open_docs(struct arena *a, const struct sops_docs *d, struct sops_report *ret,
		   struct err *err)
{
	struct sops_key key;
	int rc = sops_open_keyed(a, d, &key, ret, err);

	sodium_memzero(&key, sizeof(key));
	return rc;
}
