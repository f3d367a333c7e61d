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
	WRAPPED = NONCE + KEY + TAG,
	HEAD = MAGIC + ID + WRAPPED, /* before the nonce */
	HEAD_1 = MAGIC + ID,         /* … in version 1 */
};
static const char magic[MAGIC] = {'P', 'L', 'R', 2}, magic_1[MAGIC] = {'P', 'L', 'R', 1};

struct root_key {
	uint8_t id[ID];
	uint8_t wrap[KEY]; /* wraps data keys */
	uint8_t v1[KEY];   /* what version 1 sealed with */
};

struct atrest {
	size_t n;
	struct root_key keys[ATREST_KEYS_MAX];
	uint8_t data[KEY];  /* seals from this load on */
	uint8_t head[HEAD]; /* of what it seals: magic, root key's id, itself wrapped */
};

static void derive(const uint8_t root[KEY], struct root_key *ret)
{
	static const char wrap[] = "plumb.dev/at-rest/v2/wrap", v1[] = "plumb.dev/at-rest/v1",
			  name[] = "plumb.dev/at-rest/v1/id";
	uint8_t id[crypto_generichash_BYTES];

	crypto_generichash(ret->wrap, KEY, (const uint8_t *)wrap, sizeof(wrap), root, KEY);
	crypto_generichash(ret->v1, KEY, (const uint8_t *)v1, sizeof(v1), root, KEY);
	crypto_generichash(id, sizeof(id), (const uint8_t *)name, sizeof(name), root, KEY);
	memcpy(ret->id, id, ID);
}

/* A new data key, wrapped under the first root key. */
static void make_data_key(struct atrest *a)
{
	uint8_t *nonce = a->head + MAGIC + ID;

	randombytes_buf(a->data, KEY);
	memcpy(a->head, magic, MAGIC);
	memcpy(a->head + MAGIC, a->keys[0].id, ID);
	randombytes_buf(nonce, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE, NULL, a->data, KEY, a->head,
						   MAGIC + ID, NULL, nonce, a->keys[0].wrap);
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
	make_data_key(a);
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

static bool is_version_1(struct str bytes)
{
	return bytes.n >= MAGIC && !memcmp(bytes.p, magic_1, MAGIC);
}

bool atrest_is_sealed(struct str bytes)
{
	return is_version_1(bytes) || (bytes.n >= MAGIC && !memcmp(bytes.p, magic, MAGIC));
}

bool atrest_is_old(void *arg, struct str sealed)
{
	const struct atrest *a = arg;

	return is_version_1(sealed) || (atrest_is_sealed(sealed) && sealed.n >= HEAD &&
					memcmp(sealed.p + MAGIC, a->keys[0].id, ID) != 0);
}

int atrest_seal(void *arg, struct str key, struct str plain, struct buf *out, struct err *err)
{
	const struct atrest *a = arg;
	AUTO(buf) struct buf ad = {0};
	uint8_t nonce[NONCE];
	unsigned long long n;
	char *at;

	(void)err;
	randombytes_buf(nonce, sizeof(nonce));
	buf_put(&ad, a->head, HEAD);
	buf_str(&ad, key);
	buf_put(out, a->head, HEAD);
	buf_put(out, nonce, NONCE);
	at = buf_reserve(out, plain.n + TAG);
	crypto_aead_xchacha20poly1305_ietf_encrypt((uint8_t *)at, &n, (const uint8_t *)plain.p,
						   plain.n, (const uint8_t *)ad.p, ad.n, NULL,
						   nonce, a->data);
	out->n += n;
	return 0;
}

static const struct root_key *find(const struct atrest *a, const char *id)
{
	for (size_t i = 0; i < a->n; i++)
		if (!memcmp(a->keys[i].id, id, ID))
			return &a->keys[i];
	return NULL;
}

/* The data key in an envelope's head; -1 when it was tampered with. */
static int unwrap(const struct atrest *a, const struct root_key *k, const uint8_t *head,
		  uint8_t ret[KEY])
{
	const uint8_t *nonce = head + MAGIC + ID;

	if (!memcmp(head, a->head, HEAD)) {
		memcpy(ret, a->data, KEY);
		return 0;
	}
	return crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL, nonce + NONCE, KEY + TAG,
							  head, MAGIC + ID, nonce, k->wrap);
}

/* Nonce and ciphertext behind a head of n bytes. */
static int open_behind(size_t n, const uint8_t data[KEY], struct str key, struct str sealed,
		       struct buf *out)
{
	AUTO(buf) struct buf ad = {0};
	const uint8_t *nonce = (const uint8_t *)sealed.p + n;
	unsigned long long len;
	char *at = buf_reserve(out, sealed.n);

	buf_put(&ad, sealed.p, n);
	buf_str(&ad, key);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)at, &len, NULL, nonce + NONCE,
						       sealed.n - n - NONCE, (const uint8_t *)ad.p,
						       ad.n, nonce, data))
		return -1;
	out->n += len;
	return 0;
}

int atrest_open(void *arg, struct str key, struct str sealed, struct buf *out, struct err *err)
{
	const struct atrest *a = arg;
	const struct root_key *k;
	size_t head = is_version_1(sealed) ? HEAD_1 : HEAD;
	uint8_t data[KEY];
	int rc;

	if (!atrest_is_sealed(sealed) || sealed.n < head + NONCE + TAG)
		return err_set(err, ERR_CORRUPT, "%.*s: not an encrypted object", STR_ARG(key));
	k = find(a, sealed.p + MAGIC);
	if (!k)
		return err_set(err, ERR_CORRUPT,
			       "%.*s: encrypted under a root key that is not here", STR_ARG(key));
	if (head == HEAD_1)
		rc = open_behind(head, k->v1, key, sealed, out);
	else
		rc = unwrap(a, k, (const uint8_t *)sealed.p, data) ||
		     open_behind(head, data, key, sealed, out);
	sodium_memzero(data, sizeof(data));
	return rc ? err_set(err, ERR_CORRUPT, "%.*s: damaged, or copied from another object",
			    STR_ARG(key))
		  : 0;
}
