/*
 * Reading .gitmodules and deciding which addresses in it are followed. Pure; memory is the caller's
 * arena.
 */
#include "reconciler/gitmodules.h"

#include <string.h>

#include "lib/base/buf.h"

#include "lib/base/pure.h"

/* ---- git's configuration syntax, as far as it is needed ---- */

struct reader {
	struct arena *a;
	struct str rest;
	struct gitmodules *out;
	struct gitmodule *now; /* NULL outside of a submodule's section */
	unsigned line;
};

static bool value_char(struct reader *r, struct str *line, struct buf *out, bool *quoted)
{
	char c = line->p[0];

	*line = str_sub(*line, 1, line->n);
	if (c == '"') {
		*quoted = !*quoted;
		return true;
	}
	if (c != '\\') {
		buf_putc(out, c);
		return true;
	}
	if (!line->n) /* goes on in the next line */
		return str_next(&r->rest, '\n', line);
	c = line->p[0];
	*line = str_sub(*line, 1, line->n);
	if (c != '"' && c != '\\' && c != 'n' && c != 't')
		return false;
	buf_putc(out, c == 'n' ? '\n' : c == 't' ? '\t' : c);
	return true;
}

static int value_read(struct reader *r, struct str line, struct str *ret)
{
	AUTO(buf) struct buf out = {0};
	bool quoted = false;

	line = str_trim(line);
	while (line.n) {
		if (!quoted && (line.p[0] == '#' || line.p[0] == ';'))
			break;
		if (!value_char(r, &line, &out, &quoted))
			return -1;
	}
	if (quoted)
		return -1;
	*ret = arena_str(r->a, str_trim(buf_view(&out)));
	return 0;
}

/* [submodule "name"] */
static int section(struct reader *r, struct str line, struct err *err)
{
	struct str head, name, tail;

	r->now = NULL;
	if (!str_cut(line, ']', &head, &tail))
		return -1;
	head = str_trim(str_sub(head, 1, head.n));
	if (!str_starts(head, STR("submodule")))
		return 0;
	name = str_trim(str_sub(head, 9, head.n));
	if (name.n < 2 || name.p[0] != '"' || name.p[name.n - 1] != '"')
		return -1;
	if (r->out->n == GITMODULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d submodules", GITMODULES_MAX);
	r->now = &r->out->v[r->out->n++];
	*r->now = (struct gitmodule){.name = str_sub(name, 1, name.n - 2)};
	return 0;
}

static int setting(struct reader *r, struct str line)
{
	struct str key, text, value;

	if (!str_cut(line, '=', &key, &text))
		return 0; /* a flag: none that matters */
	if (value_read(r, text, &value))
		return -1;
	if (!r->now)
		return 0;
	if (str_ieq(str_trim(key), STR("path")))
		r->now->path = value;
	else if (str_ieq(str_trim(key), STR("url")))
		r->now->url = value;
	return 0;
}

int gitmodules_parse(struct arena *a, struct str text, struct gitmodules *ret, struct err *err)
{
	struct reader r = {.a = a, .rest = text, .out = ret};
	struct str line;

	ret->n = 0;
	if (text.n > GITMODULES_TEXT_MAX)
		return err_set(err, ERR_LIMIT, ".gitmodules is larger than %u KiB",
			       GITMODULES_TEXT_MAX >> 10);
	while (str_next(&r.rest, '\n', &line)) {
		int rc = 0;

		r.line++;
		line = str_trim(line);
		if (!line.n || line.p[0] == '#' || line.p[0] == ';')
			continue;
		rc = line.p[0] == '[' ? section(&r, line, err) : setting(&r, line);
		if (rc && err && err->code)
			return -1;
		if (rc)
			return err_set(err, ERR_PARSE, ".gitmodules: line %u is malformed", r.line);
	}
	return 0;
}

/* ---- addresses ---- */

struct address {
	struct str scheme;    /* "https", "" for host:path */
	struct str user_host; /* with port */
	struct str path;      /* with its slash, where there is one */
};

static bool address_parse(struct str url, struct address *ret)
{
	ptrdiff_t at = str_find(url, STR("://"));
	struct str rest;

	*ret = (struct address){0};
	if (at < 0) {
		if (!str_cut(url, ':', &ret->user_host, &ret->path) || !ret->user_host.n)
			return false;
		return str_find(ret->user_host, STR("/")) < 0;
	}
	ret->scheme = str_sub(url, 0, (size_t)at);
	rest = str_sub(url, (size_t)at + 3, url.n);
	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '/') {
			ret->user_host = str_sub(rest, 0, i);
			ret->path = str_sub(rest, i, rest.n);
			return true;
		}
	}
	ret->user_host = rest;
	return true;
}

static struct str host_of(struct str user_host)
{
	struct str user, host;

	return str_rcut(user_host, '@', &user, &host) ? host : user_host;
}

static struct str without_slashes(struct str s)
{
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

static struct str folder_of(struct str path)
{
	struct str head, tail;

	return str_rcut(without_slashes(path), '/', &head, &tail) ? head : STR("");
}

static bool clean(struct str s)
{
	struct str part;

	if (!s.n || s.n > 2048 || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == 0x7f || c == '\\')
			return false;
	}
	while (str_next(&s, '/', &part)) {
		if (part.n && part.p[0] == '-')
			return false;
	}
	return true;
}

static bool has_parent_part(struct str path)
{
	struct str part;

	while (str_next(&path, '/', &part)) {
		if (str_is(part, ".."))
			return true;
	}
	return false;
}

/* "../lib.git" from the repository's own path. */
static bool resolve(struct str from, struct str rel, struct arena *a, struct str *ret)
{
	from = without_slashes(from);
	for (;;) {
		if (str_starts(rel, STR("./"))) {
			rel = str_sub(rel, 2, rel.n);
		} else if (str_starts(rel, STR("../"))) {
			rel = str_sub(rel, 3, rel.n);
			if (!from.n)
				return false;
			from = folder_of(from);
		} else {
			break;
		}
	}
	if (!rel.n || has_parent_part(rel))
		return false;
	*ret = from.n ? arena_strf(a, "%.*s/%.*s", STR_ARG(from), STR_ARG(rel))
		      : arena_strf(a, "/%.*s", STR_ARG(rel));
	return true;
}

char *gitmodule_url(struct arena *a, struct str parent, struct str url, struct err *err)
{
	struct address own, other;
	struct str path;

	if (!clean(url) || !address_parse(parent, &own))
		goto no;
	if (url.p[0] == '.') {
		if (!resolve(own.path, url, a, &path))
			goto no;
	} else {
		if (!address_parse(url, &other) || has_parent_part(other.path) ||
		    !str_ieq(own.scheme, other.scheme) ||
		    !str_ieq(host_of(own.user_host), host_of(other.user_host)))
			goto no;
		path = other.path;
	}
	if (!without_slashes(path).n)
		goto no;
	/* On this machine a repository speaks for its own folder only. */
	if (str_is(own.scheme, "file") && !str_eq(folder_of(path), folder_of(own.path)))
		goto no;
	if (!own.scheme.n)
		return arena_printf(
			a, "%.*s:%.*s", STR_ARG(own.user_host),
			STR_ARG(path.n && !own.path.n ? str_sub(path, 1, path.n) : path));
	return arena_printf(a, "%.*s://%.*s%.*s", STR_ARG(own.scheme), STR_ARG(own.user_host),
			    STR_ARG(path));
no:
	err_set(err, ERR_FORBIDDEN,
		"its address must lie on the same server as the repository, or be relative to it");
	return NULL;
}
