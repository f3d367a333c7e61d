/*
 * What the operators of ${…} do to a value. Globs are matched by a table over both texts, so that
 * no pattern takes more than its length times the value's: values may be a megabyte long, and
 * whoever writes patterns does not pay for the time.
 *
 * Pure. Memory: the caller's buffer, and scratch that is freed before the return.
 */
#include <stdlib.h>
#include <string.h>

#include "reconciler/envsubst.h"

#include "lib/base/pure.h"

#define WORK_MAX (16u << 20)

/* ---- case, slices, replacing ---- */

static char other_case(char c, bool up)
{
	if (up)
		return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

void envsubst_case(struct str s, struct str op, struct buf *out)
{
	size_t n = op.n > 1 ? s.n : MIN(s.n, (size_t)1);

	for (size_t i = 0; i < n; i++)
		buf_putc(out, other_case(s.p[i], op.p[0] == '^'));
	buf_str(out, str_sub(s, n, s.n));
}

void envsubst_slice(struct str s, struct str offset, const struct str *length, struct buf *out)
{
	int64_t size = (int64_t)s.n, from, n = size;

	if (str_to_i64(offset, &from) || (length && str_to_i64(*length, &n))) {
		buf_str(out, s); /* as Flux has it, after bash */
		return;
	}
	if (from < 0)
		from = MAX(from, -size) + size;
	from = MIN(from, size);
	if (length && n < 0)
		n = MAX(n, -size) + size - from;
	if (n > 0)
		buf_str(out, str_sub(s, (size_t)from, (size_t)n));
}

int envsubst_replace(struct str s, struct str op, struct str from, struct str to, struct buf *out,
		     struct err *err)
{
	bool all = str_is(op, "//");
	size_t start = out->n;
	ptrdiff_t at = 0;

	if (str_is(op, "/#") || str_is(op, "/%")) {
		bool front = str_is(op, "/#"),
		     fits = front ? str_starts(s, from) : str_ends(s, from);

		if (fits && front)
			buf_str(out, to);
		buf_str(out, fits ? str_sub(s, front ? from.n : 0, s.n - from.n) : s);
		if (fits && !front)
			buf_str(out, to);
		return 0;
	}
	while (from.n && (at = str_find(s, from)) >= 0) {
		buf_str(out, str_sub(s, 0, (size_t)at));
		buf_str(out, to);
		s = str_sub(s, (size_t)at + from.n, s.n);
		if (out->n - start > ENVSUBST_MAX)
			return err_set(err, ERR_LIMIT, "too long after substitution");
		if (!all)
			break;
	}
	buf_str(out, s);
	return 0;
}

/* ---- globs ---- */

enum { ONE, ANY, STAR, CLASS };

struct element {
	uint8_t what;
	uint32_t rune; /* ONE */
	struct str set;
};

/* Bytes that are no UTF-8 count as one each. */
static uint32_t rune_at(struct str s, size_t *n)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t want = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	uint32_t r = c & (want == 1 ? 0xffu : 0xffu >> (want + 1));

	*n = want <= s.n && str_is_utf8(str_sub(s, 0, want)) ? want : 1;
	if (*n == 1)
		return c;
	for (size_t i = 1; i < want; i++)
		r = r << 6 | ((unsigned char)s.p[i] & 0x3f);
	return r;
}

static uint32_t *runes(struct str s, size_t *ret_n)
{
	uint32_t *v = xreallocarray(NULL, s.n + 1, sizeof(*v));
	size_t n = 0, step;

	for (size_t i = 0; i < s.n; i += step)
		v[n++] = rune_at(str_sub(s, i, s.n), &step);
	*ret_n = n;
	return v;
}

/* The end of a [set], 0 when it isn't closed. */
static size_t set_end(struct str s)
{
	size_t i = 1 + (s.n > 1 && s.p[1] == '^'), first = i;

	for (; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == ']' && i > first)
			return i + 1;
	}
	return 0;
}

