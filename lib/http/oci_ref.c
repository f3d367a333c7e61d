/*
 * Names, digests, credentials and manifests of OCI registries. What a registry or a Secret says is
 * hostile: names are held to the specification's alphabet before they become parts of addresses.
 * Pure; memory is the caller's arena.
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/codec.h"
#include "lib/http/oci.h"

#include "lib/base/pure.h"

#define NAME_MAX_BYTES 255

/* ---- names ---- */

static bool host_valid(struct str h)
{
	if (!h.n || h.n > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < h.n; i++) {
		char c = h.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '-' || c == ':' || c == '[' || c == ']'))
			return false;
	}
	return h.p[0] != '-' && h.p[0] != '.';
}

static bool path_valid(struct str path)
{
	struct str part;

	if (!path.n || path.n > NAME_MAX_BYTES)
		return false;
	while (str_next(&path, '/', &part)) {
		if (!part.n)
			return false;
		for (size_t i = 0; i < part.n; i++) {
			char c = part.p[i];
			bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

			if (!word && ((c != '.' && c != '_' && c != '-') || !i || i + 1 == part.n))
				return false;
		}
		if (str_find(part, STR("..")) >= 0)
			return false;
	}
	return true;
}

int oci_name_parse(struct arena *a, struct str url, struct oci_name *ret, struct err *err)
{
	struct str host, path;

	if (!str_starts(url, STR("oci://")) ||
	    !str_cut(str_sub(url, 6, url.n), '/', &host, &path) || !host_valid(host) ||
	    !path_valid(path))
		return err_set(err, ERR_INVALID,
			       "spec.url: an address must be oci://host/repository, without a tag");
	ret->host = arena_cstr(a, host);
	ret->path = arena_cstr(a, path);
	ret->api = ret->host;
	if (str_is(host, "docker.io") || str_is(host, "index.docker.io")) {
		ret->api = "registry-1.docker.io";
		if (str_find(path, STR("/")) < 0)
			ret->path = arena_printf(a, "library/%.*s", STR_ARG(path));
	}
	return 0;
}

