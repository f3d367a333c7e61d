/*
 * See extra.h. Values are a flat list in the order of their keys, so that one allocation holds
 * them and whoever has none pays nothing. Must never let a key spoil the JSON that it ends in: what
 * isn't text once unescaped stays escaped. Pure; any thread; memory is the caller's arena.
 * Specification: k8s.io/apiserver's requestheader authenticator and impersonation filter.
 */
#include "apiserver/extra.h"

#include "lib/base/codec.h"
#include "lib/json/json.h"

#include "lib/base/pure.h"

static bool has_prefix(const struct http_header *h, struct str prefix)
{
	return prefix.n && h->name.n >= prefix.n && str_ieq(str_sub(h->name, 0, prefix.n), prefix);
}

static struct str read_key(struct arena *a, struct str name)
{
	AUTO(buf) struct buf text = {0};
	char *p = arena_cstr(a, name);
	struct str small = {p, name.n};

	for (size_t i = 0; i < name.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	if (!memchr(p, '%', name.n) || url_unescape(small, false, &text) ||
	    !str_is_utf8(buf_view(&text)))
		return small;
	return arena_str(a, buf_view(&text));
}

/* Behind the others of its key. */
static void insert(struct user_extra *v, size_t n, struct user_extra one)
{
	for (; n && str_cmp(v[n - 1].key, one.key) > 0; n--)
		v[n] = v[n - 1];
	v[n] = one;
}

static int measure(const struct http_headers *h, struct str prefix, size_t *ret_n, struct err *err)
{
	size_t bytes = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (!has_prefix(&h->v[i], prefix))
			continue;
		++*ret_n;
		bytes += h->v[i].name.n + h->v[i].value.n;
	}
	if (*ret_n <= EXTRA_VALUES_MAX && bytes <= EXTRA_BYTES_MAX)
		return 0;
	return err_set(err, ERR_BAD_REQUEST, "more than %d values or %d bytes of a user's extra",
		       EXTRA_VALUES_MAX, EXTRA_BYTES_MAX);
}

int user_extra_read(struct arena *a, const struct http_headers *h, struct str prefix,
		    struct admission_user *u, struct err *err)
{
	size_t n = u->nextra;

	if (measure(h, prefix, &n, err))
		return -1;
	if (n == u->nextra)
		return 0;
	struct user_extra *v = arena_array(a, n, sizeof(*v));
	for (n = 0; n < u->nextra; n++)
		v[n] = u->extra[n];
	for (size_t i = 0; i < h->n; i++) {
		const struct http_header *one = &h->v[i];
		if (!has_prefix(one, prefix))
			continue;
		struct str key = str_sub(one->name, prefix.n, one->name.n);
		insert(v, n++, (struct user_extra){read_key(a, key), one->value});
	}
	u->extra = v;
	u->nextra = n;
	return 0;
}

void user_extra_credential(struct arena *a, struct str id, struct admission_user *u)
{
	struct user_extra *v = arena_alloc(a, sizeof(*v));

	*v = (struct user_extra){STR(EXTRA_CREDENTIAL), id};
	u->extra = v;
	u->nextra = 1;
}

struct str user_extra_escape(struct arena *a, struct str key)
{
	AUTO(buf) struct buf text = {0};

	url_escape(key, &text);
	return arena_str(a, buf_view(&text));
}

static bool opens(const struct admission_user *u, size_t i)
{
	return !i || !str_eq(u->extra[i - 1].key, u->extra[i].key);
}

void user_extra_write(const struct admission_user *u, struct buf *out)
{
	if (!u->nextra)
		return;
	buf_puts(out, out->p[out->n - 1] == '{' ? "\"extra\":{" : ",\"extra\":{");
	for (size_t i = 0; i < u->nextra; i++) {
		if (opens(u, i)) {
			buf_puts(out, i ? "]," : "");
			json_write_string(u->extra[i].key, out);
			buf_puts(out, ":[");
		} else {
			buf_putc(out, ',');
		}
		json_write_string(u->extra[i].value, out);
	}
	buf_puts(out, "]}");
}

void user_extra_put(struct arena *a, const struct admission_user *u, struct json *to)
{
	struct json *extra, *list = NULL;

	if (!u->nextra)
		return;
	extra = json_set_object(a, to, "extra");
	for (size_t i = 0; i < u->nextra; i++) {
		if (opens(u, i)) {
			list = json_set(a, extra, u->extra[i].key, json_new(a, JSON_ARRAY));
		}
		json_append_str(a, list, u->extra[i].value);
	}
}
