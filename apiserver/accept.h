/* What a client wants to read: the Accept header, against what each endpoint has. Pure. */
#ifndef PLUMB_APISERVER_ACCEPT_H
#define PLUMB_APISERVER_ACCEPT_H

#include "apiserver/core.h"

enum accept_discovery { DISCOVERY_NONE, DISCOVERY_PLAIN, DISCOVERY_V2BETA1, DISCOVERY_V2 };

struct accepts {
	bool resource;                   /* something that objects can be shown as was named */
	enum core_form form;             /* the first such */
	struct str form_version;         /* points into the header */
	bool object;                     /* the whole object was named, too */
	bool yaml;                       /* objects as YAML */
	bool proto;                      /* objects as protobuf: nothing else will do */
	enum accept_discovery discovery; /* the first that discovery documents can be shown as */
};

/* header STR_NONE = anything. */
void accept_parse(struct str header, struct accepts *ret);

#endif
