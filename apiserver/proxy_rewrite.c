/*
 * Links in HTML, found without understanding the document: tags, their attributes, quoted or not.
 * Comments, scripts and styles pass untouched. A page is hostile: whatever it holds, the worst that
 * happens is a link that isn't rewritten. Pure; one pass.
 * Specification: k8s.io/apimachinery/pkg/util/proxy (transport.go).
 */
#include "apiserver/proxy_rewrite.h"

#include <string.h>

#include "lib/base/pure.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

struct str proxy_url(struct arena *a, struct str url, struct str prefix, struct str host)
{
	static const char *const schemes[] = {"http://", "https://", "//"};

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		struct str rest = str_sub(url, strlen(schemes[i]), url.n);

		if (!str_starts(url, str_c(schemes[i])))
			continue;
		if (!str_starts(rest, host) || (rest.n > host.n && rest.p[host.n] != '/'))
			return url;
		url = rest.n > host.n ? str_sub(rest, host.n, rest.n) : STR("/");
		break;
	}
	if (!url.n || url.p[0] != '/' || str_starts(url, prefix))
		return url;
	return arena_strf(a, "%.*s%.*s", STR_ARG(prefix), STR_ARG(url));
}

/* ---- tags ---- */

static bool is_link(struct str tag, struct str attribute)
{
	static const struct {
		const char *tag, *attributes[4];
	} rows[] = {{"a", {"href"}},
		    {"applet", {"codebase"}},
		    {"area", {"href"}},
		    {"audio", {"src"}},
		    {"base", {"href"}},
		    {"blockquote", {"cite"}},
		    {"body", {"background"}},
		    {"button", {"formaction"}},
		    {"command", {"icon"}},
		    {"del", {"cite"}},
		    {"embed", {"src"}},
		    {"form", {"action"}},
		    {"frame", {"longdesc", "src"}},
		    {"head", {"profile"}},
		    {"html", {"manifest"}},
		    {"iframe", {"longdesc", "src"}},
		    {"img", {"longdesc", "src", "usemap"}},
		    {"input", {"src", "usemap", "formaction"}},
		    {"ins", {"cite"}},
		    {"link", {"href"}},
		    {"object", {"classid", "codebase", "data"}},
		    {"q", {"cite"}},
		    {"script", {"src"}},
		    {"source", {"src"}},
		    {"video", {"poster", "src"}}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t j = 0; j < 4 && rows[i].attributes[j]; j++)
			if (str_ieq(tag, str_c(rows[i].tag)) &&
			    str_ieq(attribute, str_c(rows[i].attributes[j])))
				return true;
	return false;
}

struct page {
	struct str in, prefix, host;
	size_t at;
	struct buf *out;
	struct arena a;
};

static char peek(const struct page *p)
{
	return p->at < p->in.n ? p->in.p[p->at] : 0;
}

static void copy_to(struct page *p, size_t end)
{
	end = MIN(end, p->in.n);
	buf_str(p->out, str_sub(p->in, p->at, end - p->at));
	p->at = end;
}

/* Up to and with the text; to the end when it doesn't come. */
static void copy_through(struct page *p, const char *text)
{
	ptrdiff_t found = str_find(str_sub(p->in, p->at, p->in.n), str_c(text));

	copy_to(p, found < 0 ? p->in.n : p->at + (size_t)found + strlen(text));
}

static struct str word(struct page *p, const char *ends)
{
	size_t from = p->at;

	while (p->at < p->in.n && !is_space(peek(p)) && !strchr(ends, peek(p)))
		p->at++;
	return str_sub(p->in, from, p->at - from);
}

static void skip_space(struct page *p)
{
	while (p->at < p->in.n && is_space(peek(p)))
		p->at++;
}

/* Its value: p stands behind the '='. */
static void value(struct page *p, struct str tag, struct str name)
{
	char quote = peek(p);
	size_t from;
	struct str v;

	if (quote != '"' && quote != '\'') {
		v = word(p, ">");
	} else {
		from = ++p->at;
		while (p->at < p->in.n && peek(p) != quote)
			p->at++;
		v = str_sub(p->in, from, p->at - from);
		buf_putc(p->out, quote);
	}
	buf_str(p->out, is_link(tag, name) ? proxy_url(&p->a, v, p->prefix, p->host) : v);
	if (quote == '"' || quote == '\'')
		copy_to(p, p->at + 1);
}

static void attribute(struct page *p, struct str tag)
{
	size_t from = p->at;
	struct str name;

	name = word(p, "=>/");
	if (!name.n)
		p->at++; /* a stray '/' or '=' */
	skip_space(p);
	if (peek(p) == '=' && name.n) {
		p->at++;
		skip_space(p);
		buf_str(p->out, str_sub(p->in, from, p->at - from));
		value(p, tag, name);
	} else {
		buf_str(p->out, str_sub(p->in, from, p->at - from));
	}
}

/* p stands on the '<' of a tag. */
static void tag(struct page *p)
{
	size_t from = p->at++;
	struct str name = word(p, ">/");

	buf_str(p->out, str_sub(p->in, from, p->at - from));
	while (p->at < p->in.n && peek(p) != '>') {
		if (is_space(peek(p)))
			copy_to(p, p->at + 1);
		else
			attribute(p, name);
	}
	copy_to(p, p->at + 1);
	if (str_ieq(name, STR("script")))
		copy_through(p, "</script");
	else if (str_ieq(name, STR("style")))
		copy_through(p, "</style");
}

void proxy_html(struct str html, struct str prefix, struct str host, struct buf *out)
{
	struct page p = {.in = html, .prefix = prefix, .host = host, .out = out};

	while (p.at < html.n) {
		char next = p.at + 1 < html.n ? html.p[p.at + 1] : 0;

		if (peek(&p) != '<')
			copy_to(&p, p.at + 1);
		else if (str_starts(str_sub(html, p.at, 4), STR("<!--")))
			copy_through(&p, "-->");
		else if ((next | 0x20) >= 'a' && (next | 0x20) <= 'z')
			tag(&p);
		else
			copy_to(&p, p.at + 1);
	}
	arena_release(&p.a);
}
