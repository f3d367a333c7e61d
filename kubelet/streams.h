/*
 * The streams of a remote command (exec, attach): input, output, errors, how it ended, and the
 * terminal's size; by WebSocket channels or SPDY streams, in every version that Kubernetes has had.
 * Whoever runs the command sees none of that. On the kubelet's loop.
 */
#ifndef PLUMB_KUBELET_STREAMS_H
#define PLUMB_KUBELET_STREAMS_H

#include "lib/http/server.h"
#include "lib/os/loop.h"

/* Their numbers are those of WebSocket channels. */
enum stream_kind { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAM_STATUS, STREAM_SIZE, STREAM_MAX };

struct streams_ops {
	void (*ready)(void *arg); /* the client has opened all it wants: start. In a turn of its
				     own */
	void (*input)(void *arg, struct str data);
	void (*input_ended)(void *arg);
	void (*resized)(void *arg, unsigned short cols, unsigned short rows);
	void (*drained)(void *arg); /* they were full, and are no longer */
	void (*gone)(void *arg);    /* the client left; the last call, the handle is invalid */
};
struct streams_want {
	bool in, out, err, tty;
};
/* From the request's query. */
struct streams_want streams_wanted(struct http_req *r);

struct streams;
/*
 * Answers the request: an upgrade, or an error (then NULL). Memory of `ops` is the caller's for
 * ever, `arg` for as long as the handle lives: until `gone`, streams_exit, _fail or _drop.
 * Those three are not for `input`, `input_ended` and `resized`.
 */
struct streams *streams_accept(struct loop *l, struct http_req *r, struct streams_want want,
			       const struct streams_ops *ops, void *arg);
void streams_send(struct streams *s, enum stream_kind kind, struct str data);
bool streams_full(const struct streams *s);
void streams_pause(struct streams *s, bool paused); /* its input */
/* It ended by itself, or could not be run. The client gets all that was sent before. */
void streams_exit(struct streams *s, int code);
void streams_fail(struct streams *s, const char *message);
void streams_drop(struct streams *s); /* NULL is fine */

#endif
