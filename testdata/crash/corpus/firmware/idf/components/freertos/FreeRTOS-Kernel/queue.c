#include "idf.h"

int xQueueGenericSend(QueueHandle_t xQueue, const void *item, uint32_t ticks)
{
	QueueHandle_t pxQueue = xQueue;
	assert(pxQueue);
	pxQueue->count += item ? 1 : ticks;
	return pxQueue->count <= pxQueue->length;
}

int xQueueSemaphoreTake(QueueHandle_t xQueue, uint32_t ticks)
{
	while (xQueue->holder && ticks) {
		block_forever();
	}
	xQueue->holder = pxCurrentTCB;
	return 1;
}
