/*
 * Image names as docker reads them: a first part with a dot, a colon or "localhost" is a registry,
 * no registry means docker.io, no folder there means library/, no tag means latest. Pure.
 */
#include "kubelet/image/image.h"

#include "lib/base/pure.h"

static bool alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool repo_ok(struct str s)
{
	struct str part;

	if (s.n == 0 || s.n > 255)
		return false;
	while (str_next(&s, '/', &part)) {
		if (part.n == 0 || !alnum(part.p[0]) || !alnum(part.p[part.n - 1]))
			return false;
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];
			if (!alnum(c) && c != '.' && c != '_' && c != '-')
				return false;
		}
	}
	return true;
}

static bool tag_ok(struct str s)
{
	if (s.n == 0 || s.n > 128 || s.p[0] == '.' || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!alnum(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static bool digest_ok(struct str s)
{
	if (!str_starts(s, STR("sha256:")) || s.n != 7 + 64)
		return false;
	for (size_t i = 7; i < s.n; i++) {
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	}
	return true;
}

static bool host_ok(struct str s)
{
	if (s.n && (s.p[0] == '.' || s.p[0] == '-' || s.p[0] == ':'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (!alnum(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '-' && c != ':' &&
		    c != '[' && c != ']')
			return false;
	}
	return s.n > 0 && s.n < 256;
}

int image_name_normal(struct arena *a, struct str name, struct str *ret, struct err *err)
{
	struct str rest = name, digest = STR_NONE, tag = STR_NONE, host = STR("docker.io");
	struct str head, tail;
	bool library = true;

	if (name.n == 0 || name.n > IMAGE_NAME_MAX)
		return err_set(err, ERR_INVALID, "an image name has 1 to %d characters",
			       IMAGE_NAME_MAX);
	if (str_cut(rest, '@', &head, &tail)) {
		digest = tail;
		rest = head;
		if (!digest_ok(digest))
			return err_set(err, ERR_INVALID, "image %.*s: not a sha256 digest",
				       STR_ARG(name));
	}
	if (str_rcut(rest, ':', &head, &tail) && str_find(tail, STR("/")) < 0) {
		tag = tail;
		rest = head;
		if (!tag_ok(tag))
			return err_set(err, ERR_INVALID, "image %.*s: not a tag", STR_ARG(name));
	}
	if (str_cut(rest, '/', &head, &tail) &&
	    (memchr(head.p, '.', head.n) || memchr(head.p, ':', head.n) ||
	     str_is(head, "localhost"))) {
		host = str_is(head, "index.docker.io") ? STR("docker.io") : head;
		rest = tail;
		library = str_is(host, "docker.io");
	}
	if (!host_ok(host) || !repo_ok(rest))
		return err_set(
			err, ERR_INVALID,
			"image %.*s: repository names are lower-case letters, digits, . _ - /",
			STR_ARG(name));
	library &= str_find(rest, STR("/")) < 0;
	if (digest.n)
		*ret = arena_strf(a, "%.*s/%s%.*s@%.*s", STR_ARG(host), library ? "library/" : "",
				  STR_ARG(rest), STR_ARG(digest));
	else
		*ret = arena_strf(a, "%.*s/%s%.*s:%.*s", STR_ARG(host), library ? "library/" : "",
				  STR_ARG(rest), STR_ARG(tag.n ? tag : STR("latest")));
	return 0;
}

void image_name_split(struct str normal, struct str *ret_host, struct str *ret_repo,
		      struct str *ret_tag)
{
	struct str rest;

	str_cut(normal, '/', ret_host, &rest);
	if (!str_cut(rest, '@', ret_repo, ret_tag))
		str_rcut(rest, ':', ret_repo, ret_tag);
}
