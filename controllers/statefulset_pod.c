/*
 * The pod that belongs at an ordinal: named after it, with a host name, a place in the governing
 * Service, and claims of its own that outlive it. Pure, in the view's arena.
 */
#include "controllers/statefulset_core.h"

#include "lib/base/pure.h"

static struct str pod_name(const struct sts *s, int64_t ordinal)
{
	return arena_strf(s->v->arena, "%.*s-%lld", STR_ARG(meta_name(s->was)), (long long)ordinal);
}

static struct str claim_name(const struct sts *s, const struct json *claim, struct str pod)
{
	return arena_strf(s->v->arena, "%.*s-%.*s", STR_ARG(meta_name(claim)), STR_ARG(pod));
}

static const struct json *claims_of(const struct sts *s)
{
	return json_at(s->was, "spec", "volumeClaimTemplates");
}

/* ---- claims ---- */

static bool deletes(const struct sts *s, const char *when)
{
	return str_is(
		json_str(json_get(json_at(s->was, "spec", "persistentVolumeClaimRetentionPolicy"),
				  str_c(when))),
		"Delete");
}

static void create_claims(struct sts *s, struct str pod)
{
	struct arena *a = s->v->arena;
	const struct json *claims = claims_of(s);

	for (size_t i = 0; i < json_len(claims); i++) {
		const struct json *t = json_item(claims, i);
		struct str name = claim_name(s, t, pod);
		const struct json *picked = json_at(s->was, "spec", "selector", "matchLabels");
		const struct json_member *m = json_members(picked);
		struct json *o, *labels;

		if (view_get(s->v, &res_persistentvolumeclaims, meta_namespace(s->was), name))
			continue;
		o = object_new(a, &res_persistentvolumeclaims, meta_namespace(s->was), name);
		labels = meta_set_object(a, o, "labels");
		*labels = *json_copy(a, json_at(t, "metadata", "labels")
						? json_at(t, "metadata", "labels")
						: labels);
		for (size_t k = 0; k < json_len(picked); k++)
			json_set(a, labels, m[k].key, &m[k].value);
		if (json_at(t, "metadata", "annotations"))
			json_set(a, json_get(o, STR("metadata")), STR("annotations"),
				 json_at(t, "metadata", "annotations"));
		if (deletes(s, "whenDeleted"))
			json_append(
				a,
				json_set_array(a, json_get(o, STR("metadata")), "ownerReferences"),
				meta_owner_ref(a, s->was, false));
		json_set(a, o, STR("spec"), json_at(t, "spec"));
		plan_create(s->plan, &res_persistentvolumeclaims, o);
		s->plan->last->ignore_exists = true;
		plan_event(s->plan, s->was, "Normal", "SuccessfulCreate",
			   "create Claim %.*s Pod %.*s in StatefulSet %.*s success", STR_ARG(name),
			   STR_ARG(pod), STR_ARG(meta_name(s->was)));
	}
}

void sts_restore_claims(struct sts *s, const struct json *pod)
{
	struct str phase = json_str(json_at(pod, "status", "phase"));

	if (!meta_deleting(pod) && (!phase.n || str_is(phase, "Pending")))
		create_claims(s, meta_name(pod));
}

/* Adds the owner to the list or takes it out; true when that changes it. */
static bool set_owner(struct arena *a, struct json *refs, const struct json *owner, bool yes)
{
	bool had = false;

	for (size_t i = json_len(refs); i-- > 0;) {
		if (!str_eq(json_str(json_get(json_item(refs, i), STR("uid"))), meta_uid(owner)))
			continue;
		had = true;
		if (!yes)
			json_remove(refs, i);
	}
	if (yes && !had)
		json_append(a, refs, meta_owner_ref(a, owner, false));
	return had != yes;
}

static void set_owners(struct sts *s, const struct json *claim, bool of_set, const struct json *pod,
		       bool of_pod)
{
	struct arena *a = s->v->arena;
	const struct json *had = json_at(claim, "metadata", "ownerReferences");
	struct json *refs = had ? json_copy(a, had) : json_new(a, JSON_ARRAY);
	bool changed = set_owner(a, refs, s->was, of_set);

	changed |= set_owner(a, refs, pod, of_pod);
	if (!changed)
		return;
	plan_patch(s->plan, &res_persistentvolumeclaims, claim, NULL,
		   json_build(a, "{s:{s:S, s:o}}", "metadata", "uid", meta_uid(claim),
			      "ownerReferences", refs));
	s->plan->last->ignore_not_found = true;
}

/* A claim that shall go with the set belongs to the set; one that shall go with a pod that is too
 * many belongs to that pod, and to nobody once the pod is wanted again. */
