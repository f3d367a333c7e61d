/* Keyed digests (RFC 2104), and checking them without telling how wrong a guess was. Thread-safe.
 */
#ifndef PLUMB_HMAC_H
#define PLUMB_HMAC_H

#include "lib/base/str.h"

enum hmac_kind { HMAC_SHA1, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512 };

#define HMAC_HEX_MAX 129
/* Lower-case hexadecimal digits, NUL-terminated. */
void hmac_hex(enum hmac_kind kind, struct str key, struct str data, char ret[HMAC_HEX_MAX]);
/* hex: what somebody claims it is, in either case. An empty key never fits. */
bool hmac_fits(enum hmac_kind kind, struct str key, struct str data, struct str hex);

#endif
