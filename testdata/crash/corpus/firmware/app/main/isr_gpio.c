// An interrupt comes for a counter that nobody has set up.
#include "plant.h"

typedef struct {
	uint32_t edges;
	uint32_t last;
} counter_t;

counter_t *counters[4];

static inline void count_edge(counter_t *counter, uint32_t now)
{
	counter->edges++;
	counter->last = now;
}

__attribute__((noinline)) static void gpio_edge(int pin)
{
	count_edge(counters[pin & 3], rounds);
	rounds = rounds + 1;
}

static void gpio_isr(void *argument)
{
	gpio_edge(*(int *)argument);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void spin(int turns)
{
	for (int i = 0; i < turns; i++) {
		rounds = rounds + 1;
		if (i == 3) {
			esp_intr_raise();
		}
	}
}

void app_main(void)
{
	static int pin = 2;
	esp_intr_alloc(gpio_isr, &pin);
	spin(10);
	rounds = rounds + 1;
}
