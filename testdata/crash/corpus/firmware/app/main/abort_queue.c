// The alarms' queue is full, and its owner gives up, in a task of its own.
#include "plant.h"

static int queued;

static void alarm_raise(int code)
{
	if (queued == 2) {
		abort();
	}
	queued += code > 0;
}

static void pressure_check(int bar)
{
	if (bar > 6) {
		alarm_raise(bar);
	}
	rounds = rounds + 1;
}

static void monitor(void *argument)
{
	for (int bar = 5;; bar++) {
		pressure_check(bar + *(int *)argument);
		vTaskDelay(1);
	}
}

void app_main(void)
{
	static int offset;
	xTaskCreate(monitor, "monitor", &offset, 5);
	for (;;) {
		vTaskDelay(10);
	}
}
