// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// The core's libraries over a socket and the host's flash, and one boot of the sketch. usage: device FOLDER

#include <netdb.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "HTTPUpdate.h"
#include "Preferences.h"
#include "WiFi.h"
#include "esp_app_format.h"
#include "esp_ota_ops.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "host.h"
#include "nvs.h"

EspClass ESP;
WiFiClass WiFi;
HTTPUpdate httpUpdate;

void EspClass::restart() { esp_restart(); }

uint32_t millis() { return (uint32_t)(esp_timer_get_time() / 1000); }

void delay(uint32_t ms) { sleep_for(ms); }

#if !defined(__GLIBC__) || __GLIBC__ < 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ < 38)
size_t strlcpy(char *to, const char *from, size_t room) {
  snprintf(to, room, "%s", from);
  return strlen(from);
}
#endif

// ---- Preferences

bool Preferences::begin(const char *name, bool readOnly) {
  nvs_handle_t h;
  return nvs_open(name, readOnly ? NVS_READONLY : NVS_READWRITE, &h) == ESP_OK;
}

String Preferences::getString(const char *key, const char *usual) {
  char value[512];
  size_t n = sizeof value;
  return nvs_get_str(1, key, value, &n) == ESP_OK ? value : usual;
}

size_t Preferences::getBytes(const char *key, void *to, size_t room) { return nvs_get_blob(1, key, to, &room) == ESP_OK ? room : 0; }

size_t Preferences::putBytes(const char *key, const void *value, size_t length) {
  return nvs_set_blob(1, key, value, length) == ESP_OK ? length : 0;
}

bool Preferences::remove(const char *key) { return nvs_erase_key(1, key) == ESP_OK; }

// ---- HTTPClient

bool HTTPClient::begin(WiFiClient &, String url) {
  char h[128], p[8] = "80";
  int at = 0, more = 0;
  if (sscanf(url.c_str(), "http://%127[^:/]%n:%7[0-9]%n", h, &at, p, &more) < 1) {
    return false;
  }
  host = h;
  port = p;
  path = url.c_str() + (more ? more : at);
  headers.clear();
  return true;
}

void HTTPClient::end() {
  if (socket >= 0) {
    close(socket);
    socket = -1;
  }
}

void HTTPClient::addHeader(const String &name, const String &value) {
  headers += std::string(name.c_str()) + ": " + value.c_str() + "\r\n";
}

void HTTPClient::setAuthorization(const char *user, const char *password) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string plain = std::string(user) + ":" + password, coded;
  for (size_t i = 0; i < plain.size(); i += 3) {
    uint32_t three = 0;
    for (size_t k = 0; k < 3; k++) {
      three = three << 8 | (i + k < plain.size() ? (unsigned char)plain[i + k] : 0);
    }
    for (size_t k = 0; k < 4; k++) {
      coded += i + k <= plain.size() ? digits[three >> (18 - 6 * k) & 63] : '=';
    }
  }
  addHeader("Authorization", String(("Basic " + coded).c_str()));
}

void HTTPClient::collectHeaders(const char *[], size_t) {}

int HTTPClient::GET() { return send("GET", nullptr, 0); }

int HTTPClient::sendRequest(const char *type, Stream *body, size_t length) { return send(type, body, length); }

int HTTPClient::next() {
  if (from == to) {
    ssize_t n = recv(socket, in, sizeof in, 0);
    if (n <= 0) {
      return -1;
    }
    from = 0;
    to = (size_t)n;
  }
  return (unsigned char)in[from++];
}

bool HTTPClient::line(std::string &text) {
  text.clear();
  for (int b; (b = next()) != '\n';) {
    if (b < 0 || text.size() > 4096) {
      return false;
    }
    if (b != '\r') {
      text += (char)b;
    }
  }
  return true;
}

