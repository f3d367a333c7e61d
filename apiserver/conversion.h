/*
 * Conversion webhooks, the part that only computes: ConversionReviews and what their answers may
 * be. Pure. Specification: k8s.io/apiextensions-apiserver/pkg/apiserver/conversion.
 */
#ifndef PLUMB_APISERVER_CONVERSION_H
#define PLUMB_APISERVER_CONVERSION_H

#include "apiserver/kinds/kind.h"
#include "lib/kube/obj.h"

/* Whether objects of that kind are converted by asking somebody. */
bool conversion_asks(const struct kind *k);
/* Whether an object stands in the kind's own version. */
bool conversion_is_of(const struct kind *k, struct str api_version);

/* objects: texts, whole. */
void conversion_review(const struct kind *to, const char *uid, const struct str *objects, size_t n,
		       struct buf *out);
/* The n converted objects of an answer, as they came. NULL with err when it isn't one. */
const struct json *conversion_answer(struct arena *a, struct str body, const char *uid, size_t n,
				     struct err *err);
/*
 * What a webhook made of an object, as far as it may: metadata is the original's but for labels and
 * annotations, fields are those of the version. In the arena; NULL with err when it is another
 * object, or in another version.
 */
struct json *conversion_accept(struct arena *a, const struct kind *to, const struct json *original,
			       const struct json *converted, struct err *err);
/* The same for an object that was changed since it was converted: `seen` with o's metadata. */
struct json *conversion_like(struct arena *a, const struct json *seen, const struct json *o);

#endif
