/*
 * Signatures of commits and tags: takes the signed text and the signature out of the object, and
 * has verify.h judge them. Fails closed: what isn't signed, or signed in a way that isn't
 * understood, is a problem. Helper process only.
 */
#include "reconciler/gitverify.h"

#include <string.h>

#include <git2/buffer.h>
#include <git2/commit.h>
#include <git2/errors.h>
#include <git2/odb.h>
#include <git2/repository.h>

#include "lib/base/codec.h"
#include "reconciler/verify.h"

#define OBJECT_MAX (1u << 20)

struct job {
	struct gitsession *s;
	const struct json *keys;
	const struct gitverify_what *what;
	char *said; /* what held */
	struct json *problem;
};

static void complain(struct job *j, const char *reason, const char *what, const char *why)
{
	j->problem = json_build(j->s->a, "{s:s,s:s}", "reason", reason, "message",
				arena_printf(j->s->a, "%s: %s", what, why));
}

static void judge(struct job *j, struct str text, struct str signature, const char *what,
		  const char *reason)
{
	struct err err = {0};
	char *who;

	if (verify_signature(j->s->a, j->keys, text, signature, &who, &err)) {
		complain(j, reason, what, err.msg);
		return;
	}
	j->said = j->said ? arena_printf(j->s->a, "%s; %s by %s", j->said, what, who)
			  : arena_printf(j->s->a, "verified signature of %s by %s", what, who);
}

static int check_commit(struct job *j, struct err *err)
{
	struct gitsession *s = j->s;
	git_buf signature = {0}, text = {0};
	git_oid id = *j->what->commit;
	char hex[GIT_OID_HEXSZ + 1], *what;
	int rc;

	git_oid_tostr(hex, sizeof(hex), &id);
	what = arena_printf(s->a, "commit '%s'", hex);
	rc = git_commit_extract_signature(&signature, &text, s->repo, &id, NULL);
	if (rc == GIT_ENOTFOUND) {
		complain(j, "InvalidCommitSignature", what, "it is not signed");
		return 0;
	}
	if (rc < 0)
		return gr_fail(s, err, rc, "read the commit's signature");
	judge(j, (struct str){text.ptr, text.size}, (struct str){signature.ptr, signature.size},
	      what, "InvalidCommitSignature");
	git_buf_dispose(&signature);
	git_buf_dispose(&text);
	return 0;
}

/* Where a tag's signature begins: the last line that opens one. */
static ptrdiff_t signature_at(struct str text)
{
	static const char *const open[] = {"-----BEGIN PGP SIGNATURE-----",
					   "-----BEGIN PGP MESSAGE-----",
					   "-----BEGIN SSH SIGNATURE-----"};
	ptrdiff_t found = -1;

	for (size_t i = 0; i < text.n; i++) {
		if (i && text.p[i - 1] != '\n')
			continue;
		for (size_t k = 0; k < ARRAY_LEN(open); k++) {
			if (str_starts(str_sub(text, i, text.n), str_c(open[k])))
				found = (ptrdiff_t)i;
		}
	}
	return found;
}

static int check_tag(struct job *j, struct err *err)
{
	struct gitsession *s = j->s;
	git_odb *odb = NULL;
	git_odb_object *o = NULL;
	const char *label = j->what->label ?: "";
	char *what = arena_printf(s->a, "tag '%s'", label);
	int rc = -1;

	if (git_repository_odb(&odb, s->repo) < 0 || git_odb_read(&o, odb, j->what->pointed) < 0) {
		gr_fail(s, err, GIT_ENOTFOUND, "read the tag");
	} else if (git_odb_object_type(o) != GIT_OBJECT_TAG) {
		complain(j, "InvalidTagSignature", arena_printf(s->a, "reference '%s'", label),
			 "it is no annotated tag, so there is no signature of a tag");
		rc = 0;
	} else {
		struct str text = {git_odb_object_data(o), git_odb_object_size(o)};
		ptrdiff_t at = text.n > OBJECT_MAX ? -1 : signature_at(text);

		if (at < 0)
			complain(j, "InvalidTagSignature", what, "it is not signed");
		else
			judge(j, str_sub(text, 0, (size_t)at), str_sub(text, (size_t)at, text.n),
			      what, "InvalidTagSignature");
		rc = 0;
	}
	git_odb_object_free(o);
	git_odb_free(odb);
	return rc;
}

/* Equal when all that was judged is equal. */
static void key_of(const struct json *verify, const struct gitverify_what *w, char ret[65])
{
	AUTO(buf) struct buf text = {0};

	buf_put(&text, w->pointed->id, GIT_OID_RAWSZ);
	buf_put(&text, w->commit->id, GIT_OID_RAWSZ);
	buf_str(&text, json_str(json_get(verify, STR("mode"))));
	json_write_sorted(json_get(verify, STR("keys")), &text);
	sha256_hex(buf_view(&text), ret);
	buf_wipe(&text);
}

int gitverify(struct gitsession *s, const struct json *verify, const struct gitverify_what *what,
	      struct json *answer, struct json **ret_problem, struct err *err)
{
	struct str mode = json_str_or(json_get(verify, STR("mode")), STR("HEAD"));
	struct job j = {.s = s, .keys = json_get(verify, STR("keys")), .what = what};
	bool tag = str_is(mode, "Tag") || str_is(mode, "TagAndHEAD");
	bool head = str_ieq(mode, STR("HEAD")) || str_is(mode, "TagAndHEAD");
	char key[65];

	if (!verify)
		return 0;
	if (!tag && !head)
		return err_set(err, ERR_INVALID, "spec.verify.mode '%.*s' is not known",
			       STR_ARG(mode));
	key_of(verify, what, key);
	if (!str_is(json_str(json_get(verify, STR("verified"))), key)) {
		if (tag && check_tag(&j, err))
			return -1;
		if (!j.problem && head && check_commit(&j, err))
			return -1;
	}
	*ret_problem = j.problem;
	json_set(s->a, answer, STR("verified"),
		 json_build(s->a, "{s:s,s:s}", "key", key, "message", j.said ?: ""));
	return 0;
}
