/*
 * One connection that has left HTTP: plain bytes (SPDY) or WebSocket messages. On the kubelet's
 * loop. The handle is the caller's until upgrade_end, upgrade_drop or `gone`, whichever is first.
 */
#ifndef PLUMB_KUBELET_UPGRADE_H
#define PLUMB_KUBELET_UPGRADE_H

#include "kubelet/websocket_core.h"
#include "lib/http/server.h"
#include "lib/os/loop.h"

struct upgrade_ops {
	/* Bytes as they come, or one whole message. -1 = no more of this; `gone` follows. Must not
	 * end or drop the connection. */
	int (*data)(void *arg, struct str data);
	void (*drained)(void *arg); /* it was full, and is no longer */
	void (*gone)(void *arg);    /* the peer left; the last call, the handle is invalid */
};

enum upgrade_kind { UPGRADE_SPDY, UPGRADE_WEBSOCKET, UPGRADE_KIND_MAX };

struct upgrade_opts {
	enum upgrade_kind kind;
	const char *protocol; /* which was agreed on; NULL = none was asked for */
	const struct upgrade_ops *ops;
	void *arg;
};

struct upgrade;
/* What r asks to become; MAX = neither. */
enum upgrade_kind upgrade_asked(const struct http_req *r);
/*
 * The client's first wish among `known` (NULL-terminated), by its index. -1 = it asked for none,
 * -2 = none of them is known.
 */
int upgrade_choose(const struct http_req *r, enum upgrade_kind kind, const char *const *known);
/* Answers 101. */
struct upgrade *upgrade_accept(struct loop *l, struct http_req *r, const struct upgrade_opts *o);
/* WebSocket: one binary message. */
void upgrade_write(struct upgrade *u, struct str data);
/* WebSocket only; channel -1 = none. */
void upgrade_message(struct upgrade *u, enum ws_opcode opcode, int channel, struct str data);
bool upgrade_full(const struct upgrade *u); /* stop writing until `drained` */
void upgrade_pause(struct upgrade *u, bool paused);
/* What was written is still sent, and the peer is given a while to read it and to leave first:
 * clients lose what they have not handled when the connection ends before them. */
void upgrade_end(struct upgrade *u);
void upgrade_drop(struct upgrade *u);

#endif
