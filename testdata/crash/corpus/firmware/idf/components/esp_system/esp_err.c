#include "idf.h"

static volatile esp_err_t reported;

void _esp_error_check_failed(esp_err_t rc, const char *file, int line, const char *function, const char *expression)
{
	reported = rc + line + file[0] + function[0] + expression[0]; // printed, in ESP-IDF
	abort();
}
