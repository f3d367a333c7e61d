/* What the files of the API client share with each other and with other implementations of it. */
#ifndef PLUMB_CLIENT_INTERNAL_H
#define PLUMB_CLIENT_INTERNAL_H

#include "lib/kube/client.h"

/* Appends "?name=value" or "&name=value", the value escaped. */
void client_query_add(struct buf *out, const char *name, struct str value);
/* The error that a Status object (NULL = none came) with an HTTP status stands for. */
void client_status_error(int http, const struct json *status, struct err *ret);
void client_answer_error(int http, struct str body, struct err *ret);

#endif
