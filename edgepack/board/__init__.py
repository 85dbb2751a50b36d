"""What is the board that needs no shelf? An arm64 Linux under QEMU whose clock counts instructions.

It is a whole machine (kernel, glibc, Python, ssh server), made of Debian packages once and started anew for each
measurement. With one processor whose clock advances by a fixed time for each instruction, the same program takes the
same time on any host, however busy: a latency that repeats, to compare with itself and with nothing real.
"""
