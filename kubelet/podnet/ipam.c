/*
 * Which address belongs to which pod: one file an address, made exclusively, so that a kill at any
 * point never gives one address to two pods. Must never use the network's, the bridge's or the
 * broadcast address. Blocking.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "kubelet/podnet/podnet.h"
#include "lib/os/fs.h"

static void path_of(const struct podnet *n, const char *ip, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%.15s", n->dir, ip);
}

static bool owned_by(const struct podnet *n, const char *ip, struct str uid)
{
	AUTO(buf) struct buf text = {0};
	char path[PATH_MAX];

	path_of(n, ip, path);
	return !fs_read(path, 256, &text, NULL) && str_eq(str_trim(buf_view(&text)), uid);
}

static int take(const struct podnet *n, uint32_t ip, struct str uid)
{
	char text[16], path[PATH_MAX];

	ip4_format(ip, text);
	path_of(n, text, path);
	AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd >= 0 && write(fd, uid.p, uid.n) == (ssize_t)uid.n ? 0 : -1;
}

int ipam_take(struct podnet *n, struct str uid, uint32_t *ret_ip, struct err *err)
{
	uint32_t size = n->cidr.bits >= 31 ? 0 : UINT32_C(1) << (32 - n->cidr.bits);

	for (uint32_t i = 0; i + 3 < size; i++) {
		/* .0 the network, .1 the bridge, the last one broadcast */
		uint32_t at = 2 + (n->last + i) % (size - 3);
		if (take(n, n->cidr.addr + at, uid)) {
			if (errno != EEXIST)
				return err_sys(err, "note a pod's address");
			continue;
		}
		n->last = at - 1;
		*ret_ip = n->cidr.addr + at;
		return 0;
	}
	return err_set(err, ERR_UNAVAILABLE, "the node's pod addresses are used up");
}

void ipam_give_back(struct podnet *n, struct str uid, const char *ip)
{
	char path[PATH_MAX];

	if (!*ip || !owned_by(n, ip, uid))
		return;
	path_of(n, ip, path);
	unlink(path);
}

void podnet_sweep(struct podnet *n, bool (*known)(void *arg, struct str uid), void *arg)
{
	DIR *d = opendir(n->dir);

	for (struct dirent *e; d && (e = readdir(d));) {
		AUTO(buf) struct buf text = {0};
		char path[PATH_MAX];
		uint32_t ip;
		if (e->d_name[0] == '.' || ip4_parse(str_c(e->d_name), &ip))
			continue;
		path_of(n, e->d_name, path);
		if (fs_read(path, 256, &text, NULL) || !known(arg, str_trim(buf_view(&text))))
			unlink(path);
	}
	if (d)
		closedir(d);
}
