// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include "Arduino.h"
#include "WiFiClient.h"
#include "WiFiClientSecure.h"

class HTTPClient {
public:
  ~HTTPClient() { end(); }
  bool begin(WiFiClient &client, String url);
  void end();
  void setReuse(bool reuse) { (void)reuse; }
  void setTimeout(uint16_t timeout) { patience = timeout; }
  void useHTTP10(bool old) { version = old ? 0 : 1; }
  void setUserAgent(const String &agent) { userAgent = agent; }
  void setAuthorization(const char *user, const char *password);
  void addHeader(const String &name, const String &value);
  void collectHeaders(const char *names[], size_t n);
  int GET();
  int sendRequest(const char *type, Stream *body, size_t size);
  String header(const char *name);
  int getSize() { return size; }
  String getString();
  size_t take(uint8_t *to, size_t room); // of the body, as the stream that getStreamPtr hands out

private:
  int send(const char *type, Stream *body, size_t length);
  int next();
  bool line(std::string &to);

  std::string host, port, path, headers, answer;
  String userAgent = "ESP32HTTPClient";
  int socket = -1, version = 1, size = -1;
  uint16_t patience = 5000;
  int64_t had = 0;
  char in[1460];
  size_t from = 0, to = 0;
};
