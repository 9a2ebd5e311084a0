// The network's side.
#pragma once
#include "idf.h"

typedef struct {
	int (*handle)(const char *topic, int length);
	const char *topic;
} subscription_t;

int event_dispatch(const subscription_t *to, int length);
int event_post(const subscription_t *to, int length);
void buffer_release(void *buffer);
