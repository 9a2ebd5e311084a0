// Calls at the end of functions, which an optimising compiler makes jumps.
#include "plant.h"

volatile int *lamp;

__attribute__((noinline)) static int lamp_set(int level)
{
	rounds = rounds + 1;
	*lamp = level;
	rounds = rounds + 1;
	return level;
}

__attribute__((noinline)) static int lamp_dim(int percent)
{
	rounds = rounds + 1;
	return lamp_set(percent * 2);
}

__attribute__((noinline)) static int lamp_scene(int scene)
{
	rounds = rounds + 1;
	return lamp_dim(scene + 30);
}

__attribute__((noinline)) static int evening(int hour)
{
	int level = lamp_scene(hour - 12);
	rounds = rounds + 1;
	return level;
}

void app_main(void)
{
	rounds = rounds + (uint32_t)evening(19);
}
