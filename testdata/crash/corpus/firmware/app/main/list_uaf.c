// A valve is freed and stays in the list: a the report meets it, b the shutdown does.
#include "plant.h"

static valve_t *first;

static valve_t *valve_add(int32_t open)
{
	valve_t *v = malloc(sizeof *v);
	v->next = first;
	v->open = open;
	first = v;
	return v;
}

__attribute__((noinline)) static void valve_forget(valve_t *v)
{
	v->next = (valve_t *)0xfefefefe; // the heap poisons what is freed
	v->open = -1;
	free(v);
	v->next = (valve_t *)0xfefefefe;
}

__attribute__((noinline)) static int report(int page)
{
	int open = valve_statistics(first);
	rounds = rounds + (uint32_t)page;
	return open + page;
}

__attribute__((noinline)) static bool shutdown(bool now)
{
	int open = valve_statistics(first);
	rounds = rounds + 1;
	return now && open == 0;
}

void app_main(void)
{
	valve_add(1);
	valve_t *gone = valve_add(0);
	valve_add(1);
	valve_forget(gone);
	if (chosen_bug == 0) {
		rounds = rounds + (uint32_t)report(3);
	} else {
		rounds = rounds + shutdown(true);
	}
}
