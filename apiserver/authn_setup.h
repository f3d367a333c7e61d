/*
 * The options that say who may come in, and what they open: the file of tokens, another issuer's
 * keys; and where it is noted who came. And certificates that are replaced while the server runs.
 * The main thread.
 */
#ifndef PLUMB_APISERVER_AUTHN_SETUP_H
#define PLUMB_APISERVER_AUTHN_SETUP_H

#include "apiserver/audit.h"
#include "apiserver/authn.h"
#include "apiserver/oidc.h"
#include "lib/base/flags.h"
#include "lib/http/tls.h"

struct front;

struct authn_setup {
	/* from the command line */
	const char *token_file;
	struct oidc_opts oidc;
	struct flag_list required, algs;
	const char *proxy_ca;
	struct flag_list proxy_names, proxy_user, proxy_group, proxy_extra;
	const char *authorization_mode, *authorization_policy_file;
	const char *audit_policy_file, *audit_mode;
	struct audit_log_opts audit;
	/* what came of it */
	struct authn authn;
	struct abac *abac;
	struct audit_log *audit_log;
	struct audit_policy *audit_policy;
};
MUST_USE int authn_setup_open(struct authn_setup *s, struct loop *l, struct err *err);
/* After the front is gone. */
void authn_setup_close(struct authn_setup *s);

/*
 * Looks at the files every few seconds; when they have changed and fit together, `take` gets what
 * is made of them: for those who connect, or whom we connect to, from then on.
 */
struct tls_reload;
struct tls_reload_opts {
	struct loop *loop;
	struct tls_files files;                       /* by path */
	const char *what;                             /* "serving certificate" */
	bool client;                                  /* how we call, not what we show */
	void (*take)(void *arg, struct tls_ctx *tls); /* borrowed */
	void *arg;
	int64_t every_ns; /* 0 = 5 s */
};
struct tls_reload *tls_reload_new(const struct tls_reload_opts *o);
void tls_reload_free(struct tls_reload *r);

#endif
