/*
 * One SOPS value, the MAC, and the data key. AES-256-GCM with the nonce length that the value
 * itself has (32 bytes, historically others) is what libsodium cannot do, so libcrypto does it.
 * Pure; keys and plain text are wiped where they are copied.
 */
#include "secrets/sops-internal.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"

enum { IV = 32, IV_MAX = 64, TAG = 16, VALUE_MAX = 16 * 1024 * 1024 };

struct parts {
	struct buf data, iv, tag;
	struct str type;
};

static void parts_release(struct parts *p)
{
	buf_release(&p->data);
	buf_release(&p->iv);
	buf_release(&p->tag);
}

bool sops_is_value(struct str s)
{
	return str_starts(s, STR("ENC[AES256_GCM,"));
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_PARSE, "malformed encrypted value: %s", what);
}

/* "name:value" up to the next comma. */
static int part(struct str *rest, struct str name, struct str *ret)
{
	struct str field;

	if (!str_next(rest, ',', &field) || !str_starts(field, name))
		return -1;
	*ret = str_sub(field, name.n, field.n);
	return 0;
}

static int parse(struct str value, struct parts *ret, struct err *err)
{
	struct str rest = str_sub(value, sizeof("ENC[AES256_GCM,") - 1, value.n), text;

	if (value.n > VALUE_MAX || !str_ends(rest, STR("]")))
		return bad(err, "it doesn't end");
	rest.n--;
	if (part(&rest, STR("data:"), &text) != 0 || base64_decode(text, &ret->data) != 0)
		return bad(err, "data");
	if (part(&rest, STR("iv:"), &text) != 0 || base64_decode(text, &ret->iv) != 0 ||
	    !ret->iv.n || ret->iv.n > IV_MAX)
		return bad(err, "iv");
	if (part(&rest, STR("tag:"), &text) != 0 || base64_decode(text, &ret->tag) != 0 ||
	    ret->tag.n != TAG)
		return bad(err, "tag");
	return part(&rest, STR("type:"), &ret->type) != 0 ? bad(err, "type") : 0;
}

static const char *const type_names[] = {"str", "int", "float", "bool", "bytes", "time", "comment"};

static int type_of(struct str name, enum sops_type *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (str_is(name, type_names[i])) {
			*ret = (enum sops_type)i;
			return 0;
		}
	return -1;
}

/* out has room for p->data.n bytes. */
static bool gcm_open(const struct sops_key *k, const struct parts *p, struct str aad, uint8_t *out)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const uint8_t *data = (const uint8_t *)p->data.p;
	int n = 0, more = 0;
	bool ok;

	ok = c && EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, (int)p->iv.n, NULL) == 1 &&
	     EVP_DecryptInit_ex(c, NULL, NULL, k->bytes, (const uint8_t *)p->iv.p) == 1 &&
	     (!aad.n || EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)aad.p, (int)aad.n) == 1) &&
	     (!p->data.n || EVP_DecryptUpdate(c, out, &n, data, (int)p->data.n) == 1) &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, p->tag.p) == 1 &&
	     EVP_DecryptFinal_ex(c, out + p->data.n, &more) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

int sops_value_open(const struct sops_key *k, struct str value, struct str aad, struct buf *out,
		    enum sops_type *ret_type, struct err *err)
{
	struct parts p = {0};
	int rc = parse(value, &p, err);

	if (rc == 0 && type_of(p.type, ret_type) != 0)
		rc = bad(err, "type");
	if (rc == 0) {
		uint8_t *at = (uint8_t *)buf_reserve(out, p.data.n + TAG);

		if (gcm_open(k, &p, aad, at)) {
			out->n += p.data.n;
		} else {
			sodium_memzero(at, p.data.n + TAG);
			rc = err_set(err, ERR_CORRUPT, "damaged, or moved from another place");
		}
	}
	parts_release(&p);
	return rc;
}

/* ---- writing ---- */

