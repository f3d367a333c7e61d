/* What holds for every store. One thread. */
#include "apiserver/store/store.h"

void store_free(struct store *s)
{
	if (s)
		s->ops->free(s);
}

int store_copy(struct store *s, const char *path, struct err *err)
{
	struct store_backup *b = s->ops->backup(s, path, err);
	int more = b ? 1 : -1;

	while (more > 0)
		more = s->ops->backup_step(b, err);
	if (b)
		s->ops->backup_end(b);
	return more;
}
