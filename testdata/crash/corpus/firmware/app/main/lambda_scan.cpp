// Two lambdas of one function, each with a sensor that is not there: a the first one, b the second.
#include "plant.h"

struct Sensor {
	int id;
	volatile int *port;
};

template <typename Visit>
__attribute__((noinline)) static void each(Sensor *sensors, int count, Visit visit)
{
	for (int i = 0; i < count; i++) {
		visit(sensors[i]);
		rounds = rounds + 1;
	}
}

__attribute__((noinline)) static int scan(Sensor *sensors, int count, int which)
{
	int sum = 0;
	if (which == 0) {
		each(sensors, count, [&sum](Sensor &s) { sum += *s.port; });
	} else {
		each(sensors, count, [&sum](Sensor &s) { *s.port = sum; });
	}
	rounds = rounds + 1;
	return sum;
}

extern "C" void app_main()
{
	int port = 1;
	Sensor sensors[] = {{1, &port}, {2, nullptr}};
	rounds = rounds + uint32_t(scan(sensors, 2, chosen_bug));
}