static bool gcm_seal(const struct sops_key *k, const struct sops_sealing *s, uint8_t iv[IV],
		     uint8_t *out, uint8_t tag[TAG])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	const uint8_t *plain = (const uint8_t *)s->plain.p, *aad = (const uint8_t *)s->aad.p;
	int n = 0, more = 0;
	bool ok;

	ok = c && EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, NULL, NULL) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, IV, NULL) == 1 &&
	     EVP_EncryptInit_ex(c, NULL, NULL, k->bytes, iv) == 1 &&
	     (!s->aad.n || EVP_EncryptUpdate(c, NULL, &n, aad, (int)s->aad.n) == 1) &&
	     (!s->plain.n || EVP_EncryptUpdate(c, out, &n, plain, (int)s->plain.n) == 1) &&
	     EVP_EncryptFinal_ex(c, out + s->plain.n, &more) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	return ok;
}

int sops_value_seal(const struct sops_key *k, const struct sops_sealing *s, struct buf *out,
		    struct err *err)
{
	AUTO(buf) struct buf data = {0};
	uint8_t iv[IV], tag[TAG];

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	if (s->plain.n > VALUE_MAX / 2)
		return err_set(err, ERR_LIMIT, "longer than %d bytes", VALUE_MAX / 2);
	randombytes_buf(iv, sizeof(iv));
	if (!gcm_seal(k, s, iv, (uint8_t *)buf_reserve(&data, s->plain.n + TAG), tag))
		return err_set(err, ERR_INTERNAL, "libcrypto does not encrypt");
	data.n = s->plain.n;
	buf_puts(out, "ENC[AES256_GCM,data:");
	base64_encode(buf_view(&data), out);
	buf_puts(out, ",iv:");
	base64_encode((struct str){(const char *)iv, sizeof(iv)}, out);
	buf_puts(out, ",tag:");
	base64_encode((struct str){(const char *)tag, sizeof(tag)}, out);
	buf_printf(out, ",type:%s]", type_names[s->type]);
	return 0;
}

/* ---- MAC ---- */

struct sops_mac {
	crypto_hash_sha512_state hash;
	bool only_encrypted;
};

struct sops_mac *sops_mac_new(bool only_encrypted)
{
	struct sops_mac *m = xalloc(sizeof(*m));
	struct sha256 mark;

	m->only_encrypted = only_encrypted;
	crypto_hash_sha512_init(&m->hash);
	if (only_encrypted) {
		sha256_of(STR("sops"), &mark);
		crypto_hash_sha512_update(&m->hash, mark.bytes, sizeof(mark.bytes));
	}
	return m;
}

void sops_mac_free(struct sops_mac *m)
{
	if (!m)
		return;
	sodium_memzero(m, sizeof(*m));
	free(m);
}

void sops_mac_add(struct sops_mac *m, struct str plain, bool encrypted)
{
	if (encrypted || !m->only_encrypted)
		crypto_hash_sha512_update(&m->hash, (const uint8_t *)plain.p, plain.n);
}

/* RFC 3339 without a fraction: how the MAC's associated data is written. */
static void put_time(struct str text, struct buf *out)
{
	struct str head, tail;

	if (!str_cut(text, '.', &head, &tail)) {
		buf_str(out, text);
		return;
	}
	while (tail.n && *tail.p >= '0' && *tail.p <= '9')
		tail = str_sub(tail, 1, tail.n);
	buf_str(out, head);
	buf_str(out, tail);
}

int sops_mac_check(struct sops_mac *m, const struct sops_key *k, struct str mac,
		   struct str last_modified, struct err *err)
{
	uint8_t hash[crypto_hash_sha512_BYTES];
	AUTO(buf) struct buf want = {0};
	AUTO(buf) struct buf have = {0};
	AUTO(buf) struct buf aad = {0};
	enum sops_type type;

