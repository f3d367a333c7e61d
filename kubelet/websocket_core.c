/* Frames in and out. Refuses unmasked and oversized ones, as RFC 6455 asks of servers. Pure. */
#include "kubelet/websocket_core.h"

#include "lib/base/pure.h"

size_t ws_parse(char *p, size_t n, struct ws_frame *ret)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t head = 2;
	uint64_t len;

	if (n < 2)
		return 0;
	if ((u[0] & 0x70) || !(u[1] & 0x80))
		return WS_BROKEN;
	len = u[1] & 0x7f;
	if ((u[0] & 8) && len > 125)
		return WS_BROKEN; /* control frames are small */
	if (len >= 126) {
		size_t more = len == 126 ? 2 : 8;
		if (n < 2 + more)
			return 0;
		len = 0;
		for (size_t i = 0; i < more; i++)
			len = len << 8 | u[2 + i];
		head += more;
	}
	if (len > WS_PAYLOAD_MAX)
		return WS_BROKEN;
	if (n < head + 4 + len)
		return 0;
	for (size_t i = 0; i < len; i++)
		p[head + 4 + i] = (char)(u[head + 4 + i] ^ u[head + i % 4]);
	*ret = (struct ws_frame){
		(enum ws_opcode)(u[0] & 15), (u[0] & 0x80) != 0, {p + head + 4, (size_t)len}};
	return head + 4 + (size_t)len;
}

void ws_put(struct buf *out, enum ws_opcode opcode, int channel, struct str data)
{
	uint64_t len = data.n + (channel >= 0);

	buf_putc(out, (char)(0x80 | opcode));
	if (len < 126) {
		buf_putc(out, (char)len);
	} else {
		size_t more = len < 65536 ? 2 : 8;
		buf_putc(out, more == 2 ? 126 : 127);
		for (size_t i = more; i-- > 0;)
			buf_putc(out, (char)(len >> (8 * i) & 0xff));
	}
	if (channel >= 0)
		buf_putc(out, (char)channel);
	buf_str(out, data);
}
