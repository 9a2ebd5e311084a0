#include "idf.h"

static volatile uint32_t allocations;

void *malloc(size_t size)
{
	void *p = heap_caps_malloc(size, 0x1000);
	allocations = allocations + 1;
	return p;
}

void free(void *ptr)
{
	heap_caps_free(ptr);
	allocations = allocations - 1;
}
