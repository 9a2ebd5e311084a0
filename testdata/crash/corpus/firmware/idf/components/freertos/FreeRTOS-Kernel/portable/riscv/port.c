#include "idf.h"

void vPortTaskWrapper(TaskFunction_t pxCode, void *pvParameters)
{
	__asm__ volatile(".cfi_undefined ra"); // here every stack ends
	pxCode(pvParameters);
	abort();
}

__attribute__((noinline)) void vApplicationStackOverflowHook(TCB_t *xTask, char *pcTaskName)
{
	static const char before[] = "***ERROR*** A stack overflow in task ", behind[] = " has been detected.";
	volatile char text[80];
	size_t at = 0;
	for (const char *c = before; *c; c++) text[at++] = *c;
	for (const char *c = pcTaskName; *c; c++) text[at++] = *c;
	for (const char *c = behind; *c; c++) text[at++] = *c;
	text[at] = 0;
	if (xTask) {
		esp_system_abort((const char *)text);
	}
}
