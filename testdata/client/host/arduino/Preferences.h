// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "Arduino.h"

class Preferences {
public:
  bool begin(const char *name, bool readOnly);
  String getString(const char *key, const char *usual);
  size_t getBytes(const char *key, void *to, size_t room);
  size_t putBytes(const char *key, const void *value, size_t length);
  bool remove(const char *key);
};
