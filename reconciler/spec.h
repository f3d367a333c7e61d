/*
 * Which fields of a Kustomization's spec are carried out: what isn't is refused by name, never left
 * out in silence. Pure.
 */
#ifndef PLUMB_RECONCILER_SPEC_H
#define PLUMB_RECONCILER_SPEC_H

#include "lib/json/json.h"

/* ERR_UNSUPPORTED when the spec asks for what nobody does. */
MUST_USE int unit_spec_check(const struct json *spec, struct err *err);

#endif
