/*
 * `plumb seal --sops FOLDER --recipients`: every file below that sops encrypted gets the recipients
 * that .sops.yaml says for it. Files that have them already are left as they are, so that what is
 * committed is the change of recipients and nothing else. Symbolic links aren't followed.
 */
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/sops.h"
#include "lib/os/fs.h"
#include "secrets/sops_recipients.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

static bool is_encrypted(const char *path, enum sops_format format, struct err *err)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct sops_policy ignored;
	struct err why = {0};

	if (fs_read(path, FILE_MAX, &text, err) != 0)
		return false;
	/* What cannot be read is somebody else's affair; other keys beside age's stay. */
	return str_find(buf_view(&text), STR("ENC[AES256_GCM,")) >= 0 &&
	       (sops_recipients_of(&a, format, buf_view(&text), &ignored, &why) == 0 ||
		(why.code == ERR_UNSUPPORTED && format != SOPS_INI));
}

static int visit(const struct sopsfile *f, FTS *tree, FTSENT *e, struct buf *out, struct err *err)
{
	struct sopsfile one = *f;
	struct str name = str_c(e->fts_name);
	enum sops_format format = sops_format_of(name);

	if (e->fts_info == FTS_D && str_is(name, ".git"))
		return fts_set(tree, e, FTS_SKIP);
	if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR)
		return err_set(err, ERR_FORBIDDEN, "%s: %s", e->fts_path, strerror(e->fts_errno));
	if (e->fts_info != FTS_F || str_is(name, ".sops.yaml") || e->fts_statp->st_size > FILE_MAX)
		return 0;
	if (!is_encrypted(e->fts_path, format, err))
		return err->code ? -1 : 0;
	one.path = e->fts_path;
	return sopsfile_recipients(&one, out, err);
}

bool sopsfolder_is(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int sopsfolder_recipients(const struct sopsfile *f, struct buf *out, struct err *err)
{
	char *const paths[] = {(char *)(uintptr_t)f->path, NULL};
	FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int rc = 0;

	if (!tree)
		return err_sys(err, "%s", f->path);
	for (FTSENT *e; rc == 0 && (e = fts_read(tree));)
		rc = visit(f, tree, e, out, err);
	fts_close(tree);
	return rc;
}
