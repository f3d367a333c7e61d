/*
 * resource.Quantity: exact decimal numbers with SI or binary suffixes. Pure.
 * Specification: k8s.io/apimachinery/pkg/api/resource.
 */
#ifndef PLUMB_QUANTITY_H
#define PLUMB_QUANTITY_H

#include "lib/base/buf.h"

enum quantity_format { QUANTITY_DECIMAL_SI, QUANTITY_BINARY_SI, QUANTITY_DECIMAL_EXP };

/* value = nano * 1e-9, saturating like Kubernetes at the ends of 128 bits. */
struct quantity {
	__int128 nano;
	enum quantity_format format;
};

MUST_USE int quantity_parse(struct str s, struct quantity *ret);
/* The canonical text ("1500m", "2Gi", "1e3" …), without loss. */
void quantity_format(struct quantity q, struct buf *out);
int quantity_cmp(struct quantity a, struct quantity b);
/* Rounded up, saturating: cpu in millis, memory in bytes. */
int64_t quantity_milli(struct quantity q);
int64_t quantity_value(struct quantity q);

#endif
