/*
 * Go's regular expressions, as rules of sops have them, by way of POSIX extended ones. What means
 * the same is translated; what POSIX would silently take for something else (\d is a "d" to it) or
 * has no word for is refused, since a wrong rule leaves values in clear. Pure.
 */
#include <string.h>

#include "secrets/sops-internal.h"

enum { REGEX_MAX = 1000 };

static const struct {
	char letter;
	const char *inside, *outside;
} classes[] = {
	{'d', "0-9", "[0-9]"},
	{'w', "0-9A-Za-z_", "[0-9A-Za-z_]"},
	{'s', " \t\n\f\r", "[ \t\n\f\r]"},
	{'D', NULL, "[^0-9]"},
	{'W', NULL, "[^0-9A-Za-z_]"},
	{'S', NULL, "[^ \t\n\f\r]"},
};

static int unknown(struct err *err, struct str what)
{
	return err_set(err, ERR_UNSUPPORTED,
		       "regular expression: \"%.*s\" isn't understood here; say it another way",
		       STR_ARG(what));
}

static bool is_class(char c, bool inside, const char **ret)
{
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (classes[i].letter == c) {
			*ret = inside ? classes[i].inside : classes[i].outside;
			return *ret != NULL;
		}
	return false;
}

/* What stands behind a backslash; *at is on it. */
static int escape(struct str go, size_t *at, bool inside, struct buf *out, struct err *err)
{
	const char *class;
	char c = *at + 1 < go.n ? go.p[*at + 1] : '\0';

	if (is_class(c, inside, &class)) {
		buf_puts(out, class);
	} else if (c == 't' || c == 'n') {
		buf_putc(out, c == 't' ? '\t' : '\n');
	} else if (c && strchr(inside ? ".+*?()|{}/$@#:,_" : "\\.+*?()|[]{}^$/-@#:,_", c)) {
		if (!inside && !strchr("/-@#:,_", c))
			buf_putc(out, '\\');
		buf_putc(out, c);
	} else {
		return unknown(err, str_sub(go, *at, 2));
	}
	(*at)++;
	return 0;
}

static int bracket(struct str go, size_t *at, struct buf *out, struct err *err)
{
	size_t begin = *at, i = *at + 1;

	buf_putc(out, '[');
	if (i < go.n && go.p[i] == '^')
		buf_putc(out, go.p[i++]);
	if (i < go.n && go.p[i] == ']')
		buf_putc(out, go.p[i++]);
	for (; i < go.n && go.p[i] != ']'; i++) {
		if (go.p[i] == '[' && !str_starts(str_sub(go, i, go.n), STR("[:")))
			return unknown(err, str_sub(go, begin, i + 1 - begin));
		if (go.p[i] == '[') {
			ptrdiff_t n = str_find(str_sub(go, i, go.n), STR(":]"));

			if (n < 0)
				return unknown(err, str_sub(go, begin, go.n));
			buf_str(out, str_sub(go, i, (size_t)n + 2));
			i += (size_t)n + 1;
		} else if (go.p[i] != '\\') {
			buf_putc(out, go.p[i]);
		} else if (escape(go, &i, true, out, err) != 0) {
			return -1;
		}
	}
	if (i == go.n)
		return unknown(err, str_sub(go, begin, go.n));
	buf_putc(out, ']');
	*at = i;
	return 0;
}

static int translate(struct str go, struct buf *out, struct err *err)
{
	for (size_t i = 0; i < go.n; i++) {
		struct str rest = str_sub(go, i, go.n);

		if (go.p[i] == '[') {
			if (bracket(go, &i, out, err) != 0)
				return -1;
		} else if (go.p[i] == '\\') {
			if (escape(go, &i, false, out, err) != 0)
				return -1;
		} else if (str_starts(rest, STR("(?:"))) {
			buf_putc(out, '(');
			i += 2;
		} else if (str_starts(rest, STR("(?"))) {
			return unknown(err, str_sub(rest, 0, 4));
		} else if (go.p[i] == '?' && i && strchr("*+?}", go.p[i - 1]) &&
			   (i < 2 || go.p[i - 2] != '\\')) {
			continue; /* as little as possible: whether it matches is the same */
		} else {
			buf_putc(out, go.p[i]);
		}
	}
	return 0;
}

int sops_regex(struct str go, regex_t *ret, struct err *err)
{
	AUTO(buf) struct buf posix = {0};
	bool fold = str_starts(go, STR("(?i)"));

	if (go.n > REGEX_MAX)
		return err_set(err, ERR_LIMIT, "a regular expression of %zu bytes", go.n);
	if (translate(str_sub(go, fold ? 4 : 0, go.n), &posix, err) != 0)
		return -1;
	if (regcomp(ret, buf_cstr(&posix), REG_EXTENDED | REG_NOSUB | (fold ? REG_ICASE : 0)) != 0)
		return err_set(err, ERR_UNSUPPORTED, "this regular expression can't be used: %.*s",
			       STR_ARG(go));
	return 0;
}