bool oci_tag_valid(struct str tag)
{
	if (!tag.n || tag.n > 128 || tag.p[0] == '.' || tag.p[0] == '-')
		return false;
	for (size_t i = 0; i < tag.n; i++) {
		char c = tag.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

bool oci_digest_valid(struct str digest)
{
	if (digest.n != OCI_DIGEST_TEXT - 1 || !str_starts(digest, STR("sha256:")))
		return false;
	for (size_t i = 7; i < digest.n; i++) {
		char c = digest.p[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

void oci_digest(struct str bytes, char ret[OCI_DIGEST_TEXT])
{
	memcpy(ret, "sha256:", 7);
	sha256_hex(bytes, ret + 7);
}

/* ---- credentials ---- */

/* Keys of a docker configuration are hosts, or what older clients wrote: https://host/v1/. */
static bool files_host(struct str key, const char *host)
{
	struct str head, tail;

	if (str_starts(key, STR("https://")))
		key = str_sub(key, 8, key.n);
	else if (str_starts(key, STR("http://")))
		key = str_sub(key, 7, key.n);
	if (str_cut(key, '/', &head, &tail))
		key = head;
	if (str_is(key, "index.docker.io"))
		key = STR("docker.io");
	return str_ieq(key,
		       str_is(str_c(host), "index.docker.io") ? STR("docker.io") : str_c(host));
}

static int login_read(struct arena *a, const struct json *entry, struct oci_login *ret)
{
	AUTO(buf) struct buf text = {0};
	struct str both = json_str(json_get(entry, STR("auth"))), user, password;

	user = json_str(json_get(entry, STR("username")));
	password = json_str(json_get(entry, STR("password")));
	if (both.n) {
		int rc = base64_decode(both, &text);

		rc |= !str_cut(buf_view(&text), ':', &user, &password);
		if (!rc) {
			ret->username = arena_cstr(a, user);
			ret->password = arena_cstr(a, password);
		}
		buf_wipe(&text);
		return rc ? -1 : 0;
	}
	if (user.n) {
		ret->username = arena_cstr(a, user);
		ret->password = arena_cstr(a, password);
	}
	return 0;
}

int oci_login_find(struct arena *a, const struct json *auth, const char *host,
		   struct oci_login *ret, struct err *err)
{
	struct str config = json_str(json_get(auth, STR(".dockerconfigjson")));
	const struct json *all;
	const struct json_member *m;
	struct err why = {0};

	*ret = (struct oci_login){0};
	if (!auth)
		return 0;
	if (!config.n)
		return login_read(a, auth, ret);
	all = json_parse(a, config, NULL, &why);
	all = json_get(all, STR("auths"));
	if (!json_is(all, JSON_OBJECT))
		return err_set(err, ERR_INVALID, ".dockerconfigjson holds no \"auths\"");
	m = json_members(all);
	for (size_t i = 0; m && i < json_len(all); i++) {
		if (!files_host(m[i].key, host))
			continue;
		if (login_read(a, &m[i].value, ret))
			return err_set(err, ERR_INVALID, "the login for %s is malformed", host);
		return 0;
	}
	return 0;
}

/* name="value" or name=value, parted by commas */
static void challenge_part(struct str *rest, struct oci_challenge *ret)
{
	struct str name, value;
	size_t n = 0;

	str_cut(*rest, '=', &name, &value);
	name = str_trim(name);
	if (value.n && value.p[0] == '"') {
		for (n = 1; n < value.n && value.p[n] != '"'; n++)
			;
		*rest = str_sub(value, n + 1, value.n);
		value = str_sub(value, 1, n - 1);
	} else {
		for (n = 0; n < value.n && value.p[n] != ','; n++)
			;
		*rest = str_sub(value, n, value.n);
		value = str_trim(str_sub(value, 0, n));
	}
	while (rest->n && (rest->p[0] == ',' || rest->p[0] == ' '))
		*rest = str_sub(*rest, 1, rest->n);
	if (str_ieq(name, STR("realm")))
		ret->realm = value;
	else if (str_ieq(name, STR("service")))
		ret->service = value;
	else if (str_ieq(name, STR("scope")))
		ret->scope = value;
}

void oci_challenge_parse(struct str header, struct oci_challenge *ret)
{
	struct str scheme, rest;

	*ret = (struct oci_challenge){0};
	str_cut(str_trim(header), ' ', &scheme, &rest);
	ret->basic = str_ieq(scheme, STR("Basic"));
	ret->bearer = str_ieq(scheme, STR("Bearer"));
	for (int i = 0; rest.n && i < 16; i++)
		challenge_part(&rest, ret);
}

struct str oci_link_next(struct str header)
{
	struct str head, rest, url, tail;

	/* </v2/name/tags/list?last=x&n=100>; rel="next" */
	if (!str_cut(header, '<', &head, &rest) || !str_cut(rest, '>', &url, &tail) ||
	    str_find(tail, STR("next")) < 0)
		return STR_NONE;
	for (size_t i = 0; i < url.n; i++) {
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f)
			return STR_NONE;
	}
	return url;
}

/* ---- manifests ---- */

int oci_layer_choose(const struct json *manifest, const struct json *selector,
		     struct oci_layer *ret, struct err *err)
{
	const struct json *layers = json_get(manifest, STR("layers"));
	struct str type = json_str(json_get(selector, STR("mediaType")));

	for (size_t i = 0; i < json_len(layers); i++) {
		const struct json *l = json_item(layers, i);
		int64_t size = json_int(json_get(l, STR("size")), -1);

		ret->media_type = json_str(json_get(l, STR("mediaType")));
		if (type.n && !str_eq(type, ret->media_type))
			continue;
		ret->digest = json_str(json_get(l, STR("digest")));
		if (!oci_digest_valid(ret->digest) || size < 0)
			return err_set(err, ERR_INVALID, "the artifact's manifest is malformed");
		if (size > OCI_LAYER_MAX)
			return err_set(err, ERR_LIMIT,
				       "a layer of %lld bytes is larger than %u MiB",
				       (long long)size, OCI_LAYER_MAX >> 20);
		ret->size = (uint64_t)size;
		return 0;
	}
	if (type.n)
		return err_set(err, ERR_NOT_FOUND, "the artifact has no layer of type %.*s",
			       (int)MIN(type.n, (size_t)120), type.p);
	return err_set(err, ERR_NOT_FOUND, "the artifact has no layers");
}

struct str oci_index_choose(const struct json *index)
{
	const struct json *list = json_get(index, STR("manifests"));
	struct str first = STR_NONE;

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *m = json_item(list, i);
		struct str digest = json_str(json_get(m, STR("digest")));

		if (!oci_digest_valid(digest))
			continue;
		if (str_is(json_str(json_at(m, "platform", "os")), "linux") &&
		    str_is(json_str(json_at(m, "platform", "architecture")), "amd64"))
			return digest;
		if (!first.n)
			first = digest;
	}
	return first;
}
