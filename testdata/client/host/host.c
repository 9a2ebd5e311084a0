// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// What both hosts are of: settings, luck, the clock, and what befalls a device.

#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "esp_log.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "freertos/task.h"

bool link_is_up = true;

static int64_t now; // µs since boot
static uint64_t luck;

void begin(const char *folder)
{
    luck = (uint64_t)setting("SLIPWAY_HOST_SEED", 1);
    boot(folder, setting("SLIPWAY_HOST_POWER", -1));
    if (strstr(runs(), "crash")) {
        panic();
    }
    link_is_up = !strstr(runs(), "mute");
}

int most_contacts(int of_a_trial) { return link_is_up ? setting("SLIPWAY_HOST_CONTACTS", 8) : of_a_trial; }

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

int setting(const char *name, int usual)
{
    const char *value = getenv(name);
    return value ? atoi(value) : usual;
}

void panic(void)
{
    (void)make_dump(200 + esp_random() % (DUMP_SIZE - 300));
    say("panic");
    leave(PANICKED, "panic");
}
