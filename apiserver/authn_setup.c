/*
 * See authn_setup.h. Must never start with less than was asked for: a file that can't be read or
 * an option that makes no sense ends the start. Nor go on with half a new certificate: the old one
 * stays until the new files fit together.
 */
#include "apiserver/authn_setup.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "apiserver/authz.h"
#include "apiserver/front.h"
#include "lib/base/log.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"

#define FILE_MAX (4 << 20)
#define LOOK_NS (5 * NS_PER_S)

static int open_audit(struct authn_setup *s, struct err *err)
{
	AUTO(buf) struct buf text = {0};

	if (!s->audit.path && !s->audit_policy_file)
		return 0;
	if (!s->audit.path || !s->audit_policy_file)
		return err_set(err, ERR_BAD_REQUEST,
			       "--audit-log-path and --audit-policy-file go together");
	if (str_is(str_c(s->audit_mode), "batch"))
		s->audit.blocking = false;
	else if (!s->audit_mode || str_starts(str_c(s->audit_mode), STR("blocking")))
		s->audit.blocking = true;
	else
		return err_set(err, ERR_BAD_REQUEST, "--audit-log-mode %s: batch or blocking",
			       s->audit_mode);
	if (fs_read(s->audit_policy_file, FILE_MAX, &text, err))
		return err_wrap(err, "--audit-policy-file");
	s->audit_policy = audit_policy_new(buf_view(&text), err);
	if (!s->audit_policy)
		return err_wrap(err, "--audit-policy-file %s", s->audit_policy_file);
	s->audit_log = audit_log_new(&s->audit, err);
	return s->audit_log ? 0 : err_wrap(err, "--audit-log-path");
}

/* RBAC and the fence around nodes are always on; ABAC comes besides. */
static int open_abac(struct authn_setup *s, struct err *err)
{
	struct str rest = str_c(s->authorization_mode), mode;
	AUTO(buf) struct buf text = {0};
	bool abac = false, rbac = !rest.n;

	while (rest.n && rest.p && str_next(&rest, ',', &mode)) {
		abac |= str_is(mode, "ABAC");
		rbac |= str_is(mode, "RBAC");
		if (!str_is(mode, "ABAC") && !str_is(mode, "RBAC") && !str_is(mode, "Node"))
			return err_set(err, ERR_BAD_REQUEST,
				       "--authorization-mode: \"%.*s\" is none of Node, RBAC, ABAC",
				       (int)MIN(mode.n, (size_t)64), mode.p);
	}
	if (!rbac)
		return err_set(err, ERR_BAD_REQUEST,
			       "--authorization-mode: the server's own roles need RBAC");
	if (abac != (s->authorization_policy_file != NULL))
		return err_set(err, ERR_BAD_REQUEST,
			       "--authorization-mode ABAC and --authorization-policy-file go "
			       "together");
	if (!abac)
		return 0;
	if (!fs_read(s->authorization_policy_file, FILE_MAX, &text, err))
		s->abac = abac_new(buf_view(&text), err);
	return s->abac ? 0 : err_wrap(err, "--authorization-policy-file");
}

/* The headers are believed of whom the authority of proxies vouches for, and of nobody else. */
static void set_proxies(struct authn_setup *s)
{
	static const char *const user[] = {"X-Remote-User"}, *const group[] = {"X-Remote-Group"},
				 *const extra[] = {"X-Remote-Extra-"};
	struct authn *x = &s->authn;

	x->proxy_names = s->proxy_names.v;
	x->nproxy_names = s->proxy_names.n;
	x->proxy_user = s->proxy_user.n ? s->proxy_user.v : user;
	x->nproxy_user = s->proxy_user.n ? s->proxy_user.n : 1;
	x->proxy_group = s->proxy_group.n ? s->proxy_group.v : group;
	x->nproxy_group = s->proxy_group.n ? s->proxy_group.n : 1;
	x->proxy_extra = s->proxy_extra.n ? s->proxy_extra.v : extra;
	x->nproxy_extra = s->proxy_extra.n ? s->proxy_extra.n : 1;
}

