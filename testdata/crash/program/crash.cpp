// A program that crashes, for a test of the decoder with a real dump of the project's own. It is shaped as an ESP-IDF
// application: tasks with the control blocks of FreeRTOS, the same names at the roots of the stacks, an app descriptor.
// Its main task opens a valve whose actuator is not there, in a function that was inlined, below one that jumped.
#include <stddef.h>
#include <stdint.h>

#define NOINLINE __attribute__((noinline))

// tskTaskControlBlock has FreeRTOS's names; the decoder finds the offsets in DWARF.
struct tskTaskControlBlock {
	volatile uint32_t *pxTopOfStack;
	uint32_t xStateListItem[5];
	uint32_t xEventListItem[5];
	uint32_t uxPriority;
	uint32_t *pxStack;
	char pcTaskName[16];
	int32_t xCoreID;
	uint32_t *pxEndOfStack;
};

struct app_descriptor { // esp_app_desc_t
	uint32_t magic;
	uint32_t secure_version;
	uint32_t reserved1[2];
	char version[32];
	char project[32];
	char time[16];
	char date[16];
	char idf_version[32];
	uint8_t app_elf_sha256[32];
	uint32_t reserved2[20];
};

extern "C" {

__attribute__((section(".rodata_desc"), used)) extern const app_descriptor esp_app_desc = {
	0xABCD5432, 0, {}, "2.0.1", "slipway_crash", "", "", "v5.4.2", {}, {},
};

enum { main_id, worker_id, idle_id, task_count, stack_words = 256 };

tskTaskControlBlock tasks[task_count];
__attribute__((aligned(16))) uint32_t stacks[task_count][stack_words];
tskTaskControlBlock *pxCurrentTCB;
tskTaskControlBlock *pxNextTCB;
uint32_t panic_frame; // where _panic_handler has put its frame
volatile uint32_t rounds;

void vPortYield(void);
void rom_call(void (*function)(void *), void *argument);

void *memset(void *to, int value, size_t n) {
	for (size_t i = 0; i < n; i++) {
		static_cast<volatile uint8_t *>(to)[i] = uint8_t(value);
	}
	return to;
}

} // extern "C"

namespace plant {

enum class State : uint8_t { closed, opening };

struct Actuator {
	volatile uint32_t *steps;
};

class Valve {
public:
	Valve(const char *name, Actuator *actuator) : name_(name), actuator_(actuator) {}
	int open(State state, int percent);

private:
	void drive(uint32_t steps) { actuator_->steps[3] = steps; } // there is no actuator: this crashes

	const char *name_;
	Actuator *actuator_;
};

NOINLINE int Valve::open(State state, int percent) {
	rounds = rounds + 1;
	if (state == State::opening) {
		drive(uint32_t(percent) * 8);
	}
	rounds = rounds + 1;
	return percent;
}

// regulate ends in a call, which the compiler makes a jump: no frame of it is left.
NOINLINE int regulate(Valve &valve, int target, int measured) {
	return valve.open(State::opening, target - measured);
}

template <typename T>
NOINLINE int control(T &valve, const char *why, int target) {
	int done = 0;
	for (int i = 0; i < 3; i++) {
		done += regulate(valve, target, 20 + i);
		rounds = rounds + uint32_t(why[0]);
	}
	return done;
}

} // namespace plant

static plant::Actuator nowhere = {nullptr};

extern "C" {

static void give_way_to(int id) {
	pxNextTCB = &tasks[id];
	vPortYield();
	rounds = rounds + 1;
}

NOINLINE void app_main(void) {
	plant::Valve valve("inlet", &nowhere);
	give_way_to(worker_id);
	rounds = rounds + uint32_t(plant::control(valve, "pressure", 75));
}

NOINLINE void main_task(void *args) {
	app_main();
	rounds = rounds + uint32_t(reinterpret_cast<uintptr_t>(args));
}

NOINLINE void wait_for_work(void *queue) {
	for (;;) {
		give_way_to(main_id);
		rounds = rounds + *static_cast<uint32_t *>(queue);
	}
}

// worker waits in a function that was called by code without call-frame information.
NOINLINE void worker(void *queue) {
	rom_call(wait_for_work, queue);
	rounds = rounds + 1;
}

NOINLINE void idle(void *) {
	for (;;) {
		rounds = rounds + 1;
	}
}

void vPortTaskWrapper(void (*pxCode)(void *), void *pvParameters) {
	asm volatile(".cfi_undefined ra"); // here every stack ends
	pxCode(pvParameters);
	for (;;) {
	}
}

static void prepare(int id, const char *name, uint32_t priority, void (*code)(void *), void *argument) {
	tskTaskControlBlock &task = tasks[id];
	uint32_t *end = &stacks[id][stack_words];
	for (uint32_t &word : stacks[id]) {
		word = 0xA5A5A5A5;
	}
	uint32_t *frame = end - 40;
	for (int n = 0; n < 40; n++) {
		frame[n] = 0;
	}
	frame[0] = uint32_t(reinterpret_cast<uintptr_t>(vPortTaskWrapper));
	frame[2] = uint32_t(reinterpret_cast<uintptr_t>(end));
	frame[10] = uint32_t(reinterpret_cast<uintptr_t>(code));
	frame[11] = uint32_t(reinterpret_cast<uintptr_t>(argument));
	task.pxTopOfStack = frame;
	task.pxStack = stacks[id];
	task.pxEndOfStack = end;
	task.uxPriority = priority;
	for (int i = 0; i < 15 && name[i] != 0; i++) {
		task.pcTaskName[i] = name[i];
	}
}

static uint32_t queue = 1;

void boot(void) {
	prepare(main_id, "main", 1, main_task, nullptr);
	prepare(worker_id, "worker", 5, worker, &queue);
	prepare(idle_id, "IDLE", 0, idle, nullptr);
	pxCurrentTCB = &tasks[main_id];
}

} // extern "C"
