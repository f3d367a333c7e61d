/*
 * What the dataplane makes of anybody's objects, a line of JSON each: pods, namespaces and
 * NetworkPolicies. Whatever they say, a transaction is lines of its own three verbs, and when they
 * are gone nothing of them is left.
 */
#include <stddef.h>
#include <stdint.h>

#include "proxy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { OBJECTS_MAX = 64 };

static void put(struct policies *p, struct ruleset *r, const struct obj *o, bool there)
{
	AUTO(arena) struct arena a = {0};
	struct rules rules = {0};

	if (str_is(o->kind, "Namespace")) {
		policies_namespace(p, o->name, there ? o : NULL);
	} else if (str_is(o->kind, "NetworkPolicy")) {
		policies_policy(p, o->namespace, o->name, there ? o : NULL);
	} else {
		policies_pod(p, o->namespace, o->name, there ? o : NULL);
		if (there)
			rules_of_host_ports(&a, obj_tree(o, &a), &rules);
		ruleset_put_rules(r, arena_strf(&a, "hostport/%.*s", STR_ARG(o->name)), &rules);
	}
}

static void check(struct policies *p, struct ruleset *r)
{
	static const char *const verbs[] = {"add ", "delete ", "flush "};
	AUTO(buf) struct buf text = {0};
	struct str rest, line;

	policies_render(p);
	ruleset_diff(r, &text);
	ruleset_commit(r);
	rest = buf_view(&text);
	while (rest.n && str_next(&rest, '\n', &line)) {
		bool known = !line.n;

		for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
			known = known || str_starts(line, str_c(verbs[i]));
		for (size_t i = 0; i < line.n; i++)
			known = known && (unsigned char)line.p[i] >= ' ' && line.p[i] != '"';
		if (!known)
			__builtin_trap();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ruleset_opts opts = {.cluster = {0x0af40000, 16}};
	struct ruleset *r = ruleset_new(&opts);
	struct policies *p = policies_new(r, STR("n1"));
	const struct obj *all[OBJECTS_MAX];
	struct str rest = {(const char *)data, n}, line;
	size_t count = 0;

	while (rest.n && count < OBJECTS_MAX && str_next(&rest, '\n', &line)) {
		const struct obj *o = obj_from_bytes(line, NULL);

		if (!o)
			continue;
		put(p, r, o, true);
		all[count++] = o;
		if (count % 4 == 0)
			check(p, r);
	}
	check(p, r);
	for (size_t i = 0; i < count; i++) {
		put(p, r, all[i], false);
		obj_unref(all[i]);
	}
	check(p, r);
	if (ruleset_count(r))
		__builtin_trap();
	policies_free(p);
	ruleset_free(r);
	return 0;
}
