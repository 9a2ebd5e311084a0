#include "idf.h"

void esp_system_abort(const char *details)
{
	panic_abort(details);
}
