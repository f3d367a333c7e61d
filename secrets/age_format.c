/*
 * The text parts of an age file: header, stanzas, armor. Strict, as the specification asks: one
 * way to write a thing. Pure; bounded by AGE_STANZAS_MAX and AGE_BODY_MAX before allocation.
 */
#include "secrets/age-internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 64, BLANKS_MAX = 1024 };
static const char version[] = "age-encryption.org/v1";
static const char begin_line[] = "-----BEGIN AGE ENCRYPTED FILE-----";
static const char end_line[] = "-----END AGE ENCRYPTED FILE-----";

static int b64_decode(struct str in, int variant, struct buf *out)
{
	const char *end = NULL;
	size_t n = 0;
	char *at = buf_reserve(out, in.n / 4 * 3 + 4);

	if (!in.n)
		return 0;
	/* libsodium 1.0.18 takes some bytes above 127 for letters. */
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] <= ' ' || in.p[i] > '~')
			return -1;
	if (sodium_base642bin((uint8_t *)at, in.n / 4 * 3 + 4, in.p, in.n, NULL, &n, &end,
			      variant) != 0 ||
	    end != in.p + in.n)
		return -1;
	out->n += n;
	return 0;
}

static void b64_encode(struct str in, int variant, struct buf *out)
{
	size_t n = sodium_base64_encoded_len(in.n, variant);
	char *at = buf_reserve(out, n);

	sodium_bin2base64(at, n, (const uint8_t *)in.p, in.n, variant);
	out->n += strlen(at);
}

int age_b64_decode(struct str in, struct buf *out)
{
	return b64_decode(in, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, out);
}

void age_b64_encode(struct str in, struct buf *out)
{
	b64_encode(in, sodium_base64_VARIANT_ORIGINAL_NO_PADDING, out);
}

void age_body_write(struct str body, struct buf *out)
{
	AUTO(buf) struct buf text = {0};
	size_t at = 0;

	age_b64_encode(body, &text);
	/* A full last line is followed by an empty one. */
	do {
		buf_str(out, str_sub(buf_view(&text), at, COLUMNS));
		buf_putc(out, '\n');
		at += COLUMNS;
	} while (at <= text.n);
}

/* ---- header ---- */

static int bad(struct err *err, const char *what)
{
	return err_set(err, ERR_PARSE, "age file: %s", what);
}

/* A line ended by LF; false at the end of the file. */
static bool take_line(struct str *rest, struct str *ret)
{
	const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;

	if (!end)
		return false;
	*ret = (struct str){rest->p, (size_t)(end - rest->p)};
	*rest = str_sub(*rest, ret->n + 1, rest->n);
	return true;
}

static int parse_args(struct str line, struct age_stanza *s, struct err *err)
{
	struct str arg;

	while (str_next(&line, ' ', &arg)) {
		if (!arg.n || s->nargs == AGE_ARGS_MAX)
			return bad(err, "malformed recipient");
		for (size_t i = 0; i < arg.n; i++)
			if (arg.p[i] < 33 || arg.p[i] > 126)
				return bad(err, "malformed recipient");
		s->args[s->nargs++] = arg;
	}
	return s->nargs ? 0 : bad(err, "malformed recipient");
}

static int parse_body(struct str *rest, struct age_stanza *s, struct err *err)
{
	struct str line;

	do {
		if (!take_line(rest, &line) || line.n > COLUMNS || s->body.n > AGE_BODY_MAX ||
		    age_b64_decode(line, &s->body) != 0)
			return bad(err, "malformed recipient body");
	} while (line.n == COLUMNS);
	return 0;
}

static int parse_stanza(struct str line, struct str *rest, struct age_header *h, struct err *err)
{
	struct age_stanza *s;

	if (h->n == AGE_STANZAS_MAX)
		return err_set(err, ERR_LIMIT, "age file: more than %d recipients",
			       AGE_STANZAS_MAX);
	h->stanzas = xreallocarray(h->stanzas, h->n + 1, sizeof(*s));
	s = &h->stanzas[h->n++];
	*s = (struct age_stanza){.nargs = 0};
	if (parse_args(str_sub(line, 3, line.n), s, err) != 0)
		return -1;
	return parse_body(rest, s, err);
}

static int parse_mac(struct str line, struct age_header *h, struct err *err)
{
	AUTO(buf) struct buf mac = {0};

	if (!str_starts(line, STR("--- ")) || age_b64_decode(str_sub(line, 4, line.n), &mac) != 0 ||
	    mac.n != AGE_MAC)
		return bad(err, "malformed end of the header");
	memcpy(h->mac, mac.p, AGE_MAC);
	return 0;
}

int age_header_parse(struct str file, struct age_header *ret, struct err *err)
{
	struct str rest = file, line;

	*ret = (struct age_header){0};
	if (!take_line(&rest, &line) || !str_is(line, version))
		return bad(err, "not one, or of another version");
	while (take_line(&rest, &line)) {
		if (str_starts(line, STR("---"))) {
			ret->covered = (struct str){file.p, (size_t)(line.p - file.p) + 3};
			ret->payload = rest;
			if (!ret->n)
				return bad(err, "no recipient");
			return parse_mac(line, ret, err);
		}
		if (!str_starts(line, STR("-> ")))
			break;
		if (parse_stanza(line, &rest, ret, err) != 0)
			return -1;
	}
	return bad(err, "malformed header");
}

void age_header_release(struct age_header *h)
{
	for (size_t i = 0; i < h->n; i++)
		buf_release(&h->stanzas[i].body);
	free(h->stanzas);
	*h = (struct age_header){0};
}

/* ---- armor ---- */

static struct str skip_blanks(struct str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t' || *s.p == '\r' || *s.p == '\n'))
		s = str_sub(s, 1, s.n);
	return s;
}

bool age_is_armored(struct str file)
{
	return str_starts(skip_blanks(file), STR("-----BEGIN"));
}

/* With CR taken off. */
static bool armor_line(struct str *rest, struct str *ret)
{
	if (!rest->n)
		return false;
	if (!take_line(rest, ret)) {
		*ret = *rest;
		*rest = STR_NONE;
	}
	if (ret->n && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

int age_armor_decode(struct str file, struct buf *out, struct err *err)
{
	struct str rest = skip_blanks(file), line;
	bool last = false;

	if (file.n - rest.n > BLANKS_MAX || !armor_line(&rest, &line) || !str_is(line, begin_line))
		return bad(err, "malformed armor");
	while (armor_line(&rest, &line)) {
		if (str_is(line, end_line))
			return skip_blanks(rest).n || rest.n > BLANKS_MAX
				       ? bad(err, "something behind its armor")
				       : 0;
		/* Only the last line may be short or padded. */
		if (last || !line.n || line.n > COLUMNS ||
		    b64_decode(line, sodium_base64_VARIANT_ORIGINAL, out) != 0)
			return bad(err, "malformed armor");
		last = line.n < COLUMNS || line.p[line.n - 1] == '=';
	}
	return bad(err, "its armor doesn't end");
}

void age_armor_encode(struct str file, struct buf *out)
{
	AUTO(buf) struct buf text = {0};

	b64_encode(file, sodium_base64_VARIANT_ORIGINAL, &text);
	buf_printf(out, "%s\n", begin_line);
	for (size_t at = 0; at < text.n; at += COLUMNS) {
		buf_str(out, str_sub(buf_view(&text), at, COLUMNS));
		buf_putc(out, '\n');
	}
	buf_printf(out, "%s\n", end_line);
}
