/* What the autoscalers' files share: all of them, one of them, and its turn. */
#ifndef PLUMB_CONTROLLERS_HPA_INTERNAL_H
#define PLUMB_CONTROLLERS_HPA_INTERNAL_H

#include "controllers/hpa.h"
#include "controllers/hpa_core.h"
#include "lib/base/list.h"
#include "lib/base/map.h"
#include "lib/kube/events.h"
#include "lib/kube/resources.h"

struct hpa {
	struct client *client;
	struct restmap *map;
	struct informer *autoscalers, *pods;
	struct recorder *recorder;
	int64_t period_ns;
	struct map scalers; /* key → struct scaler */
	size_t running;
};

/* One autoscaler, as long as it exists. */
struct scaler {
	struct hpa *h;
	char *namespace, *name;
	char *selector; /* its target's, as it was told last; NULL = not yet */
	struct hpa_memory memory;
	struct loop_timer due;
	struct turn *turn;  /* NULL between turns */
	int64_t told_ns;    /* when an event told of a failure; loop's clock */
	unsigned conflicts; /* one after another: somebody else writes the target */
	bool again;         /* it changed during its turn */
};

/* One turn. Everything is in its arena. */
struct turn {
	struct scaler *s;
	struct arena a;
	const struct obj *obj; /* a reference */
	struct json *hpa;      /* a copy, whose status is the new one */
	const struct json *spec;
	const struct resource *target;
	struct json *scale;
	struct selector selector;
	struct json_set_view pods;
	int64_t replicas, shown, now_ns;
	struct client_call *call;
	/* metrics */
	size_t metric;                  /* the one that is being looked at */
	bool second_version;            /* its API is asked in its older version */
	const struct json *pod_metrics; /* of metrics.k8s.io, once asked for */
	struct json *statuses;
	int64_t best; /* the highest proposal; -1 = none yet */
	struct str best_name;
	size_t failed;
	struct err first_failure;
	const char *first_reason;
	bool rescaled, told; /* told: an event spoke of a failure */
};

/* ---- hpa_metrics_run.c ---- */
/* Looks at spec.metrics one after another, then calls hpa_turn_measured. */
void hpa_turn_measure(struct turn *t);

/* ---- hpa_run.c ---- */
void hpa_turn_measured(struct turn *t);
/* The condition ScalingActive is False, and an event says so. */
void hpa_turn_inactive(struct turn *t, const char *reason, const char *message);

#endif
