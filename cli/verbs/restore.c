/*
 * `plumb restore FILE`: makes a backup the store of an instance that doesn't run. Must never touch
 * one that does, nor throw away a store without being told to.
 */
#include <stdio.h>

#include "apiserver/main.h"
#include "cli/datadir.h"
#include "cli/verbs/verb.h"
#include "lib/base/flags.h"

static int run(struct restore_opts *o, const char *path, struct err *err)
{
	struct backup_facts f;
	struct datadir d;
	int rc;

	if (datadir_open(&d, path, true, err) || datadir_lock(&d, err))
		return -1;
	o->data_dir = d.path;
	rc = backup_restore(o, &f, err);
	datadir_release(&d);
	if (rc)
		return -1;
	printf("%s: restored %zu objects, %zu of them encrypted; it goes on at revision %llu\n",
	       d.path, f.objects - (o->drop_secrets ? f.locked : 0),
	       f.secrets - (o->drop_secrets ? f.locked : 0), (unsigned long long)f.revision);
	if (f.locked)
		printf("%zu encrypted objects were left out: sealing keys may be among them.\n",
		       f.locked);
	return 0;
}

static int restore_main(int argc, char **argv)
{
	const char *data_dir = DATADIR_DEFAULT, *key = NULL;
	struct restore_opts o = {0};
	int64_t jump = 1000000000;
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &data_dir, "DIR", "the instance's data directory"},
		{"root-key", 0, FLAG_STRING, &key, "FILE",
		 "root.key of the instance that the backup comes from"},
		{"force", 0, FLAG_BOOL, &o.force, NULL,
		 "though a store is there: it is put aside as store.db.before"},
		{"drop-secrets", 0, FLAG_BOOL, &o.drop_secrets, NULL,
		 "leave out what the root key does not open"},
		{"bump-revision", 0, FLAG_INT, &jump, "N",
		 "how far resourceVersions jump, so that no client goes on from a lost past"},
		{0}};
	struct err err = {0};
	int nargs, rc;

	if (flags_parse(argc, argv, flags,
			"plumb restore FILE\n\nMakes a backup the store of a stopped instance. "
			"Clients list anew: resourceVersions jump forward.",
			&nargs, &err) ||
	    (nargs != 1 && err_set(&err, ERR_BAD_REQUEST, "from which file?")) ||
	    ((jump < 0 || jump > INT64_MAX / 2) &&
	     err_set(&err, ERR_BAD_REQUEST, "--bump-revision: out of range"))) {
		fprintf(stderr, "plumb restore: %s\n", err.msg);
		return 2;
	}
	o.file = argv[0];
	o.root_key = key;
	o.jump = (uint64_t)jump;
	rc = run(&o, data_dir, &err);
	if (rc)
		fprintf(stderr, "plumb restore: %s\n", err.msg);
	return rc ? 1 : 0;
}

const struct verb verb_restore = {.name = "restore",
				  .help = "make a backup the store of a stopped instance",
				  .main = restore_main};
