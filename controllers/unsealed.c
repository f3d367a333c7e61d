/*
 * What becomes of something that was opened, whoever sealed it: the Secret that it owns, and what
 * its condition Synced says. A Secret of somebody else's is never taken over. Must never put plain
 * text into a condition or an event. Pure.
 */
#include "controllers/unsealed.h"

#include "controllers/common.h"

#include "lib/base/pure.h"

#define MANAGED "sealedsecrets.bitnami.com/managed"
#define PATCH "sealedsecrets.bitnami.com/patch"
#define NO_OWNER "sealedsecrets.bitnami.com/skip-set-owner-references"

const char *unsealed_reason(enum err_code code)
{
	return code == ERR_NOT_FOUND   ? "UnknownKey"
	       : code == ERR_FORBIDDEN ? "WrongScope"
	       : code == ERR_CORRUPT   ? "Damaged"
				       : "Invalid";
}

bool unsealed_is_kubeseal(const struct json *ss)
{
	return str_starts(json_str(json_get(ss, STR("apiVersion"))), STR("bitnami.com/"));
}

void unsealed_tell(const struct view *v, const struct json *ss, const struct unsealed *u,
		   struct plan *p)
{
	bool good = str_is(str_c(u->reason), "Synced");
	struct json *new = json_copy(v->arena, ss);
	struct json *status = json_set_object(v->arena, new, "status");

	if (condition_set(v->arena, new, "Synced", good ? "True" : "False", u->reason, u->message,
			  v->now_ns) &&
	    !good)
		plan_event(p, ss, "Warning", u->reason, "%.*s", STR_ARG(u->message));
	json_set_int(v->arena, status, "observedGeneration",
		     json_int(json_at(ss, "metadata", "generation"), 0));
	if (u->id && *u->id)
		json_set_str(v->arena, status, "keyID", str_c(u->id));
	if (json_equal(json_at(ss, "status"), status))
		return;
	plan_update_status(p, u->resource, new);
	p->last->ignore_not_found = true;
}

static bool same(const struct json *was, const struct json *wanted)
{
	static const char *const fields[] = {"data", "type", "immutable"};
	static const char *const meta[] = {"labels", "annotations"};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct json *a = json_get(was, str_c(fields[i]));
		const struct json *b = json_get(wanted, str_c(fields[i]));

		if ((json_len(a) || json_len(b) ||
		     json_is(a, JSON_BOOL) != json_is(b, JSON_BOOL)) &&
		    !json_equal(a, b))
			return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(meta); i++) {
		const struct json *a = json_at(was, "metadata", meta[i]);
		const struct json *b = json_at(wanted, "metadata", meta[i]);

		if ((json_len(a) || json_len(b)) && !json_equal(a, b))
			return false;
	}
	return true;
}

/* What an update can't change: then it is made anew. */
static bool must_replace(const struct json *was, const struct json *wanted)
{
	return json_bool(json_get(was, STR("immutable")), false) ||
	       !str_eq(json_str(json_get(was, STR("type"))),
		       json_str(json_get(wanted, STR("type"))));
}

static void plan_secret_update(const struct view *v, const struct json *was,
			       const struct json *wanted, struct plan *p)
{
	static const char *const fields[] = {"data", "immutable"};
	static const char *const meta_fields[] = {"labels", "annotations"};
	struct json *new = json_copy(v->arena, was);
	struct json *meta = json_get(new, STR("metadata"));

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		json_del(new, str_c(fields[i]));
		if (json_get(wanted, str_c(fields[i])))
			json_set(v->arena, new, str_c(fields[i]),
				 json_get(wanted, str_c(fields[i])));
	}
	for (size_t i = 0; i < ARRAY_LEN(meta_fields); i++) {
		json_del(meta, str_c(meta_fields[i]));
		if (json_at(wanted, "metadata", meta_fields[i]))
			json_set(v->arena, meta, str_c(meta_fields[i]),
				 json_at(wanted, "metadata", meta_fields[i]));
	}
	json_del(meta, STR("ownerReferences"));
	if (json_at(wanted, "metadata", "ownerReferences"))
		json_set(v->arena, meta, STR("ownerReferences"),
			 json_at(wanted, "metadata", "ownerReferences"));
	plan_update(p, &res_secrets, new);
}

static bool says(const struct json *o, const char *annotation)
{
	return str_is(meta_annotation(o, annotation), "true");
}

/* kubeseal's way of handing a Secret over, and of one that nobody is to own. */
static bool may_take(const struct json *was, const struct json *ss)
{
	return !meta_controller(was) && unsealed_is_kubeseal(ss) &&
	       (says(was, MANAGED) || says(was, NO_OWNER));
}

static void merge_map(struct arena *a, struct json *to, const char *field, const struct json *from)
{
	const struct json_member *m = json_members(from);

	for (size_t i = 0; i < json_len(from); i++)
		json_set(a, json_set_object(a, to, field), m[i].key, &m[i].value);
}

/* kubeseal's way of adding to a Secret of somebody else's, who asks for it by an annotation. */
static bool plan_patch_into(const struct view *v, const struct json *was, const struct json *wanted,
			    struct plan *p)
{
	struct json *new = json_copy(v->arena, was);
	struct json *meta = json_get(new, STR("metadata"));

	merge_map(v->arena, new, "data", json_get(wanted, STR("data")));
	merge_map(v->arena, meta, "labels", json_at(wanted, "metadata", "labels"));
	merge_map(v->arena, meta, "annotations", json_at(wanted, "metadata", "annotations"));
	if (!json_equal(new, was))
		plan_update(p, &res_secrets, new);
	return true;
}

bool unsealed_plan(const struct view *v, const struct json *ss, struct json *wanted, struct plan *p)
{
	const struct json *was = view_get(v, &res_secrets, meta_namespace(ss), meta_name(ss));

	if (was && unsealed_is_kubeseal(ss) && says(was, PATCH) && !says(was, MANAGED) &&
	    !str_eq(json_str(json_at(meta_controller(was), "uid")), meta_uid(ss)))
		return plan_patch_into(v, was, wanted, p);
	if (!unsealed_is_kubeseal(ss) || !says(wanted, NO_OWNER))
		json_append(v->arena,
			    json_set_array(v->arena, json_get(wanted, STR("metadata")),
					   "ownerReferences"),
			    meta_owner_ref(v->arena, ss, true));
	if (!was) {
		plan_create(p, &res_secrets, wanted);
		return true;
	}
	if (!str_eq(json_str(json_at(meta_controller(was), "uid")), meta_uid(ss)) &&
	    !may_take(was, ss))
		return false;
	if (((meta_controller(was) || says(wanted, NO_OWNER)) && same(was, wanted)) ||
	    meta_deleting(was))
		return true;
	if (must_replace(was, wanted)) {
		plan_delete(p, &res_secrets, was);
		plan_create(p, &res_secrets, wanted);
	} else {
		plan_secret_update(v, was, wanted, p);
	}
	return true;
}

void unsealed_finish(const struct view *v, const struct json *ss, struct json *wanted,
		     struct unsealed *u, struct plan *p)
{
	if (unsealed_plan(v, ss, wanted, p)) {
		u->reason = "Synced";
		u->message = STR("the Secret is up to date");
	} else {
		u->reason = "NotOwned";
		u->message = STR("a Secret of this name is there that wasn't made from this "
				 "SealedSecret; it is left alone");
	}
	unsealed_tell(v, ss, u, p);
}
