/*
 * What both kinds of webhook configurations share: their webhooks' rules and their table's row.
 * Pure.
 */
#ifndef PLUMB_APISERVER_RULES_WEBHOOKS_H
#define PLUMB_APISERVER_RULES_WEBHOOKS_H

#include "apiserver/kinds/kind.h"

extern const struct kind_column webhooks_columns[];
void webhooks_row(struct kind_ctx *c, const struct json *o, struct json *cells);
void webhooks_validate(struct kind_ctx *c, const struct json *next, const struct json *live);

/* A WebhookClientConfig's members, for definitions' conversions too. `at` is the client config. */
struct spath;
void rule_webhook_client(struct kind_ctx *c, const struct spath *at, const struct json *client);

#endif
