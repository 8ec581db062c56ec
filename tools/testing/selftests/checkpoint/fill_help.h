/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory with something in it that can be told from anything else.
 */
#ifndef _FILL_HELP_H
#define _FILL_HELP_H

#include <sys/mman.h>

#include "cr_selftest.h"

#define PAGE	4096UL
#define RW	(PROT_READ | PROT_WRITE)

/* A word in every eighth of a page; @seed makes it different from others. */
static inline void fill(char *p, size_t size, unsigned long seed)
{
	size_t i;

	for (i = 0; i < size; i += 512)
		*(unsigned long *)(p + i) = seed + i + 1;
}

static inline bool filled(const char *p, size_t size, unsigned long seed)
{
	size_t i;

	for (i = 0; i < size; i += 512)
		if (*(unsigned long *)(p + i) != seed + i + 1)
			return false;
	return true;
}

#endif /* _FILL_HELP_H */
