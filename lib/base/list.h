/* Intrusive doubly linked list. The head is a node too; an initialised empty list points at itself.
 */
#ifndef PLUMB_LIST_H
#define PLUMB_LIST_H

#include "lib/base/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Unlinks; the node is left pointing at itself, so unlinking twice is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Safe against removal of `it` in the body. */
#define LIST_FOREACH(it, head)                                                                     \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                  \
	     it = it##_next, it##_next = it->next)

#endif
