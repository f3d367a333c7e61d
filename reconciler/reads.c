/*
 * What a build has read, so that a commit which touches none of it builds nothing: a base that a
 * thousand overlays share is one line in each of them. Reads the mirror's object store, never the
 * network. On the role's loop; texts are the caller's.
 */
#include "reconciler/reads.h"

#include <string.h>

#define NOTHING "-"

void reads_release(struct reads *r)
{
	map_release(&r->seen);
	buf_release(&r->text);
	*r = (struct reads){0};
}

static const char *id_at(struct gitmirror *m, const char *commit, struct str path,
			 char ret[GIT_OID_TEXT])
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};

	if (!git_path_id(m, commit, arena_cstr(&a, path), ret, &err))
		return ret;
	/* What cannot be told is never the same. */
	return err.code == ERR_NOT_FOUND ? NOTHING : NULL;
}

void reads_note(struct reads *r, struct gitmirror *m, const char *commit, struct str path)
{
	char hex[GIT_OID_TEXT];
	const char *id;

	if (map_get(&r->seen, path))
		return;
	map_set(&r->seen, path, r);
	id = id_at(m, commit, path, hex);
	if (!id || memchr(path.p, '\n', path.n))
		r->lost = true;
	else
		buf_printf(&r->text, "%s %.*s\n", id, STR_ARG(path));
}

bool reads_below(struct str path, struct str dir)
{
	return !dir.n || str_eq(path, dir) || (str_starts(path, dir) && path.p[dir.n] == '/');
}

bool reads_next(struct str *rest, struct str *ret_id, struct str *ret_path)
{
	struct str line;

	if (!rest->n || !str_next(rest, '\n', &line) || !str_cut(line, ' ', ret_id, ret_path))
		return false;
	if (str_is(*ret_id, NOTHING))
		*ret_id = STR_NONE;
	return true;
}

/* The tree itself stands in it, as something that is there. */
static bool holds(struct str reads, struct str tree)
{
	struct str id, path;

	while (reads_next(&reads, &id, &path)) {
		if (id.n && str_eq(path, tree))
			return true;
	}
	return false;
}

char *reads_take(struct reads *r, const char *tree)
{
	struct buf out = {0};
	struct str rest = buf_view(&r->text), id, path, dir = str_c(tree);

	if (r->lost || !rest.n)
		return NULL;
	if (!holds(rest, dir))
		return buf_take(&r->text);
	while (reads_next(&rest, &id, &path)) {
		if (str_eq(path, dir) || !reads_below(path, dir))
			buf_printf(&out, "%.*s %.*s\n", STR_ARG(id.n ? id : STR(NOTHING)),
				   STR_ARG(path));
	}
	return buf_take(&out);
}

bool reads_same(struct gitmirror *m, const char *commit, struct str reads)
{
	struct str id, path;

	while (reads_next(&reads, &id, &path)) {
		char hex[GIT_OID_TEXT];
		const char *now = id_at(m, commit, path, hex);

		if (!now || !str_is(id.n ? id : STR(NOTHING), now))
			return false;
	}
	return true;
}
