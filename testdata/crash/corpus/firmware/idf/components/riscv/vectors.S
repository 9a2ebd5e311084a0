/* The processor's side: the first instructions, the switch between tasks, and the handlers of exceptions and interrupts,
 * which save a frame as ESP-IDF's vectors.S does (RvExcFrame, 160 bytes). The panic handler then waits to be looked at. */

  .macro save_registers            /* all but sp (x2) and t0 (x5) */
  sw x1, 4(sp)
  .irp n, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  sw x\n, 4*\n(sp)
  .endr
  .endm

  .macro save_frame
  addi sp, sp, -160
  sw t0, 4*5(sp)
  save_registers
  addi t0, sp, 160
  sw t0, 4*2(sp)
  csrr t0, mepc
  sw t0, 0(sp)
  csrr t0, mstatus
  sw t0, 0x80(sp)
  csrr t0, mtvec
  sw t0, 0x84(sp)
  csrr t0, mcause
  sw t0, 0x88(sp)
  csrr t0, mtval
  sw t0, 0x8C(sp)
  csrr t0, mhartid
  sw t0, 0x90(sp)
  .endm

  .section .text.start, "ax"
  .global _start
  .type _start, @function
_start:
  la t0, _vector
  csrw mtvec, t0
  la sp, boot_stack_end
  call esp_startup_start_app
  j resume
  .size _start, . - _start

  .section .text.vectors, "ax"
  .align 2
  .global vPortYield               /* gives the processor to pxNextTCB */
  .type vPortYield, @function
vPortYield:
  addi sp, sp, -160
  sw t0, 4*5(sp)
  save_registers
  sw ra, 0(sp)
  addi t0, sp, 160
  sw t0, 4*2(sp)
  la t0, pxCurrentTCB
  lw t1, 0(t0)
  sw sp, 0(t1)
  la t1, pxNextTCB
  lw t1, 0(t1)
  sw t1, 0(t0)
resume:
  la t0, pxCurrentTCB
  lw t0, 0(t0)
  lw sp, 0(t0)
  lw t0, 0(sp)
  csrw mepc, t0
  li t0, 0x1800                    /* mstatus.MPP: go on in machine mode */
  csrs mstatus, t0
  lw x1, 4(sp)
  .irp n, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  lw x\n, 4*\n(sp)
  .endr
  lw sp, 4*2(sp)
  mret
  .size vPortYield, . - vPortYield

  .align 6
  .global _vector
  .type _vector, @function
_vector:
  csrw mscratch, t0
  csrr t0, mcause
  bltz t0, 1f
  csrr t0, mscratch
  j _panic_handler
1:
  csrr t0, mscratch
  j _interrupt_handler
  .size _vector, . - _vector

  .align 2
  .global _interrupt_handler
  .type _interrupt_handler, @function
_interrupt_handler:
  .cfi_sections .debug_frame
  .cfi_startproc
  .cfi_undefined ra
  save_frame
  la t0, pxCurrentTCB
  lw t0, 0(t0)
  sw sp, 0(t0)
  la t0, port_uxInterruptNesting
  li t1, 1
  sw t1, 0(t0)
  mv a0, sp
  csrr a1, mcause
  la sp, isr_stack_end
  call _global_interrupt_handler
  la t0, port_uxInterruptNesting
  sw zero, 0(t0)
  j resume
  .cfi_endproc
  .size _interrupt_handler, . - _interrupt_handler

  .align 2
  .global _panic_handler
  .type _panic_handler, @function
_panic_handler:
  save_frame
  la t0, panic_frame
  sw sp, 0(t0)
  .global crash_halted
crash_halted:
  wfi
  j crash_halted
  .size _panic_handler, . - _panic_handler

  .section .bss
  .align 4
  .global port_uxInterruptNesting
port_uxInterruptNesting:
  .zero 4
  .global panic_frame              /* where _panic_handler has put its frame */
panic_frame:
  .zero 4
