/*
 * kubeseal's SealedSecret as a tree. Its template may make values of the opened ones in Go's
 * template language: "{{ .key }}" and {{ index . "key" }} are understood, anything else is refused
 * rather than guessed. Pure; memory in the caller's arena; plain text is wiped where it is copied.
 */
#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "secrets/kubeseal.h"

#define WIDE "sealedsecrets.bitnami.com/cluster-wide"
#define NAMESPACE_WIDE "sealedsecrets.bitnami.com/namespace-wide"

struct kubeseal_binding kubeseal_binding_of(const struct json *sealed)
{
	struct kubeseal_binding b = {STR(""), STR("")};

	if (str_is(meta_annotation(sealed, WIDE), "true"))
		return b;
	b.namespace = meta_namespace(sealed);
	if (!str_is(meta_annotation(sealed, NAMESPACE_WIDE), "true"))
		b.name = meta_name(sealed);
	return b;
}

static void put(struct arena *a, struct json *data, struct str key, struct str plain)
{
	struct buf text = {0};

	base64_encode(plain, &text);
	json_set(a, data, key, json_new_str(a, buf_view(&text)));
	buf_wipe(&text);
}

static int open_data(struct arena *a, const struct json *sealed, const struct kubeseal_keys *k,
		     struct json *data, struct err *err)
{
	const struct json *values = json_at(sealed, "spec", "encryptedData");
	const struct json_member *m = json_members(values);
	struct kubeseal_binding b = kubeseal_binding_of(sealed);

	for (size_t i = 0; i < json_len(values); i++) {
		struct buf plain = {0};
		int rc = kubeseal_open(k, &b, json_str(&m[i].value), &plain, err);

		if (rc == 0)
			put(a, data, m[i].key, buf_view(&plain));
		buf_wipe(&plain);
		if (rc != 0)
			return err_wrap(err, "%.*s", STR_ARG(m[i].key));
	}
	return 0;
}

/* ---- the template ---- */

/* The key that `.key` or `index . "key"` names; STR_NONE for anything else. */
static struct str reference(struct str e)
{
	struct str rest;

	e = str_trim(e);
	if (str_starts(e, STR("-")) || str_ends(e, STR("-")))
		return STR_NONE; /* trims around it: not a plain reference */
	if (str_starts(e, STR("."))) {
		e = str_sub(e, 1, e.n);
		for (size_t i = 0; i < e.n; i++)
			if (!((e.p[i] | 32) >= 'a' && (e.p[i] | 32) <= 'z') && e.p[i] != '_' &&
			    !(i && e.p[i] >= '0' && e.p[i] <= '9'))
				return STR_NONE;
		return e.n ? e : STR_NONE;
	}
	if (!str_starts(e, STR("index . ")))
		return STR_NONE;
	rest = str_trim(str_sub(e, 8, e.n));
	if (rest.n < 3 || rest.p[0] != '"' || rest.p[rest.n - 1] != '"')
		return STR_NONE;
	rest = str_sub(rest, 1, rest.n - 2);
	return str_find(rest, STR("\"")) < 0 && str_find(rest, STR("\\")) < 0 ? rest : STR_NONE;
}

static int render(const struct json *data, struct str text, struct buf *out, struct err *err)
{
	ptrdiff_t at;

	while ((at = str_find(text, STR("{{"))) >= 0) {
		ptrdiff_t end = str_find(text, STR("}}"));
		struct str key =
			end < at ? STR_NONE
				 : reference(str_sub(text, (size_t)at + 2, (size_t)(end - at) - 2));

		if (!key.n || !json_get(data, key))
			return err_set(err, ERR_UNSUPPORTED,
				       "only {{ .key }} of an opened value is understood");
		buf_str(out, str_sub(text, 0, (size_t)at));
		if (base64_decode(json_str(json_get(data, key)), out) != 0)
			return err_set(err, ERR_INTERNAL, "an opened value cannot be read");
		text = str_sub(text, (size_t)end + 2, text.n);
	}
	buf_str(out, text);
	return 0;
}

static int render_data(struct arena *a, const struct json *templates, struct json *data,
		       struct err *err)
{
	const struct json *opened = json_copy(a, data);
	const struct json_member *m = json_members(templates);

	for (size_t i = 0; i < json_len(templates); i++) {
		struct buf plain = {0};
		int rc = render(opened, json_str(&m[i].value), &plain, err);

		if (rc == 0)
			put(a, data, m[i].key, buf_view(&plain));
		buf_wipe(&plain);
		if (rc != 0)
			return err_wrap(err, "spec.template.data.%.*s", STR_ARG(m[i].key));
	}
	return 0;
}

static void copy_metadata(struct arena *a, const struct json *template, struct json *o)
{
	static const char *const fields[] = {"labels", "annotations"};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const struct json *from = json_at(template, "metadata", fields[i]);

		if (json_len(from))
			json_set(a, json_get(o, STR("metadata")), str_c(fields[i]), from);
	}
}

struct json *kubeseal_object(struct arena *a, const struct json *sealed,
			     const struct kubeseal_keys *k, struct err *err)
{
	const struct json *template = json_at(sealed, "spec", "template");
	struct json *o, *data;

	if (!json_len(json_at(sealed, "spec", "encryptedData")) &&
	    json_str(json_at(sealed, "spec", "data")).n) {
		err_set(err, ERR_UNSUPPORTED,
			"spec.data: sealed by a kubeseal older than 0.7; seal it anew");
		return NULL;
	}
	o = json_build(a, "{s:s, s:s, s:{s:S, s:S}}", "apiVersion", "v1", "kind", "Secret",
		       "metadata", "name", meta_name(sealed), "namespace", meta_namespace(sealed));
	copy_metadata(a, template, o);
	json_set_str(a, o, "type", json_str_or(json_get(template, STR("type")), STR("Opaque")));
	if (json_bool(json_get(template, STR("immutable")), false))
		json_set_bool(a, o, "immutable", true);
	data = json_set_object(a, o, "data");
	if (open_data(a, sealed, k, data, err) != 0 ||
	    render_data(a, json_get(template, STR("data")), data, err) != 0)
		return NULL;
	return o;
}
