/*
 * Keeps what each Service wants of the table beside what the kernel has, and writes the
 * difference as one nft transaction. Two Services may want the same object (one address, one
 * hairpin): the one whose key sorts first has it, so the outcome doesn't depend on the order of
 * events, and never a transaction that the kernel refuses because something is there twice.
 * Pure. Every object is a slot on the heap, freed when neither wanted nor applied.
 */
#include "proxy/ruleset.h"

#include <stdlib.h>

#include "lib/base/pure.h"

#define T "ip " RULESET_TABLE

struct claim {
	struct claim *next; /* sorted by owner */
	struct owner *owner;
	char *text;
};

struct slot {
	enum rule_kind kind;
	char *id; /* "kind object key" */
	char *object, *key;
	struct claim *claims;
	char *applied; /* NULL = not in the kernel */
	bool dirty;
};

struct owner {
	char *key;
	struct slot **slots;
	size_t n;
};

struct ruleset {
	struct ruleset_opts opts;
	struct map slots, owners;
	struct slot **dirty;
	size_t ndirty, cap;
};

struct ruleset *ruleset_new(const struct ruleset_opts *o)
{
	struct ruleset *r = xalloc(sizeof(*r));

	r->opts = *o;
	return r;
}

static void slot_free(struct slot *s)
{
	while (s->claims) {
		struct claim *c = s->claims;

		s->claims = c->next;
		free(c->text);
		free(c);
	}
	free(s->id);
	free(s->object);
	free(s->key);
	free(s->applied);
	free(s);
}

static void owner_free(struct owner *o)
{
	free(o->key);
	free(o->slots);
	free(o);
}

void ruleset_free(struct ruleset *r)
{
	struct map_iter it = {0};

	if (!r)
		return;
	while (map_next(&r->slots, &it))
		slot_free(it.value);
	it = (struct map_iter){0};
	while (map_next(&r->owners, &it))
		owner_free(it.value);
	map_release(&r->slots);
	map_release(&r->owners);
	free(r->dirty);
	free(r);
}

size_t ruleset_count(const struct ruleset *r)
{
	struct map_iter it = {0};
	size_t n = 0;

	while (map_next(&r->slots, &it))
		n += ((struct slot *)it.value)->claims != NULL;
	return n;
}

static void slot_touch(struct ruleset *r, struct slot *s)
{
	if (s->dirty)
		return;
	if (r->ndirty == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->dirty = xreallocarray(r->dirty, r->cap, sizeof(struct slot *));
	}
	s->dirty = true;
	r->dirty[r->ndirty++] = s;
}

static struct slot *slot_find(struct ruleset *r, const struct rule *rule)
{
	char *id = xasprintf("%d %.*s %.*s", (int)rule->kind, STR_ARG(rule->object),
			     STR_ARG(rule->key));
	struct slot *s = map_get(&r->slots, str_c(id));

	if (s) {
		free(id);
		return s;
	}
	s = xalloc(sizeof(*s));
	s->kind = rule->kind;
	s->id = id;
	s->object = xstrndup(rule->object.p, rule->object.n);
	s->key = xstrndup(rule->key.p, rule->key.n);
	map_set(&r->slots, str_c(id), s);
	return s;
}

/* False when the owner has claimed it already (an address listed twice): the first stands. */
static bool slot_claim(struct slot *s, struct owner *o, struct str text)
{
	struct claim **at = &s->claims;
	struct claim *c;

	while (*at && str_cmp(str_c((*at)->owner->key), str_c(o->key)) < 0)
		at = &(*at)->next;
	if (*at && (*at)->owner == o)
		return false;
	c = xalloc(sizeof(*c));
	c->owner = o;
	c->text = xstrndup(text.p, text.n);
	c->next = *at;
	*at = c;
	return true;
}

static void slot_release(struct slot *s, const struct owner *o)
{
	for (struct claim **at = &s->claims; *at; at = &(*at)->next)
		if ((*at)->owner == o) {
			struct claim *c = *at;

			*at = c->next;
			free(c->text);
			free(c);
			return;
		}
}

static void owner_release(struct ruleset *r, struct owner *o)
{
	for (size_t i = 0; i < o->n; i++) {
		slot_release(o->slots[i], o);
		slot_touch(r, o->slots[i]);
	}
	o->n = 0;
}

static struct owner *owner_find(struct ruleset *r, struct str key)
{
	struct owner *o = map_get(&r->owners, key);

	if (o)
		return o;
	o = xalloc(sizeof(*o));
	o->key = xstrndup(key.p, key.n);
	map_set(&r->owners, key, o);
	return o;
}

void ruleset_put_rules(struct ruleset *r, struct str key, const struct rules *rules)
{
	struct owner *o = map_get(&r->owners, key);

	if (o)
		owner_release(r, o);
	if (!rules || !rules->n) {
		if (o) {
			map_del(&r->owners, key);
			owner_free(o);
		}
		return;
	}
	o = owner_find(r, key);
	o->slots = xreallocarray(o->slots, rules->n, sizeof(struct slot *));
	for (size_t i = 0; i < rules->n; i++) {
		struct slot *slot = slot_find(r, &rules->v[i]);

		if (!slot_claim(slot, o, rules->v[i].text))
			continue;
		o->slots[o->n++] = slot;
		slot_touch(r, slot);
	}
}

