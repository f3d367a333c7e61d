/*
 * The queue of bytes that a connection has yet to send. Blocks are referenced, not copied, so
 * that a thousand slow watchers share one event; small pieces are copied, which costs less than
 * a reference. Empty queues hold no memory. One thread.
 */
#include "lib/http/wire.h"

/* Up to here copying beats counting references. */
#define COPY_MAX 512

static struct outseg *push(struct outq *q)
{
	if (q->head && q->head == q->n)
		q->head = q->n = 0;
	if (q->n == q->cap) {
		size_t live = q->n - q->head;
		if (q->head >= live && q->head) {
			memmove(q->v, q->v + q->head, live * sizeof(*q->v));
			q->head = 0;
			q->n = live;
		} else {
			q->cap = q->cap ? q->cap * 2 : 4;
			q->v = xreallocarray(q->v, q->cap, sizeof(*q->v));
		}
	}
	return &q->v[q->n++];
}

void outq_text(struct outq *q, const void *p, size_t n)
{
	if (!n)
		return;
	buf_put(&q->text, p, n);
	q->bytes += n;
	if (q->n > q->head && !q->v[q->n - 1].block && !q->apart) {
		q->v[q->n - 1].n += n;
		return;
	}
	*push(q) = (struct outseg){NULL, 0, n};
}

void outq_block(struct outq *q, struct block *b)
{
	if (b->data.n <= COPY_MAX) {
		outq_text(q, b->data.p, b->data.n);
		return;
	}
	*push(q) = (struct outseg){block_ref(b), 0, b->data.n};
	q->bytes += b->data.n;
}

void outq_consume(struct outq *q, size_t n)
{
	q->bytes -= n;
	while (n) {
		struct outseg *s = &q->v[q->head];
		size_t k = MIN(n, s->n);
		s->at += k;
		s->n -= k;
		n -= k;
		if (!s->block)
			q->text_at += k;
		if (s->n)
			break;
		block_unref(s->block);
		q->head++;
	}
	if (q->head == q->n) {
		bool apart = q->apart;

		outq_release(q);
		q->apart = apart;
	} else if (q->text_at > (64 << 10) && q->text_at > q->text.n / 2) {
		buf_consume(&q->text, q->text_at);
		q->text_at = 0;
	}
}

void outq_release(struct outq *q)
{
	for (size_t i = q->head; i < q->n; i++)
		block_unref(q->v[i].block);
	free(q->v);
	buf_release(&q->text);
	*q = (struct outq){0};
}
