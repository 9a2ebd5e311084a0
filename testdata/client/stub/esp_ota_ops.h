// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// Stands in for ESP-IDF's header of this name: what slipway.c uses of it, as the public documentation of 5.1 to 6.0 has it.

#pragma once

#include "esp_err.h"
#include "esp_idf_version.h"
#include "esp_partition.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    ESP_OTA_IMG_NEW = 0x0U,
    ESP_OTA_IMG_PENDING_VERIFY = 0x1U,
    ESP_OTA_IMG_VALID = 0x2U,
    ESP_OTA_IMG_INVALID = 0x3U,
    ESP_OTA_IMG_ABORTED = 0x4U,
    ESP_OTA_IMG_UNDEFINED = 0xFFFFFFFFU,
} esp_ota_img_states_t;

#define ESP_ERR_OTA_BASE 0x1500
#define ESP_ERR_OTA_VALIDATE_FAILED (ESP_ERR_OTA_BASE + 0x03)

const esp_partition_t *esp_ota_get_running_partition(void);
const esp_partition_t *esp_ota_get_next_update_partition(const esp_partition_t *start_from);
esp_err_t esp_ota_set_boot_partition(const esp_partition_t *partition);
esp_err_t esp_ota_get_state_partition(const esp_partition_t *partition, esp_ota_img_states_t *ota_state);
esp_err_t esp_ota_mark_app_valid_cancel_rollback(void);
#if STUB_IDF < 500 // Arduino's core 2; later ones have it in esp_app_desc.h, under another name
int esp_ota_get_app_elf_sha256(char *dst, size_t size);
#endif

#ifdef __cplusplus
}
#endif
