/*
 * Ignore rules: reading gitignore's syntax and matching paths. A rule's parts are matched against
 * a path's as a set of positions, one bit each, so that no number of ** takes more than their
 * product; texts, rules and lines are bounded. A malformed rule matches nothing.
 *
 * Pure. Memory: the caller's arena.
 */
#include "reconciler/ignore.h"

#include <string.h>

#include "lib/base/pure.h"

#define RULES_MAX 4096
#define LINE_MAX_BYTES 4096
#define PARTS_MAX 60

struct ignore_rule {
	struct str domain, pattern; /* without `!` and the slashes at its ends */
	bool back, folders_only, anchored;
};

/* ---- one name ---- */

/* The byte after a [set], or NULL when it isn't closed. */
static const char *set_takes(const char *p, const char *end, unsigned char c, bool *ret)
{
	bool negated = p < end && (*p == '^' || *p == '!'), found = false;
	const char *first = p + negated;

	for (p = first; p < end && (*p != ']' || p == first); p++) {
		unsigned char low, high;

		if (*p == '\\' && ++p == end)
			return NULL;
		low = high = (unsigned char)*p;
		if (end - p > 2 && p[1] == '-' && p[2] != ']') {
			p += 2;
			if (*p == '\\' && ++p == end)
				return NULL;
			high = (unsigned char)*p;
		}
		found |= c >= low && c <= high;
	}
	*ret = found != negated;
	return p < end ? p + 1 : NULL;
}

/* What of the pattern stands for one byte; NULL when that isn't `c`. */
static const char *takes(const char *p, const char *end, unsigned char c)
{
	bool found;

	if (*p == '?')
		return p + 1;
	if (*p == '[') {
		p = set_takes(p + 1, end, c, &found);
		return p && found ? p : NULL;
	}
	if (*p == '\\' && ++p == end)
		return NULL;
	return (unsigned char)*p == c ? p + 1 : NULL;
}

static bool name_fits(struct str pattern, struct str name)
{
	const char *p = pattern.p, *end = p + pattern.n, *after_star = NULL;
	size_t i = 0, star_at = 0;

	while (i < name.n) {
		const char *next = NULL;

		if (p < end && *p == '*') {
			after_star = ++p;
			star_at = i;
			continue;
		}
		if (p < end)
			next = takes(p, end, (unsigned char)name.p[i]);
		if (next) {
			p = next;
			i++;
		} else if (after_star) {
			p = after_star;
			i = ++star_at;
		} else {
			return false;
		}
	}
	while (p < end && *p == '*')
		p++;
	return p == end;
}

/* ---- whole paths ---- */

struct parts {
	struct str v[PARTS_MAX];
	size_t n;
};

static bool split(struct str path, struct parts *ret)
{
	struct str part;

	ret->n = 0;
	while (str_next(&path, '/', &part)) {
		if (ret->n == PARTS_MAX)
			return false;
		ret->v[ret->n++] = part;
	}
	return true;
}

/* Does what was matched up to part `n` mean the path, or a folder it lies in? */
static bool counts(const struct ignore_rule *rule, size_t n, const struct parts *path, bool folder)
{
	return n && (n < path->n || folder || !rule->folders_only);
}

static bool any_name_fits(const struct ignore_rule *rule, const struct parts *path, bool folder)
{
	for (size_t i = 0; i < path->n; i++) {
		if (counts(rule, i + 1, path, folder) && name_fits(rule->pattern, path->v[i]))
			return true;
	}
	return false;
}

/* Positions in the path that the rule's parts can have come to. */
static bool path_fits(const struct ignore_rule *rule, const struct parts *path, bool folder)
{
	uint64_t at = 1, all = (UINT64_C(2) << path->n) - 1;
	struct str rest = rule->pattern, part;

	while (at && str_next(&rest, '/', &part)) {
		uint64_t lowest = at & (~at + 1), next = 0;

		if (str_is(part, "**")) { /* no part or more; at the end, one or more */
			at = all & ~(lowest - 1) & ~(rest.p ? 0 : lowest);
			continue;
		}
		for (size_t i = 0; i < path->n; i++) {
			if ((at >> i & 1) && name_fits(part, path->v[i]))
				next |= UINT64_C(2) << i;
		}
		at = next;
	}
	for (size_t i = 1; i <= path->n; i++) {
		if ((at >> i & 1) && counts(rule, i, path, folder))
			return true;
	}
	return false;
}

