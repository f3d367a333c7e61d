/*
 * Nodes and pods of a DaemonSet. A pod is tied to its node by affinity on the node's name, so that
 * it is the scheduler that places it, and is named after the node and the set as it was seen: a
 * decision made twice is refused the second time. Pure, in the view's arena.
 */
#include "controllers/daemonset_core.h"

#include "lib/kube/nodematch.h"

#include "lib/base/pure.h"

#define FAILED_AGE (2 * INT64_C(1000000000))

/* ---- which nodes ---- */

static bool taints_allow(const struct ds *d, const struct json *node, bool staying)
{
	const struct json *taints = json_at(node, "spec", "taints");

	for (size_t i = 0; i < json_len(taints); i++) {
		const struct json *t = json_item(taints, i);
		const struct taint_facts f = {json_str(json_at(t, "key")),
					      json_str(json_at(t, "value")),
					      json_str(json_at(t, "effect"))};
		bool counts = str_is(f.effect, "NoExecute") ||
			      (!staying && str_is(f.effect, "NoSchedule"));

		if (counts && !tolerations_cover(d->tolerations, &f))
			return false;
	}
	return true;
}

static void judge(const struct ds *d, struct ds_node *n)
{
	const struct json *spec = json_at(d->was, "spec", "template", "spec");
	struct str named = json_str(json_at(spec, "nodeName"));
	struct node_facts facts = node_facts_of(n->node);

	if ((named.n && !str_eq(named, n->name)) ||
	    !nodematch_pod(json_at(spec, "nodeSelector"), json_at(spec, "affinity", "nodeAffinity"),
			   &facts))
		return;
	n->should_run = taints_allow(d, n->node, false);
	n->may_stay = taints_allow(d, n->node, true);
}

/* Where a pod is, or will be once it is scheduled: its affinity names the node. */
static struct str node_of(const struct json *pod)
{
	struct str name = json_str(json_at(pod, "spec", "nodeName"));
	const struct json *terms =
		json_at(json_at(pod, "spec", "affinity", "nodeAffinity",
				"requiredDuringSchedulingIgnoredDuringExecution"),
			"nodeSelectorTerms");
	const struct json *field = json_item(json_at(json_item(terms, 0), "matchFields"), 0);

	if (name.n)
		return name;
	return json_str(json_item(json_at(field, "values"), 0));
}

static int by_name(const void *pa, const void *pb)
{
	return str_cmp(((const struct ds_node *)pa)->name, ((const struct ds_node *)pb)->name);
}

static struct ds_node *find(struct ds *d, struct str name, size_t known)
{
	struct ds_node key = {.name = name};
	struct ds_node *n = bsearch(&key, d->nodes, known, sizeof(*d->nodes), by_name);

	if (n)
		return n;
	for (size_t i = known; i < d->n; i++)
		if (str_eq(d->nodes[i].name, name))
			return &d->nodes[i];
	d->nodes[d->n] = key;
	return &d->nodes[d->n++];
}

static int by_age(const void *pa, const void *pb)
{
	const struct json *a = *(const struct json *const *)pa,
			  *b = *(const struct json *const *)pb;
	int64_t x = meta_created_ns(a), y = meta_created_ns(b);

	return x != y ? (x > y) - (x < y) : str_cmp(meta_name(a), meta_name(b));
}

void ds_look(struct ds *d, const struct trees *pods)
{
	struct json_set_view all = view_list(d->v, &res_nodes, STR_NONE);

	d->nodes = arena_array(d->v->arena, all.n + pods->n + 1, sizeof(*d->nodes));
	for (size_t i = 0; i < all.n; i++) {
		struct ds_node *n = &d->nodes[d->n++];

		*n = (struct ds_node){.node = all.v[i], .name = meta_name(all.v[i])};
		judge(d, n);
		d->desired += n->should_run;
	}
	qsort(d->nodes, d->n, sizeof(*d->nodes), by_name);
	for (size_t i = 0; i < pods->n; i++)
		if (!pod_finished(pods->v[i]) || !meta_deleting(pods->v[i]))
			trees_add(d->v->arena, &find(d, node_of(pods->v[i]), all.n)->pods,
				  pods->v[i]);
	for (size_t i = 0; i < d->n; i++)
		if (d->nodes[i].pods.n)
			qsort(d->nodes[i].pods.v, d->nodes[i].pods.n, sizeof(*d->nodes[i].pods.v),
			      by_age);
}

