/* Bech32 (BIP 173) without its length limit, as age writes keys. Pure. */
#ifndef PLUMB_SECRETS_BECH32_H
#define PLUMB_SECRETS_BECH32_H

#include "lib/base/buf.h"

/* All lower case. hrp must be lower-case text of 1 to 83 printable characters. */
void bech32_encode(struct str hrp, struct str data, struct buf *out);
/* Appends the data; *ret_hrp (into hrp_out) in lower case. -1 for mixed case, bad characters,
 * checksum or padding. */
MUST_USE int bech32_decode(struct str text, struct buf *ret_hrp, struct buf *ret_data);

#endif
