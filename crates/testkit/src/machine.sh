# A machine of name spaces: the systemd of this machine, over a copy-on-write view of its root file system, with a cgroup of its own.
# Run as pid 1 of a pid and mount name space. $1: an empty directory, $2: a cgroup, $3: the ostler program, $4: systemd.
# Whatever is mounted here goes with the name space.
set -eu
stage=$1 cgroup=$2 program=$3 systemd=$4
root=$stage/root
export stage root systemd

mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs "$stage"
mkdir "$stage/upper" "$stage/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$stage/upper,workdir=$stage/work" "$root"
install -D -m 755 "$program" "$root/usr/local/bin/ostler"
mount -t tmpfs -o mode=755 tmpfs "$root/etc/systemd/system"
mkdir "$root/etc/systemd/system/multi-user.target.wants"
mount -t tmpfs -o mode=700 tmpfs "$root/root"
mount -t tmpfs -o mode=755 tmpfs "$root/home"
rm -rf "$root/var/log/journal" "$root/var/lib/systemd/linger"
echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
: > "$root/etc/fstab"
echo alice:x:4711:4711::/home/alice:/bin/sh >> "$root/etc/passwd"
echo alice:x:4711: >> "$root/etc/group"
echo 'alice:*:19000:0:99999:7:::' >> "$root/etc/shadow"
install -d -m 755 -o 4711 -g 4711 "$root/home/alice"
echo 0 > "$cgroup/cgroup.procs"

# What one boot needs, and nothing of an earlier one.
cat > "$stage/boot.sh" <<'BOOT'
set -eu
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup" || true
mount -t cgroup2 -o nsdelegate cgroup2 "$root/sys/fs/cgroup" || mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  name=${device%%:*} numbers=${device#*:}
  mknod -m 666 "$root/dev/$name" c "${numbers%:*}" "${numbers#*:}"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
: > "$root/dev/console"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
hostname machine
mkdir -p "$root/old"
cd "$root"
pivot_root . old
umount -l /old
exec env -i container=ostler-test PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
  "$systemd" --system --unit=multi-user.target --log-target=console --log-level=info systemd.unified_cgroup_hierarchy=1
BOOT

# The kernel ends pid 1 by SIGHUP when it asks for a reboot, by SIGINT when it asks for the power to be cut (reboot(2)).
while :; do
  code=0
  unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child sh "$stage/boot.sh" || code=$?
  echo "machine: pid 1 ended with $code"
  [ "$code" = 129 ] || exit "$code"
done
