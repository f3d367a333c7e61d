/* Following the frames of a WebSocket stream. Pure. */
#include "lib/http/wsframes.h"

#include "lib/base/pure.h"

/* The length of the header that begins so; two bytes tell. */
static size_t head_size(const unsigned char *h)
{
	size_t masked = h[1] & 0x80 ? 4 : 0;

	switch (h[1] & 0x7f) {
	case 126:
		return 4 + masked;
	case 127:
		return 10 + masked;
	default:
		return 2 + masked;
	}
}

static uint64_t payload_size(const unsigned char *h)
{
	size_t bytes = (h[1] & 0x7f) == 126 ? 2 : (h[1] & 0x7f) == 127 ? 8 : 0;
	uint64_t n = 0;

	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | h[2 + i];
	return bytes ? n : h[1] & 0x7fu;
}

size_t wsframes_cut(struct wsframes *f, struct str data)
{
	size_t at = 0;

	while (!f->left && at < data.n) { /* in the header */
		f->head[f->nhead++] = (unsigned char)data.p[at++];
		if (f->nhead < 2 || f->nhead < head_size(f->head))
			continue;
		f->left = payload_size(f->head);
		f->nhead = 0;
		if (!f->left)
			return at;
		break;
	}
	size_t n = (size_t)MIN((uint64_t)(data.n - at), f->left);
	f->left -= n;
	return at + n;
}
