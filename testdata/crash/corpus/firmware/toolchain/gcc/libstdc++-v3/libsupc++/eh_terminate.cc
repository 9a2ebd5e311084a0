#include "idf.h"

namespace __cxxabiv1 {
[[noreturn]] __attribute__((noinline)) void __terminate(void (*handler)()) noexcept
{
	handler();
	abort();
}
}

namespace std {
[[noreturn]] __attribute__((noinline)) void terminate() noexcept
{
	__cxxabiv1::__terminate(abort);
}
}
