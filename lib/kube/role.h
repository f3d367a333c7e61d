/*
 * What every role's process does alike: common options, logging, kubeconfig, signals, and a small
 * server with /healthz /livez /readyz /metrics.
 */
#ifndef PLUMB_ROLE_H
#define PLUMB_ROLE_H

#include "lib/base/flags.h"
#include "lib/kube/client.h"

struct role {
	const char *name; /* "scheduler" */
	struct loop *loop;
	struct client *client; /* NULL for the API server itself */
	struct kubeconfig kubeconfig;
	const char *data_dir, *kubeconfig_path, *log_level, *log_format, *metrics_addr;
	bool (*ready)(void *arg); /* asked by /readyz; NULL = always */
	void *ready_arg;
	void (*stop)(void *arg); /* on SIGTERM and SIGINT; NULL = loop_stop */
	void *stop_arg;
	struct http_server *server;
};

/* Rows for --data-dir --kubeconfig --log-level --log-format --metrics-addr to put into a role's own
 * table: ROLE_FLAGS(&role). */
#define ROLE_FLAGS(r)                                                                              \
	{"data-dir", 0, FLAG_STRING, &(r)->data_dir, "DIR", "where all state lives"},              \
		{"kubeconfig",          0,      FLAG_STRING,                                       \
		 &(r)->kubeconfig_path, "FILE", "how to reach the API server"},                    \
		{"log-level",     0,       FLAG_STRING,                                            \
		 &(r)->log_level, "LEVEL", "error, warn, info or debug"},                          \
		{"log-format", 0, FLAG_STRING, &(r)->log_format, "FORMAT", "text or json"},        \
	{                                                                                          \
		"metrics-addr", 0, FLAG_STRING, &(r)->metrics_addr, "ADDR:PORT",                   \
			"serve /metrics and health there; empty = not at all"                      \
	}

/* Before flags_parse: names the role and sets defaults. */
void role_defaults(struct role *r, const char *name);
/* After flags_parse: logging, loop, signals, the client (unless kubeconfig_path is NULL), the
 * metrics port. Logs why and returns -1 when it can't. */
MUST_USE int role_start(struct role *r, struct err *err);
/* Runs until told to stop; returns the exit code. */
int role_run(struct role *r);
void role_release(struct role *r);

#endif