/* ---- pods ---- */

bool ds_pod_new(const struct ds *d, const struct json *pod)
{
	return str_eq(meta_label(pod, LABEL_REVISION), d->revisions.hash);
}

bool ds_available(const struct ds *d, const struct json *pod)
{
	int64_t wait = 0;
	bool yes = pod_available(pod, d->min_ready, d->v->now_ns, &wait);

	if (wait)
		plan_requeue(d->plan, wait);
	return yes;
}

bool ds_pair(const struct ds *d, const struct ds_node *n, const struct json **ret_new,
	     const struct json **ret_old)
{
	*ret_new = *ret_old = NULL;
	for (size_t i = 0; i < n->pods.n; i++) {
		const struct json *pod = n->pods.v[i];
		const struct json **slot = ds_pod_new(d, pod) ? ret_new : ret_old;

		if (meta_deleting(pod))
			continue;
		if (*slot)
			return false;
		*slot = pod;
	}
	return true;
}

/* Decided twice on the same state, named the same. The pod that follows one that ended has a name
 * of its own: its end has changed the status by then. */
static struct str pod_name(const struct ds *d, const struct ds_node *n)
{
	struct str own = meta_name(d->was),
		   version = json_str(json_at(d->was, "metadata", "resourceVersion")),
		   from = arena_strf(d->v->arena, "%.*s/%.*s/%.*s/%.*s", STR_ARG(meta_uid(d->was)),
				     STR_ARG(n->name), STR_ARG(d->revisions.hash),
				     STR_ARG(version));
	uint32_t code = str_fnv32(from);
	char suffix[6] = "";

	for (size_t i = 0; i < 5; i++, code /= 27)
		suffix[i] = name_alphabet[code % 27];
	return arena_strf(d->v->arena, "%.*s-%s", (int)MIN(own.n, 57), own.p, suffix);
}

/* Only this node: instead of whatever nodes the template's required terms allow, this one among
 * them having been found. */
static void tie(const struct ds *d, struct json *spec, struct str node)
{
	struct arena *a = d->v->arena;
	const struct json *had = json_get(spec, STR("affinity"));
	struct json *affinity = had ? json_copy(a, had) : json_new(a, JSON_OBJECT);
	struct json *terms =
		json_build(a, "{s:[{s:[{s:s, s:s, s:[S]}]}]}", "nodeSelectorTerms", "matchFields",
			   "key", "metadata.name", "operator", "In", "values", node);

	json_set(a, json_set_object(a, affinity, "nodeAffinity"),
		 STR("requiredDuringSchedulingIgnoredDuringExecution"), terms);
	json_set(a, spec, STR("affinity"), affinity);
}

void ds_create(struct ds *d, const struct ds_node *n)
{
	struct arena *a = d->v->arena;
	const struct json *template = json_at(d->was, "spec", "template");
	struct json *pod = object_new(a, &res_pods, meta_namespace(d->was), pod_name(d, n));
	struct json *meta = json_set_object(a, pod, "metadata"), *spec, *labels;
	const struct json *annotations = json_at(template, "metadata", "annotations");

	labels = json_set(a, meta, STR("labels"),
			  json_copy(a, json_at(template, "metadata", "labels")));
	json_set_str(a, labels, LABEL_REVISION, d->revisions.hash);
	json_set_str(a, labels, "pod-template-generation",
		     arena_strf(a, "%lld",
				(long long)json_int(json_at(d->was, "metadata", "generation"), 0)));
	if (json_len(annotations))
		json_set(a, meta, STR("annotations"), annotations);
	json_set_str(a, meta, "generateName", arena_strf(a, "%.*s-", STR_ARG(meta_name(d->was))));
	json_append(a, json_set_array(a, meta, "ownerReferences"), meta_owner_ref(a, d->was, true));
	spec = json_set(a, pod, STR("spec"), json_copy(a, json_at(template, "spec")));
	tie(d, spec, n->name);
	json_set(a, spec, STR("tolerations"), d->tolerations);
	plan_create(d->plan, &res_pods, pod);
	d->plan->last->ignore_exists = true;
	plan_event(d->plan, d->was, "Normal", "SuccessfulCreate", "Created pod: %.*s",
		   STR_ARG(meta_name(pod)));
}

void ds_delete(struct ds *d, const struct json *pod)
{
	plan_delete(d->plan, &res_pods, pod)->ignore_not_found = true;
	plan_event(d->plan, d->was, "Normal", "SuccessfulDelete", "Deleted pod: %.*s",
		   STR_ARG(meta_name(pod)));
}

