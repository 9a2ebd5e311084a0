// The machine's side: what several of the applications share.
#pragma once
#include "idf.h"

typedef struct {
	int32_t seconds[4];
	int32_t steps;
} recipe_t;

#ifdef __cplusplus
extern "C" {
#endif

extern volatile uint32_t rounds; // what keeps the compilers from leaving out a call, or from turning it into a jump

static inline int32_t recipe_at(const recipe_t *recipe, int32_t step)
{
	assert(step < recipe->steps);
	return recipe->seconds[step & 3];
}

int32_t recipe_duration(const recipe_t *recipe, int32_t count);

typedef struct valve {
	struct valve *next;
	int32_t open;
} valve_t;

int valve_count(const valve_t *first);
int valve_statistics(const valve_t *first);

#ifdef __cplusplus
}
#endif