/* -1 for a malformed glob. */
static ptrdiff_t parse_glob(struct str glob, struct element *v)
{
	size_t n = 0, step;

	for (; glob.n; glob = str_sub(glob, step, glob.n)) {
		struct element e = {.what = ONE};

		step = 1;
		if (*glob.p == '*') {
			e.what = STAR;
		} else if (*glob.p == '?') {
			e.what = ANY;
		} else if (*glob.p == '[') {
			step = set_end(glob);
			if (!step)
				return -1;
			e.what = CLASS;
			e.set = str_sub(glob, 1, step - 2);
		} else {
			size_t skip = *glob.p == '\\';

			if (glob.n == skip)
				return -1;
			e.rune = rune_at(str_sub(glob, skip, glob.n), &step);
			step += skip;
		}
		v[n++] = e;
	}
	return (ptrdiff_t)n;
}

static uint32_t set_rune(struct str *set)
{
	uint32_t r;
	size_t n;

	if (set->n > 1 && *set->p == '\\')
		*set = str_sub(*set, 1, set->n);
	r = rune_at(*set, &n);
	*set = str_sub(*set, n, set->n);
	return r;
}

static bool in_set(struct str set, uint32_t r)
{
	bool negated = str_starts(set, STR("^")), found = false;

	if (negated)
		set = str_sub(set, 1, set.n);
	while (set.n) {
		uint32_t low = set_rune(&set), high = low;

		if (set.n > 1 && *set.p == '-') {
			set = str_sub(set, 1, set.n);
			high = set_rune(&set);
		}
		found |= r >= low && r <= high;
	}
	return found != negated;
}

static bool takes(const struct element *e, uint32_t r)
{
	if (e->what == ONE)
		return e->rune == r;
	return e->what == ANY || in_set(e->set, r);
}

/* fit[j]: the elements match the first j runes. From the back when `step` is -1. */
static void match_all(const struct element *v, size_t nv, const uint32_t *text, size_t n, bool back,
		      bool *fit)
{
	memset(fit, 0, n + 1);
	fit[0] = true;
	for (size_t i = 0; i < nv; i++) {
		const struct element *e = &v[back ? nv - 1 - i : i];

		if (e->what == STAR) {
			for (size_t j = 1; j <= n; j++)
				fit[j] |= fit[j - 1];
			continue;
		}
		for (size_t j = n; j > 0; j--)
			fit[j] = fit[j - 1] && takes(e, text[back ? n - j : j - 1]);
		fit[0] = false;
	}
}

/* How many bytes the first (or last) runes take. */
static size_t bytes_of(struct str s, size_t nrunes, size_t all, bool back)
{
	size_t at = 0, step, front = back ? all - nrunes : nrunes;

	for (size_t i = 0; i < front; i++, at += step)
		rune_at(str_sub(s, at, s.n), &step);
	return back ? s.n - at : at;
}

int envsubst_trim(struct str s, struct str op, struct str glob, struct buf *out, struct err *err)
{
	bool back = op.p[0] == '%', longest = op.n > 1;
	size_t n, best = 0, cut;
	AUTO(free) struct element *v = NULL;
	AUTO(free) uint32_t *text = NULL;
	AUTO(free) bool *fit = NULL;
	ptrdiff_t nv;

	if ((uint64_t)(s.n + 1) * (glob.n + 1) > WORK_MAX)
		return err_set(err, ERR_LIMIT, "value and pattern are too long");
	v = xreallocarray(NULL, glob.n + 1, sizeof(*v));
	text = runes(s, &n);
	fit = xreallocarray(NULL, n + 1, sizeof(*fit));
	nv = parse_glob(glob, v);
	if (nv >= 0)
		match_all(v, (size_t)nv, text, n, back, fit);
	for (size_t j = 1; nv >= 0 && j <= n && (longest || !best); j++) {
		if (fit[j])
			best = j;
	}
	cut = bytes_of(s, best, n, back);
	buf_str(out, back ? str_sub(s, 0, s.n - cut) : str_sub(s, cut, s.n));
	return 0;
}
