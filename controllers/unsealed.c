/*
 * What becomes of something that was opened, whoever sealed it: the Secret that it owns, and what
 * its condition Synced says. A Secret of somebody else's is never taken over. Must never put plain
 * text into a condition or an event. Pure.
 */
#include "controllers/unsealed.h"

#include "controllers/common.h"

#include "lib/base/pure.h"

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
	json_set(v->arena, meta, STR("ownerReferences"),
		 json_at(wanted, "metadata", "ownerReferences"));
	plan_update(p, &res_secrets, new);
}

/* kubeseal's way of handing a Secret over. */
static bool may_take(const struct json *was, const struct json *ss)
{
	return !meta_controller(was) && unsealed_is_kubeseal(ss) &&
	       str_is(meta_annotation(was, "sealedsecrets.bitnami.com/managed"), "true");
}

bool unsealed_plan(const struct view *v, const struct json *ss, struct json *wanted, struct plan *p)
{
	const struct json *was = view_get(v, &res_secrets, meta_namespace(ss), meta_name(ss));

	json_append(v->arena,
		    json_set_array(v->arena, json_get(wanted, STR("metadata")), "ownerReferences"),
		    meta_owner_ref(v->arena, ss, true));
	if (!was) {
		plan_create(p, &res_secrets, wanted);
		return true;
	}
	if (!str_eq(json_str(json_at(meta_controller(was), "uid")), meta_uid(ss)) &&
	    !may_take(was, ss))
		return false;
	if ((meta_controller(was) && same(was, wanted)) || meta_deleting(was))
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
