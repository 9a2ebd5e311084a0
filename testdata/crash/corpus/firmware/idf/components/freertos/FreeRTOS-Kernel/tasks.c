// A scheduler of as few lines as tasks, blocks and the check for a stack overflow take.
#include "idf.h"

TCB_t tasks[MAX_TASKS];
TCB_t *volatile pxCurrentTCB;
TCB_t *volatile pxNextTCB;
__attribute__((aligned(16))) static uint32_t stacks[MAX_TASKS][STACK_WORDS];
static uint32_t created;

void vApplicationStackOverflowHook(TCB_t *xTask, char *pcTaskName);

void xTaskCreate(TaskFunction_t code, const char *name, void *argument, uint32_t priority)
{
	TCB_t *task = &tasks[created];
	uint32_t *start = stacks[created++], *end = start + STACK_WORDS;
	for (uint32_t *word = start; word < end; word++) {
		*(volatile uint32_t *)word = 0xA5A5A5A5;
	}
	uint32_t *frame = end - 40;
	for (int n = 0; n < 40; n++) {
		((volatile uint32_t *)frame)[n] = 0;
	}
	frame[0] = (uint32_t)(uintptr_t)vPortTaskWrapper;
	frame[2] = (uint32_t)(uintptr_t)end;
	frame[10] = (uint32_t)(uintptr_t)code;
	frame[11] = (uint32_t)(uintptr_t)argument;
	task->pxTopOfStack = frame;
	task->pxStack = start;
	task->pxEndOfStack = end;
	task->uxPriority = priority;
	for (int i = 0; i < 15 && name[i]; i++) {
		((volatile char *)task->pcTaskName)[i] = name[i];
	}
}

static void taskCHECK_FOR_STACK_OVERFLOW(void)
{
	const uint32_t *stack = pxCurrentTCB->pxStack;
	for (int n = 0; n < 5; n++) {
		if (stack[n] != 0xA5A5A5A5) {
			vApplicationStackOverflowHook(pxCurrentTCB, pxCurrentTCB->pcTaskName);
		}
	}
}

// The task of priority 0 is IDLE: it runs when no other can.
__attribute__((noinline)) void vTaskSwitchContext(void)
{
	taskCHECK_FOR_STACK_OVERFLOW();
	uint32_t at = (uint32_t)(pxCurrentTCB - tasks);
	for (uint32_t n = 1; n <= created; n++) {
		TCB_t *candidate = &tasks[(at + n) % created];
		if (candidate->uxPriority == 0) {
			pxNextTCB = candidate;
		} else if (!candidate->blocked) {
			pxNextTCB = candidate;
			return;
		}
	}
}

static volatile uint32_t xTickCount;

__attribute__((noinline)) void vTaskDelay(uint32_t ticks)
{
	xTickCount = xTickCount + ticks;
	vTaskSwitchContext();
	vPortYield();
	xTickCount = xTickCount + 1;
}

__attribute__((noinline)) void block_forever(void)
{
	pxCurrentTCB->blocked = 1;
	vTaskSwitchContext();
	vPortYield();
	xTickCount = xTickCount + 1;
}
