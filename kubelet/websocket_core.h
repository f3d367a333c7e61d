/* WebSocket frames (RFC 6455) as Kubernetes' streams use them: binary, a channel byte first. Pure.
 */
#ifndef PLUMB_KUBELET_WEBSOCKET_CORE_H
#define PLUMB_KUBELET_WEBSOCKET_CORE_H

#include "lib/base/buf.h"

#define WS_PAYLOAD_MAX (1 << 20)
#define WS_BROKEN SIZE_MAX

enum ws_opcode { WS_CONTINUE, WS_TEXT, WS_BINARY, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct ws_frame {
	enum ws_opcode opcode;
	bool last;
	struct str payload; /* points into what was given */
};
/* Takes one frame of a client off p; unmasks in place. Returns its bytes, 0 = more is needed,
 * WS_BROKEN = it is none. */
size_t ws_parse(char *p, size_t n, struct ws_frame *ret);
/* One whole frame of a server. channel -1 = none. */
void ws_put(struct buf *out, enum ws_opcode opcode, int channel, struct str data);

#endif
