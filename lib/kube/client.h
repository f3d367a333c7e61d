/*
 * The API client: one table of operations, three implementations (HTTP; in-process; the
 * simulation's), so that controllers, scheduler, kubelet, proxy and reconciler run unchanged in
 * all of them. Asynchronous: callbacks on the client's loop. Not thread-safe.
 */
#ifndef PLUMB_KUBE_CLIENT_H
#define PLUMB_KUBE_CLIENT_H

#include "lib/http/client.h"
#include "lib/kube/obj.h"
#include "lib/os/loop.h"

/* What is asked of: all kinds that Plumb's own parts use are listed in lib/kube/resources.h. */
struct resource {
	const char *group; /* "" for core */
	const char *version;
	const char *plural;
	const char *kind;
	bool namespaced;
};

enum api_verb { API_GET, API_LIST, API_CREATE, API_UPDATE, API_PATCH, API_APPLY, API_DELETE };
enum api_patch { API_PATCH_MERGE, API_PATCH_STRATEGIC, API_PATCH_JSON };

struct api_call {
	enum api_verb verb;
	const struct resource *resource;
	struct str namespace, name;
	const char *subresource; /* or NULL */
	enum api_patch patch;
	struct str body;   /* JSON; copied */
	const char *query; /* further parameters, escaped, without '?': "dryRun=All&fieldManager=x";
			      or NULL */
	bool force;        /* API_APPLY: take fields over */
	bool metadata_only; /* API_GET, API_LIST: PartialObjectMetadata where the server can */
	const char *field_manager; /* NULL = the client's default */
	const char *impersonate;   /* user, or NULL */
	int64_t timeout_ns;        /* 0 = 30 s */
	/* Where many calls wait for a connection: ahead of them, or after them. */
	bool urgent, background;
};

struct api_answer {
	int status;      /* HTTP; 0 when there was no answer */
	struct str body; /* valid during the callback */
	struct err err;  /* ERR_NONE on 2xx; else from the Status object or the transport */
};
typedef void api_done(void *arg, const struct api_answer *a);

enum watch_event { WATCH_ADDED, WATCH_MODIFIED, WATCH_DELETED, WATCH_BOOKMARK };

struct watch_call {
	const struct resource *resource;
	struct str namespace; /* STR_NONE = all */
	const char *label_selector, *field_selector;
	uint64_t from;      /* resourceVersion to go on from */
	bool metadata_only; /* PartialObjectMetadata where the server can */
	/* obj is borrowed. For bookmarks only its revision counts. */
	void (*event)(void *arg, enum watch_event ev, const struct obj *o);
	/* Exactly once, unless cancelled: the watch ended. ERR_GONE/ERR_EXPIRED: list again.
	 * ERR_NONE: go on from the last revision. */
	void (*ended)(void *arg, const struct err *err);
	void *arg;
};

struct client;
struct client_call; /* running call */
struct client_watch;

struct client_ops {
	struct client_call *(*call)(struct client *c, const struct api_call *call, api_done *done,
				    void *arg);
	void (*call_cancel)(struct client *c, struct client_call *call);
	struct client_watch *(*watch)(struct client *c, const struct watch_call *w);
	void (*watch_cancel)(struct client *c, struct client_watch *w);
	/* GET of any path; NULL where only resources exist (the simulation). */
	struct client_call *(*raw)(struct client *c, const char *path, const char *accept,
				   api_done *done, void *arg);
	void (*free)(struct client *c);
};

struct client {
	const struct client_ops *ops;
	struct loop *loop;
	const char *field_manager;
};

/* done comes in a later turn, never from inside. */
struct client_call *client_call(struct client *c, const struct api_call *call, api_done *done,
				void *arg);
/* GET of a path that is no resource (discovery, version). ERR_UNSUPPORTED comes at once as NULL
 * where the client has none. */
struct client_call *client_raw(struct client *c, const char *path, const char *accept,
			       api_done *done, void *arg);
void client_call_cancel(struct client *c, struct client_call *call);
struct client_watch *client_watch(struct client *c, const struct watch_call *w);
void client_watch_cancel(struct client *c, struct client_watch *w);
void client_free(struct client *c);

/* Path (and query) that a call is to on the wire, for the HTTP and in-process implementations. */
void client_path(const struct api_call *call, const char *default_manager, struct buf *out);
void client_watch_path(const struct watch_call *w, struct buf *out);
/* Lists all pages; each item as an object; done with the list's resourceVersion. Helper over
 * client_call. */
struct client_list;
struct client_list *client_list(struct client *c, const struct resource *r, struct str namespace,
				const char *label_selector, const char *field_selector,
				void (*item)(void *arg, struct obj *o /* taken */),
				void (*done)(void *arg, uint64_t revision, const struct err *err),
				void *arg);
/* The same with metadata only: enough for garbage collection, and no Secret leaves the server. */
struct client_list *
client_list_metadata(struct client *c, const struct resource *r, struct str namespace,
		     const char *label_selector, const char *field_selector,
		     void (*item)(void *arg, struct obj *o /* taken */),
		     void (*done)(void *arg, uint64_t revision, const struct err *err), void *arg);
void client_list_cancel(struct client_list *l);

/* ---- HTTP ---- */
struct kubeconfig {
	char *server; /* https://host:port */
	char *ca_pem, *cert_pem, *key_pem, *token;
	char *tls_server_name; /* or NULL */
	bool insecure;
};
MUST_USE int kubeconfig_load(const char *path, struct kubeconfig *ret, struct err *err);
/* The same for one that comes from elsewhere: it may name no files and no programs. */
MUST_USE int kubeconfig_parse(struct str text, struct kubeconfig *ret, struct err *err);
void kubeconfig_release(struct kubeconfig *k);
/* The text of a kubeconfig with one cluster, user and context. PEMs are embedded. */
void kubeconfig_write(const struct kubeconfig *k, const char *cluster, const char *user,
		      struct buf *out);
struct client *client_http_new(struct loop *l, const struct kubeconfig *k,
			       const char *field_manager, struct err *err);

/* Blocking form for the command line: runs a loop of its own until the answer. Body in *ret (may be
 * NULL). */
MUST_USE int client_sync(struct client *c, const struct api_call *call, struct buf *ret,
			 struct err *err);

#endif
