/* What the kinds of handlers share: handler.c and one file a protocol. */
#ifndef PLUMB_KUBELET_HANDLER_INTERNAL_H
#define PLUMB_KUBELET_HANDLER_INTERNAL_H

#include "kubelet/grpc_core.h"
#include "kubelet/kubelet.h"
#include "kubelet/probe_core.h"
#include "lib/http/client.h"

#define HANDLER_HEADERS_MAX 32

struct handler {
	struct kubelet *k;
	handler_done *done;
	void *arg;
	struct loop_timer timer; /* deadline, pause, or a failure to tell */
	struct loop_timer next;  /* to where a redirection leads */
	struct proc *proc;
	char *file; /* process.json */
	struct http_client *http;
	struct http_running *running;
	struct arena arena; /* of the request, for when it is to be sent elsewhere */
	struct http_header headers[HANDLER_HEADERS_MAX];
	size_t nheaders;
	struct probe_url url;
	unsigned redirects;
	struct loop_fd sock;
	struct grpc_call grpc;
	struct buf out; /* to be sent to sock */
	struct buf message;
	bool ok, is_hook;
};

/* In a later turn: callbacks of what is being freed may still be on the stack. */
void handler_finish(struct handler *h, bool ok);
/* The port that a number or a container's name for it means; 0 = none. */
int handler_port(const struct container_spec *c, const struct json *v);
const char *handler_host(struct arena *a, const struct pod *p, const struct json *how);
/* Connects h->sock; fn is told when it can be written to. */
MUST_USE int handler_connect(struct handler *h, const char *host, int port,
			     void (*fn)(struct loop *l, struct loop_fd *w, uint32_t ready),
			     struct err *err);
/* True when it is connected; otherwise the handler has failed. */
bool handler_connected(struct handler *h);

/* ---- handler_http.c, handler_grpc.c: as handler_run's start of each kind ---- */
MUST_USE int handler_http(struct handler *h, struct pod *p, size_t i, const struct json *how,
			  struct err *err);
MUST_USE int handler_grpc(struct handler *h, struct pod *p, const struct json *how,
			  struct err *err);

#endif
