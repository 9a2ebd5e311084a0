// The task watchdog: its interrupt finds that a task has not fed it. Here the idle task raises it when it is armed.
#include "idf.h"

static const char *starving;
enum { ROOM = 160 };

static void append(volatile char *to, const char *what)
{
	size_t n = 0, i = 0;
	while (to[n]) n++;
	for (; what[i] && n + i + 1 < ROOM; i++) to[n + i] = what[i];
	to[n + i] = 0;
}

__attribute__((noinline)) static void task_wdt_timeout_abort(void)
{
	volatile char text[ROOM] = "";
	append(text, "Task watchdog got triggered. The following tasks/users did not reset the watchdog in time:\n - ");
	append(text, starving);
	append(text, " (CPU 0)\nTasks currently running:\nCPU 0: IDLE");
	esp_system_abort((const char *)text);
}

__attribute__((noinline)) static void task_wdt_timeout_handling(int cores_fail, bool panic)
{
	if (panic && cores_fail) {
		task_wdt_timeout_abort();
	}
}

static void task_wdt_isr(void *arg)
{
	task_wdt_timeout_handling(1, arg == NULL);
	starving = NULL;
}

void task_wdt_arm(const char *name)
{
	starving = name;
	esp_intr_alloc(task_wdt_isr, NULL);
}

void esp_vApplicationIdleHook(void)
{
	if (starving) {
		esp_intr_raise();
	}
}
