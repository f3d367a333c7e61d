/* Thresholds and times of probes, as kube's prober counts them. Pure; owns nothing. */
#include "kubelet/probe_core.h"

#include "lib/base/timefmt.h"

#include "lib/base/pure.h"

bool probe_count_result(struct probe_count *c, const struct probe_spec *s, bool ok)
{
	if (!c->any || c->last_ok != ok)
		c->run = 0;
	c->any = true;
	c->last_ok = ok;
	if (c->run < UINT32_MAX)
		c->run++;
	if (c->run < (ok ? s->success : s->failure))
		return false;
	if (c->verdict_set && c->verdict == ok)
		return false;
	c->verdict_set = true;
	c->verdict = ok;
	return true;
}

int64_t probe_next_ns(const struct probe_spec *s, int64_t started_mono, int64_t now, bool first)
{
	if (!first)
		return s->period_s * NS_PER_S;
	int64_t due = started_mono + s->initial_s * NS_PER_S;
	return MAX(due - now, 0);
}

/* ---- redirections ---- */

static bool clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	}
	return s.n > 0 && s.n <= 8192;
}

/* "host[:port]/path" behind the scheme. */
static int absolute(struct arena *a, struct str rest, bool tls, struct probe_url *ret)
{
	struct str authority, path, host, port;
	int64_t n = tls ? 443 : 80;
	size_t end = 0;

	while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#')
		end++;
	authority = str_sub(rest, 0, end);
	path = str_sub(rest, end, rest.n);
	if (str_find(authority, STR("@")) >= 0)
		return -1;
	if (str_rcut(authority, ':', &host, &port) && str_to_i64(port, &n))
		return -1;
	if (!host.n)
		host = authority;
	*ret = (struct probe_url){.host = host, .port = (int)n, .tls = tls};
	ret->path = path.n && path.p[0] == '/' ? path : arena_strf(a, "/%.*s", STR_ARG(path));
	return n > 0 && n < 65536 && host.n ? 0 : -1;
}

int probe_redirect(struct arena *a, const struct probe_url *from, struct str location,
		   struct probe_url *ret)
{
	struct str dir, base, path, query;

	if (!clean(location))
		return -1;
	location = arena_str(a, location);
	str_cut(location, '#', &location, &base);
	if (str_starts(location, STR("http://")))
		return absolute(a, str_sub(location, 7, location.n), false, ret);
	if (str_starts(location, STR("https://")))
		return absolute(a, str_sub(location, 8, location.n), true, ret);
	if (str_starts(location, STR("//")))
		return absolute(a, str_sub(location, 2, location.n), from->tls, ret);
	*ret = *from;
	str_cut(from->path, '?', &path, &query);
	if (location.n && location.p[0] == '/')
		ret->path = location;
	else if (location.n && location.p[0] == '?')
		ret->path = arena_strf(a, "%.*s%.*s", STR_ARG(path), STR_ARG(location));
	else if (str_rcut(path, '/', &dir, &base))
		ret->path = arena_strf(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(location));
	else
		return -1;
	return 0;
}
