// A recipe is asked for more steps than it has: a by the press's cycle, b by the calibration.
#include "plant.h"

static recipe_t recipe = {{5, 10, 15, 0}, 3};

__attribute__((noinline)) static int press_cycle(int strokes)
{
	int32_t total = recipe_duration(&recipe, strokes);
	rounds = rounds + 1;
	return total + strokes;
}

__attribute__((noinline)) static int calibrate(const char *axis)
{
	int32_t total = recipe_duration(&recipe, 4);
	rounds = rounds + (uint32_t)axis[0];
	return total;
}

void app_main(void)
{
	if (chosen_bug == 0) {
		rounds = rounds + (uint32_t)press_cycle(4);
	} else {
		rounds = rounds + (uint32_t)calibrate("x");
	}
}
