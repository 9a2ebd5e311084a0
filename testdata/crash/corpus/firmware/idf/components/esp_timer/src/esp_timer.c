#include "idf.h"

static struct esp_timer {
	void (*callback)(void *);
	void *arg;
	uint32_t alarms;
} timer;

void esp_timer_start(void (*callback)(void *), void *argument)
{
	timer.callback = callback;
	timer.arg = argument;
}

__attribute__((noinline)) static void timer_process_alarm(struct esp_timer *it)
{
	if (it->callback) {
		it->callback(it->arg);
	}
	it->alarms++;
}

void timer_task(void *argument)
{
	(void)argument;
	for (;;) {
		timer_process_alarm(&timer);
		vTaskDelay(1);
	}
}
