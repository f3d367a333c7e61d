/*
 * `plumb merge-sops BASE OURS THEIRS`: git's merge driver for sops files, leaf by leaf, so that two
 * branches that changed different values merge without a hand. What both changed stays a conflict:
 * the file is left as ours and the exit code says so.
 */
#include <stdio.h>

#include "cli/sops.h"
#include "cli/verbs/verb.h"
#include "lib/base/flags.h"
#include "lib/os/fs.h"
#include "lib/os/secrecy.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

static int merge(char **path, const char *identity, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf base = {0};
	AUTO(buf) struct buf ours = {0};
	AUTO(buf) struct buf theirs = {0};
	AUTO(buf) struct buf out = {0};
	struct sops_edit e = {.modified = sops_now(&a)};
	struct age_keys *keys;
	int rc;

	if (fs_read(path[0], FILE_MAX, &base, err) || fs_read(path[1], FILE_MAX, &ours, err) ||
	    fs_read(path[2], FILE_MAX, &theirs, err))
		return -1;
	keys = sops_identities(identity, err);
	if (!keys)
		return -1;
	e.keys = keys;
	e.text = buf_view(&ours);
	rc = sops_edit_merge(&e, buf_view(&base), buf_view(&theirs), &out, err);
	age_keys_free(keys);
	return rc ? -1 : fs_write(path[1], buf_view(&out), 0644, err);
}

static int merge_sops_main(int argc, char **argv)
{
	const char *identity = "";
	const struct flag flags[] = {{"identity", 0, FLAG_STRING, &identity, "FILE",
				      "age identities; else as sops finds them"},
				     {0}};
	struct err err = {0};
	int nargs = 0;

	secrecy_no_dumps();
	secrecy_no_swap();

	if (flags_parse(
		    argc, argv, flags,
		    "plumb merge-sops BASE OURS THEIRS\n\nMerges sops files value by value into "
		    "OURS. For git:\n  git config merge.sops.driver 'plumb merge-sops %O %A %B'\n"
		    "  echo '*.enc.yaml merge=sops' >>.gitattributes",
		    &nargs, &err) == 0 &&
	    nargs != 3)
		err_set(&err, ERR_BAD_REQUEST, "three files: BASE OURS THEIRS");
	if (err.code || merge(argv, identity, &err) != 0) {
		fprintf(stderr, "plumb merge-sops: %s\n", err.msg);
		return 1;
	}
	return 0;
}

const struct verb verb_merge_sops = {.name = "merge-sops",
				     .help = "merge sops files value by value (a git merge driver)",
				     .main = merge_sops_main};
