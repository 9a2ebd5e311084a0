// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// A press that does nothing but belong to a gateway.

#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"
#include "slipway.h"

extern const char gateway_ca[] __asm__("_binary_ca_crt_start");

static volatile bool pressing; // set by whatever drives the press

static void configured(const char *json, size_t length, void *arg)
{
    (void)arg;
    ESP_LOGI("press", "configuration: %.*s", (int)length, json);
}

static bool may_restart(void *arg)
{
    (void)arg;
    return !pressing;
}

void app_main(void)
{
    ESP_ERROR_CHECK(nvs_flash_init()); // it is never erased here: the enrolment is in it
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    const slipway_config_t config = {.ca_pem = gateway_ca, .configured = configured, .may_restart = may_restart};
    if (slipway_init(&config) == ESP_OK) { // else it is not enrolled
        ESP_ERROR_CHECK(slipway_start());
    }
    (void)example_connect();
}
