/*
 * What the kubelet's files share: the role, its pods, and a pod's containers. One process, one
 * loop, one thread; nothing here is locked.
 *
 * A pod's folder, DIR/nodes/NODE/pods/UID:
 *   pod.json      the Pod as last seen, for when the API has forgotten it
 *   state.json    struct pod_obs, as far as a restarted kubelet needs it
 *   netns, ipcns  its network and IPC namespace, mounted
 *   shm           /dev/shm of its containers
 *   pause.pid     its first process, when it shares processes
 *   etc/          hosts, resolv.conf, hostname
 *   volumes/      see kubelet/volume/volume.h
 *   containers/NAME-ATTEMPT/   see kubelet/runtime/runtime.h
 */
#ifndef PLUMB_KUBELET_KUBELET_H
#define PLUMB_KUBELET_KUBELET_H

#include "kubelet/env_core.h"
#include "kubelet/image/image.h"
#include "kubelet/pod_core.h"
#include "kubelet/podnet/podnet.h"
#include "kubelet/refs.h"
#include "kubelet/runtime/runtime.h"
#include "lib/base/map.h"
#include "lib/kube/events.h"
#include "lib/kube/informer.h"
#include "lib/kube/role.h"

#define NODE_PODS_MAX 250

struct gate;
struct handler;
struct http_server;
struct pod;
struct prober;

struct kubelet {
	struct role role;
	struct loop *loop;
	struct client *client;
	const char *node_name, *node_ip, *instance, *cluster_dns, *cluster_domain;
	const char *tls_cert, *tls_key, *client_ca, *runtime_choice, *listen;
	const char *program; /* plumb itself, for its helpers; NULL = there are none */
	char *dir, *images;
	char *volumes; /* folder of the persistent volumes that this node holds */
	struct localvolumes *locals;
	struct runtime rt;
	struct podnet net;
	struct refs *refs;
	struct informer *pods, *services, *nodes;
	struct recorder *events;
	struct map by_uid; /* struct pod */
	struct http_server *server;
	struct gate *gate;
	struct loop_fd images_watch;
	uint64_t caps;
	struct node_resources resources;
	struct loop_timer heartbeat, report;
	bool registered, synced, told_ready, cgroup_v2;
	struct buf last_node_status;
	struct list pulls; /* pull.c */
	/* images.c */
	struct map image_sizes; /* int64_t, by id */
	bool images_told;       /* all that there are */
	struct proc *collecting;
	/* classes.c */
	struct informer *classes; /* RuntimeClasses, once a pod names one */
	/* evict.c */
	struct loop_timer look;
	struct list measures;
	bool memory_low, storage_low;
};

/* One try at running a container. */
struct attempt {
	struct pod *p;
	size_t i;
	unsigned number;
	char id[CONTAINER_ID_MAX];
	char *dir;
	struct run *run;
	bool failed;
	struct list node; /* in pod.attempts */
};

/* What came of one of a container's probes so far. */
#define PROBE_BUCKETS 11
struct probe_tally {
	uint64_t count[2]; /* failed, succeeded */
	uint64_t bucket[PROBE_BUCKETS];
	double sum_s;
};

/* The shell's side of a container, beside struct cont_obs. */
struct pod_cont {
	struct attempt *now;   /* the running one, or NULL */
	unsigned next;         /* number of the next attempt */
	int log, log_previous; /* attempts whose logs there are; -1 = none */
	struct prober *probers[PROBE_TYPE_MAX];
	struct probe_tally tally[PROBE_TYPE_MAX];
	struct handler *hook;
	char *image;   /* what it was started from, to notice a change */
	char *pulling; /* normal name of the image it waits for, or NULL */
};

struct token;
struct claims;
struct localvolumes;

