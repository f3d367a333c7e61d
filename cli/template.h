/* The files of repo-template/, compiled in for `plumb init`. */
#ifndef PLUMB_CLI_TEMPLATE_H
#define PLUMB_CLI_TEMPLATE_H

#include <stddef.h>

struct template_file {
	const char *path; /* relative */
	const unsigned char *data;
	size_t size;
};

extern const struct template_file repo_template[]; /* generated, ended by a NULL path */

#endif
