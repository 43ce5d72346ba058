# SPDX-License-Identifier: GPL-2.0
#
# For what runs in a guest: have waffle, and so piglit, take virtio-gpu. There can be
# other GPUs, and which of them it takes is not the same in each release.

node=$(grep -l DRIVER=virtio-pci /sys/class/drm/renderD*/device/uevent)
node=${node%/device/uevent}
export WAFFLE_GBM_DEVICE=/dev/dri/${node##*/}
