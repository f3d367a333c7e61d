/* Which kind of signature it is. Fails closed. Pure but for what verify_pgp does. */
#include "reconciler/verify.h"

int verify_signature(struct arena *a, const struct json *keys, struct str text,
		     struct str signature, char **ret_who, struct err *err)
{
	const struct json_member *m = json_members(keys);
	size_t all = 0;

	for (size_t i = 0; m && i < json_len(keys); i++)
		all += json_str(&m[i].value).n;
	if (!all)
		return err_set(err, ERR_INVALID, "the Secret of spec.verify holds no public keys");
	if (all > VERIFY_KEYS_MAX)
		return err_set(err, ERR_LIMIT, "the Secret of spec.verify is too large");
	if (str_starts(signature, STR("-----BEGIN SSH SIGNATURE-----")))
		return verify_ssh(a, keys, text, signature, ret_who, err);
	if (str_starts(signature, STR("-----BEGIN PGP ")))
		return verify_pgp(a, keys, text, signature, ret_who, err);
	return err_set(err, ERR_UNSUPPORTED, "signed neither with an SSH nor an OpenPGP key");
}
