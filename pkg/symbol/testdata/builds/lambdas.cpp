volatile int sink;
namespace motor { 
struct Pump { int n; template<class F> __attribute__((noinline)) int each(F f) const { int r = f(n); sink = r; return r + 1; } int run(int k); };
int Pump::run(int k) {
  auto a = [&](int x) { sink = x; return x * k; };
  auto b = [&](int x) __attribute__((noinline)) { sink = x + 1; auto in = [&](int y) { sink = y; return *(volatile int*)y; }; return in(x) * k; };
  auto c = [=](long x) __attribute__((noinline)) { sink = x + 7; return k; };
  int r = each(a); if (k) { auto d = [&](int x) __attribute__((noinline)) { sink = x + 2; return x - k; }; r += d(r); }
  return each(b) + r + c(r);
}
namespace { int hidden(int x) { sink = x; return x+1; } }
struct Local { static int go(int k) { struct In { int __attribute__((noinline)) call(int x) { sink = x; return x; } } i; return i.call(k); } };
int (*table)(int) = [](int x) { sink = x; return x + 5; };
}
extern "C" int panic_abort(int k) { motor::Pump p{k}; return p.run(k) + motor::hidden(k) + motor::Local::go(k) + motor::table(k); }
int main() { return panic_abort(sink); }
