/*
 * Files that SOPS encrypted, opened between reading and using them: manifests as trees, what a
 * generator takes in as bytes. Every value that was encrypted is flagged, so that no report shows
 * it. Never puts a value into an error. Pure; memory: the render's arena, which is the run's.
 */
#include <string.h>

#include "lib/base/codec.h"
#include "lib/kube/obj.h"
#include "reconciler/render-internal.h"
#include "secrets/sops.h"

#include "lib/base/pure.h"

/* The line of the leaf that a message names ("stringData:key: why"), as deep as it can be followed.
 */
static uint32_t line_of(const struct render *r, const struct json *doc, struct str message)
{
	const struct json *at = doc;
	uint32_t line = render_line(r, doc, 1);
	struct str path = message, key;
	ptrdiff_t end = str_find(message, STR(": "));

	path.n = end < 0 ? 0 : (size_t)end;
	while (path.n && str_next(&path, ':', &key)) {
		at = json_get(at, key);
		if (!at)
			break;
		line = render_line(r, at, line);
	}
	return line;
}

/* A MAC that does not fit: a reason to stop, or to say so and go on. */
static int check_mac(struct render *r, uint32_t file, uint32_t line,
		     const struct sops_report *report, struct err *err)
{
	struct rendered *out = r->out;

	if (report->mac_ok)
		return 0;
	if (!out->nbroken++)
		out->broken = arena_strf(r->a, "%.*s:%u: %s", STR_ARG(out->files.v[file].path),
					 line, report->mac.msg);
	if (r->o->broken_mac_ok)
		return 0;
	render_fail(r, file, line, err, "%s", report->mac.msg);
	err->code = ERR_CORRUPT;
	return -1;
}

/* Flux' word for what another controller opens. */
static bool wants_none(const struct json *object)
{
	return str_ieq(meta_annotation(object, "kustomize.toolkit.fluxcd.io/decrypt"),
		       STR("disabled"));
}

/* Goes to the cluster as it is: by its own word, or since nobody here has keys and it is no Secret,
 * but an operator's resource with values that sops encrypted. */
static bool stays_encrypted(const struct render *r, const struct yaml_docs *docs)
{
	if (wants_none(docs->v[0]))
		return true;
	for (size_t i = 0; i < docs->n; i++)
		if (str_is(json_str(json_get(docs->v[i], STR("kind"))), "Secret") &&
		    str_is(json_str(json_get(docs->v[i], STR("apiVersion"))), "v1"))
			return false;
	return !r->o->keys;
}

int render_decrypt(struct render *r, uint32_t file, const struct yaml_docs *docs, struct err *err)
{
	struct sops_docs d = {.keys = r->o->keys,
			      .text = r->out->files.v[file].data,
			      .srcs = &r->out->srcs,
			      .docs = docs};
	const struct json *first = docs->n ? docs->v[0] : NULL, *shape;
	uint32_t line = render_line(r, json_get(first, STR("sops")), 1);
	struct sops_report report;
	struct err why = {0};
	bool *bound;

	if (!sops_is_encrypted(first) || stays_encrypted(r, docs))
		return 0;
	if (!d.keys)
		return render_fail(r, file, line, err,
				   "encrypted with sops, but the Kustomization has no "
				   "spec.decryption");
	if (render_bind_look(r, file, docs, &bound, err))
		return -1;
	/* Opening takes the metadata out, and an error needs the places. */
	shape = json_copy(r->a, first);
	if (sops_open_docs(r->a, &d, &report, &why))
		return render_fail(r, file,
				   why.code == ERR_NOT_FOUND ? line
							     : line_of(r, shape, str_c(why.msg)),
				   err, "cannot decrypt: %s", why.msg);
	if (check_mac(r, file, line, &report, err))
		return -1;
	return render_bind_note(r, file, docs, bound, err);
}

/* What sops leaves in any format: its metadata's own words. */
static bool looks_encrypted(enum sops_format format, struct str bytes)
{
	if (format == SOPS_DOTENV)
		return str_starts(bytes, STR("sops_")) || str_find(bytes, STR("\nsops_")) >= 0;
	/* INI, too, which is then refused. */
	return str_find(bytes, STR("ENC[AES256_GCM,")) >= 0 && str_find(bytes, STR("sops")) >= 0;
}

/* A name that says nothing: an env file of a generator, or YAML under some other name. */
static enum sops_format format_of(struct str path, struct str bytes)
{
	enum sops_format by_name = sops_format_of(path);

	if (by_name != SOPS_BINARY || str_starts(str_trim(bytes), STR("{")))
		return by_name;
	return looks_encrypted(SOPS_DOTENV, bytes)    ? SOPS_DOTENV
	       : str_find(bytes, STR("\nsops:")) >= 0 ? SOPS_YAML
						      : by_name;
}

/* A file as bytes, wherever it was met; *ret is what it was when it isn't encrypted. */
static int decrypt(struct render *r, uint32_t file, struct sops_file *in, struct str *ret,
		   struct err *err)
{
	AUTO(buf) struct buf plain = {0};
	struct sops_report report;
	struct err why = {0};

	*ret = in->bytes;
	in->keys = r->o->keys;
	if (!looks_encrypted(in->format, in->bytes))
		return 0;
	if (!in->keys)
		return render_fail(r, file, 0, err,
				   "encrypted with sops, but the Kustomization has no "
				   "spec.decryption");
	if (r->o->must_bind)
		return render_fail(
			r, file, 0, err,
			"encrypted with sops, and bound to no object: a generator's file "
			"can't be, and this cluster wants all to be");
	if (sops_open_bytes(in, &plain, &report, &why))
		return render_fail(r, file, 0, err, "cannot decrypt: %s", why.msg);
	*ret = arena_str(r->a, buf_view(&plain));
	buf_wipe(&plain);
	if ((in->format == SOPS_YAML || in->format == SOPS_JSON) &&
	    render_bind_refuse(r, file, *ret, err))
		return -1;
	return check_mac(r, file, 1, &report, err);
}

int render_decrypt_bytes(struct render *r, const struct git_file *f, struct str *ret,
			 struct err *err)
{
	struct sops_file in = {.format = format_of(f->path, f->data), .bytes = f->data};

	return decrypt(r, render_file_number(r, f), &in, ret, err);
}

static int decrypt_entry(struct render *r, const struct rendered_object *o, struct json_member *m,
			 struct err *err)
{
	AUTO(buf) struct buf raw = {0};
	struct sops_file in = {.format = SOPS_BINARY};
	struct buf text = {0};
	struct str opened;

	if (base64_decode_lines(json_str(&m->value), &raw) != 0)
		return 0;
	in.bytes = buf_view(&raw);
	in.format = format_of(m->key, in.bytes);
	if (decrypt(r, o->file, &in, &opened, err))
		return err_wrap(err, "data.%.*s", STR_ARG(m->key));
	if (opened.p == raw.p)
		return 0;
	base64_encode(opened, &text);
	m->value = *json_new_str(r->a, buf_view(&text));
	m->value.flags |= JSON_F_SENSITIVE;
	buf_wipe(&text);
	return 0;
}

int render_decrypt_data(struct render *r, const struct rendered_object *o, struct err *err)
{
	struct json *data = json_get(o->tree, STR("data"));
	struct json_member *m = json_members(data);

	/* Without keys they are what they are, as Flux has it. */
	for (size_t i = 0; m && r->o->keys && !wants_none(o->tree) && i < json_len(data); i++)
		if (json_is(&m[i].value, JSON_STRING) && decrypt_entry(r, o, &m[i], err))
			return -1;
	return 0;
}
