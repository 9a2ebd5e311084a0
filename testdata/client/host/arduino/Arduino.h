// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// Stands in for the core's header of this name: what the sketch uses of it, as the public documentation of arduino-esp32 2 and 3
// has it.

#pragma once

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <string>

#include "esp_log.h"
#include "esp_random.h"
#include "sdkconfig.h"

#define log_i(format, ...) esp_log_line('I', "sketch", format __VA_OPT__(, ) __VA_ARGS__)

class String {
public:
  String() {}
  String(const char *s) : text(s) {}
  explicit String(uint32_t n) : text(std::to_string(n)) {}
  const char *c_str() const { return text.c_str(); }
  size_t length() const { return text.size(); }
  char operator[](size_t i) const { return text[i]; }
  String &operator+=(char c) { return text += c, *this; }
  String &operator+=(const char *s) { return text += s, *this; }
  bool operator==(const char *s) const { return text == s; }
  bool operator!=(const char *s) const { return text != s; }
  bool startsWith(const char *s) const { return text.rfind(s, 0) == 0; }
  bool endsWith(const char *s) const { return text.size() >= strlen(s) && text.compare(text.size() - strlen(s), strlen(s), s) == 0; }
  int indexOf(const char *s) const { return (int)text.find(s); }
  int indexOf(char c, unsigned from = 0) const { return (int)text.find(c, from); }
  String substring(unsigned from, unsigned to) const { return String(text.substr(from, to - from).c_str()); }
  void remove(unsigned at) { text.erase(at); }
  long toInt() const { return atol(text.c_str()); }

private:
  friend String operator+(const String &a, const String &b) { return String((a.text + b.text).c_str()); }
  std::string text;
};

class Stream {
public:
  virtual ~Stream() {}
  virtual int available() = 0;
  virtual int read() = 0;
  virtual int peek() = 0;
  virtual size_t write(uint8_t) = 0;
  virtual size_t readBytes(char *buffer, size_t length) = 0;
};

class EspClass {
public:
  void restart();
};

extern EspClass ESP;

uint32_t millis();
void delay(uint32_t ms);
size_t strlcpy(char *to, const char *from, size_t room);
void setup();
void loop();
