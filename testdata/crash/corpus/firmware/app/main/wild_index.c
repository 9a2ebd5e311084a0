// A sensor's raw value is taken as an index without a look.
#include "plant.h"

static const int16_t curve[8] = {0, 11, 23, 36, 48, 61, 73, 85};

static int linearise(int32_t raw)
{
	return *(curve + raw);
}

__attribute__((noinline)) static int temperature(const int32_t *raw, int channel)
{
	int t = linearise(raw[channel]);
	rounds = rounds + 1;
	return t;
}

static void climate(void *argument)
{
	int32_t raw[3] = {2, 5, 0x20000000};
	for (int i = 0; i < 3; i++) {
		rounds = rounds + (uint32_t)temperature(raw, i);
		vTaskDelay((uint32_t)(uintptr_t)argument);
	}
}

void app_main(void)
{
	xTaskCreate(climate, "climate", (void *)1, 4);
	for (;;) {
		vTaskDelay(10);
	}
}
