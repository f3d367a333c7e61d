/* Filling the tables that stand in for a library. The libraries stay for the process's life. */
#include "lib/os/lazy.h"

#include <dlfcn.h>
#include <string.h>

int lazy_load(const struct lazy_lib *l, struct err *err)
{
	const char *name;
	void *lib;

	if (!l || !l->n || l->table[0])
		return 0;
	lib = dlopen(l->soname, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return err_set(err, ERR_UNSUPPORTED, "%s cannot be loaded: %s", l->soname,
			       dlerror());
	name = l->names;
	for (uint64_t i = 0; i < l->n; i++, name += strlen(name) + 1) {
		l->table[i] = dlsym(lib, name);
		if (l->table[i])
			continue;
		l->table[0] = NULL;
		return err_set(err, ERR_UNSUPPORTED, "%s has no %s", l->soname, name);
	}
	return 0;
}
