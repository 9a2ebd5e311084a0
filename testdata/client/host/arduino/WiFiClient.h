// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "Arduino.h"

class WiFiClient {};
