// What the applications and the played parts of ESP-IDF know of one another.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define NORETURN [[noreturn]]
#else
#define NORETURN _Noreturn
#endif

// tskTaskControlBlock has FreeRTOS's names; decoders find the offsets in DWARF.
typedef struct tskTaskControlBlock {
	volatile uint32_t *pxTopOfStack;
	uint32_t xStateListItem[5];
	uint32_t xEventListItem[5];
	uint32_t uxPriority;
	uint32_t *pxStack;
	char pcTaskName[16];
	int32_t xCoreID;
	uint32_t *pxEndOfStack;
	uint32_t blocked;
} TCB_t;

typedef int esp_err_t;
typedef struct QueueDefinition *QueueHandle_t;
typedef void (*TaskFunction_t)(void *);

enum { MAX_TASKS = 5, STACK_WORDS = 320 };

NORETURN void panic_abort(const char *details);
NORETURN void esp_system_abort(const char *details);
NORETURN void abort(void);
NORETURN void __assert_func(const char *file, int line, const char *func, const char *expr);
NORETURN void _esp_error_check_failed(esp_err_t rc, const char *file, int line, const char *function, const char *expression);
NORETURN void vPortTaskWrapper(TaskFunction_t pxCode, void *pvParameters);

void *malloc(size_t size);
void free(void *ptr);
void *heap_caps_malloc(size_t size, uint32_t caps);
void heap_caps_free(void *ptr);
void *multi_heap_malloc(void *heap, size_t size);
void multi_heap_free(void *heap, void *p);
void *tlsf_malloc(void *tlsf, size_t size);
void tlsf_free(void *tlsf, void *ptr);

void *memcpy(void *to, const void *from, size_t n); // in ROM
void *memset(void *to, int value, size_t n);        // in ROM

void xTaskCreate(TaskFunction_t code, const char *name, void *argument, uint32_t priority);
void vTaskDelay(uint32_t ticks);
void vTaskSwitchContext(void);
void vPortYield(void);
void block_forever(void);
extern TCB_t tasks[MAX_TASKS];
extern TCB_t *volatile pxCurrentTCB;
extern TCB_t *volatile pxNextTCB;

int xQueueGenericSend(QueueHandle_t xQueue, const void *item, uint32_t ticks);
int xQueueSemaphoreTake(QueueHandle_t xQueue, uint32_t ticks);
struct QueueDefinition {
	uint32_t count;
	uint32_t length;
	TCB_t *holder;
};

void esp_timer_start(void (*callback)(void *), void *argument);
void timer_task(void *argument);
void esp_intr_alloc(void (*handler)(void *), void *argument);
void esp_intr_raise(void);
void task_wdt_arm(const char *starving);
esp_err_t nvs_set(const char *key, int value);

extern volatile int chosen_bug; // which of a program's bugs is to happen; whoever takes the dump writes it
void app_main(void);

#define assert(e) ((e) ? (void)0 : __assert_func(__FILE__, __LINE__, __func__, #e))
#define ESP_ERROR_CHECK(x)                                                             \
	do {                                                                               \
		esp_err_t rc_ = (x);                                                           \
		if (rc_ != 0) _esp_error_check_failed(rc_, __FILE__, __LINE__, __func__, #x);  \
	} while (0)

#ifdef __cplusplus
}
#endif
