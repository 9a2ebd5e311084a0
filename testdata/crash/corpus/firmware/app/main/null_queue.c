// A queue that was never made: a the door that opens meets it, b the one that closes.
#include "plant.h"

QueueHandle_t events;

__attribute__((noinline)) static int event_put(int code)
{
	int ok = xQueueGenericSend(events, &code, 10);
	rounds = rounds + 1;
	return ok;
}

__attribute__((noinline)) static void door_opened(int door)
{
	rounds = rounds + (uint32_t)event_put(door * 2);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void door_closed(int door, bool locked)
{
	rounds = rounds + (uint32_t)event_put(door * 2 + locked);
	rounds = rounds + 2;
}

void app_main(void)
{
	if (chosen_bug == 0) {
		door_opened(4);
	} else {
		door_closed(4, true);
	}
	rounds = rounds + 1;
}
