/* Time zone files: whatever they hold, an answer is an offset of at most a day or so. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/timezone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const int64_t when[] = {INT64_MIN, -1, 0, 1700000000, 4102444800, INT64_MAX};
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	const struct timezone *tz = timezone_read(&a, (struct str){(const char *)data, n}, &err);

	for (size_t i = 0; tz && i < sizeof(when) / sizeof(when[0]); i++) {
		struct timezone_span s = timezone_at(tz, when[i]);

		if (s.offset_s > 168 * 3600 || s.offset_s < -168 * 3600)
			abort();
	}
	return 0;
}
