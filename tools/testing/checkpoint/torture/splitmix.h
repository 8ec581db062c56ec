/* SPDX-License-Identifier: GPL-2.0 */
/*
 * splitmix64: random numbers from a seed, good enough, and the same everywhere.
 */
#ifndef _SPLITMIX_H
#define _SPLITMIX_H

#include <stdint.h>

#define SPLITMIX_STEP	0x9e3779b97f4a7c15ULL

/* The number that follows from state @x; also a hash of @x. */
static inline uint64_t mix(uint64_t x)
{
	x += SPLITMIX_STEP;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* The next number. */
static inline uint64_t splitmix(uint64_t *state)
{
	uint64_t z = mix(*state);

	*state += SPLITMIX_STEP;
	return z;
}

#endif /* _SPLITMIX_H */
