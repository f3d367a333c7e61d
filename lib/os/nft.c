/* nftables rule sets as text, through libnftables. One context a call: calls are rare here. */
#include <nftables/libnftables.h>

#include "lib/os/lazy.h"
#include "lib/os/net.h"

int nft_run(struct str commands, struct err *err)
{
	struct nft_ctx *ctx;
	AUTO(free) char *text = xstrndup(commands.p, commands.n);
	int rc = 0;

	if (lazy_load(&lazy_nftables, err))
		return -1;
	ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!ctx)
		return err_set(err, ERR_INTERNAL, "libnftables does not start");
	nft_ctx_buffer_output(ctx);
	nft_ctx_buffer_error(ctx);
	if (nft_run_cmd_from_buffer(ctx, text)) {
		struct str said = str_trim(str_c(nft_ctx_get_error_buffer(ctx)));
		rc = err_set(err, ERR_INTERNAL, "nftables: %.*s", STR_ARG(said));
	}
	nft_ctx_free(ctx);
	return rc;
}
