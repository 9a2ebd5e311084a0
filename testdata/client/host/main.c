// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// One boot of a device whose app is the component and nothing else. usage: device FOLDER
//
// SLIPWAY_HOST_SEED      of its random numbers
// SLIPWAY_HOST_CONTACTS  after so many the test has seen enough, and turns it off
// SLIPWAY_HOST_POWER     writes to the flash after which it loses its power
// SLIPWAY_HOST_PANIC     the contact after which it panics
//
// The running image's version says what is wrong with it: "crash" panics before its first contact, "mute" has no network.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_log.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "freertos/task.h"
#include "host.h"
#include "slipway.h"

static int64_t now; // µs since boot
static uint64_t luck;

void say(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    vprintf(format, rest);
    va_end(rest);
    putchar('\n');
    fflush(stdout);
}

void broken(const char *what)
{
    perror(what);
    exit(BROKEN);
}

void esp_log_line(char level, const char *tag, const char *format, ...)
{
    va_list rest;
    printf("log %c %s: ", level, tag);
    va_start(rest, format);
    vprintf(format, rest);
    va_end(rest);
    putchar('\n');
}

uint32_t esp_random(void) // splitmix64
{
    uint64_t z = luck += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)(z >> 32);
}

int64_t esp_timer_get_time(void) { return now; }

void sleep_for(uint32_t milliseconds) { now += (int64_t)milliseconds * 1000; }

void vTaskDelay(TickType_t ticks) { sleep_for(ticks * (1000 / configTICK_RATE_HZ)); }

BaseType_t xTaskCreate(TaskFunction_t code, const char *name, uint32_t stack, void *arg, UBaseType_t priority, TaskHandle_t *made)
{
    (void)code, (void)name, (void)stack, (void)arg, (void)priority, (void)made;
    return pdPASS;
}

static int setting(const char *name, int usual)
{
    const char *value = getenv(name);
    return value ? atoi(value) : usual;
}

static void panic(void)
{
    (void)make_dump(200 + esp_random() % (DUMP_SIZE - 300));
    say("panic");
    leave(PANICKED, "panic");
}

static void configured(const char *json, size_t length, void *arg)
{
    (void)arg;
    say("configuration %zu %s", length, json);
}

int main(int argc, char **argv)
{
    static const char *const names[SLIPWAY_STEPS] = {"token", "configuration", "dump", "version", "firmware"};
    static const char *const ends[] = {"idle", "done", "not yet", "refused", "failed"};
    if (argc != 2) {
        broken("usage: device FOLDER");
    }
    luck = (uint64_t)setting("SLIPWAY_HOST_SEED", 1);
    boot(argv[1], setting("SLIPWAY_HOST_POWER", -1));
    if (strstr(runs(), "crash")) {
        panic();
    }
    link_is_up = !strstr(runs(), "mute");
    esp_err_t err = slipway_init(&(slipway_config_t){.configured = configured});
    if (err != ESP_OK) {
        say("not enrolled: %#x", (unsigned)err);
        return BROKEN;
    }
    int most = link_is_up ? setting("SLIPWAY_HOST_CONTACTS", 8) : 200; // one that reaches nobody has all the time it wants
    for (int at = 1; at <= most; at++) {
        uint32_t wait = slipway_contact();
        for (int i = 0; i < SLIPWAY_STEPS; i++) {
            say("step %s %s", names[i], ends[slipway_result((slipway_step_t)i)]);
        }
        say("waits %u", (unsigned)wait);
        if (at == setting("SLIPWAY_HOST_PANIC", -1)) {
            panic();
        }
        sleep_for(wait * 1000);
    }
    say("turned off");
    return TURNED_OFF;
}
