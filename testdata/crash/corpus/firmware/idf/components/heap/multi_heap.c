#include "idf.h"

static volatile int locked;

void *multi_heap_malloc(void *heap, size_t size)
{
	locked = locked + 1;
	void *p = tlsf_malloc(heap, (size + 3) & ~3u);
	locked = locked - 1;
	return p;
}

void multi_heap_free(void *heap, void *p)
{
	locked = locked + 1;
	tlsf_free(heap, p);
	locked = locked - 1;
}