struct pod {
	struct kubelet *k;
	const struct obj *obj; /* the newest we know of */
	struct arena arena;    /* holds tree and spec */
	const struct json *tree;
	struct pod_spec spec;
	struct pod_obs obs;
	struct pod_cont *cont;
	struct list attempts;
	struct token *tokens;
	struct claims *claims;
	char *dir;
	char *uid;
	struct loop_timer soon, later;
	bool running, removed, dirty; /* dirty: state.json is behind */
	/* status.c */
	const struct obj *api; /* the newest whose status is the API's */
	struct buf sent;       /* what was told last */
	struct client_call *call;
	struct loop_timer retry;
	unsigned status_failures;
	bool status_behind, confirm_wanted;
	struct proc *giving; /* give.c: its volumes to its group */
	/* evict.c */
	bool measuring;
	int64_t disk_bytes; /* what it was measured to use, for who has limits */
};

/* ---- kubelet.c ---- */
/* loop, client, role.data_dir and the options are set. Finds out about the machine, makes folders.
 */
MUST_USE int kubelet_prepare(struct kubelet *k, struct err *err);
/* The pod that the API has under that name now; one that it has no more only where there is no
 * other: an old pod is still being ended when the next of its name runs. NULL = unknown here. */
struct pod *pod_named(struct kubelet *k, struct str namespace, struct str name);
/* Restores pods, follows the API, serves. */
MUST_USE int kubelet_follow(struct kubelet *k, struct err *err);
/* Lets go of everything but the loop and the client; pods go on running. */
void kubelet_release(struct kubelet *k);

