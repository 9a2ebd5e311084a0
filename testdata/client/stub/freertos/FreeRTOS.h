// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// Stands in for ESP-IDF's header of this name: what slipway.c uses of it, as the public documentation of 5.1 to 6.0 has it.

#pragma once

#include <stdint.h>

#include "sdkconfig.h"

typedef uint32_t TickType_t;
typedef int BaseType_t;
typedef unsigned UBaseType_t;

#define configTICK_RATE_HZ CONFIG_FREERTOS_HZ
#define pdPASS 1
#define tskIDLE_PRIORITY 0
