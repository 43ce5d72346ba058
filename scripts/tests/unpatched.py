#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What mainline does wrong with mmaps of virtio-gpu's buffers, in a guest with one.

Dumb buffers and dma-bufs are all it takes. The results are KTAP, to stdout. On a kernel
without the fixes both fail, and it warns of buffers that are leaked:

	scripts/vm --kernel stock -- scripts/tests/unpatched.py"""

import ctypes
import fcntl
import glob
import mmap
import os
import resource
import struct
import sys

PAGE = mmap.PAGESIZE
PAGES = 64
CREATE_DUMB, MAP_DUMB, HANDLE_TO_FD = 0xc02064b2, 0xc01064b3, 0xc00c642d
RDWR_CLOEXEC = os.O_RDWR | os.O_CLOEXEC

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def card():
    """virtio-gpu's, and what the driver is bound to."""
    for device in glob.glob('/sys/bus/virtio/drivers/virtio_gpu/virtio[0-9]*'):
        for path in glob.glob(os.path.realpath(device + '/..') + '/drm/card[0-9]'):
            return os.open('/dev/dri/' + os.path.basename(path), RDWR_CLOEXEC), device
    print('1..0 # SKIP there is no virtio-gpu')
    sys.exit()


def create(fd):
    """A buffer of PAGES pages: its handle and where to map it."""
    args = struct.pack('IIIIIIQ', PAGES, PAGE // 4, 32, 0, 0, 0, 0)
    handle = struct.unpack('IIIIIIQ', fcntl.ioctl(fd, CREATE_DUMB, args))[4]
    return handle, struct.unpack('IIQ', fcntl.ioctl(fd, MAP_DUMB, struct.pack('IIQ', handle, 0, 0)))[2]


def map_at(fd, offset):
    address = libc.mmap(None, PAGES * PAGE, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, fd,
                        offset)
    if address == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), 'mmap')
    return address


def word(address, page):
    return ctypes.c_uint32.from_address(address + page * PAGE)


def faults(address):
    """Does a load fault?"""
    where = word(address, 0)
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        where.value                                     # pylint: disable=pointless-statement
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        if before != after:
            return True
    return False


def split(fd, _device):
    """A page of a mapping whose first page was unmapped."""
    _, offset = create(fd)
    whole, other = map_at(fd, offset), map_at(fd, offset)
    for page in range(PAGES):
        word(whole, page).value = page
    libc.munmap(other, PAGE)
    found = word(other, 1).value
    return found == 1, f'page 1 shows page {found}'


def dmabuf(fd, device):
    """A mapping by a dma-buf loses its entries when the driver is unbound, as others do."""
    handle, offset = create(fd)
    shared = struct.unpack('IIi', fcntl.ioctl(fd, HANDLE_TO_FD, struct.pack(
        'IIi', handle, RDWR_CLOEXEC, -1)))[2]
    mapping, direct = map_at(shared, 0), map_at(fd, offset)
    before = [faults(mapping), faults(direct), faults(mapping), faults(direct)]
    with open('/sys/bus/virtio/drivers/virtio_gpu/unbind', 'w', encoding='ascii') as f:
        f.write(os.path.basename(device))
    after = [faults(direct), faults(mapping)]
    return before + after == [True, True, False, False, True, True], \
        f'loads fault: first {before[:2]}, then {before[2:]}, unbound, directly and by dma-buf, {after}'


def main():
    fd, device = card()
    tests = (split, dmabuf)
    print(f'KTAP version 1\n1..{len(tests)}')
    failed = 0
    for number, test in enumerate(tests, 1):
        good, note = test(fd, device)
        failed += not good
        print(f'# {note}\n{"ok" if good else "not ok"} {number} {test.__name__}', flush=True)
    sys.exit(failed > 0)


main()
