/*
 * Running the Pod Security Standards' checks over a pod, and the words that they share. Must never
 * let a check pass that its version has. Pure; any thread; memory is the caller's arena.
 * Specification: k8s.io/pod-security-admission.
 */
#include "apiserver/admission/pod_checks.h"

#include <string.h>

#include "lib/base/pure.h"

void pod_containers(const struct pod_subject *p,
		    void (*fn)(void *arg, const struct json *container), void *arg)
{
	static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct json *list = json_get(p->spec, str_c(lists[i]));

		for (size_t k = 0; k < json_len(list); k++)
			fn(arg, json_item(list, k));
	}
}

void pod_set_add(struct arena *a, struct json *set, struct str s)
{
	size_t i = 0;

	while (i < json_len(set) && str_cmp(json_str(json_item(set, i)), s) < 0)
		i++;
	if (i < json_len(set) && str_eq(json_str(json_item(set, i)), s))
		return;
	json_insert(a, set, i, json_new_str(a, s));
}

struct str pod_joined(struct arena *a, const struct json *list, const char *by)
{
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(list); i++) {
		buf_puts(&b, i ? by : "");
		buf_str(&b, json_str(json_item(list, i)));
	}
	return arena_str(a, buf_view(&b));
}

struct str pod_quoted(struct arena *a, const struct json *list)
{
	AUTO(buf) struct buf b = {0};

	for (size_t i = 0; i < json_len(list); i++)
		buf_printf(&b, "%s\"%.*s\"", i ? ", " : "", STR_ARG(json_str(json_item(list, i))));
	return arena_str(a, buf_view(&b));
}

struct str pod_containers_named(struct arena *a, const struct json *names)
{
	struct str quoted = pod_quoted(a, names);

	return arena_strf(a, "container%s %.*s", json_len(names) == 1 ? "" : "s", STR_ARG(quoted));
}

bool pod_is_windows(const struct pod_subject *p)
{
	return str_is(json_str(json_at(p->spec, "os", "name")), "windows");
}

/* ---- all of them ---- */

struct report {
	const struct pod_subject *p;
	struct buf *out;
	bool reasons_only;
};

static void run(struct report *r, const struct pod_check *c)
{
	struct pod_fault f = {0};

	if (c->since > r->p->minor || !c->fails(r->p, &f))
		return;
	buf_printf(r->out, "%s%.*s", r->out->n ? ", " : "", STR_ARG(f.reason));
	if (f.detail.n && !r->reasons_only)
		buf_printf(r->out, " (%.*s)", STR_ARG(f.detail));
}

static bool overridden(const struct pod_check *base, int minor)
{
	for (const struct pod_check *c = pod_checks_restricted; c->id; c++)
		if (c->overrides && c->since <= minor && !strcmp(c->overrides, base->id))
			return true;
	return false;
}

static struct str check(const struct pod_subject *p, struct pod_policy policy, bool reasons_only)
{
	AUTO(buf) struct buf out = {0};
	struct pod_subject at = *p;
	struct report r = {&at, &out, reasons_only};

	if (policy.level == POD_PRIVILEGED)
		return STR_NONE;
	at.minor = policy.latest ? POD_CHECKS_LATEST : MIN(policy.minor, POD_CHECKS_LATEST);
	for (const struct pod_check *c = pod_checks_baseline; c->id; c++)
		if (policy.level == POD_BASELINE || !overridden(c, at.minor))
			run(&r, c);
	for (const struct pod_check *c = pod_checks_restricted;
	     c->id && policy.level == POD_RESTRICTED; c++)
		run(&r, c);
	return out.n ? arena_str(p->a, buf_view(&out)) : STR_NONE;
}

struct str pod_check_all(const struct pod_subject *p, struct pod_policy policy)
{
	return check(p, policy, false);
}

struct str pod_check_reasons(const struct pod_subject *p, struct pod_policy policy)
{
	return check(p, policy, true);
}
