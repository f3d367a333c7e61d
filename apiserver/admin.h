/*
 * What only the machine's owner may ask of the API server (group system:masters):
 *   GET  /plumb/v1/backup    the store, whole, as an SQLite file, while everything goes on
 *   POST /plumb/v1/root-key  a new key for what is encrypted at rest
 */
#ifndef PLUMB_APISERVER_ADMIN_H
#define PLUMB_APISERVER_ADMIN_H

#include "apiserver/front.h"
#include "apiserver/rootkey.h"
#include "apiserver/tidy.h"

struct admin;
struct admin_opts { /* all borrowed */
	struct loop *loop;
	struct core *core;
	struct store *store;
	struct tidy *tidy;
	const char *data_dir;
	const struct rootkey *rootkey; /* borrowed */
	struct atrest **atrest;        /* replaced when the key is */
};
struct admin *admin_new(const struct admin_opts *o);
void admin_free(struct admin *a); /* ends what runs: after front_stop, before front_free */

struct front_req;
/* True when the path was one of its; a may be NULL. */
bool admin_serve(struct admin *a, struct front_req *r);

#endif
