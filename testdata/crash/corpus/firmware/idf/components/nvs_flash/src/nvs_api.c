#include "idf.h"

static int stored;

__attribute__((noinline)) esp_err_t nvs_set(const char *key, int value)
{
	if (stored >= 2) {
		return 0x1105; // ESP_ERR_NVS_NOT_ENOUGH_SPACE
	}
	stored += key[0] ? 1 : value;
	return 0;
}