/* ---- pod.c ---- */
struct pod *pod_new(struct kubelet *k, const struct obj *o, struct err *err);
void pod_update(struct pod *p, const struct obj *o);
void pod_gone(struct pod *p);
void pod_free(struct pod *p); /* without touching what runs */
/* Looks at it again in a later turn. */
void pod_wake(struct pod *p);
/* Removes, in a process of its own, what an earlier run threw away. */
void trash_empty(struct kubelet *k);
/* Moves a folder of the node's out of the way at once; a process of its own removes it. */
MUST_USE int throw_away(struct kubelet *k, const char *path, const char *name, struct err *err);
struct pod_clock pod_now(const struct kubelet *k);
/* leave.c: notes, once it is to be deleted, how long its Services may still send clients to it. */
void pod_leave(struct pod *p);
/* The Kubernetes event, about the pod. */
void pod_event(struct pod *p, const char *type, const char *reason, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* The same, about container i. */
void pod_event_of(struct pod *p, size_t i, const char *type, const char *reason, const char *fmt,
		  ...) PRINTF_LIKE(5, 6);

/* ---- container.c ---- */
/* Makes the folder of an attempt, mounts and config.json. *ret_reason says which waiting reason a
 * failure has. */
MUST_USE int container_make(struct pod *p, struct attempt *at, const char **ret_reason,
			    struct err *err);
/* For volumes and environment. */
struct payload_in pod_payload_in(struct pod *p);
/* hosts, resolv.conf, hostname. */
MUST_USE int pod_write_files(struct pod *p, struct err *err);

/* ---- admission.c ---- */
/* Judges one that has just come: what this node won't have has failed. */
void pod_admission(struct pod *p);
/* A final phase that others wrote is its end. */
void pod_notice_end(struct pod *p);

/* ---- devices.c ---- */
struct json *devices_list(struct arena *a); /* the machine's, as the runtime wants them */
/* Those of its volumeDevices, each with its "access". */
MUST_USE int devices_claimed(struct arena *a, const struct pod *p, const struct container_spec *c,
			     struct json **ret, struct err *err);

/* ---- logrotate.c ---- */
void logs_rotate(struct pod *p);

/* ---- pull.c ---- */
/* Finds a container's image, or fetches it: obs says what came of it, now or later. */
void pod_image(struct pod *p, size_t i);
bool image_possible(struct pod *p, size_t i); /* or are too many being fetched? */
void pulls_stop(struct kubelet *k);

/* What there is of the node, and when it is little. */
struct node_room {
	int64_t memory, memory_low, storage, storage_low, storage_all;
};

/* ---- images.c ---- */
struct json *images_list(struct kubelet *k, struct arena *a); /* for status.images */
void images_look(struct kubelet *k);                          /* measures a few, tells when done */
/* Removes one that came from a registry and nobody here uses, where the disk gets full. */
void images_collect(struct kubelet *k, const struct node_room *room);
void images_forget(struct kubelet *k);

/* ---- classes.c: pods that name a RuntimeClass ---- */
/* False while it isn't known yet. */
bool class_ready(struct pod *p);
/* ERR_NOT_FOUND: there is none of that name, or its handler isn't ours. */
MUST_USE int class_check(struct pod *p, struct err *err);
void classes_stop(struct kubelet *k);

/* ---- give.c ---- */
/* Sets its volumes up; obs.volumes says what came of it, now or later. */
void pod_volumes(struct pod *p);

/* ---- sandbox.c: what a pod's containers share beside the network ---- */
MUST_USE int sandbox_setup(struct pod *p, struct err *err); /* what is there already stays */
void sandbox_teardown(struct pod *p);
/* Namespaces to join, in `a`; STR_NONE = none. And what is mounted at /dev/shm. */
struct str sandbox_ipcns(struct arena *a, const struct pod *p);
struct str sandbox_pidns(struct arena *a, const struct pod *p);
struct str sandbox_shm(struct arena *a, const struct pod *p);

/* ---- attempt.c ---- */
void attempt_start(struct pod *p, size_t i);
void attempt_adopt(struct pod *p, size_t i, unsigned number, const char *id);
void attempt_clear(struct pod *p, size_t i, unsigned number, const char *id);
void attempt_term(struct pod *p, size_t i);
void attempt_kill(struct pod *p, size_t i);
void attempt_pre_stop(struct pod *p, size_t i);
char *attempt_dir(const struct pod *p, size_t i, unsigned number);
/* Forgets all runs of the pod without touching them. */
void attempts_forget(struct pod *p);

/* ---- state.c ---- */
void state_save(struct pod *p);
/* Brings back the pods that an earlier process knew. */
void state_restore(struct kubelet *k);
/* Atomic, but not durable: what a power cut takes has lost its pods too. */
MUST_USE int write_quick(const char *path, struct str text, mode_t mode, struct err *err);

/* ---- status.c ---- */
void status_push(struct pod *p);
/* Tells the last status, then the API to forget the pod: obs.confirm says what came of it. */
void status_confirm(struct pod *p);
void status_cancel(struct pod *p);

/* ---- tokens.c ---- */
void tokens_start(struct pod *p);
bool tokens_ready(const struct pod *p);
struct str tokens_get(const struct pod *p, const struct json *source);
void pod_tokens_free(struct pod *p);

/* ---- probe.c ---- */
void probes_start(struct pod *p, size_t i);
void probes_stop(struct pod *p, size_t i);
/* ---- probe_tally.c ---- */
void probe_tally(struct probe_tally *t, bool ok, int64_t took_ns);
void probes_write(const struct kubelet *k, struct buf *out); /* /metrics/probes */

/* ---- handler.c: what probes and hooks do ---- */
typedef void handler_done(void *arg, bool ok, const char *message);
/* how: a probe or lifecycle handler: {exec}, {httpGet}, {tcpSocket}, {sleep}. done comes in a later
 * turn; what it says of a success is a warning. */
struct handler *handler_run(struct pod *p, size_t i, const struct json *how, int64_t timeout_ns,
			    handler_done *done, void *arg);
void handler_cancel(struct handler *h);

/* ---- localvolumes.c: the data of volumes that are no more ---- */
void localvolumes_start(struct kubelet *k);
void localvolumes_look(struct kubelet *k); /* a pod went: what it used may be removable */
void localvolumes_stop(struct kubelet *k);

/* ---- node.c ---- */
void node_start(struct kubelet *k);
void node_stop(struct kubelet *k);
void kubelet_check_ready(struct kubelet *k);
struct node_room node_room(const struct kubelet *k);
void node_report_soon(struct kubelet *k);

/* ---- evict.c: pods that use more than there is ---- */
void evict_start(struct kubelet *k);
void evict_stop(struct kubelet *k);

/* ---- server.c ---- */
MUST_USE int server_start(struct kubelet *k, struct err *err);
void server_stop(struct kubelet *k);

/* ---- cgroup.c ---- */
/* Writes what the pod as a whole may have; its cgroup is made with its first container. */
void cgroup_limit(struct kubelet *k, const struct pod_spec *s);
void cgroup_remove(struct kubelet *k, struct str pod_uid);

#endif
