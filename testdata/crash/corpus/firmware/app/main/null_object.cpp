// An axis that the configuration does not have: a a job that goes on meets it, b one that begins.
#include "plant.h"

namespace plant {

class Axis {
public:
	virtual int home(int speed) = 0;
};

class Linear final : public Axis {
public:
	int home(int speed) override { return speed + 1; }
};

class Machine {
public:
	explicit Machine(Axis *axis) : axis_(axis) {}
	int start(int speed);

private:
	int home_axis(int speed) { return axis_->home(speed); }
	Axis *axis_;
};

__attribute__((noinline)) int Machine::start(int speed)
{
	int at = home_axis(speed);
	rounds = rounds + 1;
	return at;
}

} // namespace plant

using plant::Machine;

__attribute__((noinline)) static int prepare(Machine &machine, int speed)
{
	int at = machine.start(speed * 2);
	rounds = rounds + 1;
	return at;
}

__attribute__((noinline)) static int resume_job(Machine &machine)
{
	int at = prepare(machine, 10);
	rounds = rounds + 1;
	return at;
}

__attribute__((noinline)) static int begin_job(Machine &machine, const char *name)
{
	int at = prepare(machine, name[0]);
	rounds = rounds + 1;
	return at;
}

extern "C" void app_main()
{
	static plant::Linear linear;
	Machine machine(chosen_bug > 1 ? &linear : nullptr);
	if (chosen_bug == 0) {
		rounds = rounds + uint32_t(resume_job(machine));
	} else {
		rounds = rounds + uint32_t(begin_job(machine, "gear"));
	}
}
