/* The rarer rules of pod specs, for the files that hold the common ones. Pure. */
#ifndef PLUMB_APISERVER_RULES_DETAILS_H
#define PLUMB_APISERVER_RULES_DETAILS_H

#include "apiserver/kinds/rules.h"

/* ---- rules_poddetails.c ---- */
void podspec_drop_disabled(struct json *spec);
void podspec_validate_details(struct kind_ctx *c, const struct spath *at, const struct json *spec);
/* matchLabelKeys, mismatchLabelKeys: beside a selector that doesn't name them itself. */
void rule_label_keys(struct kind_ctx *c, const struct spath *at, const struct json *o,
		     const char *field);
/* seccompProfile and appArmorProfile of a security context. */
void rule_profiles(struct kind_ctx *c, const struct spath *sc_at, const struct json *sc);

/* ---- rules_containerdetails.c ---- */
struct container_details {
	const struct json *spec; /* the pod's */
	bool ephemeral;
};
void container_validate_details(struct kind_ctx *c, const struct spath *at, const struct json *o,
				const struct container_details *d);
/* Of the variables of an environment: resourceFieldRef; a volume's names its container, too. */
void rule_resource_ref(struct kind_ctx *c, const struct spath *at, const struct json *ref,
		       bool of_volume);
bool rule_env_name_ok(struct str name);

#endif
