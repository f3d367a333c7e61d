/* Never built: mistakes that tools/check-secrets has to find, one a function; `make lint` sees to
 * it. */
#include "lib/base/buf.h"

void forgotten(struct str in)
{
	struct buf plain = {0};

	buf_str(&plain, in);
	buf_release(&plain);
}

void only_freed(struct str in)
{
	AUTO(buf) struct buf passphrase = {0};

	buf_str(&passphrase, in);
}

void on_the_stack(uint8_t seed)
{
	uint8_t session[32], other[32];

	session[0] = other[0] = seed;
}

void one_of_two(struct str in)
{
	struct buf private = {0}, public = {0};

	buf_str(&private, in);
	buf_wipe(&public);
}
