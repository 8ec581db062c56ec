/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sums in an image: CRC32C of records, XXH64 of pages.
 */
#ifndef _IMAGE_SUMS_H
#define _IMAGE_SUMS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* crc_table[k][i]: of byte i with k zero bytes behind it. */
static uint32_t crc_table[8][256];

static inline void crc_init(void)
{
	unsigned int i, k;

	for (i = 0; i < 256; i++) {
		uint32_t c = i;

		for (k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
		crc_table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++)
			crc_table[k][i] = crc_table[k - 1][i] >> 8 ^
					  crc_table[0][crc_table[k - 1][i] & 0xff];
}

static inline uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
	const unsigned char *p = data;

	if (!crc_table[0][1])
		crc_init();
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t w;

		memcpy(&w, p, 8);
		w ^= crc;
		crc = crc_table[7][w & 0xff] ^ crc_table[6][w >> 8 & 0xff] ^
		      crc_table[5][w >> 16 & 0xff] ^ crc_table[4][w >> 24 & 0xff] ^
		      crc_table[3][w >> 32 & 0xff] ^ crc_table[2][w >> 40 & 0xff] ^
		      crc_table[1][w >> 48 & 0xff] ^ crc_table[0][w >> 56];
	}
	while (n--)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 0xff];
	return crc;
}

#define XXH_1	0x9e3779b185ebca87ULL
#define XXH_2	0xc2b2ae3d27d4eb4fULL
#define XXH_3	0x165667b19e3779f9ULL
#define XXH_4	0x85ebca77c2b2ae63ULL

static inline uint64_t xxh_rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t xxh_round(uint64_t acc, uint64_t in)
{
	return xxh_rotl(acc + in * XXH_2, 31) * XXH_1;
}

/* XXH64 with seed 0 of whole pages, so of a multiple of 32 bytes. */
static inline uint64_t xxh64_pages(const unsigned char *p, size_t n)
{
	uint64_t v[4] = { XXH_1 + XXH_2, XXH_2, 0, -XXH_1 }, in, hash;
	size_t left;
	int i;

	for (left = n; left >= 32; left -= 32) {
		for (i = 0; i < 4; i++, p += 8) {
			memcpy(&in, p, 8);
			v[i] = xxh_round(v[i], in);
		}
	}
	hash = xxh_rotl(v[0], 1) + xxh_rotl(v[1], 7) + xxh_rotl(v[2], 12) + xxh_rotl(v[3], 18);
	for (i = 0; i < 4; i++)
		hash = (hash ^ xxh_round(0, v[i])) * XXH_1 + XXH_4;
	hash += n;
	hash = (hash ^ hash >> 33) * XXH_2;
	hash = (hash ^ hash >> 29) * XXH_3;
	return hash ^ hash >> 32;
}

#endif /* _IMAGE_SUMS_H */
