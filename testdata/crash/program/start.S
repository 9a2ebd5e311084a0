/* The processor's side: the first instructions, the switch between tasks, and the panic handler, which saves an
 * exception frame as ESP-IDF's vectors.S does (RvExcFrame, 160 bytes) and waits to be looked at. Nothing of it has
 * call-frame information, as ROM code has none for whoever reads a dump. */

  .macro save_registers            /* all but sp (x2) and t0 (x5) */
  sw x1, 4(sp)
  .irp n, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
  sw x\n, 4*\n(sp)
  .endr
  .endm

  .section .text.start, "ax"
  .global _start
_start:
  la t0, _panic_handler
  csrw mtvec, t0
  la sp, boot_stack_end
  call boot
  j resume

  .text
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

  .global rom_call                 /* calls a0(a1) from a frame of 48 bytes that nothing describes */
  .type rom_call, @function
rom_call:
  addi sp, sp, -48
  sw ra, 44(sp)
  mv t0, a0
  mv a0, a1
  jalr ra, t0, 0
  lw ra, 44(sp)
  addi sp, sp, 48
  ret
  .size rom_call, . - rom_call

  .align 2
  .global _panic_handler
  .type _panic_handler, @function
_panic_handler:
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
  la t0, panic_frame
  sw sp, 0(t0)
  .global crash_halted
crash_halted:
  wfi
  j crash_halted
  .size _panic_handler, . - _panic_handler
