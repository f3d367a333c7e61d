/* Who a role is in leader election; reads DIR/instance. Blocking, once at start. */
#include "lib/kube/leader.h"

#include <unistd.h>

#include "lib/os/fs.h"

char *leader_identity(const char *data_dir)
{
	AUTO(buf) struct buf text = {0};
	char host[256] = "localhost";
	char *path = data_dir ? xasprintf("%s/instance", data_dir) : NULL, *identity;
	struct err err = {0};
	struct str instance;

	(void)gethostname(host, sizeof(host) - 1);
	if (path && fs_read(path, 64, &text, &err) == 0 && str_trim(buf_view(&text)).n) {
		instance = str_trim(buf_view(&text));
		identity = xasprintf("%s_%.*s", host, STR_ARG(instance));
	} else {
		identity = xasprintf("%s_%d", host, (int)getpid());
	}
	free(path);
	return identity;
}
