// A ring buffer was never given its room: a the samples' one, b the events' one, of another type and size.
#include "plant.h"

template <typename T, int N>
class Ring {
public:
	void push(const T &value)
	{
		slot(head_) = value;
		head_ = (head_ + 1) % N;
	}

private:
	T &slot(int at) { return room_[at]; }
	T *room_ = nullptr;
	int head_ = 0;
};

struct Sample {
	int32_t value;
};
struct Event {
	uint16_t code;
	uint16_t count;
};

Ring<Sample, 8> samples;
Ring<Event, 4> events;

__attribute__((noinline)) static void collect(int channel)
{
	samples.push(Sample{channel * 10});
	rounds = rounds + 1;
}

__attribute__((noinline)) static void notify(uint16_t code)
{
	events.push(Event{code, 1});
	rounds = rounds + 1;
}

extern "C" void app_main()
{
	if (chosen_bug == 0) {
		collect(2);
	} else {
		notify(404);
	}
	rounds = rounds + 1;
}
