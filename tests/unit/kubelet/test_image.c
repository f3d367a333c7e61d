/* The image store: names, import, archives friendly and hostile, removal. No root needed but for
 * whiteouts. */
#include "tests/unit/kubelet/world.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>

#include "kubelet/image/unpack.h"
#include "lib/base/codec.h"

static void assert_name(const char *in, const char *out)
{
	AUTO(arena) struct arena a = {0};
	struct err err = {0};
	struct str s;

	if (!out) {
		assert_int_equal(image_name_normal(&a, str_c(in), &s, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		return;
	}
	assert_int_equal(image_name_normal(&a, str_c(in), &s, &err), 0);
	assert_string_equal(arena_cstr(&a, s), out);
}

void test_image__names_are_normal(void **state)
{
	(void)state;
	assert_name("busybox", "docker.io/library/busybox:latest");
	assert_name("busybox:1.36", "docker.io/library/busybox:1.36");
	assert_name("grafana/grafana", "docker.io/grafana/grafana:latest");
	assert_name("localhost/x", "localhost/x:latest");
	assert_name("r.example:5000/a/b:c", "r.example:5000/a/b:c");
	assert_name("plumb.dev/demo/web:1.0", "plumb.dev/demo/web:1.0");
	assert_name("UPPER", NULL);
	assert_name("", NULL);
	assert_name("a b", NULL);
	assert_name("../x", NULL);
	assert_name("x@sha256:12", NULL);
}

struct entry {
	const char *name, *link, *text; /* link: symbolic; text NULL and no link: a folder */
	const char *hard;
};

static void write_tar(const char *path, const struct entry *e, size_t n)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
	for (size_t i = 0; i < n; i++) {
		struct archive_entry *h = archive_entry_new();
		archive_entry_set_pathname(h, e[i].name);
		archive_entry_set_perm(h, e[i].text ? 0644 : 0755);
		archive_entry_set_filetype(h, e[i].link                ? AE_IFLNK
					      : e[i].text || e[i].hard ? AE_IFREG
								       : AE_IFDIR);
		if (e[i].link)
			archive_entry_set_symlink(h, e[i].link);
		if (e[i].hard)
			archive_entry_set_hardlink(h, e[i].hard);
		if (e[i].text)
			archive_entry_set_size(h, (la_int64_t)strlen(e[i].text));
		assert_int_equal(archive_write_header(a, h), ARCHIVE_OK);
		if (e[i].text)
			assert_true(archive_write_data(a, e[i].text, strlen(e[i].text)) >= 0);
		archive_entry_free(h);
	}
	archive_write_close(a);
	archive_write_free(a);
}

static int unpack(struct world *w, const struct entry *e, size_t n, char fs[PATH_MAX])
{
	char tar[PATH_MAX];
	struct err err = {0};

	snprintf(tar, sizeof(tar), "%s/t.tar", w->dir);
	snprintf(fs, PATH_MAX, "%s/out/fs", w->dir);
	assert_int_equal(fs_mkdirs(fs, 0755, NULL), 0);
	write_tar(tar, e, n);
	return layer_unpack(tar, fs, &err);
}

static bool has(const char *dir, const char *name, const char *text)
{
	AUTO(buf) struct buf b = {0};
	AUTO(free) char *path = xasprintf("%s/%s", dir, name);

	return !fs_read(path, 1 << 20, &b, NULL) && str_is(buf_view(&b), text);
}

void test_image__a_layer_cannot_leave_its_folder(void **state)
{
	static const struct entry through_link[] = {{"esc", "../..", NULL, NULL},
						    {"esc/evil", NULL, "x", NULL},
						    {"abs", "/", NULL, NULL},
						    {"abs/tmp/plumb-evil", NULL, "x", NULL}};
	static const struct entry dots[] = {{"a/../../evil", NULL, "x", NULL}};
	static const struct entry hard[] = {{"h", NULL, NULL, "../../etc/passwd"}};
	struct world w;
	char fs[PATH_MAX];

	(void)state;
	world_init(&w);
	assert_int_equal(unpack(&w, through_link, ARRAY_LEN(through_link), fs), 0);
	assert_true(has(fs, "evil", "x")); /* "../.." is the root itself */
	assert_true(has(fs, "tmp/plumb-evil", "x"));
	assert_false(fs_exists("/tmp/plumb-evil"));
	AUTO(free) char *out = xasprintf("%s/evil", w.dir);
	assert_false(fs_exists(out));
	assert_int_equal(unpack(&w, dots, 1, fs), -1);
	assert_false(fs_exists(out));
	assert_int_equal(unpack(&w, hard, 1, fs), -1);
	world_release(&w);
}

/* Debian's certificates have such a file; a tree of bytes that are no text at all packs, too. */
void test_image__names_need_no_charset(void **state)
{
	static const char *const names[] = {"F\xc5\x91tan.crt", "latin\xe9"};
	struct world w;
	struct err err = {0};

	(void)state;
	world_init(&w);
	AUTO(free) char *from = xasprintf("%s/from", w.dir), *to = xasprintf("%s/to", w.dir);
	AUTO(free) char *tar = xasprintf("%s/layer.tar", w.dir);
	assert_int_equal(mkdir(from, 0755) | mkdir(to, 0755), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(free) char *file = xasprintf("%s/%s", from, names[i]);
		AUTO(free) char *link = xasprintf("%s/link%zu", from, i);
		assert_int_equal(fs_write(file, str_c("x"), 0644, &err), 0);
		assert_int_equal(symlink(names[i], link), 0);
	}
	assert_int_equal(layer_pack(from, tar, &err), 0);
	assert_int_equal(layer_unpack(tar, to, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		AUTO(free) char *link = xasprintf("link%zu", i);
		assert_true(has(to, names[i], "x"));
		assert_true(has(to, link, "x"));
	}
	world_release(&w);
}

void test_image__whiteouts_become_overlays(void **state)
{
	static const struct entry e[] = {{"d/", NULL, NULL, NULL},
					 {"d/.wh.gone", NULL, "", NULL},
					 {"d/.wh..wh..opq", NULL, "", NULL},
					 {"f", NULL, "1", NULL},
					 {"f", NULL, "2", NULL},
					 {"g", NULL, NULL, "f"}};
	struct world w;
	char fs[PATH_MAX], path[PATH_MAX + 16];
	struct stat st;

	(void)state;
	if (geteuid()) {
		fprintf(stderr, "skipped: needs root to make whiteouts\n");
		skip();
	}
	world_init(&w);
	assert_int_equal(unpack(&w, e, ARRAY_LEN(e), fs), 0);
	snprintf(path, sizeof(path), "%s/d/gone", fs);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	assert_true(has(fs, "f", "2"));
	assert_true(has(fs, "g", "2"));
	world_release(&w);
}

static char *put_blob(const char *dir, struct str data)
{
	char hex[65];

	sha256_hex(data, hex);
	AUTO(free) char *path = xasprintf("%s/blobs/sha256/%s", dir, hex);
	assert_int_equal(fs_write(path, data, 0644, NULL), 0);
	return xasprintf("sha256:%s", hex);
}

static void on_loaded(void *arg, struct str name, struct str id)
{
	(void)id;
	snprintf(arg, 100, "%.*s", STR_ARG(name));
}

/* An OCI layout of one layer; what breaks it is the test's. */
static char *make_layout(struct world *w, const char *diff_id_of)
{
	static const struct entry e[] = {{"etc/passwd", NULL, "root:x:0:0::/:\n", NULL}};
	char *dir = xasprintf("%s/layout", w->dir);
	AUTO(free)
	char *blobs = xasprintf("%s/blobs/sha256", dir), *tar = xasprintf("%s/l.tar", w->dir);
	AUTO(buf) struct buf layer = {0};
	char hex[65];

	assert_int_equal(fs_mkdirs(blobs, 0755, NULL), 0);
	write_tar(tar, e, 1);
	assert_int_equal(fs_read(tar, 1 << 20, &layer, NULL), 0);
	AUTO(free) char *l = put_blob(dir, buf_view(&layer));
	sha256_hex(diff_id_of ? str_c(diff_id_of) : buf_view(&layer), hex);
	AUTO(free)
	char *config = xasprintf(
		"{\"os\":\"linux\",\"config\":{\"Cmd\":[\"x\"]},\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"sha256:%s\"]}}",
		hex);
	AUTO(free) char *c = put_blob(dir, str_c(config));
	AUTO(free)
	char *manifest = xasprintf("{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\"},\"layers\":"
				   "[{\"digest\":\"%s\"}]}",
				   c, l);
	AUTO(free) char *m = put_blob(dir, str_c(manifest));
	AUTO(free)
	char *index =
		xasprintf("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"%s\",\"annotations\":"
			  "{\"org.opencontainers.image.ref.name\":\"app:7\"}}]}",
			  m);
	AUTO(free) char *path = xasprintf("%s/index.json", dir);
	assert_int_equal(fs_write(path, str_c(index), 0644, NULL), 0);
	return dir;
}

void test_image__oci_layout_is_loaded_found_and_removed(void **state)
{
	AUTO(arena) struct arena a = {0};
	AUTO(buf) struct buf text = {0};
	struct world w;
	struct err err = {0};
	struct image img;
	char name[100] = "";

	(void)state;
	world_init(&w);
	AUTO(free) char *dir = make_layout(&w, NULL);
	if (image_load(w.images, dir, STR_NONE, on_loaded, name, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(name, "docker.io/library/app:7");
	assert_int_equal(image_find(&a, w.images, STR("app:7"), &img, &err), 0);
	assert_int_equal(img.nlayers, 1);
	assert_int_equal(image_file(w.images, &img, "etc/passwd", 1000, &text, &err), 0);
	assert_int_equal(text.n, 15);
	assert_int_equal(image_remove(w.images, STR("app:7"), &err), 0);
	assert_int_equal(image_find(&a, w.images, STR("app:7"), &img, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	world_release(&w);
}

void test_image__a_layer_that_lies_is_refused(void **state)
{
	AUTO(arena) struct arena a = {0};
	struct world w;
	struct err err = {0};
	struct image img;

	(void)state;
	world_init(&w);
	AUTO(free) char *dir = make_layout(&w, "something else");
	assert_int_equal(image_load(w.images, dir, STR_NONE, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	assert_int_equal(image_find(&a, w.images, STR("app:7"), &img, &err), -1);
	world_release(&w);
}

void test_image__a_file_that_is_no_archive_is_told(void **state)
{
	struct world w;
	struct err err = {0};

	(void)state;
	world_init(&w);
	AUTO(free) char *path = xasprintf("%s/x", w.dir);
	assert_int_equal(fs_write(path, STR("hello"), 0644, NULL), 0);
	assert_int_equal(image_load(w.images, path, STR_NONE, NULL, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CORRUPT);
	world_release(&w);
}

void test_image__what_came_from_a_registry_is_known(void **state)
{
	struct world w;
	struct arena a = {0};
	AUTO(buf) struct buf digest = {0};
	struct str name = STR("r.example/x:1"), id;
	struct err err = {0};

	(void)state;
	world_init(&w);
	assert_int_equal(image_store_init(w.images, &err), 0);
	assert_int_equal(image_put(w.images, name, STR("{}"), &id, &a, &err), 0);
	assert_false(image_pulled(w.images, name, &digest));
	assert_int_equal(image_set_pulled(w.images, name, STR("sha256:1"), &err), 0);
	assert_true(image_pulled(w.images, name, &digest));
	assert_true(str_is(buf_view(&digest), "sha256:1"));
	assert_int_equal(image_pulled_ago(w.images, name, INT64_MAX) > 1000, 1);
	/* Put there by hand, it is no registry's any more. */
	assert_int_equal(image_put(w.images, name, STR("{}"), &id, &a, &err), 0);
	assert_false(image_pulled(w.images, name, &digest));
	assert_int_equal(image_pulled_ago(w.images, name, INT64_MAX), 0);
	arena_release(&a);
	world_release(&w);
}
