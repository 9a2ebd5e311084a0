// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// Stands in for ESP-IDF's header of this name: what slipway.c uses of it, as the public documentation of 5.1 to 6.0 has it.

#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// On a device a line of the log; here only its format is checked.
__attribute__((format(printf, 3, 4))) void esp_log_line(char level, const char *tag, const char *format, ...);

#define ESP_LOGE(tag, format, ...) esp_log_line('E', tag, format __VA_OPT__(, ) __VA_ARGS__)
#define ESP_LOGI(tag, format, ...) esp_log_line('I', tag, format __VA_OPT__(, ) __VA_ARGS__)

#ifdef __cplusplus
}
#endif
