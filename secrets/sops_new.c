/*
 * Encrypting a file that is in clear: a fresh data key, wrapped for each recipient, and every leaf
 * that the rule says under it. YAML and JSON keep their bytes around the values; the metadata comes
 * behind each document, as sops has it. The data key is wiped.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "secrets/sops_bind.h"
#include "secrets/sops_open-internal.h"

#define SOPS_VERSION "3.9.4" /* whose files these are like */

enum { FILE_MAX = 16 * 1024 * 1024 };

struct making {
	const struct sops_encrypt *e;
	struct arena *a;
	struct sops_open o;
	struct sops_docs d;
	struct json *metadata;
	struct sops_mac *mac;
	struct sops_cuts cuts;
	size_t encrypted; /* leaves */
};

/* ---- metadata ---- */

/* An armored age file around the data key, for one recipient. */
static int wrap(struct arena *a, const struct sops_key *k, struct str recipient, struct str *ret,
		struct err *err)
{
	AUTO(buf) struct buf text = {0};
	struct age_recipient to;
	struct age_encrypt e = {.to = &to, .n = 1, .armor = true};

	if (age_recipient_parse(recipient, &to, err) != 0 ||
	    age_encrypt(&e, (struct str){(const char *)k->bytes, sizeof(k->bytes)}, &text, err) !=
		    0)
		return -1;
	*ret = arena_str(a, buf_view(&text));
	return 0;
}

int sops_wrap_all(struct arena *a, const struct sops_key *k, const struct sops_policy *p,
		  const struct json *old, struct json **ret, struct err *err)
{
	struct json *list = json_new(a, JSON_ARRAY);

	if (!p->n)
		return err_set(err, ERR_BAD_REQUEST, "sops: no recipient to encrypt to");
	for (size_t i = 0; i < p->n; i++) {
		struct str enc = STR_NONE;

		for (size_t j = 0; j < json_len(old); j++)
			if (str_eq(json_str(json_get(json_item(old, j), STR("recipient"))),
				   p->recipients[i]))
				enc = json_str(json_get(json_item(old, j), STR("enc")));
		if (!enc.n && wrap(a, k, p->recipients[i], &enc, err) != 0)
			return -1;
		json_append(a, list,
			    json_build(a, "{s:S,s:S}", "recipient", p->recipients[i], "enc", enc));
	}
	*ret = list;
	return 0;
}

void sops_age_yaml(const struct json *list, size_t indent, struct buf *out)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *o = json_item(list, i);
		struct str enc = json_str(json_get(o, STR("enc"))), line;

		buf_printf(out, "%*s- recipient: %.*s\n%*senc: |\n", (int)indent, "",
			   STR_ARG(json_str(json_get(o, STR("recipient")))), (int)indent + 2, "");
		while (str_next(&enc, '\n', &line))
			if (line.n)
				buf_printf(out, "%*s%.*s\n", (int)indent + 4, "", STR_ARG(line));
	}
}

static bool all_objects(const struct yaml_docs *docs)
{
	for (size_t i = 0; i < docs->n; i++)
		if (!json_str(json_get(docs->v[i], STR("apiVersion"))).n ||
		    !json_str(json_get(docs->v[i], STR("kind"))).n)
			return false;
	return true;
}

/* Rule and recipients; mac and lastmodified come when they are known. */
static int metadata(struct making *m, bool objects, struct err *err)
{
	const struct sops_policy *p = m->e->policy;
	struct json *age;

	randombytes_buf(m->o.key.bytes, sizeof(m->o.key.bytes));
	if (sops_wrap_all(m->a, &m->o.key, p, NULL, &age, err) != 0)
		return -1;
	m->metadata = json_new(m->a, JSON_OBJECT);
	json_set(m->a, m->metadata, STR("age"), age);
	if (p->rule)
		json_set_str(m->a, m->metadata, p->rule, p->value);
	else if (objects)
		json_set_str(m->a, m->metadata, "encrypted_regex", STR("^(data|stringData)$"));
	else
		json_set_str(m->a, m->metadata, "unencrypted_suffix", STR("_unencrypted"));
	if (p->mac_only_encrypted)
		json_set_bool(m->a, m->metadata, "mac_only_encrypted", true);
	m->mac = sops_mac_new(p->mac_only_encrypted);
	return 0;
}