int authn_setup_open(struct authn_setup *s, struct loop *l, struct err *err)
{
	struct buf text = {0};

	set_proxies(s);
	if (open_audit(s, err) || open_abac(s, err))
		return -1;
	if (s->token_file) {
		if (!fs_read(s->token_file, FILE_MAX, &text, err))
			s->authn.file = static_tokens_new(buf_view(&text), err);
		buf_wipe(&text);
		if (!s->authn.file)
			return err_wrap(err, "--token-auth-file %s", s->token_file);
	}
	if (!s->oidc.issuer_url)
		return 0;
	s->oidc.required = s->required.v;
	s->oidc.nrequired = s->required.n;
	s->oidc.algs = s->algs.v;
	s->oidc.nalgs = s->algs.n;
	s->authn.oidc = oidc_new(&s->oidc, err);
	if (!s->authn.oidc)
		return -1;
	s->authn.oidc_fetch = oidc_fetch_new(l, s->authn.oidc, &s->oidc, err);
	return s->authn.oidc_fetch ? 0 : err_wrap(err, "--oidc-ca-file");
}

void authn_setup_close(struct authn_setup *s)
{
	oidc_fetch_free(s->authn.oidc_fetch);
	oidc_free(s->authn.oidc);
	static_tokens_free(s->authn.file);
	abac_free(s->abac);
	audit_log_free(s->audit_log);
	audit_policy_free(s->audit_policy);
	free(s->required.v);
	free(s->algs.v);
	free(s->proxy_names.v);
	free(s->proxy_user.v);
	free(s->proxy_group.v);
	free(s->proxy_extra.v);
	memset(s, 0, sizeof(*s));
}

/* ---- certificates ---- */

struct seen {
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct tls_reload {
	struct tls_reload_opts o;
	struct loop_timer timer;
	struct seen seen[4];
};

static bool look(struct tls_reload *r)
{
	const char *paths[] = {r->o.files.ca, r->o.files.cert, r->o.files.key, r->o.files.proxy_ca};
	bool changed = false;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct seen now = {0};
		struct stat st;
		if (paths[i] && !stat(paths[i], &st)) {
			now.inode = st.st_ino;
			now.size = st.st_size;
			now.changed = st.st_mtim;
		}
		struct seen *was = &r->seen[i];
		changed |= now.inode != was->inode || now.size != was->size ||
			   now.changed.tv_sec != was->changed.tv_sec ||
			   now.changed.tv_nsec != was->changed.tv_nsec;
		*was = now;
	}
	return changed;
}

static void on_look(struct loop *l, struct loop_timer *t)
{
	struct tls_reload *r = CONTAINER_OF(t, struct tls_reload, timer);
	struct err err = {0};

	loop_timer_set(l, t, r->o.every_ns, on_look);
	if (!look(r))
		return;
	struct tls_ctx *tls =
		r->o.client ? tls_client_new(&r->o.files, &err) : tls_server_new(&r->o.files, &err);
	if (!tls) {
		/* Half of them may be written yet; another change brings another look. */
		log_warn("certificate not reloaded", "what", r->o.what, "error", err.msg);
		memset(r->seen, 0, sizeof(r->seen));
		return;
	}
	r->o.take(r->o.arg, tls);
	tls_unref(&tls);
	log_info("certificate reloaded", "what", r->o.what);
}

struct tls_reload *tls_reload_new(const struct tls_reload_opts *o)
{
	struct tls_reload *r = xalloc(sizeof(*r));

	r->o = *o;
	r->o.every_ns = o->every_ns ? o->every_ns : LOOK_NS;
	look(r);
	loop_timer_set(o->loop, &r->timer, r->o.every_ns, on_look);
	return r;
}

void tls_reload_free(struct tls_reload *r)
{
	if (!r)
		return;
	loop_timer_cancel(r->o.loop, &r->timer);
	free(r);
}
