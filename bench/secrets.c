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

enum { VALUES = 10000, OBJECTS = 100000, OBJECT = 600 };

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

int main(void)
{
	seal_and_open();
	at_rest();
	return 0;
}