static int finish_metadata(struct making *m, struct err *err)
{
	AUTO(buf) struct buf mac = {0};

	if (sops_mac_write(m->mac, &m->o.key, m->e->modified, &mac, err) != 0)
		return -1;
	json_set_str(m->a, m->metadata, "lastmodified", m->e->modified);
	json_set_str(m->a, m->metadata, "mac", buf_view(&mac));
	json_set_str(m->a, m->metadata, "version", STR(SOPS_VERSION));
	return 0;
}

static void metadata_yaml(const struct json *metadata, struct buf *out)
{
	const struct json_member *v = json_members(metadata);

	buf_puts(out, "sops:\n");
	for (size_t i = 0; i < json_len(metadata); i++) {
		if (str_is(v[i].key, "age")) {
			buf_puts(out, "    age:\n");
			sops_age_yaml(&v[i].value, 8, out);
			continue;
		}
		buf_printf(out, "    %.*s: ", STR_ARG(v[i].key));
		if (str_is(v[i].key, "mac") || str_is(v[i].key, "version"))
			buf_str(out, json_str(&v[i].value));
		else
			json_write(&v[i].value, out);
		buf_putc(out, '\n');
	}
}

/* ---- YAML and JSON ---- */

static int seal_leaf(void *arg, const struct sops_leaf *l, struct err *err)
{
	struct making *m = arg;
	struct sops_sealing s = {.aad = l->aad};
	struct buf plain = {0};
	AUTO(buf) struct buf enc = {0};
	size_t from, to;
	int rc = 0;

	if (json_is(l->v, JSON_NULL) || (json_is(l->v, JSON_STRING) && !l->v->n))
		return 0;
	if (!l->encrypted && str_is(l->aad, SOPS_BINDING_AAD))
		return err_set(err, ERR_UNSUPPORTED,
			       SOPS_BINDING " stays in clear under the file's rule and so proves "
					    "nothing: use encrypted_regex");
	s.type = sops_scalar(&m->d, l->v, &plain);
	s.plain = buf_view(&plain);
	sops_mac_add(m->mac, s.plain, l->encrypted);
	if (l->encrypted) {
		m->encrypted++;
		rc = sops_range(m->o.text, &m->o.srcs, l->v, &from, &to);
		if (rc != 0)
			err_set(err, ERR_UNSUPPORTED, "sops: its place isn't known (an alias?)");
		else
			rc = sops_value_seal(&m->o.key, &s, &enc, err);
	}
	if (rc == 0 && l->encrypted)
		sops_cuts_add(&m->cuts, from, to, sops_quoted(m->a, &m->o.srcs, l, buf_view(&enc)));
	buf_wipe(&plain);
	return rc;
}

/* Where the document's own text ends: in front of the next one's separator. */
static size_t document_end(const struct making *m, size_t i)
{
	const struct yaml_src *next =
		i + 1 < m->o.docs.n ? yaml_src_of(&m->o.srcs, m->o.docs.v[i + 1]) : NULL;
	size_t at = next ? next->begin : m->o.text.n;

	while (next && at > 4 && memcmp(m->o.text.p + at - 4, "\n---", 4) != 0)
		at--;
	return next ? at - 3 : at;
}

static int put_metadata(struct making *m, size_t i, struct err *err)
{
	const struct json *doc = m->o.docs.v[i];
	const struct yaml_src *src = yaml_src_of(&m->o.srcs, doc);
	AUTO(buf) struct buf text = {0};
	size_t at;

	if (!src || src->end > m->o.text.n)
		return err_set(err, ERR_UNSUPPORTED, "sops: document %zu is empty", i + 1);
	if (src->style == YAML_FLOW) {
		for (at = src->end; at > src->begin && m->o.text.p[at - 1] != '}';)
			at--;
		at--;
		buf_puts(&text, json_len(doc) ? ",\"sops\":" : "\"sops\":");
		json_write(m->metadata, &text);
	} else {
		at = document_end(m, i);
		if (src->col != 1)
			return err_set(err, ERR_UNSUPPORTED, "sops: document %zu is indented",
				       i + 1);
		if (at && m->o.text.p[at - 1] != '\n')
			buf_putc(&text, '\n');
		metadata_yaml(m->metadata, &text);
	}
	sops_cuts_add(&m->cuts, at, at, arena_str(m->a, buf_view(&text)));
	return 0;
}

