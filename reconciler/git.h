/*
 * Reading bare mirrors: trees and blobs of one commit, within bounds. All of libgit2 stands behind
 * this header and gitremote.h. Blocking, but touches only the local object store. Not thread-safe.
 */
#ifndef PLUMB_RECONCILER_GIT_H
#define PLUMB_RECONCILER_GIT_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#define GIT_OID_TEXT 41
#define GIT_BLOB_MAX (4u << 20)   /* a manifest */
#define GIT_FILES_MAX 20000       /* below one path */
#define GIT_TOTAL_MAX (64u << 20) /* all manifests below one path */
#define GIT_DEPTH_MAX 32

struct git_file {
	struct str path; /* from the repository's root */
	struct str data;
	char oid[GIT_OID_TEXT];
};
struct git_files {
	struct git_file *v;
	size_t n;
	struct str *links; /* where symbolic links on the way lead to, from the root */
	size_t nlinks;
	struct str *jsonnet; /* files of that language, which are not read; the first few */
	size_t njsonnet;
};
#define GIT_JSONNET_MAX 64

struct gitmirror;
/* DIR/git/HASH for a URL, in `a`. */
char *git_mirror_path(struct arena *a, const char *data_dir, struct str url);
struct gitmirror *git_open(const char *path, struct err *err); /* NULL when it isn't there */
void git_close(struct gitmirror *m);
/* After packs were put together: libgit2 keeps those that are gone open, and mapped, for as long as
 * the repository is. NULL does nothing; when the mirror can't be opened again, all stays. */
void git_refresh(struct gitmirror *m);
void gitmirror_cleanup(struct gitmirror **m);

/*
 * "clusters/x" from "./clusters/x/": no "..", no absolute path. "" is the root. In `a`; NULL with
 * err when it leaves the root.
 */
char *git_clean_path(struct arena *a, struct str path, struct err *err);

/* The id of the tree or blob at path in commit `oid`, and of the ignore rules that hold there:
 * equal ids, equal content. ERR_NOT_FOUND names the path. */
MUST_USE int git_path_id(struct gitmirror *m, const char *oid, const char *path,
			 char ret[GIT_OID_TEXT], struct err *err);
/*
 * What git_manifests leaves out: spec.ignore of the GitRepository. STR_NONE, as after git_open,
 * stands for .sourceignore files alone or Flux' defaults. Copied.
 */
void git_ignore(struct gitmirror *m, struct str rules);
/*
 * Every *.yaml, *.yml, *.json and kustomization file below path, sorted by path, but what ignore
 * rules leave out; ERR_NOT_FOUND when that is all of it. Symbolic links are followed inside the
 * repository and refused, by name, where they lead out of it.
 */
MUST_USE int git_manifests(struct gitmirror *m, struct arena *a, const char *oid, const char *path,
			   struct git_files *ret, struct err *err);
/* One file of a commit; ERR_NOT_FOUND, ERR_LIMIT. */
MUST_USE int git_file(struct gitmirror *m, struct arena *a, const char *oid, const char *path,
		      struct git_file *ret, struct err *err);
/* The first line of a commit's message, in `a`; empty when it cannot be read. */
struct str git_subject(struct gitmirror *m, struct arena *a, const char *oid);

#endif
