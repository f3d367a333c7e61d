/*
 * See sops_recipients.h. A file is opened before and after, and what it says in clear has to be the
 * same; both copies are wiped. Pure but for randomness.
 */
#include "secrets/sops_recipients.h"

#include <sodium.h>
#include <string.h>

#include "secrets/sops_bind.h"
#include "secrets/sops_open-internal.h"

/* ---- lists ---- */

int sops_recipients_parse(struct arena *a, struct str text, struct sops_policy *ret,
			  struct err *err)
{
	struct age_recipient ignored;
	struct str line;

	*ret = (struct sops_policy){.n = 0};
	for (size_t i = 1; str_next(&text, '\n', &line); i++) {
		line = str_trim(line);
		if (!line.n || *line.p == '#')
			continue;
		/* It may be an identity that somebody put there. */
		if (age_recipient_parse(line, &ignored, NULL) != 0)
			return err_set(err, ERR_INVALID,
				       "line %zu: neither age1… (X25519) nor ssh-ed25519", i);
		if (ret->n == SOPS_RECIPIENTS_MAX)
			return err_set(err, ERR_LIMIT, "more than %d recipients",
				       SOPS_RECIPIENTS_MAX);
		if (!sops_recipients_has(ret, line))
			ret->recipients[ret->n++] = arena_str(a, line);
	}
	return ret->n ? 0 : err_set(err, ERR_INVALID, "no recipient in it");
}

bool sops_recipients_hold(const struct sops_policy *p, const struct age_keys *keys)
{
	static const char probe[] = "whose is it";

	for (size_t i = 0; i < p->n; i++) {
		AUTO(buf) struct buf file = {0};
		AUTO(buf) struct buf opened = {0};
		struct age_recipient to;
		struct age_encrypt e = {.to = &to, .n = 1};

		if (age_recipient_parse(p->recipients[i], &to, NULL) == 0 &&
		    age_encrypt(&e, str_c(probe), &file, NULL) == 0 &&
		    age_decrypt(keys, buf_view(&file), &opened, NULL) == 0)
			return true;
	}
	return false;
}

