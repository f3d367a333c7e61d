/* Shared by the files of the YAML reader and writer. */
#ifndef PLUMB_YAML_INTERNAL_H
#define PLUMB_YAML_INTERNAL_H

#include "lib/json/yaml.h"

/* What a plain scalar stands for; text is copied into `a`. */
void yaml_resolve(struct arena *a, struct str s, struct json *ret);
/* y, yes, on, …: booleans of YAML 1.1 alone. */
bool yaml_is_old_boolean(struct str s);
/* .inf and .nan: YAML numbers that JSON cannot say. */
bool yaml_not_a_json_number(struct str s);

#endif
