// Settings do not fit: a saved by the web page, b by a button that was held.
#include "plant.h"

typedef enum { FROM_WEB, FROM_BUTTON } origin_t;

static void settings_put(const char *key, int value)
{
	ESP_ERROR_CHECK(nvs_set(key, value));
	rounds = rounds + 1;
}

__attribute__((noinline)) static void settings_save(int speed, origin_t origin)
{
	settings_put("speed", speed);
	settings_put("origin", origin);
	settings_put("crc", speed ^ 0x55);
	rounds = rounds + 1;
}

__attribute__((noinline)) static int web_post_settings(const char *body)
{
	settings_save(body[0] - '0', FROM_WEB);
	rounds = rounds + 1;
	return 200;
}

__attribute__((noinline)) static void button_held(uint32_t pin)
{
	settings_save(3, FROM_BUTTON);
	rounds = rounds + pin;
}

void app_main(void)
{
	if (chosen_bug == 0) {
		rounds = rounds + (uint32_t)web_post_settings("7");
	} else {
		button_held(9);
	}
	rounds = rounds + 1;
}
