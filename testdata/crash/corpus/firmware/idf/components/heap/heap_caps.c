#include "idf.h"

static uint32_t pool[4];
static volatile uint32_t calls;

void *heap_caps_malloc(size_t size, uint32_t caps)
{
	void *p = multi_heap_malloc(pool, caps ? size + 4 : size);
	calls = calls + 1;
	return p;
}

void heap_caps_free(void *ptr)
{
	if (ptr == NULL) {
		return;
	}
	multi_heap_free(pool, ptr);
	calls = calls + 1;
}
