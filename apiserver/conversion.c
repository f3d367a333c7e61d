/*
 * What is sent to conversion webhooks and what may come back. An answer is hostile until it is
 * checked: it may not make another object of the one that it was given, nor lose some. Pure; memory
 * is the caller's arena.
 */
#include "apiserver/conversion.h"

#include "apiserver/convert.h"
#include "apiserver/crd.h"
#include "lib/schema/crd_schema.h"

#include "lib/base/pure.h"

bool conversion_asks(const struct kind *k)
{
	return k->crd && crd_version(k)->crd->converter;
}

bool conversion_is_of(const struct kind *k, struct str api_version)
{
	struct str group, version;

	api_version_split(api_version, &group, &version);
	return str_is(version, k->version) && str_is(group, k->group);
}

void conversion_review(const struct kind *to, const char *uid, const struct str *objects, size_t n,
		       struct buf *out)
{
	buf_printf(out,
		   "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/%s\","
		   "\"request\":{\"uid\":\"%s\",\"desiredAPIVersion\":\"%s/%s\",\"objects\":[",
		   crd_version(to)->crd->converter_v1beta1 ? "v1beta1" : "v1", uid, to->group,
		   to->version);
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_putc(out, ',');
		buf_str(out, str_trim(objects[i]));
	}
	buf_puts(out, "]}}");
}

const struct json *conversion_answer(struct arena *a, struct str body, const char *uid, size_t n,
				     struct err *err)
{
	const struct json *v = json_parse(a, body, NULL, err), *response, *list;
	struct str status, said, why;

	if (!v)
		return NULL;
	response = json_get(v, STR("response"));
	status = json_str_or(json_at(response, "result", "status"), STR(""));
	said = json_str_or(json_get(response, STR("uid")), STR(""));
	why = json_str_or(json_at(response, "result", "message"), STR("no reason given"));
	list = json_get(response, STR("convertedObjects"));
	if (!str_is(said, uid))
		err_set(err, ERR_INTERNAL, "expected response.uid=\"%s\", got \"%.*s\"", uid,
			(int)MIN(said.n, 60), said.p);
	else if (!str_is(status, "Success"))
		err_set(err, ERR_INTERNAL, "%.*s", (int)MIN(why.n, 300), why.p);
	else if (!json_is(list, JSON_ARRAY) || json_len(list) != n)
		err_set(err, ERR_INTERNAL, "webhook returned %zu objects, expected %zu",
			json_len(list), n);
	else
		return list;
	return NULL;
}

static int check(const struct kind *to, const struct json *original, const struct json *converted,
		 struct err *err)
{
	struct str version = json_str_or(json_get(converted, STR("apiVersion")), STR(""));

	if (!json_is(converted, JSON_OBJECT) ||
	    !str_is(json_str(json_get(converted, STR("kind"))), to->kind))
		return err_set(err, ERR_INTERNAL, "the converted object is not a %s", to->kind);
	if (!conversion_is_of(to, version))
		return err_set(err, ERR_INTERNAL,
			       "the converted object is in version %.*s, not in %s/%s",
			       (int)MIN(version.n, 100), version.p, to->group, to->version);
	if (!str_eq(meta_name(original), meta_name(converted)))
		return err_set(err, ERR_INTERNAL, "must have the same name");
	if (!str_eq(meta_namespace(original), meta_namespace(converted)))
		return err_set(err, ERR_INTERNAL, "must have the same namespace");
	if (!str_eq(meta_uid(original), meta_uid(converted)))
		return err_set(err, ERR_INTERNAL, "must have the same UID");
	return 0;
}

struct json *conversion_like(struct arena *a, const struct json *seen, const struct json *o)
{
	static const char *const theirs[] = {"labels", "annotations"};
	const struct json *said = json_get(seen, STR("metadata"));
	struct json *r = json_copy(a, seen), *meta;

	json_set(a, r, STR("metadata"), json_copy(a, json_get(o, STR("metadata"))));
	meta = json_set_object(a, r, "metadata");
	for (size_t i = 0; i < ARRAY_LEN(theirs); i++) {
		const struct json *v = json_get(said, str_c(theirs[i]));

		if (json_is(v, JSON_OBJECT))
			json_set(a, meta, str_c(theirs[i]), json_copy(a, v));
		else
			json_del(meta, str_c(theirs[i]));
	}
	return r;
}

struct json *conversion_accept(struct arena *a, const struct kind *to, const struct json *original,
			       const struct json *converted, struct err *err)
{
	struct json *r;

	if (check(to, original, converted, err))
		return NULL;
	r = conversion_like(a, converted, original);
	schema_prune(to->schema, r);
	crd_schema_drop_nulls(to->schema, r);
	schema_default(a, to->schema, r);
	return r;
}
