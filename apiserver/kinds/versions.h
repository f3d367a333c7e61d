/* What conversions between versions are made of. Pure; results live in the arena. */
#ifndef PLUMB_APISERVER_VERSIONS_H
#define PLUMB_APISERVER_VERSIONS_H

#include "lib/json/json.h"

/* A member's name in the stored version and in another; the list ends with NULLs. */
struct rename {
	const char *stored, *other;
};

void rename_from_stored(struct arena *a, struct json *o, const struct rename *names);
void rename_to_stored(struct arena *a, struct json *o, const struct rename *names);
/* o's member `from` is `to` afterwards; nothing happens where there is none. */
void version_move(struct arena *a, struct json *o, const char *from, const char *to);
/* An annotation that carries what a version has no field for; taking removes it. */
void version_keep(struct arena *a, struct json *o, const char *annotation, const struct json *v);
/* NULL when there is none, or when it is not JSON: then it stays. */
struct json *version_take(struct arena *a, struct json *o, const char *annotation);

#endif
