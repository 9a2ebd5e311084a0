// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <functional>

#include "HTTPClient.h"

enum HTTPUpdateResult { HTTP_UPDATE_FAILED, HTTP_UPDATE_NO_UPDATES, HTTP_UPDATE_OK };

typedef HTTPUpdateResult t_httpUpdate_return;

class HTTPUpdate {
public:
  void rebootOnUpdate(bool reboot) { (void)reboot; }
  void setAuthorization(const String &user, const String &password) { id = user, secret = password; }
  void onProgress(std::function<void(int, int)> call) { progress = call; }
  t_httpUpdate_return update(WiFiClient &client, const String &url, const String &currentVersion);

private:
  bool write(HTTPClient &http, size_t size);
  String id, secret;
  std::function<void(int, int)> progress;
};

extern HTTPUpdate httpUpdate;