static int encrypt_tree(struct making *m, struct str plain, struct buf *out, struct err *err)
{
	size_t from = out->n;

	m->o.a = m->a;
	m->o.text = plain;
	if (yaml_parse(m->a, plain, 0, &m->o.srcs, NULL, &m->o.docs, err) != 0)
		return -1;
	if (!m->o.docs.n)
		return err_set(err, ERR_INVALID, "nothing in it to encrypt");
	for (size_t i = 0; i < m->o.docs.n; i++)
		if (json_get(m->o.docs.v[i], STR("sops")))
			return err_set(err, ERR_INVALID, "encrypted with sops already");
	m->d = sops_open_docs_of(&m->o);
	if (metadata(m, all_objects(&m->o.docs), err) != 0 ||
	    sops_each(&m->d, m->metadata, seal_leaf, m, err) != 0)
		return -1;
	/* Who commits it believes it to be safe. */
	if (!m->encrypted)
		return err_set(err, ERR_INVALID,
			       "sops: all of it would stay in clear: no value falls under %s",
			       m->e->policy->rule ? m->e->policy->rule : "^(data|stringData)$");
	if (finish_metadata(m, err) != 0)
		return -1;
	for (size_t i = 0; i < m->o.docs.n; i++)
		if (put_metadata(m, i, err) != 0)
			return -1;
	if (sops_cuts_make(&m->cuts, plain, out, err) != 0)
		return -1;
	/* Anchors, for one: a file that could not be opened any more is never written. */
	if (sops_verify(&m->o.key, str_sub(buf_view(out), from, out->n), err) == 0)
		return 0;
	err->code = ERR_UNSUPPORTED;
	return err_wrap(err, "sops: it can't be encrypted as it is written (aliases?)");
}

/* ---- binary and dotenv ---- */

static int encrypt_binary(struct making *m, struct str plain, struct buf *out, struct err *err)
{
	struct sops_sealing s = {plain, STR("data:"), SOPS_STR};
	AUTO(buf) struct buf enc = {0};
	struct json *o = json_new(m->a, JSON_OBJECT);

	if (metadata(m, false, err) != 0)
		return -1;
	sops_mac_add(m->mac, plain, true);
	if (sops_value_seal(&m->o.key, &s, &enc, err) != 0 || finish_metadata(m, err) != 0)
		return -1;
	json_set_str(m->a, o, "data", buf_view(&enc));
	json_set(m->a, o, STR("sops"), m->metadata);
	json_write_pretty(o, 4, out);
	buf_putc(out, '\n');
	return 0;
}

static int dotenv_line(struct making *m, struct str line, struct buf *out, struct err *err)
{
	struct sops_sealing s = {.type = SOPS_STR};
	AUTO(buf) struct buf aad = {0};
	struct buf plain = {0};
	struct str name, value;
	int rc;

	if (!line.n || *line.p == '#') {
		buf_str(out, line);
		return 0;
	}
	if (!str_cut(line, '=', &name, &value) || str_starts(name, STR("sops_")))
		return err_set(err, ERR_PARSE, "sops: not a line of NAME=VALUE");
	buf_printf(&aad, "%.*s:", STR_ARG(name));
	for (size_t i = 0; i < value.n; i++) {
		bool newline = value.p[i] == '\\' && i + 1 < value.n && value.p[i + 1] == 'n';

		buf_putc(&plain, newline ? '\n' : value.p[i]);
		i += newline;
	}
	s.plain = buf_view(&plain);
	s.aad = buf_view(&aad);
	sops_mac_add(m->mac, s.plain, true);
	buf_printf(out, "%.*s=", STR_ARG(name));
	rc = value.n ? sops_value_seal(&m->o.key, &s, out, err) : 0;
	buf_wipe(&plain);
	return rc;
}

