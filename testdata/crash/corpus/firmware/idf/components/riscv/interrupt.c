#include "idf.h"

static struct {
	void (*handler)(void *);
	void *arg;
} s_intr_handlers[4];
static volatile uint32_t interrupts;

void esp_intr_alloc(void (*handler)(void *), void *argument)
{
	s_intr_handlers[3].handler = handler;
	s_intr_handlers[3].arg = argument;
}

// The software interrupt of QEMU's board.
void esp_intr_raise(void)
{
	*(volatile uint32_t *)0x02000000 = 1;
	__asm__ volatile("csrs mie, %0; csrsi mstatus, 8" ::"r"(8));
	interrupts = interrupts + 1;
}

void _global_interrupt_handler(intptr_t sp, int mcause)
{
	*(volatile uint32_t *)0x02000000 = 0;
	interrupts = interrupts + (sp != 0);
	s_intr_handlers[mcause & 3].handler(s_intr_handlers[mcause & 3].arg);
	interrupts = interrupts + 1;
}
