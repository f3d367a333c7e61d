/*
 * What several steps say alike: a refusal, and which request one is about. Pure; memory is the
 * request's.
 */
#include "apiserver/admission/admission.h"

#include <string.h>

#include "lib/base/pure.h"

int admission_forbid(struct admission_req *r, struct err *err, struct str why)
{
	r->message = arena_strf(r->a, "%s%s%s \"%.*s\" is forbidden: %.*s", r->kind->plural,
				r->kind->group[0] ? "." : "", r->kind->group,
				(int)MIN(r->name.n, 253), r->name.p ? r->name.p : "", STR_ARG(why));
	return err_set(err, ERR_FORBIDDEN, "%.*s", STR_ARG(r->message));
}

bool admission_is(const struct admission_req *r, const char *group, const char *plural)
{
	return !strcmp(r->kind->group, group) && !strcmp(r->kind->plural, plural);
}

void admission_note(struct admission_req *r, struct str key, struct str value)
{
	if (r->notes && !json_get(r->notes, key))
		json_set(r->a, r->notes, key, json_new_str(r->a, value));
}

void admission_warn(struct admission_req *r, struct str text)
{
	if (!r->warnings)
		return;
	buf_str(r->warnings, text);
	buf_putc(r->warnings, '\n');
}
