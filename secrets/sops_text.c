/*
 * Whole SOPS files as bytes: YAML and JSON by way of their trees, dotenv line by line, binary as
 * the JSON that wraps it. Pure.
 */
#include <sodium.h>
#include <string.h>

#include "secrets/sops_emit.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

enum sops_format sops_format_of(struct str path)
{
	if (str_ends(path, STR(".yaml")) || str_ends(path, STR(".yml")))
		return SOPS_YAML;
	if (str_ends(path, STR(".json")))
		return SOPS_JSON;
	if (str_ends(path, STR(".env")))
		return SOPS_DOTENV;
	if (str_ends(path, STR(".ini")))
		return SOPS_INI;
	return SOPS_BINARY;
}

/* ---- YAML, JSON, binary ---- */

static int write_docs(const struct sops_file *f, const struct sops_emit *e, struct buf *out,
		      struct err *err)
{
	const struct json *data = json_get(e->d->docs->v[0], STR("data"));

	/* Never moved, so that whoever wipes it wipes all of it. */
	buf_reserve(out, sops_emit_room(e->d));
	if (f->format == SOPS_YAML)
		sops_emit_yaml(e, out);
	else if (f->format == SOPS_JSON)
		sops_emit_json(e, out);
	else if (json_is(data, JSON_STRING))
		buf_str(out, json_str(data));
	else
		return err_set(err, ERR_PARSE, "sops: no data in a binary file");
	return 0;
}

static int open_tree(const struct sops_file *f, struct buf *out, struct sops_report *ret,
		     struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct yaml_srcs srcs = {0};
	struct yaml_docs docs = {0};
	struct sops_docs d = {f->keys, f->bytes, &srcs, &docs};
	struct sops_key key = {{0}};
	struct sops_emit e = {.d = &d, .key = &key};
	int rc = yaml_parse(&a, f->bytes, 0, &srcs, NULL, &docs, err);

	if (rc == 0)
		e.out = sops_holes(&a, &d);
	if (rc == 0)
		rc = sops_open_keyed(&a, &d, &key, ret, err);
	if (rc == 0)
		rc = write_docs(f, &e, out, err);
	sodium_memzero(&key, sizeof(key));
	yaml_srcs_release(&srcs);
	return rc;
}

/* ---- dotenv ---- */

struct dotenv {
	struct json *metadata; /* what stands behind "sops_", flat and unescaped */
	struct sops_key key;
	struct sops_mac *mac;
	struct buf *out;
	struct err *err;
};

void sops_dotenv_unescape(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\\' && i + 1 < in.n && in.p[i + 1] == 'n') {
			buf_putc(out, '\n');
			i++;
		} else {
			buf_putc(out, in.p[i]);
		}
	}
}

static void escape(struct str in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, in.p[i]);
	}
}

/* "age__list_0__map_enc" → entry 0 of age. */
static void put_age(struct arena *a, struct json *metadata, struct str name, struct str value)
{
	struct json *list = json_set_array(a, metadata, "age");
	struct str rest = str_sub(name, sizeof("age__list_") - 1, name.n), number;
	uint64_t i;

	if (!str_cut(rest, '_', &number, &rest) || str_to_u64(number, &i) != 0 || i >= 256)
		return;
	while (json_len(list) <= i)
		json_append_object(a, list);
	if (str_is(rest, "_map_enc"))
		json_set_str(a, json_item(list, i), "enc", value);
	else if (str_is(rest, "_map_recipient"))
		json_set_str(a, json_item(list, i), "recipient", value);
}

struct json *sops_dotenv_metadata(struct arena *a, struct str text)
{
	struct json *metadata = json_new(a, JSON_OBJECT);
	struct str line, name, value;