	crypto_hash_sha512_final(&m->hash, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		buf_printf(&have, "%02X", hash[i]);
	put_time(last_modified, &aad);
	if (!sops_is_value(mac))
		return err_set(err, ERR_CORRUPT, "the file's MAC is missing");
	if (sops_value_open(k, mac, buf_view(&aad), &want, &type, err) != 0)
		return err_wrap(err, "the file's MAC");
	if (!str_eq_secret(buf_view(&want), buf_view(&have)))
		return err_set(err, ERR_CORRUPT,
			       "the file's MAC doesn't match: it was edited without sops");
	return 0;
}

int sops_mac_write(struct sops_mac *m, const struct sops_key *k, struct str last_modified,
		   struct buf *out, struct err *err)
{
	uint8_t hash[crypto_hash_sha512_BYTES];
	AUTO(buf) struct buf text = {0};
	struct sops_sealing s = {.aad = last_modified, .type = SOPS_STR};

	crypto_hash_sha512_final(&m->hash, hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		buf_printf(&text, "%02X", hash[i]);
	s.plain = buf_view(&text);
	return sops_value_seal(k, &s, out, err);
}

/* ---- data key ---- */

static int try_entries(const struct age_keys *keys, const struct json *entries, bool *ret_any,
		       struct sops_key *ret, struct err *err)
{
	for (size_t i = 0; i < json_len(entries); i++) {
		struct str enc = json_str(json_get(json_item(entries, i), STR("enc")));
		struct buf plain = {0};
		int rc = age_decrypt(keys, enc, &plain, err);

		*ret_any = true;
		if (rc == 0 && plain.n != SOPS_KEY_BYTES)
			rc = err_set(err, ERR_CORRUPT, "data key of %zu bytes", plain.n);
		else if (rc == 0)
			memcpy(ret->bytes, plain.p, SOPS_KEY_BYTES);
		buf_wipe(&plain);
		if (rc == 0)
			return 0;
	}
	return -1;
}

int sops_data_key(const struct age_keys *keys, const struct json *metadata, struct sops_key *ret,
		  struct err *err)
{
	const struct json *groups = json_get(metadata, STR("key_groups"));
	bool any = false;

	if (json_len(groups) > 1)
		return err_set(err, ERR_UNSUPPORTED,
			       "its key is shared between %zu key groups: only one is supported",
			       json_len(groups));
	if (try_entries(keys, json_get(metadata, STR("age")), &any, ret, err) == 0 ||
	    try_entries(keys, json_get(json_item(groups, 0), STR("age")), &any, ret, err) == 0)
		return 0;
	if (!any)
		return err_set(err, ERR_UNSUPPORTED,
			       "it has no age recipient, and others are not supported");
	return err_wrap(err, "data key");
}

/* ---- numbers ---- */

/* Digits and exponent of the shortest text that reads back as f, spelt without an exponent. */
void sops_float(double f, struct buf *out)
{
	char text[64], digits[40];
	size_t n = 0;
	int exponent;
	const char *e;

	for (int precision = 0; precision <= 16; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, f);
		if (strtod(text, NULL) == f)
			break;
	}
	e = strchr(text, 'e');
	if (!e) { /* inf, nan */
		buf_puts(out, f != f ? "NaN" : f > 0 ? "+Inf" : "-Inf");
		return;
	}
	exponent = (int)strtol(e + 1, NULL, 10);
	for (const char *c = text; c < e; c++)
		if (*c >= '0' && *c <= '9')
			digits[n++] = *c;
	if (text[0] == '-')
		buf_putc(out, '-');
	if (exponent < 0) {
		buf_puts(out, "0.");
		for (int i = -1; i > exponent; i--)
			buf_putc(out, '0');
		buf_put(out, digits, n);
		return;
	}
	for (int i = 0; i <= exponent || (size_t)i < n; i++) {
		if (i == exponent + 1)
			buf_putc(out, '.');
		buf_putc(out, (size_t)i < n ? digits[i] : '0');
	}
}
