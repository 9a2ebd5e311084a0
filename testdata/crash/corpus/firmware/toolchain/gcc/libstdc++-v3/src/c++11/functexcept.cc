#include "idf.h"

namespace std {
class type_info;
struct out_of_range {
	const char *what;
};
}

extern "C" [[noreturn]] void __cxa_throw(void *obj, std::type_info *tinfo, void (*dest)(void *));

namespace std {
[[noreturn]] __attribute__((noinline)) void __throw_out_of_range_fmt(const char *format, ...)
{
	static out_of_range exception;
	exception.what = format;
	__cxa_throw(&exception, nullptr, nullptr);
}
}
