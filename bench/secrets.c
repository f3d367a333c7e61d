/*
 * secrets: what sealing costs on one core. Opens 10,000 values of 32 bytes as the controller does,
 * seals as many, and encrypts and opens objects at rest; prints a line for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/timefmt.h"
#include "secrets/atrest.h"
#include "secrets/seal.h"
#include "secrets/sops_write.h"

enum { VALUES = 10000, OBJECTS = 100000, OBJECT = 600, FILES = 1000 };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "secrets: %s\n", what);
	exit(1);
}

static void seal_and_open(void)
{
	struct seal_binding b = {SEAL_STRICT, STR("team"), STR("db"), STR("password")};
	struct str plain = STR("0123456789abcdef0123456789abcdef");
	struct seal_keys *keys = seal_keys_new();
	struct buf private = {0}, *v = calloc(VALUES, sizeof(*v)), out = {0};
	struct seal_pub pub;
	double at;

	seal_key_generate(&private, &pub);
	if (!v || seal_keys_add(keys, buf_view(&private), NULL) != 0)
		die("no key");
	at = now();
	for (size_t i = 0; i < VALUES; i++)
		if (seal_value(&pub, &b, plain, &v[i], NULL) != 0)
			die("cannot seal");
	printf("seal %d values: %.2f s of one core\n", VALUES, now() - at);
	at = now();
	for (size_t i = 0; i < VALUES; i++) {
		buf_reset(&out);
		if (seal_open(keys, &b, buf_view(&v[i]), &out, NULL) != 0 || out.n != plain.n)
			die("cannot open");
	}
	printf("open %d sealed values: %.2f s of one core (bar: 1 s)\n", VALUES, now() - at);
	for (size_t i = 0; i < VALUES; i++)
		buf_release(&v[i]);
	free(v);
	buf_wipe(&out);
	buf_wipe(&private);
	seal_keys_free(keys);
}

static void at_rest(void)
{
	static char object[OBJECT];
	struct atrest *a = atrest_from(STR("0123456789abcdef0123456789abcdef"), NULL);
	struct buf sealed = {0}, plain = {0};
	double at = now(), sealing, opening;

	for (size_t i = 0; i < OBJECTS; i++) {
		buf_reset(&sealed);
		if (atrest_seal(a, STR("secrets/team/db"), (struct str){object, OBJECT}, &sealed,
				NULL) != 0)
			die("cannot encrypt");
	}
	sealing = now() - at;
	at = now();
	for (size_t i = 0; i < OBJECTS; i++) {
		buf_reset(&plain);
		if (atrest_open(a, STR("secrets/team/db"), buf_view(&sealed), &plain, NULL) != 0)
			die("cannot decrypt");
	}
	opening = now() - at;
	printf("at rest, an object of %d bytes: %.2f us to encrypt, %.2f us to open\n", OBJECT,
	       sealing / OBJECTS * 1e6, opening / OBJECTS * 1e6);
	buf_release(&sealed);
	buf_release(&plain);
	atrest_free(a);
}

/* A Secret of sops, as the reconciler opens it: one X25519, two values, the MAC. */
static void sops_files(void)
{
	static const char secret[] = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\n"
				     "stringData:\n  user: admin\n  password: correct horse\n";
	struct buf identity = {0}, to = {0}, made = {0}, plain = {0};
	struct age_keys *keys = age_keys_new();
	struct sops_policy policy = {.n = 1};
	struct sops_encrypt e = {&policy, SOPS_YAML, STR("2026-01-02T03:04:05Z"), NULL};
	struct sops_report report;
	struct age_recipient r;
	double at;

	age_generate(&identity, &r);
	age_recipient_write(&r, &to);
	policy.recipients[0] = buf_view(&to);
	if (age_keys_parse(keys, buf_view(&identity), NULL) != 0 ||
	    sops_encrypt(&e, STR(secret), &made, NULL) != 0)
		die("no file of sops");
	struct sops_file f = {keys, SOPS_YAML, buf_view(&made)};
	at = now();
	for (size_t i = 0; i < FILES; i++) {
		buf_reset(&plain);
		if (sops_open_bytes(&f, &plain, &report, NULL) != 0 || !report.mac_ok)
			die("cannot open a file of sops");
	}
	printf("open %d files of sops: %.2f s of one core (bar: 1 s)\n", FILES, now() - at);
	buf_release(&to);
	buf_release(&made);
	buf_wipe(&identity);
	buf_wipe(&plain);
	age_keys_free(keys);
}

int main(void)
{
	sops_files();
	seal_and_open();
	at_rest();
	return 0;
}
