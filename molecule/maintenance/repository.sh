# shellcheck shell=sh
# Packages made on the host by Debian's own tools, in two local sources: one of security updates, one of others. One package has a
# service whose program every version replaces; a version may take its time to install, or fail.
#   build NAME VERSION SOURCE SECONDS EXIT_CODE
set -eu
build() {
  name=$1 version=$2 root=$(mktemp -d)
  mkdir -p "$root/DEBIAN" "$root/usr/lib/$name" "$root/usr/lib/systemd/system" "/srv/$3"
  cp /bin/sleep "$root/usr/lib/$name/daemon"
  printf '%s' "$version" > "$root/usr/lib/$name/version"
  printf '[Service]\nExecStart=/usr/lib/%s/daemon infinity\n' "$name" > "$root/usr/lib/systemd/system/$name.service"
  printf 'Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: The lab <lab@lab.internal>\nDescription: for tests\n' \
    "$name" "$version" > "$root/DEBIAN/control"
  printf '#!/bin/sh\nsleep %s\nexit %s\n' "$4" "$5" > "$root/DEBIAN/postinst"
  chmod 0755 "$root" "$root/DEBIAN/postinst"
  dpkg-deb --build --root-owner-group "$root" "/srv/$3/${name}_${version}_all.deb" >/dev/null
  rm -r "$root"
}
index() {
  cd "/srv/$1"
  : > Packages
  for archive in ./*.deb; do
    [ -e "$archive" ] || continue
    dpkg-deb --field "$archive" >> Packages
    printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$archive" "$(stat -c %s "$archive")" "$(sha256sum "$archive" | cut -d' ' -f1)" >> Packages
  done
  { printf 'Origin: Debian\nLabel: %s\nSuite: %s\nCodename: %s\nDate: %s\nSHA256:\n' "$2" "$3" "$3" "$(date --utc --rfc-email)"
    printf ' %s %s Packages\n' "$(sha256sum Packages | cut -d' ' -f1)" "$(stat -c %s Packages)"; } > Release
}
sources() {
  mkdir -p /srv/security /srv/updates
  index security Debian-Security lab-security
  index updates Debian lab-updates
  printf 'deb [trusted=yes] file:/srv/security ./\ndeb [trusted=yes] file:/srv/updates ./\n' > /etc/apt/sources.list.d/lab.list
  # Without the network: what Debian itself has in store is not what these tests are about.
  mkdir -p /etc/apt/sources.aside
  [ ! -e /etc/apt/sources.list ] || mv /etc/apt/sources.list /etc/apt/sources.aside/
  apt-get update -qq
}
