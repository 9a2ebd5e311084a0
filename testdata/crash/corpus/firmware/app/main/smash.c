// A frame from the bus is longer than its buffer on the stack.
#include "plant.h"

static const unsigned char received[32] = {30, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

__attribute__((noinline)) static int frame_decode(const unsigned char *frame)
{
	unsigned char buffer[12];
	volatile unsigned char *to = buffer;
	for (int i = 0; i < frame[0]; i++) {
		to[i] = frame[i];
	}
	rounds = rounds + 1;
	return to[2];
}

__attribute__((noinline)) static void bus_poll(int address)
{
	rounds = rounds + (uint32_t)frame_decode(received);
	rounds = rounds + (uint32_t)address;
}

void app_main(void)
{
	bus_poll(17);
	rounds = rounds + 1;
}
