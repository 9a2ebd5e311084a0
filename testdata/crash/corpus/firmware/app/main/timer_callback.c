// A timer's callback is given what is gone.
#include "plant.h"

typedef struct {
	int32_t *target;
	int32_t step;
} ramp_t;

ramp_t ramp = {(int32_t *)0x40, 5};

static void ramp_step(ramp_t *r)
{
	*r->target += r->step;
	rounds = rounds + 1;
}

static void on_tick(void *argument)
{
	ramp_step(argument);
	rounds = rounds + 1;
}

void app_main(void)
{
	vTaskDelay(1);
	esp_timer_start(on_tick, &ramp);
	for (;;) {
		vTaskDelay(10);
	}
}
