/* What headers say of a user: lines of KEY value. What comes out is JSON, the same both ways, in
 * the order of its keys; and a key never breaks the header that it is passed on in. */
#include "apiserver/extra.h"
#include "lib/json/json.h"

#include <stdlib.h>

#define LINES_MAX 100
#define PREFIX "X-Remote-Extra-"

/* The name of a header is ASCII: lib/http/parse.c. */
static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static size_t read_lines(struct arena *a, struct str text, struct http_header *v)
{
	struct str line, key, value;
	size_t n = 0;

	while (n < LINES_MAX && text.n && str_next(&text, '\n', &line)) {
		str_cut(line, ' ', &key, &value);
		if (!is_ascii(key))
			continue;
		v[n++] = (struct http_header){arena_strf(a, PREFIX "%.*s", STR_ARG(key)), value};
	}
	return n;
}

static void check_text(struct arena *a, const struct admission_user *u)
{
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf tree = {0};
	struct json *o = json_new(a, JSON_OBJECT);

	buf_putc(&text, '{');
	user_extra_write(u, &text);
	buf_putc(&text, '}');
	user_extra_put(a, u, o);
	json_write(o, &tree);
	if (!str_eq(buf_view(&text), buf_view(&tree)))
		abort();
	if (!json_parse(a, buf_view(&text), NULL, NULL))
		abort();
}

static void check_order(struct arena *a, const struct admission_user *u)
{
	for (size_t i = 0; i < u->nextra; i++) {
		struct str name = user_extra_escape(a, u->extra[i].key);

		if (i && str_cmp(u->extra[i - 1].key, u->extra[i].key) > 0)
			abort();
		for (size_t k = 0; k < name.n; k++)
			if ((unsigned char)name.p[k] <= ' ' || name.p[k] == ':' ||
			    name.p[k] == 0x7f)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(arena) struct arena a = {0};
	struct http_header v[LINES_MAX];
	struct http_headers h = {.v = v};
	struct admission_user u = {0};
	struct err err = {0};

	h.n = read_lines(&a, (struct str){(const char *)data, size}, v);
	if (user_extra_read(&a, &h, STR(PREFIX), &u, &err)) {
		if (u.extra || err.code != ERR_BAD_REQUEST)
			abort();
		return 0;
	}
	if (u.nextra != h.n)
		abort();
	check_text(&a, &u);
	check_order(&a, &u);
	return 0;
}
