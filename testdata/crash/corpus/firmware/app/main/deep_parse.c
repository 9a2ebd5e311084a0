// JSON nested deeper than the stack: each level calls the next.
#include "plant.h"

typedef struct {
	const char *text;
	int at;
	int depth;
} parser_t;

static int parse_value(parser_t *p);

__attribute__((noinline)) static int parse_array(parser_t *p)
{
	volatile char token[24];
	for (int i = 0; i < 24; i++) {
		token[i] = p->text[p->at & 1];
	}
	p->at++;
	p->depth++;
	int n = parse_value(p) + 1;
	p->depth--;
	return n + (token[0] == '[');
}

__attribute__((noinline)) static int parse_value(parser_t *p)
{
	if (p->depth == 30) {
		vTaskDelay(1);
	}
	if (p->text[p->at & 1] == '[') {
		return parse_array(p) + 1;
	}
	return 0;
}

static void web_task(void *argument)
{
	parser_t parser = {argument, 0, 0};
	rounds = rounds + (uint32_t)parse_value(&parser);
	for (;;) {
		vTaskDelay(1);
	}
}

void app_main(void)
{
	xTaskCreate(web_task, "web", "[[", 3);
	for (;;) {
		vTaskDelay(10);
	}
}
