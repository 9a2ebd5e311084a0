#include "plant.h"

volatile uint32_t rounds;

__attribute__((noinline)) int32_t recipe_duration(const recipe_t *recipe, int32_t count)
{
	int32_t all = 0;
	for (int32_t i = 0; i < count; i++) {
		all += recipe_at(recipe, i);
		rounds = rounds + 1;
	}
	return all;
}

static inline const valve_t *valve_next(const valve_t *valve)
{
	return valve->next;
}

static int is_open(const valve_t *valve)
{
	return valve->open != 0;
}

__attribute__((noinline)) int valve_count(const valve_t *first)
{
	int open = 0;
	for (const valve_t *v = first; v; v = valve_next(v)) {
		open += is_open(v);
		rounds = rounds + 1;
	}
	return open;
}

__attribute__((noinline)) int valve_statistics(const valve_t *first)
{
	int open = valve_count(first);
	rounds = rounds + 1;
	return open * 100;
}
