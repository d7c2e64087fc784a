# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with a kernel of their own: the base image as a virtual machine, inside of a container that stands in the fleet's network.

The container lends the machine its address and its disks, so that a fleet boots, restarts and removes both kinds of hosts alike.
"""

from __future__ import annotations

from .images import USER, base_image, built_image

# Debian's kernel for clouds has AppArmor, audit, dm-crypt and control groups of version 2, and few drivers.
GUEST_PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "zstd")
RUNNER_PACKAGES = ("qemu-system-x86", "qemu-utils", "e2fsprogs")
MEMORY_MB = 2560
DISK = "12G"
DATA_DISK = "3G"
# In the container: what runs the machine, where its disks are, what it is told, and who may enter.
RUN, STATE, KEY = "/vm/run", "/vm/state", "/vm/key.pub"
SEED = f"{STATE}/seed"

# What a machine has to be told at each boot: who it is, where it stands and who may enter.
GUEST = rf"""set -eu
rm -f /etc/systemd/system/systemd-modules-load.service
cat > /etc/systemd/system/lab-seed.service <<'UNIT'
[Unit]
Description=What the lab tells this machine
DefaultDependencies=no
After=systemd-remount-fs.service systemd-udevd.service
Before=lab-boot.service network-pre.target sysinit.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -eu /usr/local/lib/lab-seed
[Install]
WantedBy=sysinit.target
UNIT
cat > /usr/local/lib/lab-seed <<'SCRIPT'
udevadm settle
tar -xf /dev/disk/by-id/virtio-seed --no-overwrite-dir -C /
hostname "$(cat /etc/hostname)"
chown -R {USER}: /home/{USER}/.ssh
. /etc/lab-network
ip link set lo up
ip link set eth0 up
ip address replace "$ADDRESS" dev eth0
ip route replace default via "$GATEWAY"
SCRIPT
systemctl enable lab-seed.service >/dev/null 2>&1
apt-get install --yes --no-install-recommends {" ".join(GUEST_PACKAGES)} >/dev/null
"""

BUILD = rf"""set -eu
apt-get install --yes --no-install-recommends {" ".join(RUNNER_PACKAGES)} >/dev/null
mkdir -p /vm
cp /guest/vmlinuz /guest/initrd.img /vm/
mke2fs -q -t ext4 -d /guest /tmp/disk {DISK}
qemu-img convert -c -O qcow2 /tmp/disk /vm/disk.qcow2
rm /tmp/disk
cat > {RUN} <<'SCRIPT'
set -eu
cd {STATE}
seed={SEED}
if [ ! -e data.qcow2 ]; then
    qemu-img create -q -f qcow2 -b /vm/disk.qcow2 -F qcow2 disk.qcow2 {DISK}
    mkdir -p $seed/etc/ssh $seed/home/{USER}/.ssh
    ssh-keygen -q -t ed25519 -N "" -C "" -f $seed/etc/ssh/ssh_host_ed25519_key
    qemu-img create -q -f qcow2 data.qcow2 {DATA_DISK}
fi
cp /etc/hosts /etc/resolv.conf /etc/hostname $seed/etc/
install -m 0600 {KEY} $seed/home/{USER}/.ssh/authorized_keys
# A container that was killed may find its network as the last run has left it.
if [ ! -e /sys/class/net/br0 ]; then
    address=$(ip -4 -o address show dev eth0 | awk '{{print $4}}')
    printf 'ADDRESS=%s\nGATEWAY=%s\n' "$address" "$(ip route show default | awk '{{print $3}}')" > $seed/etc/lab-network
    ip link add br0 type bridge
    ip address flush dev eth0
    ip link set eth0 master br0
    ip tuntap add tap0 mode tap
    ip link set tap0 master br0
    for link in eth0 tap0 br0; do ip link set $link up; done
fi
tar -cf seed.tar -C $seed etc home
mac=$(awk -F'[=./]' 'NR == 1 {{printf "52:54:%02x:%02x:%02x:%02x", $2, $3, $4, $5}}' $seed/etc/lab-network)
disk() {{ echo "-drive if=none,id=$1,file=$2,$3 -device virtio-blk-pci,drive=$1,serial=$1"; }}
machine="-machine q35 -cpu max,-arch-capabilities -smp 2 -m {MEMORY_MB} -nographic -kernel /vm/vmlinuz -initrd /vm/initrd.img"
# A /dev/kvm that opens may still fail at a kernel's first instructions, where the machine is a virtual one itself.
accelerator=tcg,thread=multi
if timeout 10 qemu-system-x86_64 -accel kvm $machine -append "console=ttyS0" 2>&1 | grep -q "Linux version"; then accelerator=kvm; fi
exec qemu-system-x86_64 -accel $accelerator $machine -append "root=/dev/disk/by-id/virtio-root rw console=ttyS0 net.ifnames=0 quiet" \
    $(disk root disk.qcow2 cache=unsafe) $(disk seed seed.tar format=raw,readonly=on) $(disk data data.qcow2 cache=unsafe) \
    -netdev tap,id=net,ifname=tap0,script=no,downscript=no -device "virtio-net-pci,netdev=net,mac=$mac" \
    -device virtio-rng-pci
SCRIPT
"""


def image(debian: str) -> str:
    """Return the image of a container that runs a machine with that Debian, building it when it is not cached (about 3 min)."""
    guest = built_image(f"guest{debian}", base_image(debian), GUEST)
    mount = f"--mount=type=image,source={guest},destination=/guest"
    return built_image(f"machine{debian}", base_image("13"), BUILD, mount, inputs=guest)
