// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// Stands in for ESP-IDF's header of this name: what slipway.c uses of it, as the public documentation of 5.1 to 6.0 has it.

#pragma once

// STUB_IDF is major * 100 + minor: the switch for what differs.
#ifndef STUB_IDF
#define STUB_IDF 600
#endif

#define ESP_IDF_VERSION_VAL(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define ESP_IDF_VERSION ESP_IDF_VERSION_VAL(STUB_IDF / 100, STUB_IDF % 100, 0)
