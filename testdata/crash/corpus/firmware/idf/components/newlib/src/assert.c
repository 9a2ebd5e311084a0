#include "idf.h"

enum { ROOM = 120 };

static size_t put(volatile char *text, size_t at, const char *what)
{
	while (*what && at + 1 < ROOM) {
		text[at++] = *what++;
	}
	text[at] = 0;
	return at;
}

void __assert_func(const char *file, int line, const char *func, const char *expr)
{
	char text[ROOM];
	size_t at = put(text, 0, "assert failed: ");
	at = put(text, at, func);
	at = put(text, at, " (");
	at = put(text, at, expr);
	put(text, at, line > 0 && file ? ")" : ")!");
	esp_system_abort(text);
}
