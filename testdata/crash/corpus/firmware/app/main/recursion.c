// A tree of menus with a branch that leads nowhere, met by a recursion.
#include "plant.h"

typedef struct menu {
	const char *title;
	struct menu *child;
	int items;
} menu_t;

menu_t leaf = {"units", (menu_t *)0x10, 1};
static menu_t deep[5] = {
	{"top", &deep[1], 1}, {"setup", &deep[2], 1}, {"press", &deep[3], 1}, {"limits", &deep[4], 1}, {"force", &leaf, 1},
};

__attribute__((noinline)) static int menu_size(const menu_t *menu, int level)
{
	int n = menu->items;
	if (menu->child) {
		n += menu_size(menu->child, level + 1) * 2;
		rounds = rounds + (uint32_t)level;
	}
	return n;
}

__attribute__((noinline)) static void menu_draw(const menu_t *menu)
{
	rounds = rounds + (uint32_t)menu_size(menu, 0);
	rounds = rounds + 1;
}

void app_main(void)
{
	menu_draw(deep);
	rounds = rounds + 1;
}
