// Two tasks take two mutexes in two orders; the watchdog sees a the worker starve, b the logger.
#include "plant.h"

static struct QueueDefinition press, log_file;

__attribute__((noinline)) static void log_line(const char *line)
{
	xQueueSemaphoreTake(&press, 100);
	rounds = rounds + (uint32_t)line[0];
}

static void logger(void *argument)
{
	xQueueSemaphoreTake(&log_file, 100);
	vTaskDelay(1);
	log_line(argument);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void stroke(int depth)
{
	xQueueSemaphoreTake(&log_file, 100);
	rounds = rounds + (uint32_t)depth;
}

static void worker(void *argument)
{
	xQueueSemaphoreTake(&press, 100);
	vTaskDelay(1);
	stroke(*(int *)argument);
	rounds = rounds + 1;
}

void app_main(void)
{
	static int depth = 12;
	tasks[1].blocked = 1; // the timer has nothing to do
	xTaskCreate(worker, "worker", &depth, 5);
	xTaskCreate(logger, "logger", "stroke", 4);
	vTaskDelay(1);
	task_wdt_arm(chosen_bug == 0 ? "worker" : "logger");
	block_forever();
	rounds = rounds + 1;
}
