/* `plumb keys backup|restore`: the sealing keys in a file under a passphrase. Blocking. */
#ifndef PLUMB_CLI_KEYBACKUP_H
#define PLUMB_CLI_KEYBACKUP_H

#include "lib/kube/client.h"

/* Asked for on the terminal where passphrase_file is "". Never overwrites a file. */
MUST_USE int keys_backup(struct client *c, const char *path, const char *passphrase_file,
			 struct err *err);
/* Makes the Secrets that aren't there; what is there stays as it is. */
MUST_USE int keys_restore(struct client *c, const char *path, const char *passphrase_file,
			  struct err *err);

#endif
