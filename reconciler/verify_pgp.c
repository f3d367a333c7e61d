/*
 * OpenPGP signatures, by gpg in a home made for this one question: with the Secret's keys and no
 * others, no agent, no network, no configuration of whoever runs us. gpg's answer is read from its
 * machine-readable status, and only a good signature by a key that is neither expired nor revoked
 * counts. The home is removed, whatever happens; the helper's deadline ends a gpg that hangs.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "lib/os/proc.h"
#include "reconciler/verify.h"

#define GPG_LIMIT (20 * NS_PER_S)

/* PATH is all that gpg is told about us. */
static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", NULL};

static int run(const char *const *argv, struct str in, struct proc_result *r, struct err *err)
{
	struct proc_opts o = {.argv = argv,
			      .env = environment,
			      .cwd = "/",
			      .in = in.n ? in : STR_NONE,
			      .die_with_us = true,
			      .timeout_ns = GPG_LIMIT};

	if (proc_run(&o, r, err))
		return err->code == ERR_NOT_FOUND
			       ? err_set(err, ERR_UNSUPPORTED,
					 "OpenPGP signatures need the program gpg, which is not "
					 "installed")
			       : err_wrap(err, "gpg");
	if (r->status == 127) {
		proc_result_release(r);
		return err_set(err, ERR_UNSUPPORTED,
			       "OpenPGP signatures need the program gpg, which is not installed");
	}
	return 0;
}

static int import_keys(const char *home, const struct json *keys, struct err *err)
{
	const char *argv[] = {"gpg",
			      "--homedir",
			      home,
			      "--batch",
			      "--no-tty",
			      "--quiet",
			      "--no-autostart",
			      "--no-options",
			      "--trust-model",
			      "always",
			      "--import",
			      NULL};
	const struct json_member *m = json_members(keys);
	AUTO(buf) struct buf all = {0};
	struct proc_result r = {0};

	for (size_t i = 0; m && i < json_len(keys); i++) {
		struct str text = json_str(&m[i].value);

		if (str_find(text, STR("-----BEGIN PGP PUBLIC KEY BLOCK-----")) < 0)
			continue;
		buf_str(&all, text);
		buf_putc(&all, '\n');
	}
	if (!all.n)
		return err_set(err, ERR_UNAUTHORIZED,
			       "signed with an OpenPGP key, and the Secret of spec.verify holds "
			       "none");
	if (run(argv, buf_view(&all), &r, err))
		return -1;
	proc_result_release(&r);
	return 0;
}

/* "[GNUPG:] WORD rest": true when such a line stands there. */
static bool status_line(struct str out, const char *word, struct str *ret_rest)
{
	struct str line, tag, name, rest;

	while (str_next(&out, '\n', &line)) {
		if (!str_cut(line, ' ', &tag, &rest) || !str_is(tag, "[GNUPG:]"))
			continue;
		str_cut(rest, ' ', &name, &rest);
		if (str_is(name, word)) {
			*ret_rest = rest;
			return true;
		}
	}
	return false;
}

static int judge(struct arena *a, struct str out, char **ret_who, struct err *err)
{
	static const struct {
		const char *word, *why;
	} bad[] = {
		{"BADSIG", "its OpenPGP signature does not hold"},
		{"REVKEYSIG", "signed with an OpenPGP key that was revoked"},
		{"EXPKEYSIG", "signed with an OpenPGP key that has expired"},
		{"EXPSIG", "its OpenPGP signature has expired"},
		{"ERRSIG", "signed with an OpenPGP key that is not among the allowed ones"},
	};
	struct str rest, print, tail;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (status_line(out, bad[i].word, &rest))
			return err_set(err, ERR_UNAUTHORIZED, "%s", bad[i].why);
	}
	if (!status_line(out, "GOODSIG", &rest) || !status_line(out, "VALIDSIG", &rest))
		return err_set(err, ERR_UNAUTHORIZED, "its OpenPGP signature does not hold");
	str_cut(rest, ' ', &print, &tail);
	*ret_who = arena_printf(a, "OpenPGP key %.*s", (int)MIN(print.n, (size_t)64), print.p);
	return 0;
}

static int verify_in(struct arena *a, const char *home, struct str text, struct str signature,
		     char **ret_who, struct err *err)
{
	char *file = arena_printf(a, "%s/signature", home);
	const char *argv[] = {"gpg",
			      "--homedir",
			      home,
			      "--batch",
			      "--no-tty",
			      "--quiet",
			      "--no-autostart",
			      "--no-options",
			      "--no-auto-key-retrieve",
			      "--trust-model",
			      "always",
			      "--status-fd",
			      "1",
			      "--verify",
			      file,
			      "-",
			      NULL};
	struct proc_result r = {0};
	int rc;

	if (fs_write(file, signature, 0600, err) || run(argv, text, &r, err))
		return -1;
	rc = judge(a, buf_view(&r.out), ret_who, err);
	proc_result_release(&r);
	return rc;
}

int verify_pgp(struct arena *a, const struct json *keys, struct str text, struct str signature,
	       char **ret_who, struct err *err)
{
	char home[] = "/tmp/plumb-gpg.XXXXXX"; /* short: gpg puts sockets there */
	struct err ignored = {0};
	int rc;

	if (!mkdtemp(home))
		return err_sys(err, "make a home for gpg");
	rc = import_keys(home, keys, err);
	if (!rc)
		rc = verify_in(a, home, text, signature, ret_who, err);
	if (fs_remove_tree(home, &ignored) && !rc)
		rc = err_set(err, ERR_IO, "remove gpg's home: %s", ignored.msg);
	return rc;
}
