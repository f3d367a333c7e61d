#include "reconciler/engine.h"
void drifts_note(struct unit *u, struct entry *e, const struct json *declared,
		 const struct drift_list *l)
{
	(void)u;
	(void)e;
	(void)declared;
	(void)l;
}
void drifts_free(struct unit *u)
{
	(void)u;
}
void drifts_reset(struct unit *u)
{
	(void)u;
}
