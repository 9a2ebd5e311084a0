// A table is asked beyond its end and throws: a by the speed, b by the torque.
#include "plant.h"

namespace std {
[[noreturn]] void __throw_out_of_range_fmt(const char *format, ...);
}

namespace drive {

class Table {
public:
	explicit Table(int size) : size_(size) {}
	int at(int index) const
	{
		if (index >= size_) {
			std::__throw_out_of_range_fmt("Table::at: %d >= %d", index, size_);
		}
		return values_[index];
	}

private:
	int size_;
	int values_[4] = {1, 2, 3, 4};
};

__attribute__((noinline)) static int interpolate(const Table &table, int x)
{
	int y = table.at(x) + table.at(x + 1);
	rounds = rounds + 1;
	return y / 2;
}

__attribute__((noinline)) static int speed(const Table &table, int percent)
{
	int v = interpolate(table, percent / 25);
	rounds = rounds + 1;
	return v;
}

__attribute__((noinline)) static int torque(const Table &table, bool reverse)
{
	int v = interpolate(table, 3);
	rounds = rounds + 1;
	return reverse ? -v : v;
}

} // namespace drive

extern "C" void app_main()
{
	drive::Table table(4);
	if (chosen_bug == 0) {
		rounds = rounds + uint32_t(drive::speed(table, 100));
	} else {
		rounds = rounds + uint32_t(drive::torque(table, true));
	}
}
