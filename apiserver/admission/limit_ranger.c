/*
 * LimitRanger: a namespace's LimitRanges give containers what they don't say, and refuse
 * containers, pods and claims that say too little or too much. Pods are looked at when they are
 * made, claims also when they grow. Must never overwrite what the writer said. Pure; memory is the
 * request's. Specification: plugin/pkg/admission/limitranger.
 */
#include <string.h>

#include "apiserver/admission/admission.h"
#include "apiserver/admission/amounts.h"
#include "lib/kube/obj.h"

#include "lib/base/pure.h"

#define NOTE "kubernetes.io/limit-ranger"

struct ranger {
	struct admission_req *r;
	struct json *errors;
	struct json *notes;
	struct json *requests, *limits; /* that containers get */
};

typedef void item_fn(struct ranger *g, const struct json *item);

struct walk {
	struct ranger *g;
	item_fn *fn;
};

static void walk_range(void *arg, const struct json *range)
{
	const struct json *items = json_at(range, "spec", "limits");
	struct walk *w = arg;

	for (size_t i = 0; i < json_len(items); i++)
		w->fn(w->g, json_item(items, i));
}

static void each_item(struct ranger *g, item_fn *fn)
{
	struct walk w = {g, fn};

	g->r->reader->each(g->r->reader->ctx,
			   &(struct admission_scan){"", "limitranges", g->r->namespace, STR_NONE},
			   g->r->a, walk_range, &w);
}

static bool item_is(const struct json *item, const char *type)
{
	return str_is(json_str(json_get(item, STR("type"))), type);
}

/* ---- what containers don't say ---- */

static void gather_map(struct arena *a, struct json *to, const struct json *from)
{
	for (size_t i = 0; i < json_len(from); i++)
		json_set(a, to, from->members[i].key, &from->members[i].value);
}

static void gather(struct ranger *g, const struct json *item)
{
	if (!item_is(item, "Container"))
		return;
	gather_map(g->r->a, g->requests, json_get(item, STR("defaultRequest")));
	gather_map(g->r->a, g->limits, json_get(item, STR("default")));
}

/* "cpu, memory request for container x" */
static void fill(struct ranger *g, struct json *container, const struct json *from,
		 const char *which, const char *what)
{
	struct json *have = json_set_object(g->r->a, container, "resources");
	AUTO(buf) struct buf names = {0};
	struct json *set = json_new(g->r->a, JSON_ARRAY);

	for (size_t i = 0; i < json_len(from); i++) {
		const struct json_member *m = &from->members[i];
		struct json *map = json_set_object(g->r->a, have, which);
		size_t at = 0;

		if (json_get(map, m->key))
			continue;
		json_set(g->r->a, map, m->key, &m->value);
		while (at < json_len(set) && str_cmp(json_str(json_item(set, at)), m->key) < 0)
			at++;
		json_insert(g->r->a, set, at, json_new_str(g->r->a, m->key));
	}
	for (size_t i = 0; i < json_len(set); i++)
		buf_printf(&names, "%s%.*s", i ? ", " : "", STR_ARG(json_str(json_item(set, i))));
	if (names.n)
		json_append_str(g->r->a, g->notes,
				arena_strf(g->r->a, "%s %.*s for %s %.*s", buf_cstr(&names),
					   (int)strlen(which) - 1, which, what,
					   STR_ARG(json_str(json_get(container, STR("name"))))));
}

static void default_containers(struct ranger *g)
{
	static const char *const lists[][2] = {{"containers", "container"},
					       {"initContainers", "init container"}};

	g->requests = json_new(g->r->a, JSON_OBJECT);
	g->limits = json_new(g->r->a, JSON_OBJECT);
	each_item(g, gather);
	for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
		struct json *list = json_at(g->r->object, "spec", lists[l][0]);

		for (size_t i = 0; i < json_len(list); i++) {
			if (json_len(g->requests))
				fill(g, json_item(list, i), g->requests, "requests", lists[l][1]);
			if (json_len(g->limits))
				fill(g, json_item(list, i), g->limits, "limits", lists[l][1]);
		}
	}
}

static void note(struct ranger *g)
{
	struct json *meta = json_set_object(g->r->a, g->r->object, "metadata");
	AUTO(buf) struct buf text = {0};

	if (!json_len(g->notes))
		return;
	buf_puts(&text, "LimitRanger plugin set: ");
	for (size_t i = 0; i < json_len(g->notes); i++)
		buf_printf(&text, "%s%.*s", i ? "; " : "",
			   STR_ARG(json_str(json_item(g->notes, i))));
	json_set_str(g->r->a, json_set_object(g->r->a, meta, "annotations"), NOTE, buf_view(&text));
}

/* ---- what is too little or too much ---- */

struct limits {
	struct ranger *g;
	const char *type;
	const struct amounts *requests, *limits;
};

static void refuse(struct limits *l, struct str text)
{
	json_append_str(l->g->r->a, l->g->errors, text);
}

static const char *text_of(struct arena *a, struct quantity q)
{
	AUTO(buf) struct buf b = {0};

	quantity_format(q, &b);
	return arena_cstr(a, buf_view(&b));
}

