/*
 * sops files on the command line: where .sops.yaml and identities are found, as sops itself finds
 * them. Identities and plain text are wiped where they were read into; files are replaced whole, so
 * that no half of one stays behind.
 */
#include "cli/sops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/codec.h"
#include "lib/base/timefmt.h"
#include "lib/os/fs.h"
#include "secrets/sops_bind.h"
#include "secrets/sops_recipients.h"

enum { FILE_MAX = 16 * 1024 * 1024, KEYS_FILE_MAX = 1024 * 1024 };

/* ---- what is found ---- */

static int add_file(struct age_keys *k, const char *path, struct err *err)
{
	struct buf text = {0};
	int rc = fs_read(path, KEYS_FILE_MAX, &text, err); /* which names the file */

	if (rc == 0 && age_keys_parse(k, buf_view(&text), err) != 0)
		rc = err_wrap(err, "%s", path);
	buf_wipe(&text);
	return rc;
}

static int find_identities(struct age_keys *k, const char *file, struct err *err)
{
	const char *text = getenv("SOPS_AGE_KEY"), *path = getenv("SOPS_AGE_KEY_FILE");
	const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
	AUTO(free) char *usual = NULL;

	if (*file)
		return add_file(k, file, err);
	if (text && *text && age_keys_parse(k, str_c(text), err) != 0)
		return err_wrap(err, "SOPS_AGE_KEY");
	if (path && *path && add_file(k, path, err) != 0)
		return -1;
	if (age_keys_count(k) || !home)
		return 0;
	usual = config && *config ? xasprintf("%s/sops/age/keys.txt", config)
				  : xasprintf("%s/.config/sops/age/keys.txt", home);
	return fs_exists(usual) ? add_file(k, usual, err) : 0;
}

struct age_keys *sops_identities(const char *file, struct err *err)
{
	struct age_keys *k = age_keys_new();

	if (find_identities(k, file, err) != 0) {
		age_keys_free(k);
		return NULL;
	}
	if (!age_keys_count(k)) {
		err_set(err, ERR_NOT_FOUND,
			"no age identity: --identity FILE, SOPS_AGE_KEY_FILE or "
			"~/.config/sops/age/keys.txt");
		age_keys_free(k);
		return NULL;
	}
	return k;
}

struct str sops_now(struct arena *a)
{
	char text[TIME_TEXT_MAX];
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return arena_str(a, time_format((int64_t)ts.tv_sec * NS_PER_S, text));
}

/* The nearest .sops.yaml above the file, and the file's path from there. */
static char *find_config(const char *path, struct str *ret_rest)
{
	AUTO(free) char *full = realpath(path, NULL);
	char *slash;

	for (slash = full ? strrchr(full, '/') : NULL; slash;) {
		char *config = xasprintf("%.*s/.sops.yaml", (int)(slash - full), full);

		if (fs_exists(config)) {
			*ret_rest = str_c(xstrdup(slash + 1));
			return config;
		}
		free(config);
		while (slash > full && *--slash != '/')
			;
		if (slash == full && *slash != '/')
			break;
		if (slash == full)
			break;
	}
	return NULL;
}

static int find_policy(const struct sopsfile *f, struct arena *a, struct sops_policy *ret,
		       struct err *err)
{
	AUTO(free) char *config = NULL;
	AUTO(buf) struct buf text = {0};
	struct str rest = STR_NONE;
	int rc;

	*ret = (struct sops_policy){.mac_only_encrypted = true};
	for (size_t i = 0; i < f->age->n && i < SOPS_RECIPIENTS_MAX; i++)
		ret->recipients[ret->n++] = str_c(f->age->v[i]);
	if (ret->n)
		return 0;
	config = find_config(f->path, &rest);
	if (!config)
		return err_set(err, ERR_NOT_FOUND, "no .sops.yaml above %s, and no --age RECIPIENT",
			       f->path);
	rc = fs_read(config, FILE_MAX, &text, err);
	if (rc == 0)
		rc = sops_policy_find(a, arena_str(a, buf_view(&text)), arena_str(a, rest), ret,
				      err);
	free((char *)rest.p);
	return rc ? err_wrap(err, "%s", config) : 0;
}

/* ---- what is done ---- */

int sopsfile_encrypt(const struct sopsfile *f, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf made = {0};
	struct sops_policy policy;
	struct sops_encrypt e = {&policy, sops_format_of(str_c(f->path)), sops_now(&a), f->bind};
	struct buf plain = {0};
	int rc = fs_read(f->path, FILE_MAX, &plain, err); /* which names the file */

	if (rc != 0)
		return -1;
	rc = find_policy(f, &a, &policy, err);
	if (rc == 0)
		rc = sops_encrypt(&e, buf_view(&plain), &made, err);
	buf_wipe(&plain);
	if (rc != 0)
		return err_wrap(err, "%s", f->path);
	if (f->in_place)
		return fs_write(f->path, buf_view(&made), 0644, err);
	buf_str(out, buf_view(&made));
	return 0;
}

static struct str pointer_of(struct arena *a, const char *field, struct str key)
{
	AUTO(buf) struct buf out = {0};

	buf_puts(&out, field);
	buf_putc(&out, '/');
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] == '~' || key.p[i] == '/')
			buf_puts(&out, key.p[i] == '~' ? "~0" : "~1");
		else
			buf_putc(&out, key.p[i]);
	return arena_str(a, buf_view(&out));
}

