#include "idf.h"

void abort(void)
{
	esp_system_abort("abort() was called at PC 0x42000000 on core 0");
}
