/*
 * The machine's own logs, a folder as a list of links, a file as it is, its last part when it is
 * long. Must never show what isn't below the folder, whatever a name or a link says, nor wait for
 * a pipe. On the kubelet's loop; blocking for as long as a few MiB take.
 */
#include "kubelet/nodelogs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/codec.h"
#include "lib/os/fs.h"

enum { FILE_MAX = 4 << 20, NAMES_MAX = 10000 };

static void reply(struct http_req *r, int status, const char *type, struct str text)
{
	http_reply_bytes(r, &(struct http_reply){.status = status, .content_type = type}, text);
}

static void put_html(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '"':
			buf_puts(out, "&#34;");
			break;
		default:
			buf_putc(out, s.p[i]);
		}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void put_names(DIR *d, struct arena *a, struct buf *out)
{
	char **names = arena_array(a, NAMES_MAX, sizeof(*names));
	size_t n = 0;

	for (struct dirent *e; n < NAMES_MAX && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		names[n++] = arena_printf(a, "%s%s", e->d_name, e->d_type == DT_DIR ? "/" : "");
	}
	if (n)
		qsort(names, n, sizeof(*names), by_name);
	buf_puts(out, "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n"
		      "<pre>\n");
	for (size_t i = 0; i < n; i++) {
		struct str name = str_c(names[i]);
		bool folder = str_ends(name, STR("/"));

		buf_puts(out, "<a href=\"");
		url_escape(folder ? str_sub(name, 0, name.n - 1) : name, out);
		buf_puts(out, folder ? "/\">" : "\">");
		put_html(name, out);
		buf_puts(out, "</a>\n");
	}
	buf_puts(out, "</pre>\n");
}

static void serve_folder(struct http_req *r, int fd, struct str path)
{
	AUTO(buf) struct buf out = {0};
	DIR *d;

	/* Links in the list are relative: the address must end in a slash. */
	if (!str_ends(path, STR("/"))) {
		struct str last = path, head;

		str_rcut(path, '/', &head, &last);
		http_reply_bytes(
			r,
			&(struct http_reply){
				.status = 301,
				.headers =
					&(struct http_header){
						STR("Location"),
						arena_strf(&r->arena, "%.*s/",
							   STR_ARG(last.n ? last : STR("logs")))},
				.nheaders = 1},
			STR_NONE);
		return;
	}
	d = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	if (!d) {
		reply(r, 500, "text/plain", STR("the folder cannot be read\n"));
		return;
	}
	put_names(d, &r->arena, &out);
	closedir(d);
	reply(r, 200, "text/html; charset=utf-8", buf_view(&out));
}

static void serve_file(struct http_req *r, int fd, off_t size)
{
	size_t want = size < FILE_MAX ? (size_t)size : FILE_MAX, have = 0;
	char *text = arena_room(&r->arena, want + 1);
	off_t from = size - (off_t)want;

	while (have < want) {
		ssize_t n = pread(fd, text + have, want - have, from + (off_t)have);

		if (n <= 0)
			break;
		have += (size_t)n;
	}
	reply(r, 200, "text/plain; charset=utf-8", (struct str){text, have});
}

void nodelogs_serve(struct http_req *r, const char *root_path, struct str path)
{
	struct str below = str_sub(path, MIN(path.n, 1U), path.n);
	AUTO(fd) int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct stat st;

	if (root >= 0)
		fd = fs_open_in(root, below.n ? arena_cstr(&r->arena, below) : ".",
				O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
	if (fd < 0 || fstat(fd, &st) || !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
		reply(r, 404, "text/plain", STR("404 page not found\n"));
	else if (S_ISDIR(st.st_mode))
		serve_folder(r, fd, path);
	else
		serve_file(r, fd, st.st_size);
}
