/* A mirror's packs. Helper process only. */
#ifndef PLUMB_RECONCILER_GITPACK_H
#define PLUMB_RECONCILER_GITPACK_H

#include <stddef.h>

/* Packs that are small enough to be put together; 0 when the mirror cannot be read. */
size_t gitpack_count(const char *mirror);

/* Mirrors that were put aside bear this before their name, beside the others. */
#define GIT_GONE "gone-"
/* Removes those beside `mirror`. */
void gitpack_bury(const char *mirror);

#endif
