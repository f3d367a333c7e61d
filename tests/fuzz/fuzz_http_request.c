/* Request heads: scanned, parsed, their targets and queries taken apart. */
#include <stddef.h>
#include <stdint.h>

#include "lib/http/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	AUTO(arena) struct arena a = {0};
	struct str in = {(const char *)data, n}, path, query;
	struct http_scan scan = {0};
	struct http_head head;
	size_t pos = 0;
	int status;
	ptrdiff_t len = http_scan_head(&scan, in, &status);

	if (len <= 0 || http_parse_request(&a, str_sub(in, 0, (size_t)len), &head))
		return 0;
	if (http_split_target(head.target, &path, &query))
		return 0;
	while (http_query_next(&a, query, "a", &pos).p && pos < n)
		;
	return 0;
}
