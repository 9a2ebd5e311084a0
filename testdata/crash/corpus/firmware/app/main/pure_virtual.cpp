// A base class's constructor calls what only the derived class has.
#include "plant.h"

class Drive {
public:
	explicit Drive(int id) : id_(id) { configure(*this); }
	virtual void reset(int level) = 0;
	int id() const { return id_; }

private:
	static void configure(Drive &drive);
	int id_;
};

class Servo : public Drive {
public:
	explicit Servo(int id) : Drive(id) {}
	void reset(int level) override { rounds = rounds + uint32_t(level); }
};

__attribute__((noinline)) void Drive::configure(Drive &drive)
{
	drive.reset(2);
	rounds = rounds + uint32_t(drive.id_);
}

__attribute__((noinline)) static int add_axis(int id)
{
	Servo servo(id);
	rounds = rounds + 1;
	return servo.id();
}

extern "C" void app_main()
{
	rounds = rounds + uint32_t(add_axis(3));
}
