/* What a chip has in its mask ROM. The applications only know the addresses, and nobody has call-frame information. */
  .section .text.memcpy, "ax"
  .global memcpy
memcpy:
  mv a5, a0
1:
  beqz a2, 2f
  lbu a4, 0(a1)
  sb a4, 0(a5)
  addi a1, a1, 1
  addi a5, a5, 1
  addi a2, a2, -1
  j 1b
2:
  ret

  .balign 128
  .global memset
memset:
  mv a5, a0
3:
  beqz a2, 4f
  sb a1, 0(a5)
  addi a5, a5, 1
  addi a2, a2, -1
  j 3b
4:
  ret
