/*
 * Which sops files get other recipients, and how that is told: see recipients.h. What can't be
 * opened with our identities is somebody else's; what was edited without sops is left as it is and
 * named, for its recipients' part alone would make it look approved. What files say of themselves
 * in clear (paths, recipients) is whatever somebody committed: it is told as code, without line
 * breaks. Pure but for the dice of wrapping a key; memory: the caller's arena.
 */
#include "reconciler/recipients.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/codec.h"

#include "lib/base/pure.h"

enum { TOLD_MAX = 200, FILES_TOLD_MAX = 200 };

static void leave(struct arena *a, struct recipients *r, const struct git_file *f, const char *why)
{
	if (r->nleft < RECIPIENTS_LEFT_MAX)
		r->left[r->nleft++] = (struct recipients_left){f->path, arena_str(a, str_c(why))};
}

static void add(struct sops_policy *p, struct str recipient)
{
	if (p->n < SOPS_RECIPIENTS_MAX && !sops_recipients_has(p, recipient))
		p->recipients[p->n++] = recipient;
}

static void note(struct arena *a, struct recipients *r, const struct git_file *f,
		 const struct sops_policy *were, struct str text)
{
	size_t n = r->nfiles;

	if (!(n & (n - 1))) {
		struct recipients_file *v = arena_array(a, n ? n * 2 : 1, sizeof(*v));

		if (n)
			memcpy(v, r->files, n * sizeof(*v));
		r->files = v;
	}
	r->files[r->nfiles++] =
		(struct recipients_file){f->path, arena_str(a, str_c(f->oid)), text};
	for (size_t i = 0; i < were->n; i++)
		if (!sops_recipients_has(&r->wanted, were->recipients[i]))
			add(&r->removed, were->recipients[i]);
	for (size_t i = 0; i < r->wanted.n; i++)
		if (!sops_recipients_has(were, r->wanted.recipients[i]))
			add(&r->added, r->wanted.recipients[i]);
}

void recipients_take(struct arena *a, struct recipients *r, const struct git_file *f)
{
	struct sops_file file = {r->keys, sops_format_of(f->path), f->data};
	AUTO(buf) struct buf out = {0};
	struct sops_policy were;
	struct err err = {0};

	if (str_find(f->data, STR("sops")) < 0 || str_find(f->data, STR("ENC[AES256_GCM,")) < 0)
		return;
	/* What cannot be read at all is for the build to complain about. */
	if (sops_recipients_of(a, file.format, f->data, &were, &err) != 0) {
		if (err.code == ERR_UNSUPPORTED || err.code == ERR_LIMIT)
			leave(a, r, f, err.msg);
		return;
	}
	if (sops_recipients_equal(&were, &r->wanted))
		return;
	if (sops_recipients_put(&file, &r->wanted, r->bound, &out, &err) == 0)
		note(a, r, f, &were, arena_str(a, buf_view(&out)));
	else if (err.code == ERR_NOT_FOUND)
		r->strange++;
	else
		leave(a, r, f, err.msg);
}

/* ---- what is told ---- */

/* Between backticks, whatever it is. */
static void code(struct str s, struct buf *out)
{
	buf_putc(out, '`');
	for (size_t i = 0; i < MIN(s.n, (size_t)TOLD_MAX); i++)
		buf_putc(out, s.p[i] == '`'                              ? '\''
			      : (uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7F ? ' '
									 : s.p[i]);
	buf_puts(out, s.n > TOLD_MAX ? "…`" : "`");
}

struct str recipients_title(struct arena *a, const struct recipients *r)
{
	return arena_strf(a, "Recipients of %zu sops file%s: %zu added, %zu removed", r->nfiles,
			  r->nfiles == 1 ? "" : "s", r->added.n, r->removed.n);
}

static void tell_list(const char *what, const struct sops_policy *p, struct buf *out)
{
	if (p->n)
		buf_printf(out, "\n%s:\n\n", what);
	for (size_t i = 0; i < p->n; i++) {
		buf_puts(out, "- ");
		code(p->recipients[i], out);
		buf_putc(out, '\n');
	}
}

static void tell_files(const struct recipients *r, struct buf *out)
{
	buf_puts(out, "\nFiles:\n\n");
	for (size_t i = 0; i < MIN(r->nfiles, (size_t)FILES_TOLD_MAX); i++) {
		buf_puts(out, "- ");
		code(r->files[i].path, out);
		buf_putc(out, '\n');
	}
	if (r->nfiles > FILES_TOLD_MAX)
		buf_printf(out, "- … and %zu more\n", r->nfiles - FILES_TOLD_MAX);
	if (r->nleft)
		buf_puts(out, "\nLeft as they are:\n\n");
	for (size_t i = 0; i < r->nleft; i++) {
		buf_puts(out, "- ");
		code(r->left[i].path, out);
		buf_puts(out, ": ");
		code(r->left[i].why, out);
		buf_putc(out, '\n');
	}
}

struct str recipients_body(struct arena *a, const struct recipients *r,
			   const struct recipients_about *about)
{
	AUTO(buf) struct buf out = {0};

	buf_str(&out, recipients_mark(a, r));
	buf_printf(&out,
		   "\nThe Secret %.*s, which Kustomization %.*s of cluster %.*s decrypts with, "
		   "lists other recipients\nthan these files have. Only their recipients' part "
		   "changes: data keys, values and MACs stay as they are.\n",
		   STR_ARG(about->secret), STR_ARG(about->unit), STR_ARG(about->cluster));
	tell_list("Added", &r->added, &out);
	tell_list("Removed", &r->removed, &out);
	tell_files(r, &out);
	if (r->removed.n)
		buf_puts(
			&out,
			"\nWho is removed has had the data keys of these files, and the old ones "
			"stay in the history:\nonce this is merged, give them others (`plumb seal "
			"--sops FILE --rotate-data-key`) and change the values\nthemselves (`plumb "
			"seal --sops FILE --from-file KEY=NEW`).\n");
	buf_puts(&out, "\n`.sops.yaml` says whom new files are encrypted to: keep it the same.\n");
	return arena_str(a, buf_view(&out));
}

static int by_text(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

struct str recipients_mark(struct arena *a, const struct recipients *r)
{
	size_t n = r->nfiles + r->wanted.n;
	struct str *all = arena_array(a, n + 1, sizeof(*all));
	AUTO(buf) struct buf text = {0};
	char hex[65];

	for (size_t i = 0; i < r->nfiles; i++)
		all[i] = r->files[i].path;
	for (size_t i = 0; i < r->wanted.n; i++)
		all[r->nfiles + i] = r->wanted.recipients[i];
	qsort(all, n, sizeof(*all), by_text);
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%.*s\n", STR_ARG(all[i]));
	sha256_hex(buf_view(&text), hex);
	return arena_strf(a, "<!-- plumb-recipients %.32s -->", hex);
}