/* end is "minimum" or "maximum"; `over` says whether one breaks the other. */
static void bound(struct limits *l, const struct json *map, bool max)
{
	const char *end = max ? "maximum" : "minimum";
	struct arena *a = l->g->r->a;
	struct quantity q;

	for (size_t i = 0; i < json_len(map); i++) {
		struct str name = map->members[i].key;
		const struct amount *req = amounts_find(l->requests, name),
				    *lim = l->limits ? amounts_find(l->limits, name) : NULL;
		const struct amount *first = max && l->limits ? lim : req,
				    *second = max && l->limits ? req : lim;
		const char *words[] = {max && l->limits ? "limit" : "request",
				       max && l->limits ? "request" : "limit"};
		int sign = max ? 1 : -1;
		const char *about;

		if (!amount_read(&map->members[i].value, &q))
			continue;
		about = arena_printf(a, "%s %.*s usage per %s is %s", end, STR_ARG(name), l->type,
				     text_of(a, q));
		if (!first)
			refuse(l, arena_strf(a, "%s.  No %s is specified", about, words[0]));
		else if (quantity_cmp(first->q, q) * sign > 0)
			refuse(l, arena_strf(a, "%s, but %s is %s", about, words[0],
					     text_of(a, first->q)));
		else if (second && quantity_cmp(second->q, q) * sign > 0)
			refuse(l, arena_strf(a, "%s, but %s is %s", about, words[1],
					     text_of(a, second->q)));
	}
}

static void ratio(struct limits *l, const struct json *map)
{
	struct arena *a = l->g->r->a;
	struct quantity q;

	for (size_t i = 0; i < json_len(map); i++) {
		struct str name = map->members[i].key;
		const struct amount *req = amounts_find(l->requests, name),
				    *lim = amounts_find(l->limits, name);
		const char *about;

		if (!amount_read(&map->members[i].value, &q))
			continue;
		about = arena_printf(a, "%.*s max limit to request ratio per %s is %s",
				     STR_ARG(name), l->type, text_of(a, q));
		if (!req || !req->q.nano)
			refuse(l, arena_strf(a, "%s, but no request is specified or request is 0",
					     about));
		else if (!lim || !lim->q.nano)
			refuse(l,
			       arena_strf(a, "%s, but no limit is specified or limit is 0", about));
		else if ((double)lim->q.nano / (double)req->q.nano > (double)q.nano / 1e9)
			refuse(l, arena_strf(a, "%s, but provided ratio is %f", about,
					     (double)lim->q.nano / (double)req->q.nano));
	}
}

static void hold(struct limits *l, const struct json *item)
{
	bound(l, json_get(item, STR("min")), false);
	bound(l, json_get(item, STR("max")), true);
	if (l->limits)
		ratio(l, json_get(item, STR("maxLimitRequestRatio")));
}

static void check_pod(struct ranger *g, const struct json *item)
{
	static const char *const lists[] = {"containers", "initContainers"};
	const struct json *spec = json_get(g->r->object, STR("spec"));
	struct arena *a = g->r->a;

	for (size_t l = 0; l < ARRAY_LEN(lists) && item_is(item, "Container"); l++) {
		const struct json *list = json_get(spec, str_c(lists[l]));

		for (size_t i = 0; i < json_len(list); i++) {
			struct amounts req = {0}, lim = {0};
			struct limits at = {g, "Container", &req, &lim};

			amounts_add_map(a, &req,
					json_at(json_item(list, i), "resources", "requests"));
			amounts_add_map(a, &lim,
					json_at(json_item(list, i), "resources", "limits"));
			hold(&at, item);
		}
	}
	if (item_is(item, "Pod")) {
		struct amounts req = {0}, lim = {0};
		struct limits at = {g, "Pod", &req, &lim};

		amounts_of_pod(a, spec, "requests", &req);
		amounts_of_pod(a, spec, "limits", &lim);
		hold(&at, item);
	}
}

static void check_claim(struct ranger *g, const struct json *item)
{
	struct amounts req = {0};
	struct limits at = {g, "PersistentVolumeClaim", &req, NULL};

	if (!item_is(item, "PersistentVolumeClaim"))
		return;
	amounts_add_map(g->r->a, &req, json_at(g->r->object, "spec", "resources", "requests"));
	hold(&at, item);
}

static int verdict(struct ranger *g, struct err *err)
{
	size_t n = json_len(g->errors);
	AUTO(buf) struct buf text = {0};

	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%s%.*s", i ? ", " : "",
			   STR_ARG(json_str(json_item(g->errors, i))));
	return admission_forbid(
		g->r, err,
		arena_strf(g->r->a, "%s%s%s", n > 1 ? "[" : "", buf_cstr(&text), n > 1 ? "]" : ""));
}

static int fill_in(struct admission_req *r, struct err *err UNUSED)
{
	struct ranger g = {.r = r};

	if (r->op != ADMIT_CREATE || r->subresource || !admission_is(r, "", "pods"))
		return 0;
	g.notes = json_new(r->a, JSON_ARRAY);
	default_containers(&g);
	note(&g);
	return 0;
}

const struct admission admission_limit_ranger = {
	.name = "LimitRanger", .order = 20, .admit = fill_in};

static int check(struct admission_req *r, struct err *err)
{
	bool pod = admission_is(r, "", "pods"),
	     claim = admission_is(r, "", "persistentvolumeclaims");
	bool resize =
		pod && r->op == ADMIT_UPDATE && r->subresource && !strcmp(r->subresource, "resize");
	struct ranger g = {.r = r};

	if ((!pod && !claim) || !r->object || (r->subresource && !resize) ||
	    !(r->op == ADMIT_CREATE || (r->op == ADMIT_UPDATE && (claim || resize))))
		return 0;
	g.errors = json_new(r->a, JSON_ARRAY);
	each_item(&g, pod ? check_pod : check_claim);
	return verdict(&g, err);
}

/* Once everything else has had its say about what the pod asks for. */
const struct admission admission_limit_ranger_check = {
	.name = "LimitRanger", .order = 650, .admit = check};
