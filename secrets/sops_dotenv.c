/*
 * One value of an encrypted dotenv file changed: its line, sops_mac and sops_lastmodified are
 * written anew, all others are copied. A file whose MAC doesn't fit is left. Plain text is wiped
 * where it is copied. Pure but for randomness.
 */
#include <sodium.h>

#include "secrets/sops_open-internal.h"

struct putting {
	const struct sops_edit *e;
	struct str name, plain;
	struct sops_key key;
	struct sops_mac *mac;
	struct buf value, sum; /* encrypted: the new value, and the MAC of all */
	bool there;
	struct err *err;
};

static int check(const struct sops_edit *e, struct err *err)
{
	struct sops_file f = {e->keys, SOPS_DOTENV, e->text};
	struct sops_report report;
	struct buf plain = {0};
	int rc = sops_open_bytes(&f, &plain, &report, err);

	buf_wipe(&plain);
	if (rc == 0 && !report.mac_ok)
		rc = err_set(err, ERR_CORRUPT, "%s", report.mac.msg);
	return rc;
}

static bool is_leaf(struct str line, struct str *ret_name, struct str *ret_value)
{
	return line.n && *line.p != '#' && !str_starts(line, STR("sops_")) &&
	       str_cut(line, '=', ret_name, ret_value);
}

static void add(struct putting *p, struct str plain)
{
	if (plain.n)
		sops_mac_add(p->mac, plain, true);
}

static int sum_line(struct putting *p, struct str name, struct str value)
{
	AUTO(buf) struct buf aad = {0};
	struct buf plain = {0};
	enum sops_type type;
	int rc = 0;

	if (str_eq(name, p->name)) {
		p->there = true;
		add(p, p->plain);
		return 0;
	}
	buf_printf(&aad, "%.*s:", STR_ARG(name));
	if (sops_is_value(value))
		rc = sops_value_open(&p->key, value, buf_view(&aad), &plain, &type, p->err);
	else
		sops_dotenv_unescape(value, &plain);
	if (rc == 0 && plain.n)
		sops_mac_add(p->mac, buf_view(&plain), sops_is_value(value));
	buf_wipe(&plain);
	return rc;
}

/* What is new: the value, and the MAC over all of them. */
static int prepare(struct putting *p, bool only_encrypted)
{
	AUTO(buf) struct buf aad = {0};
	struct sops_sealing s = {.plain = p->plain, .type = SOPS_STR};
	struct str rest = p->e->text, line, name, value;

	buf_printf(&aad, "%.*s:", STR_ARG(p->name));
	s.aad = buf_view(&aad);
	p->mac = sops_mac_new(only_encrypted);
	while (str_next(&rest, '\n', &line))
		if (is_leaf(line, &name, &value) && sum_line(p, name, value) != 0)
			return -1;
	if (!p->there)
		add(p, p->plain);
	if (p->plain.n && sops_value_seal(&p->key, &s, &p->value, p->err) != 0)
		return -1;
	return sops_mac_write(p->mac, &p->key, p->e->modified, &p->sum, p->err);
}

static void put_line(const struct putting *p, struct buf *out)
{
	buf_printf(out, "%.*s=%.*s", STR_ARG(p->name), STR_ARG(buf_view(&p->value)));
}

static void write_all(const struct putting *p, struct buf *out)
{
	struct str rest = p->e->text, line, name, value;
	bool put = p->there;

	while (str_next(&rest, '\n', &line)) {
		if (!put && str_starts(line, STR("sops_"))) {
			put_line(p, out);
			buf_putc(out, '\n');
			put = true;
		}
		if (is_leaf(line, &name, &value) && str_eq(name, p->name))
			put_line(p, out);
		else if (str_starts(line, STR("sops_mac=")))
			buf_printf(out, "sops_mac=%.*s", STR_ARG(buf_view(&p->sum)));
		else if (str_starts(line, STR("sops_lastmodified=")))
			buf_printf(out, "sops_lastmodified=%.*s", STR_ARG(p->e->modified));
		else
			buf_str(out, line);
		if (rest.p)
			buf_putc(out, '\n');
	}
}

int sops_edit_put_dotenv(const struct sops_edit *e, struct str name, struct str plain,
			 struct buf *out, struct err *err)
{
	AUTO(arena) struct arena a = {.wipes = true};
	struct putting p = {.e = e, .name = name, .plain = plain, .err = err};
	struct json *m = sops_dotenv_metadata(&a, e->text);
	int rc;

	if (!name.n || *name.p == '#' || str_starts(name, STR("sops_")) ||
	    str_find(name, STR("=")) >= 0 || str_find(name, STR("\n")) >= 0)
		return err_set(err, ERR_INVALID, "not a name that a dotenv file may hold");
	if (check(e, err) != 0 || sops_data_key(e->keys, m, &p.key, err) != 0)
		return -1;
	rc = prepare(&p, str_is(json_str(json_get(m, STR("mac_only_encrypted"))), "true"));
	if (rc == 0)
		write_all(&p, out);
	sops_mac_free(p.mac);
	sodium_memzero(&p.key, sizeof(p.key));
	buf_release(&p.value);
	buf_release(&p.sum);
	return rc;
}
