/* ValidatingWebhookConfigurations: who is asked before an object is written. Pure. */
#include "apiserver/kinds/rules_webhooks.h"

#include "lib/base/pure.h"

static const char *const categories[] = {"api-extensions", NULL};

const struct kind kind_validatingwebhookconfiguration = {
	.group = "admissionregistration.k8s.io",
	.version = "v1",
	.kind = "ValidatingWebhookConfiguration",
	.plural = "validatingwebhookconfigurations",
	.categories = categories,
	.flags = KIND_GENERATION,
	.schema_name = "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
	.columns = webhooks_columns,
	.row = webhooks_row,
	.validate = webhooks_validate,
};
