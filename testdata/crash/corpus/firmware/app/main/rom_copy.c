// The display has no memory, and ROM code copies into it: a an image, b a text.
#include "plant.h"

uint8_t *screen;

__attribute__((noinline)) static void blit(uint32_t at, const void *from, uint32_t size)
{
	memcpy(screen + at, from, size);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void flush(uint32_t line, const void *from)
{
	blit(line * 4, from, 12);
	rounds = rounds + line;
}

__attribute__((noinline)) static void draw_image(const uint32_t *pixels)
{
	flush(2, pixels);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void draw_text(const char *text, int size)
{
	flush((uint32_t)size, text);
	rounds = rounds + 1;
}

void app_main(void)
{
	static const uint32_t logo[4] = {1, 2, 3, 4};
	if (chosen_bug == 0) {
		draw_image(logo);
	} else {
		draw_text("PRESS READY", 1);
	}
	rounds = rounds + 1;
}
