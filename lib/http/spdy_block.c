/*
 * Header blocks: a count, then names and values with their lengths, packed by zlib with a
 * dictionary that both sides know. One zlib stream lasts as long as its connection, so every block
 * must be read, wanted or not. Must never unpack more than SPDY_BLOCK_MAX, whatever the packed
 * bytes promise. Pure; memory is zlib's own, let go by spdy_block_release.
 */
#include "lib/http/spdy-internal.h"

#include "lib/base/pure.h"

#define PACK_WINDOW_BITS 11 /* the dictionary fits; our own headers are few */
#define PACK_MEMORY 1

/* The dictionary (draft, 2.6.10.1): these words, each behind its length in four bytes … */
static const char words[] =
	"options\0head\0post\0put\0delete\0trace\0accept\0accept-charset\0accept-encoding\0"
	"accept-language\0accept-ranges\0age\0allow\0authorization\0cache-control\0connection\0"
	"content-base\0content-encoding\0content-language\0content-length\0content-location\0"
	"content-md5\0content-range\0content-type\0date\0etag\0expect\0expires\0from\0host\0"
	"if-match\0if-modified-since\0if-none-match\0if-range\0if-unmodified-since\0"
	"last-modified\0location\0max-forwards\0pragma\0proxy-authenticate\0"
	"proxy-authorization\0range\0referer\0retry-after\0server\0te\0trailer\0"
	"transfer-encoding\0upgrade\0user-agent\0vary\0via\0warning\0www-authenticate\0"
	"method\0get\0status\0"
	"200 OK\0version\0HTTP/1.1\0url\0public\0set-cookie\0"
	"keep-alive\0origin";
/* … and this text. */
static const char text[] =
	"100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
	"203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
	"401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
	"503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 "
	"Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
	"application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age="
	"gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

static void put_dictionary(struct buf *b)
{
	for (const char *w = words; w < words + sizeof(words); w += strlen(w) + 1) {
		spdy_put32(b, (uint32_t)strlen(w));
		buf_puts(b, w);
	}
	buf_puts(b, text);
}

void spdy_block_release(struct spdy_block *b)
{
	if (b->in_ready)
		inflateEnd(&b->in);
	if (b->out_ready)
		deflateEnd(&b->out);
	b->in_ready = b->out_ready = false;
}

/* ---- reading ---- */

static int unpack(struct spdy_block *b, struct str packed, size_t *ret_n, struct err *err)
{
	AUTO(buf) struct buf dict = {0};
	int rc;

	if (!b->in_ready && inflateInit(&b->in) != Z_OK)
		return err_set(err, ERR_INTERNAL, "zlib: %s", b->in.msg ? b->in.msg : "no memory");
	b->in_ready = true;
	b->in.next_in = (const unsigned char *)packed.p;
	b->in.avail_in = (unsigned)packed.n;
	b->in.next_out = (unsigned char *)b->plain;
	b->in.avail_out = sizeof(b->plain);
	while (b->in.avail_in) {
		rc = inflate(&b->in, Z_SYNC_FLUSH);
		if (rc == Z_NEED_DICT) {
			buf_reset(&dict);
			put_dictionary(&dict);
			rc = inflateSetDictionary(&b->in, (const unsigned char *)dict.p,
						  (unsigned)dict.n);
		}
		if (rc != Z_OK)
			return err_set(err, ERR_PARSE, "a header block is damaged or too long");
	}
	/* Room must be left: else the block may go on. */
	if (!b->in.avail_out)
		return err_set(err, ERR_PARSE, "a header block is too long");
	*ret_n = sizeof(b->plain) - b->in.avail_out;
	return 0;
}

static bool take(struct str *rest, struct str *ret)
{
	if (rest->n < 4)
		return false;
	size_t n = spdy_get32(rest->p);
	if (n > rest->n - 4)
		return false;
	*ret = str_sub(*rest, 4, n);
	*rest = str_sub(*rest, 4 + n, rest->n);
	return true;
}

int spdy_block_read(struct spdy_block *b, struct str packed, struct http_headers *ret,
		    struct err *err)
{
	size_t n = 0;

	if (unpack(b, packed, &n, err))
		return -1;
	if (n < 4)
		return err_set(err, ERR_PARSE, "a header block is cut off");
	size_t count = spdy_get32(b->plain);
	struct str rest = {b->plain + 4, n - 4};
	if (count > SPDY_HEADERS_MAX)
		return err_set(err, ERR_PARSE, "a header block holds more than %d headers",
			       SPDY_HEADERS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (!take(&rest, &b->v[i].name) || !take(&rest, &b->v[i].value))
			return err_set(err, ERR_PARSE, "a header block is cut off");
	}
	*ret = (struct http_headers){b->v, count};
	return 0;
}

/* ---- writing ---- */

static void pack_start(struct spdy_block *b)
{
	AUTO(buf) struct buf dict = {0};

	put_dictionary(&dict);
	if (deflateInit2(&b->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, PACK_WINDOW_BITS, PACK_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflateSetDictionary(&b->out, (const unsigned char *)dict.p, (unsigned)dict.n) != Z_OK)
		panic("zlib cannot be started");
	b->out_ready = true;
}

void spdy_block_write(struct spdy_block *b, const struct http_headers *h, struct buf *out)
{
	AUTO(buf) struct buf plain = {0};

	if (!b->out_ready)
		pack_start(b);
	spdy_put32(&plain, (uint32_t)h->n);
	for (size_t i = 0; i < h->n; i++) {
		spdy_put32(&plain, (uint32_t)h->v[i].name.n);
		buf_str(&plain, h->v[i].name);
		spdy_put32(&plain, (uint32_t)h->v[i].value.n);
		buf_str(&plain, h->v[i].value);
	}
	b->out.next_in = (const unsigned char *)plain.p;
	b->out.avail_in = (unsigned)plain.n;
	do {
		b->out.next_out = (unsigned char *)buf_reserve(out, 512);
		b->out.avail_out = 512;
		(void)deflate(&b->out, Z_SYNC_FLUSH);
		out->n += 512 - b->out.avail_out;
	} while (!b->out.avail_out);
}
