#include "idf.h"

void *__stack_chk_guard = (void *)0x5AFEC0DE;

NORETURN void __stack_chk_fail(void)
{
	esp_system_abort("Stack smashing protect failure!");
}
