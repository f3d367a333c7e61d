/*
 * SSH signatures. The blob comes from whoever could push: every length is checked against what is
 * left, and the key in it counts for nothing until the very same stands among the allowed ones.
 * SHA-1 signatures, RSA keys below 2048 bits and certificates are refused. No I/O, no clock: a
 * key's validity is judged at the time that the commit or tag names, as git does. Helper process
 * only.
 */
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "reconciler/verify.h"
#include "reconciler/verify_key.h"

#define BLOB_MAX (64u << 10)
#define NAMESPACE "git"

struct signature {
	struct str key, ns, reserved, hash;
	struct str algorithm, value; /* value: with what security keys add */
};

/* ---- the blob ---- */

static int dearmor(struct str armored, struct buf *out)
{
	AUTO(buf) struct buf text = {0};
	struct str line;
	bool inside = false;

	if (armored.n > BLOB_MAX)
		return -1;
	while (str_next(&armored, '\n', &line)) {
		line = str_trim(line);
		if (str_is(line, "-----BEGIN SSH SIGNATURE-----"))
			inside = true;
		else if (str_is(line, "-----END SSH SIGNATURE-----"))
			return inside ? base64_decode(buf_view(&text), out) : -1;
		else if (inside)
			buf_str(&text, line);
	}
	return -1;
}

static int signature_parse(struct str blob, struct signature *sig)
{
	struct str inner;
	uint32_t version;

	if (!str_starts(blob, STR("SSHSIG")))
		return -1;
	blob = str_sub(blob, 6, blob.n);
	if (wire_u32(&blob, &version) || version != 1 || wire_string(&blob, &sig->key) ||
	    wire_string(&blob, &sig->ns) || wire_string(&blob, &sig->reserved) ||
	    wire_string(&blob, &sig->hash) || wire_string(&blob, &inner) || blob.n)
		return -1;
	if (wire_string(&inner, &sig->algorithm))
		return -1;
	sig->value = inner;
	return 0;
}

/* ---- who is allowed ---- */

/* Fields are parted by blanks; quotes hold blanks together. */
static struct str take_field(struct str *line)
{
	struct str s = str_trim(*line), field;
	bool quoted = false;
	size_t n = 0;

	for (; n < s.n && (quoted || (s.p[n] != ' ' && s.p[n] != '\t')); n++)
		quoted ^= s.p[n] == '"';
	field = str_sub(s, 0, n);
	*line = str_sub(s, n, s.n);
	return field;
}

static struct str unquote(struct str s)
{
	return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_sub(s, 1, s.n - 2) : s;
}