	while (str_next(&text, '\n', &line)) {
		AUTO(buf) struct buf unescaped = {0};

		if (!str_starts(line, STR("sops_")) || !str_cut(line, '=', &name, &value))
			continue;
		name = str_sub(name, 5, name.n);
		sops_dotenv_unescape(value, &unescaped);
		if (str_starts(name, STR("age__list_")))
			put_age(a, metadata, name, buf_view(&unescaped));
		else
			json_set(a, metadata, name, json_new_str(a, buf_view(&unescaped)));
	}
	return metadata;
}

/* Only suffix rules occur in a flat file; what looks encrypted is. */
static int open_line(struct dotenv *d, struct str line)
{
	struct str name, value;
	struct buf plain = {0};
	AUTO(buf) struct buf aad = {0};
	enum sops_type type;
	int rc = 0;

	if (!line.n || str_starts(line, STR("sops_")))
		return 0;
	if (*line.p == '#') {
		/* A line break in what was encrypted must not end the comment. */
		sops_emit_comment(&d->key, str_sub(line, 1, line.n), STR_NONE, &plain);
		buf_putc(d->out, '#');
		escape(buf_view(&plain), d->out);
		buf_putc(d->out, '\n');
		buf_wipe(&plain);
		return 0;
	}
	if (!str_cut(line, '=', &name, &value))
		return err_set(d->err, ERR_PARSE, "sops: a line without \"=\"");
	buf_str(&aad, name);
	buf_putc(&aad, ':');
	if (sops_is_value(value)) {
		rc = sops_value_open(&d->key, value, buf_view(&aad), &plain, &type, d->err);
		if (rc != 0) {
			buf_wipe(&plain);
			return err_wrap(d->err, "%.*s", STR_ARG(name));
		}
	} else {
		sops_dotenv_unescape(value, &plain);
	}
	sops_mac_add(d->mac, buf_view(&plain), sops_is_value(value));
	buf_str(d->out, name);
	buf_putc(d->out, '=');
	escape(buf_view(&plain), d->out);
	buf_putc(d->out, '\n');
	buf_wipe(&plain);
	return rc;
}

static int open_dotenv(const struct sops_file *f, struct buf *out, struct sops_report *ret,
		       struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct dotenv d = {.metadata = sops_dotenv_metadata(&a, f->bytes), .out = out, .err = err};
	struct str text = f->bytes, line;
	int rc;

	rc = sops_data_key(f->keys, d.metadata, &d.key, err);
	d.mac = sops_mac_new(
		str_is(json_str(json_get(d.metadata, STR("mac_only_encrypted"))), "true"));
	while (rc == 0 && str_next(&text, '\n', &line))
		rc = open_line(&d, line);
	if (rc == 0)
		ret->mac_ok =
			sops_mac_check(d.mac, &d.key, json_str(json_get(d.metadata, STR("mac"))),
				       json_str(json_get(d.metadata, STR("lastmodified"))),
				       &ret->mac) == 0;
	sops_mac_free(d.mac);
	sodium_memzero(&d.key, sizeof(d.key));
	return rc;
}

int sops_open_bytes(const struct sops_file *f, struct buf *out, struct sops_report *ret,
		    struct err *err)
{
	const bool unused = !out->p;
	size_t from = out->n;
	int rc;

	*ret = (struct sops_report){.mac_ok = false};
	if (f->format == SOPS_INI)
		return err_set(err, ERR_UNSUPPORTED, "sops: INI files aren't supported");
	if (f->bytes.n > FILE_MAX)
		return err_set(err, ERR_LIMIT, "sops: more than %d bytes", FILE_MAX);
	/* Never moved, so that whoever wipes it wipes all of it. */
	buf_reserve(out, f->bytes.n * 2);
	rc = f->format == SOPS_DOTENV ? open_dotenv(f, out, ret, err) : open_tree(f, out, ret, err);
	if (rc != 0 && out->n > from) {
		sodium_memzero(out->p + from, out->n - from);
		out->n = from;
	}
	if (rc != 0 && unused)
		buf_release(out);
	return rc;
}