static bool same(struct str x, struct str y)
{
	struct age_recipient a, b;

	if (str_eq(x, y))
		return true;
	/* An ssh key's comment is nobody's business. */
	return age_recipient_parse(x, &a, NULL) == 0 && age_recipient_parse(y, &b, NULL) == 0 &&
	       a.ssh == b.ssh && !memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

bool sops_recipients_has(const struct sops_policy *p, struct str recipient)
{
	for (size_t i = 0; i < p->n; i++)
		if (same(p->recipients[i], recipient))
			return true;
	return false;
}

bool sops_recipients_equal(const struct sops_policy *x, const struct sops_policy *y)
{
	for (size_t i = 0; i < x->n; i++)
		if (!sops_recipients_has(y, x->recipients[i]))
			return false;
	for (size_t i = 0; i < y->n; i++)
		if (!sops_recipients_has(x, y->recipients[i]))
			return false;
	return x->n == y->n;
}

/* ---- what a file says ---- */

static int read_metadata(struct arena *a, enum sops_format format, struct str bytes,
			 struct json **ret, struct err *err)
{
	struct yaml_docs docs;
	struct json *m = NULL;

	if (format == SOPS_INI)
		return err_set(err, ERR_UNSUPPORTED, "sops: INI files aren't supported");
	if (format == SOPS_DOTENV) {
		*ret = m = sops_dotenv_metadata(a, bytes);
	} else {
		if (yaml_parse(a, bytes, 0, NULL, NULL, &docs, err) != 0)
			return -1;
		*ret = m = docs.n ? json_get(docs.v[0], STR("sops")) : NULL;
	}
	return json_is(m, JSON_OBJECT) && (json_get(m, STR("mac")) || json_get(m, STR("age")))
		       ? 0
		       : err_set(err, ERR_NOT_FOUND, "not encrypted with sops");
}

/* Those who can open it by other means would stay. */
static bool has_others(const struct json *metadata)
{
	static const char *const others[] = {"pgp",      "kms",      "gcp_kms",   "hckms",
					     "azure_kv", "hc_vault", "key_groups"};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (json_len(json_get(metadata, str_c(others[i]))))
			return true;
	return false;
}

int sops_recipients_of(struct arena *a, enum sops_format format, struct str bytes,
		       struct sops_policy *ret, struct err *err)
{
	const struct json *list;
	struct json *m = NULL;

	*ret = (struct sops_policy){.n = 0};
	if (read_metadata(a, format, bytes, &m, err) != 0)
		return -1;
	if (has_others(m))
		return err_set(err, ERR_UNSUPPORTED, "it has other keys than age's, or key groups");
	list = json_get(m, STR("age"));
	if (json_len(list) > SOPS_RECIPIENTS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d recipients", SOPS_RECIPIENTS_MAX);
	for (size_t i = 0; i < json_len(list); i++)
		ret->recipients[ret->n++] = arena_str(
			a, str_trim(json_str(json_get(json_item(list, i), STR("recipient")))));
	return 0;
}

/* ---- other recipients ---- */

static int open_whole(const struct sops_file *f, struct buf *plain, struct err *err)
{
	struct sops_report report;

	if (sops_open_bytes(f, plain, &report, err) != 0)
		return -1;
	return report.mac_ok ? 0 : err_set(err, ERR_CORRUPT, "%s", report.mac.msg);
}

/* One that is there has to be encrypted, and of the keys that there are. */
static int check_document(struct arena *a, const struct json *sealed, const struct json *opened,
			  const struct sops_bound *bound, struct err *err)
{
	const struct json *v = json_pointer(sealed, STR(SOPS_BINDING_POINTER));
	struct sops_binding b;

	if (!v)
		return bound->required ? err_set(err, ERR_FORBIDDEN,
						 "it is bound to no object, which is wanted here")
				       : 0;
	if (!sops_is_value(json_str(v)) ||
	    sops_binding_parse(sops_binding_of(opened), &b, err) != 0 ||
	    !str_eq(sops_binding_keys(a, opened), b.keys))
		return err_set(err, ERR_CORRUPT, SOPS_BINDING " isn't that of what it stands at");
	if (!bound->may(bound->arg, &b))
		return err_set(err, ERR_FORBIDDEN,
			       "it is bound to an object that isn't made of it here");
	return 0;
}

static int check_binding(const struct sops_file *f, struct str plain,
			 const struct sops_bound *bound, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct yaml_docs sealed, opened;

	if (f->format != SOPS_YAML && f->format != SOPS_JSON)
		return bound->required ? err_set(err, ERR_FORBIDDEN,
						 "it can be bound to no object, which is wanted "
						 "here")
				       : 0;
	if (yaml_parse(&a, f->bytes, 0, NULL, NULL, &sealed, err) != 0 ||
	    yaml_parse(&a, plain, 0, NULL, NULL, &opened, err) != 0)
		return -1;
	for (size_t i = 0; i < opened.n && i < sealed.n; i++)
		if (check_document(&a, sealed.v[i], opened.v[i], bound, err) != 0)
			return -1;
	return 0;
}

static int put_dotenv(const struct sops_file *f, const struct sops_policy *to, struct buf *out,
		      struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct json *m = sops_dotenv_metadata(&a, f->bytes), *now = NULL;
	struct str rest = f->bytes, line;
	struct sops_key key = {{0}};
	bool put = false;
	int rc = sops_data_key(f->keys, m, &key, err);

	if (rc == 0)
		rc = sops_wrap_all(&a, &key, to, json_get(m, STR("age")), &now, err);
	while (rc == 0 && str_next(&rest, '\n', &line)) {
		if (!str_starts(line, STR("sops_age__list_"))) {
			buf_str(out, line);
			if (rest.p)
				buf_putc(out, '\n');
		} else if (!put) {
			sops_age_dotenv(now, out);
			put = true;
		}
	}
	sodium_memzero(&key, sizeof(key));
	return rc;
}

static int put(const struct sops_file *f, const struct sops_policy *to, struct buf *out,
	       struct err *err)
{
	struct sops_edit e = {.keys = f->keys, .text = f->bytes};

	if (f->format == SOPS_DOTENV)
		return put_dotenv(f, to, out, err);
	return sops_edit_recipients(&e, to, out, err);
}

int sops_recipients_put(const struct sops_file *f, const struct sops_policy *to,
			const struct sops_bound *bound, struct buf *out, struct err *err)
{
	struct buf before = {0}, after = {0};
	struct sops_file made = *f;
	size_t from = out->n;
	int rc = open_whole(f, &before, err);

	if (rc == 0)
		rc = check_binding(f, buf_view(&before), bound, err);
	if (rc == 0)
		rc = put(f, to, out, err);
	if (rc == 0) {
		made.bytes = str_sub(buf_view(out), from, out->n);
		rc = open_whole(&made, &after, err);
	}
	if (rc == 0 && !str_eq_secret(buf_view(&before), buf_view(&after)))
		rc = err_set(err, ERR_UNSUPPORTED, "it can't be edited as it is written");
	if (rc != 0)
		out->n = from;
	buf_wipe(&before);
	buf_wipe(&after);
	return rc;
}

/* ---- another data key ---- */

static int policy_of(struct arena *a, const struct sops_file *f, struct sops_policy *ret,
		     struct err *err)
{
	static const char *const rules[] = {"unencrypted_suffix",        "encrypted_suffix",
					    "unencrypted_regex",         "encrypted_regex",
					    "unencrypted_comment_regex", "encrypted_comment_regex"};
	struct json *m = NULL;

	if (sops_recipients_of(a, f->format, f->bytes, ret, err) != 0 ||
	    read_metadata(a, f->format, f->bytes, &m, err) != 0)
		return -1;
	ret->mac_only_encrypted = json_bool(json_get(m, STR("mac_only_encrypted")), false) ||
				  str_is(json_str(json_get(m, STR("mac_only_encrypted"))), "true");
	/* The other formats are encrypted as a whole. */
	if (f->format != SOPS_YAML && f->format != SOPS_JSON)
		return 0;
	ret->rule = rules[0];
	ret->value = STR("_unencrypted");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		struct str v = json_str(json_get(m, str_c(rules[i])));

		if (v.n) {
			ret->rule = rules[i];
			ret->value = v;
		}
	}
	return 0;
}

int sops_rotate(const struct sops_file *f, struct str modified, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_policy policy;
	struct sops_encrypt e = {.policy = &policy, .format = f->format, .modified = modified};
	struct buf plain = {0};
	int rc = policy_of(&a, f, &policy, err);

	if (rc == 0 && str_find(f->bytes, STR("#ENC[AES256_GCM,")) >= 0)
		rc = err_set(
			err, ERR_UNSUPPORTED,
			"its comments are encrypted, and would stand in clear: use sops rotate");
	if (rc == 0)
		rc = open_whole(f, &plain, err);
	if (rc == 0)
		rc = sops_encrypt(&e, buf_view(&plain), out, err);
	buf_wipe(&plain);
	return rc;
}
