// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// One boot of a device whose app is the component and nothing else. usage: device FOLDER

#include "host.h"
#include "slipway.h"

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
    begin(argv[1]);
    esp_err_t err = slipway_init(&(slipway_config_t){.configured = configured});
    if (err != ESP_OK) {
        say("not enrolled: %#x", (unsigned)err);
        return BROKEN;
    }
    for (int at = 1; at <= most_contacts(60); at++) {
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
