// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// Stands in for ESP-IDF's header of this name: what slipway.c uses of it, as the public documentation of 5.1 to 6.0 has it.

#pragma once

#define CONFIG_IDF_TARGET "esp32c3"
#define CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE 1
#define CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH 1
#define CONFIG_FREERTOS_HZ 100
