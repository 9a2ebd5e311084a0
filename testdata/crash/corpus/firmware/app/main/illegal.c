// An instruction that this processor has not.
#include "plant.h"

static inline uint32_t cycle_counter(uint32_t scale)
{
	uint32_t now;
	__asm__ volatile(".word 0\n\tmv %0, %1" : "=r"(now) : "r"(scale));
	return now;
}

__attribute__((noinline)) static uint32_t measure(uint32_t scale)
{
	uint32_t before = cycle_counter(scale);
	rounds = rounds + 1;
	return cycle_counter(scale) - before;
}

void app_main(void)
{
	rounds = rounds + measure(1000);
}
