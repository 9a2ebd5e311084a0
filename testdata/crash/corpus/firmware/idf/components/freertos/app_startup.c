#include "idf.h"

volatile int chosen_bug;
static volatile uint32_t idle_rounds;
void esp_vApplicationIdleHook(void);

static void main_task(void *args)
{
	app_main();
	idle_rounds = idle_rounds + (uint32_t)(uintptr_t)args;
	for (;;) {
		block_forever();
	}
}

static void prvIdleTask(void *pvParameters)
{
	(void)pvParameters;
	for (;;) {
		esp_vApplicationIdleHook();
		idle_rounds = idle_rounds + 1;
	}
}

void esp_startup_start_app(void)
{
	xTaskCreate(main_task, "main", NULL, 1);
	xTaskCreate(timer_task, "esp_timer", NULL, 22);
	xTaskCreate(prvIdleTask, "IDLE", NULL, 0);
	pxCurrentTCB = &tasks[0];
}
