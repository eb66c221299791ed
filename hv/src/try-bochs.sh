#!/bin/sh
# Boot the hypervisor under Bochs, an emulator that is not ours, and print
# what it says on its serial port. Needs the Debian packages
#   bochs bochs-term bochsbios vgabios grub-pc-bin grub-common xorriso mtools
#
#   try-bochs.sh [-t SECONDS] [-k HYPERVISOR] [-c CPU] "OPTIONS" ["IMAGE ARGS"]...
#
# For example
#   try-bochs.sh "detect=runtime" "../images/testguest.elf guest memory=4 --"
#
# Each module's first word is a file, the rest its command line. Without
# arguments it runs the smoke test guest twice.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
kernel=$here/../images/hypervisor.elf
seconds=120
cpu=corei7_skylake_x
while getopts t:k:c: option; do
    case $option in
    t) seconds=$OPTARG ;;
    k) kernel=$OPTARG ;;
    c) cpu=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
if [ $# -eq 0 ]; then
    set -- "detect=runtime" "$here/../images/testguest.elf guest memory=4 -- one" \
           "$here/../images/testguest.elf guest memory=4 weight=512 -- two"
fi

work=$(mktemp -d)
stop_bochs() {
    test ! -s "$work/pid" || kill -9 "$(cat "$work/pid")" 2>/dev/null || true
}
trap 'stop_bochs; test -n "${KEEP:-}" || rm -rf "$work"' EXIT INT TERM

mkdir -p "$work/iso/boot/grub"
cp "$kernel" "$work/iso/boot/hypervisor.elf"
options=$1
shift
the_end='all VMs have stopped|cannot start|] panic'
case $options in
*policy=continue*) ;;
*) the_end="$the_end|DETECTED" ;;
esac
{
    echo "set timeout=0"
    echo "set default=0"
    echo "menuentry hv {"
    echo "  multiboot /boot/hypervisor.elf $options"
    n=0
    for module in "$@"; do
        file=${module%% *}
        arguments=
        test "$file" = "$module" || arguments=${module#* }
        cp "$file" "$work/iso/boot/module$n"
        echo "  module /boot/module$n $arguments"
        n=$((n + 1))
    done
    echo "}"
} > "$work/iso/boot/grub/grub.cfg"
grub-mkrescue -o "$work/hv.iso" "$work/iso" --install-modules="multiboot normal iso9660 biosdisk" \
    --fonts= --themes= --locales= >"$work/grub.log" 2>&1 || { cat "$work/grub.log"; exit 1; }

for vga in /usr/share/vgabios/vgabios.bin /usr/share/bochs/VGABIOS-lgpl-latest; do
    test -f $vga && break
done
cat > "$work/bochsrc" <<END
cpu: model=$cpu, count=1, ips=50000000, reset_on_triple_fault=0
memory: guest=128, host=128
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=$vga
display_library: term
ata0-master: type=cdrom, path=$work/hv.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/uart.txt
clock: sync=none, time0=1
log: $work/bochs.log
panic: action=fatal
error: action=report
info: action=report
END
# Debian's Bochs starts in its debugger: "c" lets the machine run. Breaking
# something on purpose is possible too: COMMANDS="pb 0x...\nc\nset rsp = 0\nc"
printf '%b\n' "${COMMANDS:-c}" > "$work/commands"
: > "$work/uart.txt"
# Its one display that needs no window system wants a terminal: script makes one.
TERM=vt100 script -qfec "echo \$\$ > $work/pid; exec bochs -q -f $work/bochsrc -rc $work/commands" \
    "$work/out.txt" >/dev/null 2>&1 </dev/null &
script=$!
tick=0
while kill -0 $script 2>/dev/null && [ $tick -lt "$seconds" ]; do
    if grep -Eq "$the_end" "$work/uart.txt"; then
        sleep 1
        break
    fi
    sleep 1
    tick=$((tick + 1))
done
stop_bochs
wait $script 2>/dev/null || true
tr -d '\r' < "$work/uart.txt"
if [ -n "${BOCHS_LOG:-}" ]; then
    cp "$work/bochs.log" "$BOCHS_LOG"
fi
grep -q 'all VMs have stopped' "$work/uart.txt"
