#include "uplink.h"

static volatile uint32_t posted, released;

__attribute__((noinline)) int event_dispatch(const subscription_t *to, int length)
{
	int answer = to->handle(to->topic, length);
	posted = posted + (uint32_t)answer;
	return answer;
}

__attribute__((noinline)) int event_post(const subscription_t *to, int length)
{
	int answer = event_dispatch(to, length + 1);
	posted = posted + 1;
	return answer;
}

__attribute__((noinline)) void buffer_release(void *buffer)
{
	free(buffer);
	released = released + 1;
}