/* ---- too few, too many ---- */

/* Where every pod fails at once, a new one comes every few seconds and not as fast as can be. */
static bool too_young(struct ds *d, const struct json *pod)
{
	int64_t left = meta_created_ns(pod) + FAILED_AGE - d->v->now_ns;

	if (left > 0)
		plan_requeue(d->plan, left);
	return left > 0;
}

/* A pod that has ended makes way for the next one. */
static bool clear_ended(struct ds *d, const struct ds_node *n)
{
	bool any = false;

	for (size_t i = 0; i < n->pods.n; i++) {
		const struct json *pod = n->pods.v[i];
		bool failed = str_is(json_str(json_at(pod, "status", "phase")), "Failed");

		if (!pod_finished(pod))
			continue;
		any = true;
		if (too_young(d, pod))
			continue;
		plan_event(d->plan, d->was, failed ? "Warning" : "Normal",
			   failed ? "FailedDaemonPod" : "SucceededDaemonPod",
			   failed ? "Found failed daemon pod %.*s/%.*s on node %.*s, will try to "
				    "kill it"
				  : "Found succeeded daemon pod %.*s/%.*s on node %.*s, will try "
				    "to delete it",
			   STR_ARG(meta_namespace(pod)), STR_ARG(meta_name(pod)), STR_ARG(n->name));
		ds_delete(d, pod);
	}
	return any;
}

/* While a rolling update with surge is on, one pod of each template may stand side by side. */
static void thin_out(struct ds *d, const struct ds_node *n)
{
	const struct json *new = NULL, *old = NULL;

	for (size_t i = 0; i < n->pods.n; i++) {
		const struct json *pod = n->pods.v[i];
		const struct json **slot = d->surge && ds_pod_new(d, pod) ? &new : &old;

		if (meta_deleting(pod))
			continue;
		if (*slot)
			ds_delete(d, pod);
		else
			*slot = pod;
	}
	if (new &&old && ds_available(d, new))
		ds_delete(d, old);
}

void ds_manage(struct ds *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct ds_node *n = &d->nodes[i];

		if (clear_ended(d, n))
			continue;
		if (!n->node || !n->may_stay) {
			for (size_t k = 0; k < n->pods.n; k++)
				if (!meta_deleting(n->pods.v[k]))
					ds_delete(d, n->pods.v[k]);
		} else if (n->pods.n) {
			thin_out(d, n);
		} else if (n->should_run) {
			ds_create(d, n);
		}
	}
}

/* ---- rolling update ---- */

/* Old pods go first and new ones follow: at most `unavailable` nodes without an available pod. */
static void replace_in_place(struct ds *d)
{
	struct trees candidates = {0};
	int64_t missing = 0;

	for (size_t i = 0; i < d->n; i++) {
		const struct json *new, *old;

		if (!d->nodes[i].should_run)
			continue;
		if (!ds_pair(d, &d->nodes[i], &new, &old) || !new == !old) {
			missing++;
		} else if (new) {
			missing += !ds_available(d, new);
		} else if (!ds_available(d, old)) {
			missing++;
			ds_delete(d, old); /* it serves nobody: nothing is lost */
		} else {
			trees_add(d->v->arena, &candidates, old);
		}
	}
	for (size_t i = 0; i < candidates.n && missing < d->unavailable; i++, missing++)
		ds_delete(d, candidates.v[i]);
}

/* New pods come first and old ones go when they are available (ds_manage sees to that): at most
 * `surge` nodes with both. */
static void replace_beside(struct ds *d)
{
	int64_t both = 0;

	for (size_t i = 0; i < d->n; i++) {
		const struct json *new, *old;

		if (d->nodes[i].should_run && ds_pair(d, &d->nodes[i], &new, &old) && new &&old)
			both++;
	}
	for (size_t i = 0; i < d->n; i++) {
		const struct json *new, *old;

		if (!d->nodes[i].should_run || !ds_pair(d, &d->nodes[i], &new, &old) || new || !old)
			continue;
		if (!ds_available(d, old)) {
			ds_create(d, &d->nodes[i]);
		} else if (both < d->surge) {
			both++;
			ds_create(d, &d->nodes[i]);
		}
	}
}

void ds_roll(struct ds *d)
{
	if (d->surge)
		replace_beside(d);
	else
		replace_in_place(d);
}
