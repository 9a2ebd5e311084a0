#include "idf.h"
namespace std {
[[noreturn]] void terminate() noexcept;
}

extern "C" [[noreturn]] void __cxa_pure_virtual() { std::terminate(); }
void operator delete(void *p) noexcept { free(p); }
void operator delete(void *p, size_t) noexcept { free(p); }
