/*
 * Encryption at rest. Pure but for reading (and once making) the key file. Keys stand in guarded,
 * locked memory and are wiped; plain text goes only into the caller's buffer. Must never fall
 * back to plain text: a missing or short key file is an error.
 */
#include "secrets/atrest.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/os/fs.h"

enum {
	KEY = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	MAGIC = 4,
	ID = 8,
	HEAD = MAGIC + ID + NONCE,
};
static const char magic[MAGIC] = {'P', 'L', 'R', 1};

struct data_key {
	uint8_t id[ID];
	uint8_t key[KEY];
};

struct atrest {
	size_t n;
	struct data_key keys[ATREST_KEYS_MAX];
};

static void derive(const uint8_t root[KEY], struct data_key *ret)
{
	static const char use[] = "plumb.dev/at-rest/v1", name[] = "plumb.dev/at-rest/v1/id";
	uint8_t id[crypto_generichash_BYTES];

	crypto_generichash(ret->key, KEY, (const uint8_t *)use, sizeof(use), root, KEY);
	crypto_generichash(id, sizeof(id), (const uint8_t *)name, sizeof(name), root, KEY);
	memcpy(ret->id, id, ID);
}

struct atrest *atrest_from(struct str keys, struct err *err)
{
	struct atrest *a;

	if (sodium_init() < 0) {
		err_set(err, ERR_INTERNAL, "libsodium does not start");
		return NULL;
	}
	if (!keys.n || keys.n % KEY || keys.n > (size_t)KEY * ATREST_KEYS_MAX) {
		err_set(err, ERR_CORRUPT, "holds %zu bytes: must be 1 to %d keys of %d bytes",
			keys.n, ATREST_KEYS_MAX, KEY);
		return NULL;
	}
	a = sodium_malloc(sizeof(*a));
	if (!a) {
		err_set(err, ERR_INTERNAL, "no guarded memory");
		return NULL;
	}
	a->n = keys.n / KEY;
	for (size_t i = 0; i < a->n; i++)
		derive((const uint8_t *)keys.p + i * KEY, &a->keys[i]);
	sodium_mprotect_readonly(a);
	return a;
}

static int make(const char *path, struct err *err)
{
	uint8_t key[KEY];
	int rc;

	if (sodium_init() < 0)
		return err_set(err, ERR_INTERNAL, "libsodium does not start");
	randombytes_buf(key, sizeof(key));
	rc = fs_write(path, (struct str){(const char *)key, sizeof(key)}, 0600, err);
	sodium_memzero(key, sizeof(key));
	return rc;
}

struct atrest *atrest_load(const char *path, bool create, struct err *err)
{
	struct buf bytes = {0};
	struct atrest *a = NULL;
	struct stat st;

	if (create && stat(path, &st) != 0 && errno == ENOENT && make(path, err) != 0) {
		err_wrap(err, "root key %s", path);
		return NULL;
	}
	if (stat(path, &st) != 0)
		err_sys(err, "root key %s", path);
	else if (st.st_mode & 077)
		err_set(err, ERR_FORBIDDEN,
			"root key %s: others may read it (mode %04o): must be 0600", path,
			(unsigned)st.st_mode & 07777);
	else if (fs_read(path, (size_t)KEY * ATREST_KEYS_MAX + 1, &bytes, err) == 0) {
		a = atrest_from(buf_view(&bytes), err);
		if (!a)
			err_wrap(err, "root key %s", path);
	}
	buf_wipe(&bytes);
	return a;
}

int atrest_rotate(const char *path, struct err *err)
{
	struct atrest *a = atrest_load(path, false, err); /* as strict as a start */
	struct buf keys = {0};
	int rc;

	if (!a)
		return -1;
	atrest_free(a);
	buf_reserve(&keys, 8192); /* never moved, so that nothing stays where it was */
	randombytes_buf(keys.p, KEY);
	keys.n = KEY;
	rc = fs_read(path, (size_t)KEY * ATREST_KEYS_MAX, &keys, err);
	if (!rc && keys.n > (size_t)KEY * ATREST_KEYS_MAX)
		rc = err_set(
			err, ERR_LIMIT,
			"holds %d keys already: take off the last ones, which only old backups "
			"need",
			ATREST_KEYS_MAX);
	if (!rc)
		rc = fs_write(path, buf_view(&keys), 0600, err);
	buf_wipe(&keys);
	return rc ? err_wrap(err, "root key %s", path) : 0;
}

void atrest_free(struct atrest *a)
{
	sodium_free(a);
}

bool atrest_is_sealed(struct str bytes)
{
	return bytes.n >= MAGIC && !memcmp(bytes.p, magic, MAGIC);
}

bool atrest_is_old(void *arg, struct str sealed)
{
	const struct atrest *a = arg;

	return atrest_is_sealed(sealed) && sealed.n >= HEAD &&
	       memcmp(sealed.p + MAGIC, a->keys[0].id, ID) != 0;
}

/* Associated data: magic, key id, store key. */
static void associate(const uint8_t id[ID], struct str key, struct buf *out)
{
	buf_put(out, magic, MAGIC);
	buf_put(out, id, ID);
	buf_str(out, key);
}

int atrest_seal(void *arg, struct str key, struct str plain, struct buf *out, struct err *err)
{
	const struct atrest *a = arg;
	const struct data_key *k = &a->keys[0];
	AUTO(buf) struct buf ad = {0};
	uint8_t nonce[NONCE];
	unsigned long long n;
	char *at;

	(void)err;
	randombytes_buf(nonce, sizeof(nonce));
	associate(k->id, key, &ad);
	buf_put(out, magic, MAGIC);
	buf_put(out, k->id, ID);
	buf_put(out, nonce, NONCE);
	at = buf_reserve(out, plain.n + TAG);
	crypto_aead_xchacha20poly1305_ietf_encrypt((uint8_t *)at, &n, (const uint8_t *)plain.p,
						   plain.n, (const uint8_t *)ad.p, ad.n, NULL,
						   nonce, k->key);
	out->n += n;
	return 0;
}

static const struct data_key *find(const struct atrest *a, const char *id)
{
	for (size_t i = 0; i < a->n; i++)
		if (!memcmp(a->keys[i].id, id, ID))
			return &a->keys[i];
	return NULL;
}

int atrest_open(void *arg, struct str key, struct str sealed, struct buf *out, struct err *err)
{
	const struct atrest *a = arg;
	const struct data_key *k;
	AUTO(buf) struct buf ad = {0};
	unsigned long long n;
	char *at;

	if (!atrest_is_sealed(sealed) || sealed.n < HEAD + TAG)
		return err_set(err, ERR_CORRUPT, "%.*s: not an encrypted object", STR_ARG(key));
	k = find(a, sealed.p + MAGIC);
	if (!k)
		return err_set(err, ERR_CORRUPT,
			       "%.*s: encrypted under a root key that is not here", STR_ARG(key));
	associate(k->id, key, &ad);
	at = buf_reserve(out, sealed.n - HEAD);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(
		    (uint8_t *)at, &n, NULL, (const uint8_t *)sealed.p + HEAD, sealed.n - HEAD,
		    (const uint8_t *)ad.p, ad.n, (const uint8_t *)sealed.p + MAGIC + ID, k->key))
		return err_set(err, ERR_CORRUPT, "%.*s: damaged, or copied from another object",
			       STR_ARG(key));
	out->n += n;
	return 0;
}
