// SPDX-FileCopyrightText: 2026 Slipway maintainers
// SPDX-License-Identifier: Apache-2.0

// esp_http_client over a socket, as far as the component uses it: a request a connection, buffers of fixed size, and what a
// line longer than they are does.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "esp_http_client.h"
#include "esp_timer.h"
#include "host.h"

#define MOST_HEADERS 16

struct esp_http_client {
    esp_http_client_config_t config;
    esp_http_client_method_t method;
    char host[128], port[8], path[512];
    struct {
        char *key, *value;
    } headers[MOST_HEADERS];
    int socket;

    int status;
    int64_t length, had; // of the body; -1 where none is said
    bool chunked, ended;
    int64_t chunk; // bytes left of it
    char in[2048];
    size_t from, to;
};

esp_http_client_handle_t esp_http_client_init(const esp_http_client_config_t *config)
{
    static struct esp_http_client c;
    c.config = *config;
    c.socket = -1;
    if (esp_http_client_set_url(&c, config->url) != ESP_OK) {
        broken("base_url");
    }
    return &c;
}

esp_err_t esp_http_client_set_url(esp_http_client_handle_t c, const char *url)
{
    int at = 0;
    c->path[0] = 0;
    strcpy(c->port, "80");
    if (sscanf(url, "http://%127[^:/]%n", c->host, &at) != 1) {
        return ESP_FAIL;
    }
    if (url[at] == ':') {
        int more = 0;
        if (sscanf(url + at, ":%7[0-9]%n", c->port, &more) != 1) {
            return ESP_FAIL;
        }
        at += more;
    }
    snprintf(c->path, sizeof c->path, "%s", url[at] ? url + at : "/");
    return ESP_OK;
}

esp_err_t esp_http_client_set_method(esp_http_client_handle_t c, esp_http_client_method_t method)
{
    c->method = method;
    return ESP_OK;
}

esp_err_t esp_http_client_delete_header(esp_http_client_handle_t c, const char *key)
{
    for (int i = 0; i < MOST_HEADERS; i++) {
        if (c->headers[i].key && strcasecmp(c->headers[i].key, key) == 0) {
            free(c->headers[i].key);
            free(c->headers[i].value);
            c->headers[i].key = c->headers[i].value = NULL;
        }
    }
    return ESP_OK;
}

esp_err_t esp_http_client_set_header(esp_http_client_handle_t c, const char *key, const char *value)
{
    (void)esp_http_client_delete_header(c, key);
    for (int i = 0; i < MOST_HEADERS; i++) {
        if (!c->headers[i].key) {
            c->headers[i].key = strdup(key);
            c->headers[i].value = strdup(value);
            return ESP_OK;
        }
    }
    broken("too many headers");
}

static bool send_all(esp_http_client_handle_t c, const char *from, size_t length)
{
    while (length > 0) {
        ssize_t n = send(c->socket, from, length, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        from += n;
        length -= (size_t)n;
    }
    return true;
}

// line sends one line of the head, which must fit the buffer, as on a device.
static bool line(esp_http_client_handle_t c, const char *name, const char *value)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "%s%s\r\n", name, value);
    if (n < 0 || n > c->config.buffer_size_tx) {
        say("a header line of %d bytes: %.20s", n, text);
        return false;
    }
    return send_all(c, text, (size_t)n);
}

