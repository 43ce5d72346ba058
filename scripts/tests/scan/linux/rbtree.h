/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SCAN_LINUX_RBTREE_H
#define SCAN_LINUX_RBTREE_H

#include <stddef.h>
#include <linux/types.h>

/* A list, in order. Slow, and that does not matter */
struct rb_node {
	struct rb_node *next;
};

struct rb_root {
	struct rb_node *first;
};

#define RB_ROOT ((struct rb_root){ NULL })
#define rb_entry(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

static inline struct rb_node *rb_find(const void *key, const struct rb_root *tree,
				      int (*cmp)(const void *key, const struct rb_node *))
{
	struct rb_node *node = tree->first;

	while (node && cmp(key, node))
		node = node->next;
	return node;
}

static inline void rb_add(struct rb_node *node, struct rb_root *tree,
			  bool (*less)(struct rb_node *, const struct rb_node *))
{
	struct rb_node **at = &tree->first;

	while (*at && !less(node, *at))
		at = &(*at)->next;
	node->next = *at;
	*at = node;
}

static inline void rb_erase(struct rb_node *node, struct rb_root *tree)
{
	struct rb_node **at = &tree->first;

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
}

static inline void *rb_entry_or_null(struct rb_node *node, size_t offset)
{
	return node ? (char *)node - offset : NULL;
}

/* As in the kernel, an entry may be freed in the body. */
#define rbtree_postorder_for_each_entry_safe(pos, n, root, field) \
	for (pos = rb_entry_or_null((root)->first, offsetof(typeof(*pos), field)); \
	     pos && (n = rb_entry_or_null((pos)->field.next, \
					  offsetof(typeof(*pos), field)), true); \
	     pos = n)

#endif
