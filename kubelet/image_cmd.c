/*
 * `plumb image …`: fills the store by hand. Only `pull` talks to anybody; safe beside running
 * kubelets, since whoever changes the store holds its lock. A process of its own; memory ends with
 * it.
 */
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kubelet/image/image.h"
#include "kubelet/main.h"
#include "lib/base/flags.h"

#define LIST_ARGS_MAX 64

struct cmd {
	const char *data_dir, *output, *name, *workdir, *user;
	struct flag_list entrypoint, cmd, env;
	char dir[PATH_MAX];
	struct arena arena;
	struct json *all; /* ls -o json */
};

static void on_loaded(void *arg, struct str name, struct str id)
{
	(void)arg;
	printf("%.*s %.*s\n", STR_ARG(name), STR_ARG(id));
}

static int load(struct cmd *c, const char *file, struct err *err)
{
	return image_load(c->dir, file, str_c(c->name), on_loaded, NULL, err);
}

static int fetch(struct cmd *c, const char *name, struct err *err)
{
	bool fetched;

	if (image_pull(c->dir, str_c(name), NULL, &fetched, err))
		return -1;
	printf("%s %s\n", name, fetched ? "fetched" : "is up to date");
	return 0;
}

/* Flag lists are not NULL-terminated. */
static const char *const *terminated(struct arena *a, struct flag_list l)
{
	const char **v = arena_array(a, l.n + 1, sizeof(*v));

	for (size_t i = 0; i < l.n; i++)
		v[i] = l.v[i];
	return v;
}

static int import(struct cmd *c, const char *name, const char *rootfs, struct err *err)
{
	AUTO(buf) struct buf id = {0};
	struct image_import in = {
		.name = name, .rootfs = rootfs, .workdir = c->workdir, .user = c->user};

	in.entrypoint = terminated(&c->arena, c->entrypoint);
	in.cmd = terminated(&c->arena, c->cmd);
	in.env = terminated(&c->arena, c->env);
	if (image_import(c->dir, &in, &id, err))
		return -1;
	printf("%s %.*s\n", name, STR_ARG(buf_view(&id)));
	return 0;
}

static int list_one(void *arg, const struct image *img)
{
	struct cmd *c = arg;
	int64_t size = image_size(c->dir, img);

	if (strcmp(c->output, "json")) {
		printf("%-56.*s %.19s %8.1f MB\n", STR_ARG(img->name), img->id.p,
		       (double)size / 1e6);
		return 0;
	}
	struct json *o = json_append_object(&c->arena, c->all);
	json_set_str(&c->arena, o, "name", img->name);
	json_set_str(&c->arena, o, "id", img->id);
	json_set_int(&c->arena, o, "size", size);
	json_set_int(&c->arena, o, "layers", (int64_t)img->nlayers);
	return 0;
}

static int list(struct cmd *c, struct err *err)
{
	AUTO(buf) struct buf out = {0};

	c->all = json_new(&c->arena, JSON_ARRAY);
	if (image_each(c->dir, list_one, c, err))
		return -1;
	if (!strcmp(c->output, "json")) {
		json_write_pretty(c->all, 2, &out);
		printf("%.*s\n", STR_ARG(buf_view(&out)));
	}
	return 0;
}

static int run(struct cmd *c, int n, char **args, struct err *err)
{
	const char *what = n ? args[0] : "";

	snprintf(c->dir, sizeof(c->dir), "%s/images", c->data_dir);
	if (!strcmp(what, "load") && n == 2)
		return load(c, args[1], err);
	if (!strcmp(what, "pull") && n == 2)
		return fetch(c, args[1], err);
	if (!strcmp(what, "import") && n == 3)
		return import(c, args[1], args[2], err);
	if (!strcmp(what, "ls") && n == 1)
		return list(c, err);
	if (!strcmp(what, "rm") && n == 2)
		return image_remove(c->dir, str_c(args[1]), err);
	return err_set(err, ERR_BAD_REQUEST,
		       "say pull NAME, load FILE, import NAME ROOTFS-DIR, ls or rm NAME (--help "
		       "tells more)");
}

int kubelet_image_main(int argc, char **argv)
{
	struct cmd c = {.data_dir = "/var/lib/plumb", .output = ""};
	const struct flag flags[] = {
		{"data-dir", 0, FLAG_STRING, &c.data_dir, "DIR", "the instance's data directory"},
		{"output", 'o', FLAG_STRING, &c.output, "FORMAT", "ls: json"},
		{"name", 0, FLAG_STRING, &c.name, "NAME", "load: call the image that"},
		{"entrypoint", 0, FLAG_STRINGS, &c.entrypoint, "WORD",
		 "import: one word of it, repeatable"},
		{"cmd", 0, FLAG_STRINGS, &c.cmd, "WORD",
		 "import: one default argument, repeatable"},
		{"env", 0, FLAG_STRINGS, &c.env, "NAME=VALUE", "import: environment, repeatable"},
		{"workdir", 0, FLAG_STRING, &c.workdir, "DIR", "import: working directory"},
		{"user", 0, FLAG_STRING, &c.user, "USER[:GROUP]", "import: whom it runs as"},
		{NULL, 0, 0, NULL, NULL, NULL}};
	struct err err = {0};
	int nargs, rc = 0;

	umask(022);
	if (flags_parse(
		    argc, argv, flags,
		    "plumb image pull NAME | load FILE | import NAME ROOTFS-DIR | ls | rm NAME\n\n"
		    "Images that pods of this machine's nodes can use.",
		    &nargs, &err) ||
	    run(&c, nargs, argv, &err)) {
		fprintf(stderr, "plumb image: %s\n", err.msg);
		rc = 1;
	}
	arena_release(&c.arena);
	return rc;
}
