/*
 * OpenSSH's known_hosts: plain and hashed names, ports, patterns, @revoked. @cert-authority lines
 * say nothing about plain host keys and are passed over. Pure.
 * Specification: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
 */
#ifndef PLUMB_RECONCILER_KNOWNHOSTS_H
#define PLUMB_RECONCILER_KNOWNHOSTS_H

#include "lib/base/err.h"
#include "lib/base/str.h"

enum known_host {
	KNOWN_HOST_NEVER,   /* no line speaks of this host */
	KNOWN_HOST_OTHER,   /* lines do, with other keys: it changed, or is somebody else */
	KNOWN_HOST_REVOKED, /* the key must not be used */
	KNOWN_HOST_YES,
};

/* key_sha256: 32 bytes, of the key as it travels. */
enum known_host known_host(struct str text, struct str host, int port,
			   const unsigned char *key_sha256);

#endif