static bool join(esp_http_client_handle_t c)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    struct timeval patience = {.tv_sec = c->config.timeout_ms / 1000};
    int window = 5744; // as lwIP's
    if (!link_is_up || getaddrinfo(c->host, c->port, &hints, &found) != 0) {
        return false;
    }
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(c->socket, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    (void)setsockopt(c->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(c->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool joined = connect(c->socket, found->ai_addr, found->ai_addrlen) == 0;
    freeaddrinfo(found);
    return joined;
}

esp_err_t esp_http_client_open(esp_http_client_handle_t c, int length)
{
    char text[700];
    sleep_for(50);
    (void)esp_http_client_close(c);
    c->status = 0;
    c->from = c->to = 0;
    bool good = join(c);
    snprintf(text, sizeof text, "%s %s HTTP/1.1", c->method == HTTP_METHOD_POST ? "POST" : "GET", c->path);
    say("http %lld %s", (long long)esp_timer_get_time() / 1000, text);
    good = good && line(c, text, "");
    snprintf(text, sizeof text, "%s:%s", c->host, c->port);
    good = good && line(c, "Host: ", text) && line(c, "User-Agent: ", c->config.user_agent);
    for (int i = 0; i < MOST_HEADERS; i++) {
        if (c->headers[i].key) {
            snprintf(text, sizeof text, "%s: ", c->headers[i].key);
            good = good && line(c, text, c->headers[i].value);
        }
    }
    if (c->method == HTTP_METHOD_POST) {
        snprintf(text, sizeof text, "%d", length);
        good = good && line(c, "Content-Length: ", text);
    }
    return good && line(c, "", "") ? ESP_OK : ESP_FAIL;
}

int esp_http_client_write(esp_http_client_handle_t c, const char *from, int length)
{
    return send_all(c, from, (size_t)length) ? length : -1;
}

static int next(esp_http_client_handle_t c)
{
    if (c->from == c->to) {
        ssize_t n = c->socket < 0 ? -1 : recv(c->socket, c->in, (size_t)c->config.buffer_size, 0);
        if (n <= 0) {
            return -1;
        }
        c->from = 0;
        c->to = (size_t)n;
    }
    return (unsigned char)c->in[c->from++];
}

// read_line reads a line without its end; false where it is cut or too long.
static bool read_line(esp_http_client_handle_t c, char *to, size_t room)
{
    size_t n = 0;
    for (int b; (b = next(c)) != '\n';) {
        if (b < 0 || n + 1 >= room) {
            return false;
        }
        if (b != '\r') {
            to[n++] = (char)b;
        }
    }
    to[n] = 0;
    return true;
}

int64_t esp_http_client_fetch_headers(esp_http_client_handle_t c)
{
    char text[512];
    int status = 0;
    c->length = -1;
    c->had = c->chunk = 0;
    c->chunked = c->ended = false;
    if (!read_line(c, text, sizeof text) || sscanf(text, "HTTP/1.%*d %d", &status) != 1) {
        return -1;
    }
    while (read_line(c, text, sizeof text)) {
        if (!text[0]) {
            c->status = status;
            c->ended = status == 204 || status == 304 || c->length == 0;
            say("status %d", status);
            return c->length > 0 ? c->length : 0;
        }
        char *value = strchr(text, ':');
        if (!value) {
            return -1;
        }
        *value++ = 0;
        value += strspn(value, " ");
        if (strcasecmp(text, "Content-Length") == 0) {
            c->length = atoll(value);
        }
        c->chunked |= strcasecmp(text, "Transfer-Encoding") == 0 && strcasecmp(value, "chunked") == 0;
        esp_http_client_event_t e = {.event_id = HTTP_EVENT_ON_HEADER, .client = c, .header_key = text, .header_value = value};
        (void)c->config.event_handler(&e);
    }
    return -1;
}

bool esp_http_client_is_chunked_response(esp_http_client_handle_t c) { return c->chunked; }

int esp_http_client_get_status_code(esp_http_client_handle_t c) { return c->status; }

bool esp_http_client_is_complete_data_received(esp_http_client_handle_t c) { return c->chunked ? c->ended : c->had == c->length; }

int esp_http_client_read(esp_http_client_handle_t c, char *to, int room)
{
    int n = 0;
    for (; n < room && !c->ended; n++) {
        if (c->chunked && c->chunk == 0) {
            char size[32];
            if (!read_line(c, size, sizeof size) || (!size[0] && !read_line(c, size, sizeof size))) {
                break;
            }
            c->chunk = strtoll(size, NULL, 16);
            c->ended = c->chunk == 0;
            n--;
            continue;
        }
        int b = next(c);
        if (b < 0) {
            break;
        }
        to[n] = (char)b;
        c->had++;
        c->chunk -= c->chunked;
        c->ended = !c->chunked && c->had == c->length;
    }
    return n;
}

esp_err_t esp_http_client_close(esp_http_client_handle_t c)
{
    if (c->socket >= 0) {
        close(c->socket);
        c->socket = -1;
    }
    return ESP_OK;
}
