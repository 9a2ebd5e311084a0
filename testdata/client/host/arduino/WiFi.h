// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "WiFiClient.h"

class WiFiClass {
public:
  void begin(const char *ssid, const char *password) { (void)ssid, (void)password; }
};

extern WiFiClass WiFi;
