/*
 * Bech32: five bits a character and a checksum over the prefix and the data. Not constant-time:
 * it reads key files on the cluster's own machine, where nobody measures. Pure.
 */
#include "secrets/bech32.h"

#include <string.h>

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
enum { CHECKSUM = 6, HRP_MAX = 83, TEXT_MAX = 8192 };

static uint32_t polymod(uint32_t sum, uint8_t v)
{
	static const uint32_t g[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t top = sum >> 25;

	sum = (sum & 0x1ffffff) << 5 ^ v;
	for (size_t i = 0; i < ARRAY_LEN(g); i++)
		if (top >> i & 1)
			sum ^= g[i];
	return sum;
}

static uint32_t polymod_hrp(struct str hrp)
{
	uint32_t sum = 1;

	for (size_t i = 0; i < hrp.n; i++)
		sum = polymod(sum, (uint8_t)hrp.p[i] >> 5);
	sum = polymod(sum, 0);
	for (size_t i = 0; i < hrp.n; i++)
		sum = polymod(sum, hrp.p[i] & 31);
	return sum;
}

/* Regroups bits. padded: a last incomplete group is filled up with zeroes; otherwise it must be
 * less than a group of the old width, and zero. */
static int regroup(struct str in, unsigned from, unsigned to, bool padded, struct buf *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < in.n; i++) {
		acc = (acc << from | (uint8_t)in.p[i]) & 0xffff;
		bits += from;
		while (bits >= to) {
			bits -= to;
			buf_putc(out, (char)(acc >> bits & ((1u << to) - 1)));
		}
	}
	if (padded && bits)
		buf_putc(out, (char)(acc << (to - bits) & ((1u << to) - 1)));
	else if (!padded && (bits >= from || (acc & ((1u << bits) - 1))))
		return -1;
	return 0;
}

void bech32_encode(struct str hrp, struct str data, struct buf *out)
{
	struct buf five = {0};
	uint32_t sum = polymod_hrp(hrp);

	if (regroup(data, 8, 5, true, &five) != 0)
		panic("padding cannot fail");
	buf_str(out, hrp);
	buf_putc(out, '1');
	for (size_t i = 0; i < five.n; i++) {
		sum = polymod(sum, (uint8_t)five.p[i]);
		buf_putc(out, alphabet[(uint8_t)five.p[i]]);
	}
	for (int i = 0; i < CHECKSUM; i++)
		sum = polymod(sum, 0);
	sum ^= 1;
	for (int i = 0; i < CHECKSUM; i++)
		buf_putc(out, alphabet[sum >> (5 * (CHECKSUM - 1 - i)) & 31]);
	buf_wipe(&five);
}

/* Lower case of text in one case; -1 when mixed or not printable. */
static int fold(struct str text, struct buf *out)
{
	bool lower = false, upper = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c < 33 || c > 126)
			return -1;
		lower |= c >= 'a' && c <= 'z';
		upper |= c >= 'A' && c <= 'Z';
		buf_putc(out, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
	}
	return lower && upper ? -1 : 0;
}

static int decode(struct str folded, struct buf *ret_hrp, struct buf *five)
{
	struct str hrp, data;
	uint32_t sum;

	if (!str_rcut(folded, '1', &hrp, &data) || !hrp.n || hrp.n > HRP_MAX || data.n < CHECKSUM)
		return -1;
	sum = polymod_hrp(hrp);
	for (size_t i = 0; i < data.n; i++) {
		const char *at = memchr(alphabet, data.p[i], sizeof(alphabet) - 1);

		if (!at)
			return -1;
		sum = polymod(sum, (uint8_t)(at - alphabet));
		buf_putc(five, (char)(at - alphabet));
	}
	buf_str(ret_hrp, hrp);
	five->n -= CHECKSUM;
	return sum == 1 ? 0 : -1;
}

int bech32_decode(struct str text, struct buf *ret_hrp, struct buf *ret_data)
{
	struct buf folded = {0}, five = {0};
	int rc = -1;

	if (text.n <= TEXT_MAX && fold(text, &folded) == 0 &&
	    decode(buf_view(&folded), ret_hrp, &five) == 0)
		rc = regroup(buf_view(&five), 5, 8, false, ret_data);
	buf_wipe(&folded);
	buf_wipe(&five);
	return rc;
}