// send makes the request and reads the head of the answer, as the library does: -1 refused, -2 and -3 cut on the way there, -5 and -11
// on the way back.
int HTTPClient::send(const char *type, Stream *body, size_t length) {
  struct addrinfo hints = {}, *found;
  struct timeval wait = {};
  wait.tv_sec = patience / 1000;
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  int window = 5744, status = 0;
  sleep_for(50);
  end();
  from = to = 0;
  had = 0;
  size = -1;
  answer.clear();
  say("http %lld %s %s", (long long)esp_timer_get_time() / 1000, type, path.c_str());
  if (!link_is_up || getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
    return -1;
  }
  socket = ::socket(AF_INET, SOCK_STREAM, 0);
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  bool joined = connect(socket, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (!joined) {
    return -1;
  }
  std::string head = std::string(type) + " " + path + " HTTP/1." + (version ? "1" : "0") + "\r\nHost: " + host + ":" + port +
                     "\r\nUser-Agent: " + userAgent.c_str() + "\r\nConnection: close\r\n" + headers;
  if (body) {
    head += "Content-Length: " + std::to_string(length) + "\r\n";
  }
  head += "\r\n";
  if (::send(socket, head.data(), head.size(), MSG_NOSIGNAL) != (ssize_t)head.size()) {
    return -2;
  }
  while (body && length > 0) {
    char piece[1460];
    size_t n = body->readBytes(piece, length < sizeof piece ? length : sizeof piece);
    if (n == 0 || ::send(socket, piece, n, MSG_NOSIGNAL) != (ssize_t)n) {
      return -3;
    }
    length -= n;
  }
  std::string text;
  if (!line(text) || sscanf(text.c_str(), "HTTP/1.%*d %d", &status) != 1) {
    return -5;
  }
  while (line(text)) {
    if (text.empty()) {
      std::string said = header("Content-Length").c_str();
      size = said.empty() ? -1 : atoi(said.c_str());
      say("status %d", status);
      return status;
    }
    answer += text + "\n";
  }
  return -11;
}

String HTTPClient::header(const char *name) {
  size_t n = strlen(name);
  for (size_t at = 0; at < answer.size(); at = answer.find('\n', at) + 1) {
    if (strncasecmp(answer.c_str() + at, name, n) == 0 && answer[at + n] == ':') {
      size_t value = answer.find_first_not_of(' ', at + n + 1);
      return String(answer.substr(value, answer.find('\n', at) - value).c_str());
    }
  }
  return String();
}

size_t HTTPClient::take(uint8_t *where, size_t room) {
  size_t n = 0;
  for (; n < room && had < size; n++, had++) {
    int b = next();
    if (b < 0) {
      break;
    }
    where[n] = (uint8_t)b;
  }
  return n;
}

String HTTPClient::getString() {
  static uint8_t text[8192];
  text[take(text, sizeof text - 1)] = 0;
  return String((const char *)text);
}

// ---- HTTPUpdate

t_httpUpdate_return HTTPUpdate::update(WiFiClient &client, const String &url, const String &currentVersion) {
  HTTPClient http;
  if (!http.begin(client, url)) {
    return HTTP_UPDATE_FAILED;
  }
  http.useHTTP10(true);
  http.setTimeout(8000);
  http.setUserAgent("ESP32-http-Update");
  http.setAuthorization(id.c_str(), secret.c_str());
  http.addHeader("Cache-Control", "no-cache");
  http.addHeader("x-ESP32-mode", "sketch");
  if (currentVersion.length() > 0) {
    http.addHeader("x-ESP32-version", currentVersion);
  }
  int status = http.GET();
  if (status == 304) {
    return HTTP_UPDATE_NO_UPDATES;
  }
  return status == 200 && http.getSize() > 0 && write(http, (size_t)http.getSize()) ? HTTP_UPDATE_OK : HTTP_UPDATE_FAILED;
}

// write holds the first 16 bytes back until everything else is there, as the core's Update does.
bool HTTPUpdate::write(HTTPClient &http, size_t size) {
  static uint8_t sector[4096 + 16];
  uint8_t first[16];
  const esp_partition_t *p = esp_ota_get_next_update_partition(NULL);
  if (size > p->size) {
    return false;
  }
  for (size_t done = 0; done < size;) {
    size_t want = size - done < 4096 ? size - done : 4096;
    if (http.take(sector, want) < want || (done == 0 && sector[0] != ESP_IMAGE_HEADER_MAGIC)) {
      return false;
    }
    if (done == 0) {
      memcpy(first, sector, sizeof first);
      memset(sector, 0xff, sizeof first);
    }
    memset(sector + want, 0xff, 16);
    if (esp_partition_erase_range(p, done, 4096) != ESP_OK || esp_partition_write(p, done, sector, (want + 15) & ~(size_t)15) != ESP_OK) {
      return false;
    }
    done += want;
    if (progress) {
      progress((int)done, (int)size);
    }
  }
  return esp_partition_write(p, 0, first, sizeof first) == ESP_OK && esp_ota_set_boot_partition(p) == ESP_OK;
}

// ---- a boot of the sketch, whose version is that of the image which the bootloader has chosen

#define SLIPWAY_VERSION runs()
#include "slipway.ino"

int main(int argc, char **argv) {
  if (argc != 2) {
    broken("usage: device FOLDER");
  }
  begin(argv[1]);
  if (!verifyRollbackLater()) { // what the core does before setup
    (void)esp_ota_mark_app_valid_cancel_rollback();
  }
  setup();
  // A contact is ten minutes of loop.
  for (int at = 1; at <= most_contacts(2); at++) {
    for (int second = 0; second < 600; second++) {
      loop();
    }
    static const char *const names[STEPS] = {"configuration", "dump", "version", "firmware"};
    static const char *const ends[] = {"idle", "done", "not yet", "refused", "failed"};
    for (int i = 0; i < STEPS; i++) {
      say("step %s %s", names[i], ends[plans[i].result]);
    }
    say("waits 600");
    if (at == setting("SLIPWAY_HOST_PANIC", -1)) {
      panic();
    }
  }
  say("turned off");
  return TURNED_OFF;
}
