// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// A device on a POSIX host: one process is one boot, a folder is the flash, and the clock runs only while the device waits.
// The tests start it again and again. It prints a line for whatever is worth knowing.
//
// SLIPWAY_HOST_SEED      of its random numbers
// SLIPWAY_HOST_CONTACTS  after so many the test has seen enough, and turns it off
// SLIPWAY_HOST_POWER     writes to the flash after which it loses its power
// SLIPWAY_HOST_PANIC     the contact after which it panics
// SLIPWAY_HOST_RESET     the number of its reset reason, where it is none of what happens here
//
// The running image's version says what is wrong with it: "crash" panics before its first contact, "mute" has no network.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLOT_SIZE (256u << 10)
#define DUMP_SIZE (64u << 10)

enum {
    TURNED_OFF = 0,
    BROKEN = 1, // the host, not the device
    RESTARTED = 10,
    PANICKED = 11,
    LOST_POWER = 12,
    DEAD = 20, // the bootloader finds nothing to start
};

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void broken(const char *what) __attribute__((noreturn));

// flash.c
void boot(const char *folder, int power); // power: writes after which it is lost, -1 for never
void leave(int how, const char *reset) __attribute__((noreturn));
const char *runs(void); // the version in the running image
bool make_dump(size_t size);

// host.c
extern bool link_is_up;
void begin(const char *folder);        // boots
int most_contacts(int of_a_trial);     // after so many the test has seen enough; one that reaches nobody has its whole trial
int setting(const char *name, int usual);
void sleep_for(uint32_t milliseconds); // of the device's time
void panic(void);

// sha256.c
void sha256(const uint8_t *data, size_t length, uint8_t digest[32]);

#ifdef __cplusplus
}
#endif
