/*
 * Tokens that an administrator wrote into a file: lines of `token,user,uid[,"group,group"]`. Only
 * hashes of them are kept. Must never let a bad line pass in silence: it might be the one that
 * somebody meant to take away. Immutable once read; any thread.
 */
#include <stdlib.h>

#include "apiserver/authn.h"
#include "lib/base/codec.h"
#include "lib/base/map.h"

#define COLUMNS_MAX 4

struct static_tokens {
	struct arena arena;
	struct map by_hash; /* hex of the token's SHA-256 → struct admission_user */
};

/* One field of CSV off *line; quotes are doubled inside quotes. -1 when they don't match. */
static int take_field(struct arena *a, struct str *line, struct str *ret, bool *ret_last)
{
	AUTO(buf) struct buf text = {0};
	struct str s = str_trim(*line);
	size_t i = 0;

	if (!s.n || s.p[0] != '"') {
		*ret_last = !str_cut(s, ',', ret, line);
		*ret = arena_str(a, str_trim(*ret));
		return 0;
	}
	for (i = 1; i < s.n; i++) {
		if (s.p[i] == '"' && (i + 1 >= s.n || s.p[i + 1] != '"'))
			break;
		if (s.p[i] == '"')
			i++;
		buf_putc(&text, s.p[i]);
	}
	if (i >= s.n)
		return -1;
	*ret = arena_str(a, buf_view(&text));
	*line = str_trim(str_sub(s, i + 1, s.n));
	*ret_last = !line->n;
	if (line->n && line->p[0] != ',')
		return -1;
	*line = str_sub(*line, 1, line->n);
	return 0;
}

static void read_groups(struct arena *a, struct str list, struct admission_user *u)
{
	struct str *groups = arena_array(a, list.n / 2 + 3, sizeof(*groups)), one;

	while (list.n && list.p && str_next(&list, ',', &one)) {
		one = str_trim(one);
		if (one.n)
			groups[u->ngroups++] = one;
	}
	groups[u->ngroups++] = STR("system:authenticated");
	u->groups = groups;
}

static int read_line(struct static_tokens *t, struct str line)
{
	struct str v[COLUMNS_MAX] = {{NULL, 0}};
	struct arena *a = &t->arena;
	char hash[65];
	size_t n = 0;
	bool last = false;

	while (!last) {
		struct str field;
		if (take_field(a, &line, &field, &last))
			return -1;
		if (n < COLUMNS_MAX)
			v[n++] = field;
	}
	if (n < 3 || !v[0].n || !v[1].n)
		return -1;
	struct admission_user *u = arena_alloc(a, sizeof(*u));
	u->name = v[1];
	u->uid = v[2];
	read_groups(a, v[3], u);
	sha256_hex(v[0], hash);
	map_set(&t->by_hash, str_c(hash), u);
	return 0;
}

struct static_tokens *static_tokens_new(struct str csv, struct err *err)
{
	struct static_tokens *t = xalloc(sizeof(*t));
	struct str line;
	int n = 0;

	while (csv.p && str_next(&csv, '\n', &line)) {
		n++;
		line = str_trim(line);
		if (!line.n || line.p[0] == '#')
			continue;
		if (read_line(t, line)) {
			err_set(err, ERR_PARSE, "line %d is not token,user,uid[,\"groups\"]", n);
			static_tokens_free(t);
			return NULL;
		}
	}
	return t;
}

void static_tokens_free(struct static_tokens *t)
{
	if (!t)
		return;
	map_release(&t->by_hash);
	arena_release(&t->arena);
	free(t);
}

bool static_tokens_find(const struct static_tokens *t, struct str token, struct admission_user *ret)
{
	char hash[65];

	if (!t || !t->by_hash.n || token.n > TOKEN_MAX)
		return false;
	sha256_hex(token, hash);
	const struct admission_user *u = map_get(&t->by_hash, str_c(hash));
	if (u)
		*ret = *u;
	return u;
}