void sts_claim_owners(struct sts *s)
{
	const struct json *claims = claims_of(s);
	bool with_set = deletes(s, "whenDeleted"), with_pod = deletes(s, "whenScaled");

	for (size_t i = 0; i < s->pods.n; i++) {
		const struct json *pod = s->pods.v[i];
		int64_t ordinal = sts_ordinal(s, pod);
		bool surplus = ordinal < s->first || ordinal >= s->first + s->replicas;

		for (size_t k = 0; ordinal >= 0 && k < json_len(claims); k++) {
			const struct json *claim =
				view_get(s->v, &res_persistentvolumeclaims, meta_namespace(s->was),
					 claim_name(s, json_item(claims, k), meta_name(pod)));

			if (!claim || meta_deleting(claim))
				continue;
			set_owners(s, claim, with_set && !(with_pod && surplus), pod,
				   with_pod && surplus);
		}
	}
}

/* ---- the pod ---- */

static void add_volumes(struct sts *s, struct json *spec, struct str pod)
{
	struct arena *a = s->v->arena;
	const struct json *claims = claims_of(s);
	struct json *volumes;

	if (!json_len(claims))
		return;
	volumes = json_set_array(a, spec, "volumes");
	for (size_t i = 0; i < json_len(claims); i++) {
		const struct json *t = json_item(claims, i);

		for (size_t k = json_len(volumes); k-- > 0;)
			if (str_eq(json_str(json_get(json_item(volumes, k), STR("name"))),
				   meta_name(t)))
				json_remove(volumes, k);
		json_append(a, volumes,
			    json_build(a, "{s:S, s:{s:S}}", "name", meta_name(t),
				       "persistentVolumeClaim", "claimName",
				       claim_name(s, t, pod)));
	}
}

/* Below the partition pods are of the revision that was. */
static const struct json *template_of(const struct sts *s, int64_t ordinal, struct str *ret_name)
{
	const struct json *kept = NULL;

	*ret_name = s->revisions.name;
	if (s->rolling && ordinal < s->first + s->partition &&
	    !str_eq(s->current, s->revisions.name))
		kept = revision_template(revisions_find(&s->revisions, s->current));
	if (kept)
		*ret_name = s->current;
	return kept ? kept : json_at(s->was, "spec", "template");
}

static struct json *build_meta(const struct sts *s, struct json *pod, const struct json *template,
			       struct str revision)
{
	struct arena *a = s->v->arena;
	struct json *meta = json_set_object(a, pod, "metadata"), *labels;
	const struct json *said = json_at(template, "metadata", "labels"),
			  *annotations = json_at(template, "metadata", "annotations");
	struct str name = meta_name(pod);

	labels = json_set(a, meta, STR("labels"),
			  said ? json_copy(a, said) : json_new(a, JSON_OBJECT));
	json_set_str(a, labels, LABEL_REVISION, revision);
	json_set_str(a, labels, "statefulset.kubernetes.io/pod-name", name);
	json_set_str(a, labels, "apps.kubernetes.io/pod-index",
		     str_sub(name, meta_name(s->was).n + 1, name.n));
	if (json_len(annotations))
		json_set(a, meta, STR("annotations"), annotations);
	json_set_str(a, meta, "generateName", arena_strf(a, "%.*s-", STR_ARG(meta_name(s->was))));
	json_append(a, json_set_array(a, meta, "ownerReferences"), meta_owner_ref(a, s->was, true));
	return labels;
}

void sts_create(struct sts *s, int64_t ordinal)
{
	struct arena *a = s->v->arena;
	struct str name = pod_name(s, ordinal), revision;
	const struct json *template = template_of(s, ordinal, &revision);
	struct json *pod = object_new(a, &res_pods, meta_namespace(s->was), name), *spec;

	build_meta(s, pod, template, revision);
	spec = json_set(a, pod, STR("spec"), json_copy(a, json_at(template, "spec")));
	json_set_str(a, spec, "hostname", name);
	if (json_str(json_at(s->was, "spec", "serviceName")).n)
		json_set_str(a, spec, "subdomain",
			     json_str(json_at(s->was, "spec", "serviceName")));
	add_volumes(s, spec, name);
	create_claims(s, name);
	plan_create(s->plan, &res_pods, pod);
	s->plan->last->ignore_exists = true;
	plan_event(s->plan, s->was, "Normal", "SuccessfulCreate",
		   "create Pod %.*s in StatefulSet %.*s successful", STR_ARG(name),
		   STR_ARG(meta_name(s->was)));
}

void sts_delete(struct sts *s, const struct json *pod)
{
	plan_delete(s->plan, &res_pods, pod)->ignore_not_found = true;
	plan_event(s->plan, s->was, "Normal", "SuccessfulDelete",
		   "delete Pod %.*s in StatefulSet %.*s successful", STR_ARG(meta_name(pod)),
		   STR_ARG(meta_name(s->was)));
}
