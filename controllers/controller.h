/* The registry of controllers: one file in this folder declares `const struct controller controller_x`. */
#ifndef PLUMB_CONTROLLERS_H
#define PLUMB_CONTROLLERS_H

#include "lib/kube/controller.h"
#include "lib/kube/resources.h"

extern const struct controller *const controller_registry[]; /* generated, ended by NULL */

#endif
