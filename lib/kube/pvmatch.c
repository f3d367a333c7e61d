/*
 * Matching of claims and volumes. Must never give a claim a volume that is another's. Pure: reads
 * trees, allocates only for selectors, from an arena of the call.
 */
#include "lib/kube/pvmatch.h"

#include "lib/base/quantity.h"
#include "lib/kube/selector.h"

#include "lib/base/pure.h"

struct str volume_class(const struct json *o)
{
	struct str said = meta_annotation(o, "volume.beta.kubernetes.io/storage-class");

	return said.p ? said : json_str(json_at(o, "spec", "storageClassName"));
}

bool class_waits(const struct json *class)
{
	return str_is(json_str(json_get(class, STR("volumeBindingMode"))), "WaitForFirstConsumer");
}

bool claim_is_bound(const struct json *claim)
{
	return json_str(json_at(claim, "spec", "volumeName")).n &&
	       meta_annotation(claim, ANN_BIND_COMPLETED).p;
}

bool volume_is_for(const struct json *volume, const struct json *claim)
{
	const struct json *ref = json_at(volume, "spec", "claimRef");
	struct str uid = json_str(json_get(ref, STR("uid")));

	return ref && str_eq(json_str(json_get(ref, STR("name"))), meta_name(claim)) &&
	       str_eq(json_str(json_get(ref, STR("namespace"))), meta_namespace(claim)) &&
	       (!uid.n || str_eq(uid, meta_uid(claim)));
}

static bool amount(const struct json *v, struct quantity *ret)
{
	if (json_is(v, JSON_INT)) {
		*ret = (struct quantity){.nano = (__int128)json_int(v, 0) * 1000000000};
		return true;
	}
	return quantity_parse(json_str(v), ret) == 0;
}

static bool big_enough(const struct json *volume, const struct json *claim)
{
	struct quantity have, want;

	if (!amount(json_at(claim, "spec", "resources", "requests", "storage"), &want))
		return true;
	return amount(json_at(volume, "spec", "capacity", "storage"), &have) &&
	       quantity_cmp(have, want) >= 0;
}

static bool has_modes(const struct json *have, const struct json *want)
{
	for (size_t i = 0; i < json_len(want); i++) {
		size_t k = 0;

		while (k < json_len(have) &&
		       !str_eq(json_str(json_item(have, k)), json_str(json_item(want, i))))
			k++;
		if (k == json_len(have))
			return false;
	}
	return true;
}

static bool same_mode(const struct json *a, const struct json *b)
{
	return str_eq(json_str_or(json_at(a, "spec", "volumeMode"), STR("Filesystem")),
		      json_str_or(json_at(b, "spec", "volumeMode"), STR("Filesystem")));
}

static bool selected(const struct json *volume, const struct json *claim)
{
	const struct json *text = json_at(claim, "spec", "selector");
	AUTO(arena) struct arena a = {0};
	struct selector s;

	if (!text)
		return true;
	return selector_from_json(&a, text, &s, NULL) == 0 &&
	       selector_match_json(&s, json_at(volume, "metadata", "labels"));
}

const char *volume_unfit(const struct json *volume, const struct json *claim)
{
	if (!big_enough(volume, claim))
		return "requested PV is too small";
	if (!str_eq(volume_class(volume), volume_class(claim)))
		return "storageClassName does not match";
	if (!same_mode(volume, claim))
		return "incompatible volumeMode";
	if (!has_modes(json_at(volume, "spec", "accessModes"),
		       json_at(claim, "spec", "accessModes")))
		return "incompatible accessMode";
	return NULL;
}

bool volume_reaches(const struct json *volume, const struct node_facts *n)
{
	const struct json *required = json_at(volume, "spec", "nodeAffinity", "required"),
			  *terms = json_get(required, STR("nodeSelectorTerms"));

	if (!required)
		return true;
	for (size_t i = 0; i < json_len(terms); i++)
		if (nodematch_term(json_item(terms, i), n))
			return true;
	return false;
}

static bool is_free(const struct volume_search *s, const struct json *volume)
{
	return !json_at(volume, "spec", "claimRef") &&
	       str_is(json_str(json_at(volume, "status", "phase")), "Available") &&
	       !(s->taken && s->taken(s->arg, volume));
}

static bool smaller(const struct json *a, const struct json *b)
{
	struct quantity x, y;

	return amount(json_at(a, "spec", "capacity", "storage"), &x) &&
	       amount(json_at(b, "spec", "capacity", "storage"), &y) && quantity_cmp(x, y) < 0;
}

const struct json *volume_for(const struct volume_search *s, const struct json *claim)
{
	const struct json *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		const struct json *v = s->v[i];

		if (json_str(json_at(v, "metadata", "deletionTimestamp")).n ||
		    !same_mode(v, claim) || (s->node && !volume_reaches(v, s->node)))
			continue;
		if (volume_is_for(v, claim) && big_enough(v, claim))
			return v;
		if (s->reserved_only || !is_free(s, v) || volume_unfit(v, claim) ||
		    !selected(v, claim))
			continue;
		if (!best || smaller(v, best))
			best = v;
	}
	return best;
}