void ruleset_put(struct ruleset *r, struct str key, const struct service *s)
{
	AUTO(arena) struct arena a = {0};
	struct rules rules = {0};

	if (s)
		rules_of_service(&a, &r->opts, s, &rules);
	ruleset_put_rules(r, key, &rules);
}

/* ---- writing ---- */

static const char *wanted(const struct slot *s)
{
	return s->claims ? s->claims->text : NULL;
}

static bool changed(const struct slot *s)
{
	const char *want = wanted(s);

	if (!want || !s->applied)
		return want != s->applied;
	return !str_is(str_c(want), s->applied);
}

static void put_element(struct buf *out, const char *verb, const struct slot *s, const char *value)
{
	buf_printf(out, "%s element " T " %s { %s%s%s }\n", verb, s->object, s->key,
		   *value ? " : " : "", value);
}

static void put_rules(struct buf *out, const struct slot *s)
{
	struct str rest = str_c(wanted(s)), line;

	while (str_next(&rest, '\n', &line))
		if (line.n)
			buf_printf(out, "add rule " T " %s %.*s\n", s->object, STR_ARG(line));
}

/* What must be there before anything refers to it. */
static void put_new(struct buf *out, const struct slot *s, enum rule_kind kind)
{
	if (s->kind != kind || s->applied || !wanted(s))
		return;
	if (kind == RULE_SET)
		buf_printf(out, "add set " T " %s { %s }\n", s->object, wanted(s));
	else if (kind == RULE_CHAIN)
		buf_printf(out, "add chain " T " %s\n", s->object);
}

/* References go first: elements, then rules. */
static void put_gone_references(struct buf *out, const struct slot *s, enum rule_kind kind)
{
	if (s->kind != kind || !s->applied || !changed(s))
		return;
	if (kind == RULE_ELEMENT)
		put_element(out, "delete", s, s->applied);
	else if (kind == RULE_CHAIN)
		buf_printf(out, "flush chain " T " %s\n", s->object);
}

static void put_content(struct buf *out, const struct slot *s, enum rule_kind kind)
{
	if (s->kind != kind || !wanted(s) || !changed(s))
		return;
	if (kind == RULE_ELEMENT)
		put_element(out, "add", s, wanted(s));
	else if (kind == RULE_CHAIN)
		put_rules(out, s);
}

static void put_gone(struct buf *out, const struct slot *s, enum rule_kind kind)
{
	if (s->kind != kind || !s->applied || wanted(s))
		return;
	if (kind == RULE_SET)
		buf_printf(out, "delete set " T " %s\n", s->object);
	else if (kind == RULE_CHAIN)
		buf_printf(out, "delete chain " T " %s\n", s->object);
}

static int slot_cmp(const void *a, const void *b)
{
	const struct slot *const *x = a, *const *y = b;

	return str_cmp(str_c((*x)->id), str_c((*y)->id));
}

static void write_slots(struct slot **v, size_t n, struct buf *out)
{
	static const struct {
		void (*put)(struct buf *out, const struct slot *s, enum rule_kind kind);
		enum rule_kind kind;
	} steps[] = {
		{put_new, RULE_SET},
		{put_new, RULE_CHAIN},
		{put_gone_references, RULE_ELEMENT},
		{put_gone_references, RULE_CHAIN},
		{put_content, RULE_CHAIN},
		{put_content, RULE_ELEMENT},
		{put_gone, RULE_CHAIN},
		{put_gone, RULE_SET},
	};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		for (size_t j = 0; j < n; j++)
			steps[i].put(out, v[j], steps[i].kind);
}

void ruleset_diff(struct ruleset *r, struct buf *out)
{
	if (!r->ndirty)
		return;
	qsort(r->dirty, r->ndirty, sizeof(struct slot *), slot_cmp);
	write_slots(r->dirty, r->ndirty, out);
}

void ruleset_full(struct ruleset *r, struct buf *out)
{
	struct map_iter it = {0};

	/* Making it first lets the deletion succeed when there was none. */
	buf_puts(out, "add table " T "\ndelete table " T "\n");
	rules_base(&r->opts, out);
	while (map_next(&r->slots, &it)) {
		struct slot *s = it.value;

		free(s->applied);
		s->applied = NULL;
		slot_touch(r, s);
	}
	ruleset_diff(r, out);
}

void ruleset_commit(struct ruleset *r)
{
	for (size_t i = 0; i < r->ndirty; i++) {
		struct slot *s = r->dirty[i];
		const char *want = wanted(s);

		s->dirty = false;
		free(s->applied);
		s->applied = want ? xstrdup(want) : NULL;
		if (!want) {
			map_del(&r->slots, str_c(s->id));
			slot_free(s);
		}
	}
	r->ndirty = 0;
}
