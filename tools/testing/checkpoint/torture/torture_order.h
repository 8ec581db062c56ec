/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The numbers 1 .. total, each once, in an order that the seed tells: places where
 * something is to happen. If the time is over before all had their turn, another
 * seed has begun with others.
 */
#ifndef _TORTURE_ORDER_H
#define _TORTURE_ORDER_H

#include "torture.h"

/**
 * struct torture_order - see above
 * @total: how many
 * @done: of them, handed out so far
 * @nr: permutation of 1 .. @total; NULL while @total is not known
 */
struct torture_order {
	unsigned int total;
	unsigned int done;
	unsigned int *nr;
};

static inline void torture_order_make(struct torture_order *o, unsigned int total)
{
	unsigned int i, j;

	o->nr = calloc(total + 1, sizeof(*o->nr));
	if (!o->nr)
		torture_die("memory");
	o->total = total;
	o->done = 0;
	for (i = 0; i < total; i++) {
		j = torture_below(i + 1);
		o->nr[i] = o->nr[j];
		o->nr[j] = i + 1;
	}
}

static inline bool torture_order_left(const struct torture_order *o)
{
	return o->done < o->total;
}

static inline unsigned int torture_order_next(struct torture_order *o)
{
	return o->nr[o->done++];
}

/* 0 .. @n - 1 for place @nr of series @series: with the same seed always the same. */
static inline unsigned int torture_choice(unsigned long series, unsigned int nr, unsigned int n)
{
	return mix(mix(torture.seed + series) + nr) % n;
}

#endif /* _TORTURE_ORDER_H */