static bool in_domain(struct str domain, struct str path, struct str *ret)
{
	if (!domain.n) {
		*ret = path;
		return true;
	}
	if (!str_starts(path, domain) || path.n <= domain.n + 1 || path.p[domain.n] != '/')
		return false;
	*ret = str_sub(path, domain.n + 1, path.n);
	return true;
}

enum ignore_verdict ignore_verdict(const struct ignore *ig, struct str path, bool folder)
{
	for (size_t i = ig->n; i-- > 0;) {
		const struct ignore_rule *rule = &ig->v[i];
		struct parts parts;
		struct str inside;

		if (!in_domain(rule->domain, path, &inside) || !split(inside, &parts))
			continue;
		if (rule->anchored ? path_fits(rule, &parts, folder)
				   : any_name_fits(rule, &parts, folder))
			return rule->back ? IGNORE_IN : IGNORE_OUT;
	}
	return IGNORE_UNSAID;
}

/* ---- reading ---- */

/* Blanks at the end don't count unless the last one is escaped. */
static struct str trimmed(struct str line)
{
	if (str_ends(line, STR("\r")))
		line.n--;
	while (str_ends(line, STR(" ")) && !str_ends(line, STR("\\ ")))
		line.n--;
	return line;
}

static bool parse(struct str line, struct ignore_rule *ret)
{
	*ret = (struct ignore_rule){0};
	line = trimmed(line);
	if (!line.n || *line.p == '#' || !str_trim(line).n)
		return false;
	ret->back = *line.p == '!';
	line = str_sub(line, ret->back, line.n);
	ret->folders_only = str_ends(line, STR("/"));
	line.n -= ret->folders_only;
	ret->anchored = line.n && memchr(line.p, '/', line.n) != NULL;
	if (str_starts(line, STR("/")))
		line = str_sub(line, 1, line.n);
	ret->pattern = line;
	return line.n > 0;
}

static int push(struct arena *a, struct ignore *ig, const struct ignore_rule *rule, struct err *err)
{
	if (ig->n >= RULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d ignore rules", RULES_MAX);
	if (ig->n == ig->cap) {
		size_t cap = ig->cap ? ig->cap * 2 : 32;
		struct ignore_rule *v = arena_array(a, cap, sizeof(*v));

		if (ig->n)
			memcpy(v, ig->v, ig->n * sizeof(*v));
		ig->v = v;
		ig->cap = cap;
	}
	ig->v[ig->n++] = *rule;
	ig->negated |= rule->back;
	return 0;
}

int ignore_add(struct arena *a, struct ignore *ig, struct str domain, struct str text,
	       struct err *err)
{
	struct ignore_rule rule;
	struct str line;

	if (text.n > IGNORE_TEXT_MAX)
		return err_set(err, ERR_LIMIT, "ignore rules are longer than %u KiB",
			       IGNORE_TEXT_MAX >> 10);
	if (str_starts(text, STR("\xef\xbb\xbf")))
		text = str_sub(text, 3, text.n);
	while (str_next(&text, '\n', &line)) {
		if (line.n > LINE_MAX_BYTES)
			return err_set(err, ERR_LIMIT, "an ignore rule is longer than %d bytes",
				       LINE_MAX_BYTES);
		if (!parse(line, &rule))
			continue;
		rule.domain = domain;
		if (push(a, ig, &rule, err))
			return -1;
	}
	return 0;
}

void ignore_add_defaults(struct arena *a, struct ignore *ig)
{
	static const char defaults[] =
		".git/\n.gitignore\n.gitmodules\n.gitattributes\n"
		"*.jpg\n*.jpeg\n*.gif\n*.png\n*.wmv\n*.flv\n*.tar.gz\n*.zip\n"
		".github/\n.circleci/\n.travis.yml\n.gitlab-ci.yml\nappveyor.yml\n.drone.yml\n"
		"cloudbuild.yaml\ncodeship-services.yml\ncodeship-steps.yml\n"
		"**/.goreleaser.yml\n**/.sops.yaml\n**/.flux.yaml\n";

	(void)!ignore_add(a, ig, STR(""), STR(defaults), NULL);
}
