// ESP-IDF's way into the panic handler, played: it crashes on purpose.
#include "idf.h"

const char *s_panic_abort_details;
bool s_panic_abort;

void panic_abort(const char *details)
{
	s_panic_abort = true;
	s_panic_abort_details = details;
	*((volatile int *)0) = 0;
	while (1) {
	}
}
