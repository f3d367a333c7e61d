/*
 * What is taken away of an agent's network. A node of `plumb up` has a namespace that goes as a
 * whole; an agent's kubelet, proxy and name server work in the machine's own, so each thing they
 * make there is named here. Blocking; absent is success.
 */
#include "cli/agent.h"

#include "lib/base/buf.h"
#include "lib/os/fs.h"
#include "lib/os/net.h"

#define CLUSTER_DNS UINT32_C(0x0a60000a) /* 10.96.0.10 */

void agent_clean(const struct datadir *d)
{
	AUTO(buf) struct buf text = {0};
	struct cidr pods;

	if (!fs_exists(datadir_path(d, "agent")) ||
	    fs_read(datadir_path(d, "agent"), 100, &text, NULL))
		return;
	(void)!nft_run(STR("table ip plumb_proxy {}\ndelete table ip plumb_proxy\n"), NULL);
	(void)!net_link_delete("plumb0", NULL);
	(void)!net_addr_del("lo", CLUSTER_DNS, 32, NULL);
	if (!cidr_parse(str_trim(buf_view(&text)), &pods))
		(void)!net_routes_flush(pods, NULL);
}