/* The first Secret's stringData or data, wherever the key is or would belong. */
static void place(struct arena *a, const struct yaml_docs *docs, struct str key,
		  struct sops_put *ret, bool *ret_base64)
{
	*ret_base64 = false;
	for (size_t i = 0; i < docs->n; i++) {
		const struct json *d = json_get(docs->v[i], STR("data"));
		const struct json *s = json_get(docs->v[i], STR("stringData"));

		if (!str_is(json_str(json_get(docs->v[i], STR("kind"))), "Secret"))
			continue;
		ret->doc = i;
		*ret_base64 = json_get(d, key) ? !json_get(s, key) : !json_len(s);
		ret->pointer = pointer_of(a, *ret_base64 ? "/data" : "/stringData", key);
		return;
	}
	ret->doc = 0;
	ret->pointer = pointer_of(a, "", key);
}

static int put_dotenv(const struct sopsfile *f, struct str key, struct str plain, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf made = {0};
	struct sops_edit e = {.modified = sops_now(&a)};
	struct age_keys *keys;
	int rc = fs_read(f->path, FILE_MAX, &text, err);

	if (rc != 0)
		return -1;
	keys = sops_identities(f->identity, err);
	e.keys = keys;
	e.text = buf_view(&text);
	rc = keys ? sops_edit_put_dotenv(&e, key, plain, &made, err) : -1;
	age_keys_free(keys);
	if (rc == 0)
		rc = fs_write(f->path, buf_view(&made), 0644, err);
	return rc ? err_wrap(err, "%s", f->path) : 0;
}

static int put(const struct sopsfile *f, struct str text, struct sops_put *p, struct buf *out,
	       struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf once = {0};
	struct sops_edit e = {.text = text, .modified = sops_now(&a)};
	struct age_keys *keys = sops_identities(f->identity, err);
	int rc = -1;

	e.keys = keys;
	if (keys && sops_edit_put(&e, p, &once, err) == 0) {
		e.text = buf_view(&once);
		rc = sops_bind_again(&e, p->doc, out, err);
	}
	age_keys_free(keys);
	return rc;
}

int sopsfile_put(const struct sopsfile *f, struct str key, struct str plain, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf made = {0};
	struct buf encoded = {0};
	struct sops_put p = {.plain = plain};
	struct yaml_docs docs;
	enum sops_format format = sops_format_of(str_c(f->path));
	bool base64;
	int rc;

	if (format == SOPS_DOTENV)
		return put_dotenv(f, key, plain, err);
	if (format == SOPS_BINARY || format == SOPS_INI)
		return err_set(err, ERR_UNSUPPORTED,
			       "%s: values can be put into YAML, JSON and dotenv files", f->path);
	if (fs_read(f->path, FILE_MAX, &text, err) != 0)
		return -1;
	rc = yaml_parse(&a, buf_view(&text), 0, NULL, NULL, &docs, err);
	if (rc == 0) {
		place(&a, &docs, key, &p, &base64);
		if (base64) {
			base64_encode(plain, &encoded);
			p.plain = buf_view(&encoded);
		}
		rc = put(f, buf_view(&text), &p, &made, err);
	}
	buf_wipe(&encoded);
	if (rc == 0)
		rc = fs_write(f->path, buf_view(&made), 0644, err);
	return rc ? err_wrap(err, "%s", f->path) : 0;
}

static bool anybodys(void *arg, const struct sops_binding *b)
{
	(void)arg;
	(void)b;
	return true;
}

static bool has_recipients(enum sops_format format, struct str text, const struct sops_policy *p)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct sops_policy now;

	return sops_recipients_of(&a, format, text, &now, NULL) == 0 &&
	       sops_recipients_equal(&now, p);
}

int sopsfile_recipients(const struct sopsfile *f, struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf made = {0};
	struct sops_policy policy;
	const struct sops_bound bound = {.may = anybodys};
	struct sops_file file = {.format = sops_format_of(str_c(f->path))};
	struct age_keys *keys = sops_identities(f->identity, err);
	int rc = keys ? find_policy(f, &a, &policy, err) : -1;

	if (rc == 0)
		rc = fs_read(f->path, FILE_MAX, &text, err);
	if (rc == 0 && has_recipients(file.format, buf_view(&text), &policy)) {
		age_keys_free(keys);
		return 0;
	}
	if (rc == 0) {
		file.keys = keys;
		file.bytes = buf_view(&text);
		rc = sops_recipients_put(&file, &policy, &bound, &made, err);
	}
	age_keys_free(keys);
	if (rc == 0)
		rc = fs_write(f->path, buf_view(&made), 0644, err);
	if (rc != 0)
		return err_wrap(err, "%s", f->path);
	buf_printf(out,
		   "%s: %zu recipient%s. Who was taken out may have kept its key: change what "
		   "they knew.\n",
		   f->path, policy.n, policy.n == 1 ? "" : "s");
	return 0;
}

int sopsfile_rotate(const struct sopsfile *f, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	AUTO(buf) struct buf text = {0};
	AUTO(buf) struct buf made = {0};
	struct sops_file file = {.format = sops_format_of(str_c(f->path))};
	struct age_keys *keys;
	int rc = fs_read(f->path, FILE_MAX, &text, err);

	if (rc != 0)
		return -1;
	keys = sops_identities(f->identity, err);
	file.keys = keys;
	file.bytes = buf_view(&text);
	rc = keys ? sops_rotate(&file, sops_now(&a), &made, err) : -1;
	age_keys_free(keys);
	if (rc == 0)
		rc = fs_write(f->path, buf_view(&made), 0644, err);
	return rc ? err_wrap(err, "%s", f->path) : 0;
}
