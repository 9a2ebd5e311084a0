// A table of commands is overwritten by a name that is too long, and a command is called.
#include "plant.h"

typedef int (*command_t)(int argument);

static struct {
	char name[8];
	command_t commands[2];
} console;

static int stop(int argument) { return argument + 1; }

__attribute__((noinline)) static void set_name(const char *name)
{
	for (int i = 0; name[i]; i++) {
		((volatile char *)console.name)[i] = name[i];
	}
}

__attribute__((noinline)) static int run_command(int index, int argument)
{
	int result = console.commands[index](argument);
	rounds = rounds + 1;
	return result;
}

void app_main(void)
{
	console.commands[0] = stop;
	console.commands[1] = stop;
	set_name("press-hall-north");
	rounds = rounds + (uint32_t)run_command(1, 42);
}
