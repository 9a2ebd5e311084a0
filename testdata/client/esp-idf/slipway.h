// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// The device side of a Slipway gateway, for ESP-IDF 5.1 to 6.0: token, configuration, core dump, firmware.
//
// It allocates nothing by itself and waits for nothing but the network. What it promises:
//   - a core dump is erased only after the gateway has said 201: it is on stable storage there;
//   - a new image is kept only after it has reached the gateway by itself, and could be replaced from there again;
//   - an image that went back is tried three times at most, and once if it crashed;
//   - a download goes on where it was cut, over restarts too, and never mixes two images;
//   - the gateway's "not yet" (Retry-After) is waited for, and devices that start together do not ask together.
//
// All calls are from one task, but for slipway_start, which makes it.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

#ifdef __cplusplus
extern "C" {
#endif

// Strings in NVS, by the names that the gateway hands out: base_url, client_id, client_secret, and token_url where it is
// another than base_url's /api/oauth/token.
#define SLIPWAY_NVS_NAMESPACE "slipway"

typedef struct {
    const char *ca_pem;  // the gateway's CA, ca.crt, which must stay where it is; NULL where base_url is http://
    uint32_t interval_s; // between two contacts, 0: 300
    uint32_t trial_s;    // how long new firmware may take to reach the gateway, 0: 900

    // The device's configuration, as JSON that ends with a NUL, each time it was fetched. NULL: it is not fetched.
    void (*configured)(const char *json, size_t length, void *arg);
    // Whether the device may restart into new firmware now; it is asked again at the next contact. NULL: at once.
    bool (*may_restart)(void *arg);
    void *arg;
} slipway_config_t;

typedef enum {
    SLIPWAY_TOKEN,
    SLIPWAY_CONFIGURATION,
    SLIPWAY_DUMP,
    SLIPWAY_VERSION,  // which firmware is offered
    SLIPWAY_FIRMWARE, // its download
    SLIPWAY_STEPS
} slipway_step_t;

typedef enum {
    SLIPWAY_IDLE,    // it was not asked yet
    SLIPWAY_DONE,    // it is as it should be
    SLIPWAY_NOT_YET, // the gateway said when to come again, or is in trouble
    SLIPWAY_REFUSED, // the answer will hardly change by asking again soon
    SLIPWAY_FAILED   // no answer, or half of one
} slipway_result_t;

// slipway_init reads the enrolment from NVS, which nvs_flash_init has opened before. ESP_ERR_NVS_NOT_FOUND: the device is not
// enrolled. ESP_ERR_INVALID_SIZE: a value is longer than any that a gateway makes.
esp_err_t slipway_init(const slipway_config_t *config);

// slipway_contact does what is due, and returns the seconds until something is due again, 1 at least. It restarts the device
// when new firmware was installed, or was not proven in time.
uint32_t slipway_contact(void);

// slipway_start makes a task that calls slipway_contact for good. Call it when esp_netif_init has run, and before anything that
// may wait for the network: new firmware that gets none has to go back.
esp_err_t slipway_start(void);

// slipway_result is how a step ended last.
slipway_result_t slipway_result(slipway_step_t step);

#ifdef __cplusplus
}
#endif
