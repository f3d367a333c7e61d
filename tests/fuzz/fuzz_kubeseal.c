/* kubeseal's values and key files from anywhere. */
#include <stdlib.h>

#include "secrets/kubeseal.h"

static const char private_pem[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBALPXCKUcpAjouMu9\n"
	"QwBUOEdQ5b363eqCzCDfs56I9TUATmnf1hBj1V5wj8aAgaTqAoEAjhgzvjCx6lwb\n"
	"jU6aBaDZWArv2dvDUVgzJxhbJO29FIN5G5bXvqTVPBw5xuCobqNm5BNj/+d3575O\n"
	"YSqoTGSeBxH1YlwJEBLrQKEbs3PLAgMBAAECgYBDLwrwu9Ff7qjSnCLCpbPcmJEr\n"
	"NuPebvyZL1jn2dxY74NbtB5BQzp7rGtZybolBLLoxG9RBUuA34Zg4H4aphmBjD8W\n"
	"3gjSDBfAPVCzYcZinHPG8UmmVxEipL54RVFvIPI6vE8yeaTaiXnGQSRw4kOT97Ox\n"
	"JGwztlU9lKhjYUlNgQJBANePjKf1Sn/vA+MXdTpbjSJ8oCDCylHkToimnG9soc4C\n"
	"Vo7tYRr5DN7FgKHMk/dHE7mOVVeKRa7O2qu5rbejFUECQQDVk/ht5OFZMqqWIQIY\n"
	"2k/67CvxK0QSa+luGwEVgSteiKkqoaBy1ntBOZUBZ5MDlA/kwevuCjEy1dMbJnXQ\n"
	"nQoLAkEAgdDleFD0qM8cnCqIYri36kj7dj9Y8LB5yznrg/78AsDNuA2lKUVLRu3S\n"
	"ZZ56jbS0YE8jfjC7fmb8seaEg88nAQJBAKZyqmLixGjinqVf1iWORlS0qE5MvMFq\n"
	"jkJ8Ey0yPJ1w/f22drfoxagAe0rb8GwSgQxzwS4DjXIjyGFZaOoK6R8CQQC8eTqa\n"
	"ptCNWZpjFQ+CMLhkz1yrxSnscbeGo2NSzwMlQbcs5PmTHHOSV4madUQnJxpLv+0U\n"
	"y15eoRyO9KdmGEbi\n"
	"-----END PRIVATE KEY-----\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kubeseal_keys *keys;
	struct kubeseal_keys *own = kubeseal_keys_new();
	struct str in = {(const char *)data, size};
	struct kubeseal_binding b = {STR("team"), STR("db")};
	AUTO(buf) struct buf out = {0};
	struct err err = {0};

	if (!keys) {
		keys = kubeseal_keys_new();
		if (kubeseal_keys_add(keys, str_c(private_pem), &err) != 0)
			abort();
	}
	if (kubeseal_open(keys, &b, in, &out, &err) != 0 && (out.n || err.code == ERR_NONE))
		abort();
	if (kubeseal_keys_add(own, in, &err) != 0 && err.code == ERR_NONE)
		abort();
	kubeseal_keys_free(own);
	return 0;
}
