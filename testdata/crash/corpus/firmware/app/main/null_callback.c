// A subscription without a handler: a for the Wi-Fi, b for MQTT.
#include "plant.h"
#include "uplink.h"

subscription_t wifi = {NULL, "wifi"}, mqtt = {NULL, "mqtt/press"};

__attribute__((noinline)) static void on_wifi_lost(int reason)
{
	rounds = rounds + (uint32_t)event_post(&wifi, reason);
	rounds = rounds + 1;
}

__attribute__((noinline)) static void on_mqtt_data(const char *data, int length)
{
	rounds = rounds + (uint32_t)event_post(&mqtt, length + data[0]);
	rounds = rounds + 1;
}

void app_main(void)
{
	if (chosen_bug == 0) {
		on_wifi_lost(8);
	} else {
		on_mqtt_data("17", 2);
	}
	rounds = rounds + 1;
}
