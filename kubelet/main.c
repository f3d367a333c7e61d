/* `plumb kubelet`: options, then kubelet.c. The process's main thread. */
#include "kubelet/main.h"

#include <stdio.h>
#include <sys/stat.h>

#include "kubelet/kubelet.h"
#include "lib/base/log.h"

int kubelet_main(int argc, char **argv)
{
	struct kubelet k = {.program = proc_self(),
			    .node_ip = "",
			    .instance = "local",
			    .cluster_dns = "",
			    .runtime_choice = "auto",
			    .cluster_domain = "cluster.local",
			    .listen = "",
			    .images_watch.fd = -1};
	struct flag flags[] = {
		ROLE_FLAGS(&k.role),
		{"node-name", 0, FLAG_STRING, &k.node_name, "NAME", "this node's name"},
		{"node-ip", 0, FLAG_STRING, &k.node_ip, "IP",
		 "the address that others reach it by"},
		{"tls-cert", 0, FLAG_STRING, &k.tls_cert, "FILE", "serving certificate"},
		{"tls-key", 0, FLAG_STRING, &k.tls_key, "FILE", "its key"},
		{"client-ca", 0, FLAG_STRING, &k.client_ca, "FILE", "who may ask for logs"},
		{"instance", 0, FLAG_STRING, &k.instance, "ID", "names this cluster's cgroups"},
		{"cluster-dns", 0, FLAG_STRING, &k.cluster_dns, "IP", "name server for pods"},
		{"cluster-domain", 0, FLAG_STRING, &k.cluster_domain, "NAME",
		 "ending of cluster names"},
		{"runtime", 0, FLAG_STRING, &k.runtime_choice, "NAME", "auto, crun or runc"},
		{"listen", 0, FLAG_STRING, &k.listen, "ADDR:PORT",
		 "instead of the node's address, port 10250"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs, rc = 1;

	role_defaults(&k.role, "kubelet");
	if (flags_parse(argc, argv, flags,
			"plumb kubelet --node-name NAME --node-ip IP\n\nRuns a node's pods.",
			&nargs, &err)) {
		fprintf(stderr, "plumb kubelet: %s\n", err.msg);
		return 2;
	}
	umask(022);
	if (!role_start(&k.role, &err)) {
		k.loop = k.role.loop;
		k.client = k.role.client;
		if (!k.client)
			log_error("cannot start", "error", "--kubeconfig is needed");
		else if (kubelet_prepare(&k, &err) || kubelet_follow(&k, &err))
			log_error("cannot start", "error", err.msg);
		else
			rc = role_run(&k.role);
	}
	kubelet_release(&k);
	role_release(&k.role);
	return rc;
}
