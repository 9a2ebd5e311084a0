// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "WiFiClient.h"

class WiFiClientSecure : public WiFiClient {
public:
  void setCACert(const char *pem) { (void)pem; }
};
