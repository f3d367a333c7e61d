/*
 * Pages that come through the proxy to pods, services and nodes: their links to the root of the
 * server they are from lead to the proxied root. Pure.
 */
#ifndef PLUMB_APISERVER_PROXY_REWRITE_H
#define PLUMB_APISERVER_PROXY_REWRITE_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

/* "/x" becomes "PREFIX/x"; what is relative, elsewhere, or has the prefix already stays. `host` is
 * the proxied server's "address:port". In the arena, or url itself. */
struct str proxy_url(struct arena *a, struct str url, struct str prefix, struct str host);
/* The same for the links of an HTML document; everything else stays byte by byte. */
void proxy_html(struct str html, struct str prefix, struct str host, struct buf *out);

#endif