void sops_age_dotenv(const struct json *list, struct buf *out)
{
	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *age = json_item(list, i);
		struct str enc = json_str(json_get(age, STR("enc"))), line;

		buf_printf(out, "sops_age__list_%zu__map_enc=", i);
		while (str_next(&enc, '\n', &line))
			buf_printf(out, "%.*s%s", STR_ARG(line), enc.p ? "\\n" : "");
		buf_printf(out, "\nsops_age__list_%zu__map_recipient=%.*s\n", i,
			   STR_ARG(json_str(json_get(age, STR("recipient")))));
	}
}

static void dotenv_metadata(const struct json *metadata, struct buf *out)
{
	const struct json_member *v = json_members(metadata);

	for (size_t i = 0; i < json_len(metadata); i++) {
		if (str_is(v[i].key, "age"))
			sops_age_dotenv(&v[i].value, out);
		if (json_is(&v[i].value, JSON_BOOL))
			buf_printf(out, "sops_%.*s=true\n", STR_ARG(v[i].key));
		else if (json_is(&v[i].value, JSON_STRING))
			buf_printf(out, "sops_%.*s=%.*s\n", STR_ARG(v[i].key),
				   STR_ARG(json_str(&v[i].value)));
	}
}

static int encrypt_dotenv(struct making *m, struct str plain, struct buf *out, struct err *err)
{
	struct str line;

	if (m->e->policy->rule)
		return err_set(err, ERR_UNSUPPORTED,
			       "sops: a dotenv file is encrypted as a whole, without %s",
			       m->e->policy->rule);
	if (metadata(m, false, err) != 0)
		return -1;
	while (str_next(&plain, '\n', &line)) {
		if (!line.n && !plain.p)
			break;
		if (dotenv_line(m, line, out, err) != 0)
			return -1;
		buf_putc(out, '\n');
	}
	if (finish_metadata(m, err) != 0)
		return -1;
	dotenv_metadata(m->metadata, out);
	return 0;
}

/* The same file with its annotation in it, encrypted under a rule that covers that. */
static int encrypt_bound(const struct sops_encrypt *e, struct str plain, struct buf *out,
			 struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_policy policy = *e->policy;
	struct sops_encrypt with = *e;
	struct buf bound = {0};
	int rc;

	if (e->format == SOPS_BINARY || e->format == SOPS_DOTENV)
		return err_set(err, ERR_UNSUPPORTED,
			       "sops: only files with Kubernetes objects can be bound to one");
	with.policy = &policy;
	with.bind = NULL;
	buf_reserve(&bound, plain.n * 2 + 65536); /* never moved, so that it is wiped whole */
	rc = sops_bind_rule(&a, &policy, err);
	if (rc == 0)
		rc = sops_bind(plain, e->bind, &bound, err);
	if (rc == 0)
		rc = sops_encrypt(&with, buf_view(&bound), out, err);
	buf_wipe(&bound);
	return rc;
}

int sops_encrypt(const struct sops_encrypt *e, struct str plain, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct making m = {.e = e, .a = &a};
	size_t from = out->n;
	int rc;

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	if (e->format == SOPS_INI)
		return err_set(err, ERR_UNSUPPORTED, "sops: INI files aren't supported");
	if (plain.n > FILE_MAX)
		return err_set(err, ERR_LIMIT, "sops: more than %d bytes", FILE_MAX);
	if (e->bind)
		return encrypt_bound(e, plain, out, err);
	rc = e->format == SOPS_BINARY   ? encrypt_binary(&m, plain, out, err)
	     : e->format == SOPS_DOTENV ? encrypt_dotenv(&m, plain, out, err)
					: encrypt_tree(&m, plain, out, err);
	if (rc != 0)
		out->n = from;
	sops_mac_free(m.mac);
	sops_cuts_release(&m.cuts);
	sops_open_release(&m.o);
	return rc;
}
