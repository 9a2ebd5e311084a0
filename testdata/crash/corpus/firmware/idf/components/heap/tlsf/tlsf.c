// A heap: a list of free blocks of one size, and that is enough to break it.
#include "idf.h"

typedef struct block_header_t {
	uint32_t size; // its lowest bit: free
	struct block_header_t *next_free;
	uint32_t room[10];
} block_header_t;

static block_header_t blocks[8];
static block_header_t *first_free;
static uint32_t fresh;

static inline bool block_is_free(const block_header_t *block)
{
	return block->size & 1;
}

static inline block_header_t *block_from_ptr(const void *ptr)
{
	return (block_header_t *)((uintptr_t)ptr - offsetof(block_header_t, next_free));
}

static block_header_t *block_locate_free(uint32_t size)
{
	if (first_free) {
		block_header_t *block = first_free;
		first_free = block->next_free;
		block->size = size;
		return block;
	}
	blocks[fresh].size = size;
	return &blocks[fresh++];
}

void *tlsf_malloc(void *tlsf, size_t size)
{
	block_header_t *block = block_locate_free(size + (tlsf ? 4 : 0));
	block->size &= ~1u;
	return &block->next_free;
}

void tlsf_free(void *tlsf, void *ptr)
{
	if (ptr) {
		block_header_t *block = block_from_ptr(ptr);
		assert(!block_is_free(block) && "block already marked as free");
		block->size |= tlsf ? 1u : 3u;
		block->next_free = first_free;
		first_free = block;
	}
}
