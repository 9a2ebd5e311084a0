// The sample firmware: a program for an ESP32-C3 without ESP-IDF, shaped as an application of it, so that the gateway
// can be tried and tested with an image, an ELF and DWARF that belong to the project. It samples a made-up sensor
// through a filter and, as 1.0.0, follows a null pointer for the sensor that has no calibration: 1.1.0 mends that.
#include <stddef.h>
#include <stdint.h>

#ifndef VERSION
#error "build.sh says which version this is"
#endif

#define IRAM __attribute__((section(".iram0.text")))

// esp_app_desc_t of ESP-IDF; the image's writer fills in app_elf_sha256.
struct app_descriptor {
	uint32_t magic;
	uint32_t secure_version;
	uint32_t reserved1[2];
	char version[32];
	char project[32];
	char time[16];
	char date[16];
	char idf_version[32];
	uint8_t app_elf_sha256[32];
	uint16_t min_efuse_revision;
	uint16_t max_efuse_revision;
	uint8_t mmu_page_size;
	uint8_t reserved3[3];
	uint32_t reserved2[18];
};

_Static_assert(sizeof(struct app_descriptor) == 256, "the descriptor has 256 bytes");

__attribute__((section(".rodata_desc"), used)) const struct app_descriptor app_descriptor = {
	.magic = 0xABCD5432,
	.version = VERSION,
	.project = "slipway_sample",
	.idf_version = "v5.4.2",
	.max_efuse_revision = 99,
	.mmu_page_size = 16,
};

enum { window = 8, periods = 64 };

struct filter {
	int32_t samples[window];
	uint32_t next;
	int32_t sum;
};

struct calibration {
	int32_t offset;
	int32_t scale;
};

struct sensor {
	const char *name;
	uint32_t seed;
	const struct calibration *calibration; // null: raw values are good
	struct filter filter;
};

static const struct calibration bench_calibration = {.offset = -12, .scale = 16};

static struct sensor sensors[] = {
	{.name = "temperature", .seed = 0x1D872B41, .calibration = &bench_calibration},
	{.name = "vibration", .seed = 0x6A09E667},
};

static const char *const states[] = {"cold", "working", "hot"};

volatile int32_t last_reading;
volatile const char *last_state;
volatile uint32_t ticks;

static inline __attribute__((always_inline)) uint32_t shuffle(uint32_t x) {
	x ^= x << 13;
	x ^= x >> 17;
	return x ^ x << 5;
}

static inline __attribute__((always_inline)) int32_t filter_add(struct filter *f, int32_t sample) {
	f->sum += sample - f->samples[f->next];
	f->samples[f->next] = sample;
	f->next = (f->next + 1) % window;
	return f->sum / window;
}

__attribute__((noinline)) static int32_t sensor_read(struct sensor *s) {
	s->seed = shuffle(s->seed);
	int32_t raw = (int32_t)(s->seed >> 20) % periods;
#ifndef FAULTY
	if (s->calibration == NULL) {
		return raw;
	}
#endif
	return (raw + s->calibration->offset) * s->calibration->scale;
}

__attribute__((noinline)) static const char *judge(int32_t reading) {
	if (reading < 20) {
		return states[0];
	}
	return reading < 200 ? states[1] : states[2];
}

__attribute__((noinline)) static void sample_all(void) {
	for (size_t i = 0; i < sizeof(sensors) / sizeof(sensors[0]); i++) {
		int32_t reading = filter_add(&sensors[i].filter, sensor_read(&sensors[i]));
		last_reading = reading;
		last_state = judge(reading);
	}
}

__attribute__((noinline)) void app_main(void) {
	for (;;) {
		sample_all();
		ticks++;
	}
}

// The bootloader has loaded the segments and mapped the flash; what remains is a stack and zeros.
extern uint32_t bss_start, bss_end;

IRAM __attribute__((used)) void start_application(void) {
	for (uint32_t *p = &bss_start; p < &bss_end; p++) {
		*p = 0;
	}
	app_main();
}

IRAM __attribute__((naked, used)) void call_start_cpu0(void) {
	__asm__ volatile("la sp, stack_top\n"
			 "j start_application\n");
}
