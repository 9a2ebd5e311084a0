// A buffer is released twice: a after it was sent, b after a time-out.
#include "plant.h"
#include "uplink.h"

__attribute__((noinline)) static void uplink_sent(void *buffer, int bytes)
{
	buffer_release(buffer);
	rounds = rounds + (uint32_t)bytes;
	buffer_release(buffer);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void uplink_timed_out(void *buffer)
{
	rounds = rounds + 1;
	buffer_release(buffer);
	rounds = rounds + 1;
}

void app_main(void)
{
	void *buffer = malloc(16);
	if (chosen_bug == 0) {
		uplink_sent(buffer, 16);
	} else {
		free(buffer);
		uplink_timed_out(buffer);
	}
	rounds = rounds + 1;
}