/* "20260131", "202601311530", "20260131153000", with or without Z: UTC. */
static int stamp_parse(struct str s, int64_t *ret)
{
	char text[32];

	if (s.n && (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z'))
		s = str_sub(s, 0, s.n - 1);
	if (s.n != 8 && s.n != 12 && s.n != 14)
		return -1;
	snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s.p, s.p + 4, s.p + 6,
		 s.n > 8 ? s.p + 8 : "00", s.n > 8 ? s.p + 10 : "00", s.n > 12 ? s.p + 12 : "00");
	return time_parse(str_c(text), ret);
}

static bool lists_namespace(struct str list)
{
	struct str one;

	while (str_next(&list, ',', &one)) {
		if (str_is(str_trim(one), NAMESPACE) || str_is(str_trim(one), "*"))
			return true;
	}
	return false;
}

/* Whether the options of an allowed signer let it sign this; unknown ones don't. */
static bool options_allow(struct str options, int64_t when)
{
	struct str one;

	while (options.n) {
		size_t n = 0;
		bool quoted = false;
		struct str name, value;
		int64_t t;

		for (; n < options.n && (quoted || options.p[n] != ','); n++)
			quoted ^= options.p[n] == '"';
		one = str_sub(options, 0, n);
		options = str_sub(options, n + 1, options.n);
		str_cut(one, '=', &name, &value);
		value = unquote(value);
		if (str_ieq(name, STR("namespaces"))) {
			if (!lists_namespace(value))
				return false;
		} else if (str_ieq(name, STR("valid-after"))) {
			if (stamp_parse(value, &t) || when < t)
				return false;
		} else if (str_ieq(name, STR("valid-before"))) {
			if (stamp_parse(value, &t) || when >= t)
				return false;
		} else {
			return false;
		}
	}
	return true;
}

static bool is_type(struct str s)
{
	return str_starts(s, STR("ssh-")) || str_starts(s, STR("ecdsa-sha2-")) ||
	       str_starts(s, STR("sk-"));
}

enum allowed { ALLOWED_NO, ALLOWED_NOT_NOW, ALLOWED_YES };

/* One line: a public key, or an allowed signer. */
static enum allowed line_allows(struct str line, struct str key, int64_t when, struct str *ret_who)
{
	AUTO(buf) struct buf blob = {0};
	struct str who = STR_NONE, options = STR_NONE, field = take_field(&line), text;

	if (!field.n || field.p[0] == '#')
		return ALLOWED_NO;
	if (!is_type(field)) {
		who = unquote(field);
		field = take_field(&line);
	}
	if (!is_type(field)) {
		options = field;
		field = take_field(&line);
	}
	text = take_field(&line);
	if (!is_type(field) || base64_decode(text, &blob) || !blob.n ||
	    !str_eq(buf_view(&blob), key))
		return ALLOWED_NO;
	*ret_who = who.n ? who : str_trim(line);
	return options_allow(options, when) ? ALLOWED_YES : ALLOWED_NOT_NOW;
}

static enum allowed find_key(const struct json *keys, struct str key, int64_t when,
			     struct str *ret_who)
{
	const struct json_member *m = json_members(keys);
	enum allowed found = ALLOWED_NO;

	for (size_t i = 0; m && i < json_len(keys); i++) {
		struct str text = json_str(&m[i].value), line, who;

		while (str_next(&text, '\n', &line)) {
			enum allowed a = line_allows(line, key, when, &who);

			if (a == ALLOWED_NO)
				continue;
			*ret_who = who.n ? who : m[i].key;
			if (a == ALLOWED_YES)
				return a;
			found = a;
		}
	}
	return found;
}

/* "committer Name <mail> 1700000000 +0100": when the object says it was made; 0 = it doesn't. */
static int64_t time_of(struct str text)
{
	struct str line;

	while (str_next(&text, '\n', &line) && line.n) {
		struct str head, tail, seconds, zone;
		int64_t t;

		if (!str_starts(line, STR("committer ")) && !str_starts(line, STR("tagger ")))
			continue;
		if (!str_rcut(line, '>', &head, &tail) ||
		    !str_cut(str_trim(tail), ' ', &seconds, &zone) || str_to_i64(seconds, &t) ||
		    t < 0 || t > INT64_MAX / NS_PER_S)
			return 0;
		return t * NS_PER_S;
	}
	return 0;
}

/* ---- judging ---- */

/* What is really signed: a preamble and the hash of the text. */
static int signed_data(const struct signature *sig, struct str text, struct buf *out)
{
	unsigned char sum[64];
	size_t n = key_digest(sig->hash, text, sum);

	if (!n)
		return -1;
	buf_puts(out, "SSHSIG");
	wire_put(out, sig->ns);
	wire_put(out, sig->reserved);
	wire_put(out, sig->hash);
	wire_put(out, (struct str){(const char *)sum, n});
	return 0;
}

int verify_ssh(struct arena *a, const struct json *keys, struct str text, struct str armored,
	       char **ret_who, struct err *err)
{
	AUTO(buf) struct buf blob = {0};
	AUTO(buf) struct buf data = {0};
	struct signature sig = {0};
	struct str who = STR_NONE;
	char print[KEY_PRINT_MAX];
	enum allowed allowed;

	if (dearmor(armored, &blob) || signature_parse(buf_view(&blob), &sig))
		return err_set(err, ERR_INVALID, "its SSH signature is malformed");
	key_print(sig.key, print);
	if (!str_is(sig.ns, NAMESPACE))
		return err_set(err, ERR_INVALID, "it was signed for another purpose than git");
	allowed = find_key(keys, sig.key, time_of(text), &who);
	if (allowed == ALLOWED_NO)
		return err_set(err, ERR_UNAUTHORIZED,
			       "signed with the SSH key %s, which is not among the allowed ones",
			       print);
	if (allowed == ALLOWED_NOT_NOW)
		return err_set(err, ERR_UNAUTHORIZED,
			       "signed with the SSH key %s, which is not allowed for this", print);
	if (signed_data(&sig, text, &data))
		return err_set(err, ERR_UNSUPPORTED, "its SSH signature uses an unknown hash");
	if (key_check(sig.key, sig.algorithm, sig.value, buf_view(&data), err))
		return -1;
	if (!str_is_utf8(who) || who.n > 100)
		who = STR("");
	*ret_who = arena_printf(a, "SSH key %s%s%.*s", print, who.n ? " of " : "", STR_ARG(who));
	return 0;
}
