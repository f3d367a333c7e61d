/*
 * SealedSecret ⇄ Secret as trees. What is in clear (type, labels, annotations) goes by way of the
 * template. Pure; memory in the caller's arena.
 */
#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "secrets/seal.h"

/* The annotation in which kubectl keeps a whole object, plain text included. */
static const char last_applied[] = "kubectl.kubernetes.io/last-applied-configuration";

struct sealing {
	struct arena *a;
	const struct seal_pub *pub;
	struct seal_binding binding;
	struct json *to; /* encryptedData */
};

static int seal_one(struct sealing *s, struct str key, struct str plain, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	s->binding.key = key;
	if (seal_value(s->pub, &s->binding, plain, &text, err) != 0)
		return err_wrap(err, "%.*s", STR_ARG(key));
	json_set(s->a, s->to, key, json_new_str(s->a, buf_view(&text)));
	return 0;
}

static int seal_data(struct sealing *s, const struct json *secret, struct err *err)
{
	const struct json *data = json_get(secret, STR("data"));
	const struct json *text = json_get(secret, STR("stringData"));
	const struct json_member *m = json_members(data);

	for (size_t i = 0; i < json_len(data); i++) {
		struct buf plain = {0};
		int rc;

		if (json_get(text, m[i].key))
			continue;
		rc = base64_decode(json_str(&m[i].value), &plain) != 0
			     ? err_set(err, ERR_PARSE, "data %.*s: not base64", STR_ARG(m[i].key))
			     : seal_one(s, m[i].key, buf_view(&plain), err);
		buf_wipe(&plain);
		if (rc != 0)
			return -1;
	}
	m = json_members(text);
	for (size_t i = 0; i < json_len(text); i++) {
		if (!json_is(&m[i].value, JSON_STRING))
			return err_set(err, ERR_PARSE, "stringData %.*s: not a string",
				       STR_ARG(m[i].key));
		if (seal_one(s, m[i].key, json_str(&m[i].value), err) != 0)
			return -1;
	}
	return 0;
}

static void copy_metadata(struct arena *a, const struct json *from, struct json *to)
{
	static const char *const fields[] = {"labels", "annotations"};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct json *v = json_get(from, str_c(fields[i]));
		struct json *copy;

		if (!json_is(v, JSON_OBJECT) || !json_len(v))
			continue;
		copy = json_copy(a, v);
		json_del(copy, str_c(last_applied));
		if (json_len(copy))
			json_set(a, json_set_object(a, to, "metadata"), str_c(fields[i]), copy);
	}
}

static int check_names(const struct json *o, const char *kind, enum seal_scope scope,
		       struct err *err)
{
	if (!str_is(json_str(json_get(o, STR("kind"))), kind))
		return err_set(err, ERR_BAD_REQUEST, "a %.*s, not a %s",
			       STR_ARG(json_str_or(json_get(o, STR("kind")), STR("thing"))), kind);
	if (!meta_name(o).n)
		return err_set(err, ERR_BAD_REQUEST, "metadata.name is missing");
	if (scope != SEAL_CLUSTER && !meta_namespace(o).n)
		return err_set(
			err, ERR_BAD_REQUEST,
			"metadata.namespace is missing: the value is bound to it (-n NAMESPACE, "
			"or --scope cluster)");
	return 0;
}

struct json *seal_object(struct arena *a, const struct json *secret, const struct seal_pub *p,
			 enum seal_scope scope, struct err *err)
{
	struct json *o, *spec, *template, *meta;
	struct sealing s = {.a = a, .pub = p};

	if (check_names(secret, "Secret", scope, err) != 0)
		return NULL;
	o = json_build(a, "{s:s, s:s, s:{s:S}}", "apiVersion", "plumb.dev/v1", "kind",
		       "SealedSecret", "metadata", "name", meta_name(secret));
	meta = json_get(o, STR("metadata"));
	if (meta_namespace(secret).n)
		json_set_str(a, meta, "namespace", meta_namespace(secret));
	spec = json_set_object(a, o, "spec");
	if (scope != SEAL_STRICT)
		json_set_str(a, spec, "scope", str_c(seal_scope_name(scope)));
	s.binding = (struct seal_binding){
		.scope = scope, .namespace = meta_namespace(secret), .name = meta_name(secret)};
	s.to = json_set_object(a, spec, "encryptedData");
	if (seal_data(&s, secret, err) != 0)
		return NULL;
	template = json_new(a, JSON_OBJECT);
	if (json_str(json_get(secret, STR("type"))).n)
		json_set_str(a, template, "type", json_str(json_get(secret, STR("type"))));
	copy_metadata(a, json_get(secret, STR("metadata")), template);
	if (json_len(template))
		json_set(a, spec, STR("template"), template);
	if (json_bool(json_get(secret, STR("immutable")), false))
		json_set_bool(a, spec, "immutable", true);
	return o;
}

static int open_data(struct arena *a, const struct json *sealed, const struct seal_keys *k,
		     struct json *data, struct err *err)
{
	const struct json *values = json_at(sealed, "spec", "encryptedData");
	const struct json_member *m = json_members(values);
	struct seal_binding b = {.namespace = meta_namespace(sealed), .name = meta_name(sealed)};

	if (seal_scope_parse(json_str(json_at(sealed, "spec", "scope")), &b.scope) != 0)
		return err_set(err, ERR_INVALID,
			       "spec.scope: must be strict, namespace or cluster");
	for (size_t i = 0; i < json_len(values); i++) {
		struct buf plain = {0}, text = {0};
		int rc;

		b.key = m[i].key;
		rc = seal_open(k, &b, json_str(&m[i].value), &plain, err);
		if (rc == 0) {
			base64_encode(buf_view(&plain), &text);
			json_set(a, data, m[i].key, json_new_str(a, buf_view(&text)));
		}
		buf_wipe(&plain);
		buf_wipe(&text);
		if (rc != 0)
			return err_wrap(err, "%.*s", STR_ARG(m[i].key));
	}
	return 0;
}

static void first_id(const struct json *sealed, char ret_id[SEAL_ID_TEXT])
{
	const struct json *values = json_at(sealed, "spec", "encryptedData");
	uint8_t id[SEAL_ID_BYTES];

	ret_id[0] = '\0';
	if (json_len(values) &&
	    seal_value_id(json_str(&json_members(values)[0].value), id, NULL) == 0)
		seal_id_text(id, ret_id);
}

struct json *unseal_object(struct arena *a, const struct json *sealed, const struct seal_keys *k,
			   char ret_id[SEAL_ID_TEXT], struct err *err)
{
	const struct json *template = json_at(sealed, "spec", "template");
	struct json *o;

	if (check_names(sealed, "SealedSecret", SEAL_STRICT, err) != 0)
		return NULL;
	o = json_build(a, "{s:s, s:s, s:{s:S, s:S}}", "apiVersion", "v1", "kind", "Secret",
		       "metadata", "name", meta_name(sealed), "namespace", meta_namespace(sealed));
	copy_metadata(a, json_get(template, STR("metadata")), o);
	json_set_str(a, o, "type", json_str_or(json_get(template, STR("type")), STR("Opaque")));
	if (json_bool(json_at(sealed, "spec", "immutable"), false))
		json_set_bool(a, o, "immutable", true);
	if (open_data(a, sealed, k, json_set_object(a, o, "data"), err) != 0)
		return NULL;
	first_id(sealed, ret_id);
	return o;
}
