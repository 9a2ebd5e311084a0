// Somebody wrote behind a block, and the allocator falls over it: a for a telegram, b for a line of the log.
#include "plant.h"

static void spoil(void)
{
	uint32_t *block = malloc(8);
	free(block);
	((volatile uint32_t *)block)[0] = 0xa5a5a5a4; // the block's link to the next free one
	block = malloc(8);
	rounds = rounds + (block != NULL);
}

__attribute__((noinline)) static void *telegram_new(int kind)
{
	uint8_t *t = malloc(12);
	t[0] = (uint8_t)kind;
	rounds = rounds + 1;
	return t;
}

__attribute__((noinline)) static char *log_line_new(const char *text)
{
	char *line = malloc(24);
	line[0] = text[0];
	rounds = rounds + 1;
	return line;
}

void app_main(void)
{
	spoil();
	if (chosen_bug == 0) {
		rounds = rounds + (telegram_new(7) != NULL);
	} else {
		rounds = rounds + (log_line_new("door open") != NULL);
	}
}
