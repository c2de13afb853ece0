#!/bin/sh
# Rules and alerts are tested against real servers: Prometheus, its promtool, Alertmanager. Finds them, or unpacks
# Debian's into the folder of programs that is named; nothing is installed or started.
#   sh scripts/ensure_servers.sh .venv/bin
set -eu
into=${1:?name the folder that the programs are put into, such as .venv/bin}
missing=
for name in prometheus promtool prometheus-alertmanager; do
  if [ ! -x "$into/$name" ] && ! command -v "$name" >/dev/null 2>&1; then missing=yes; fi
done
if [ -z "$missing" ]; then exit 0; fi
if command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then apt-get update -qq; fi
  into=$(cd "$into" && pwd)
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  cd "$folder"
  apt-get -o APT::Sandbox::User= download -qq prometheus prometheus-alertmanager >/dev/null
  for package in *.deb; do dpkg-deb -x "$package" unpacked; done
  for name in prometheus promtool prometheus-alertmanager; do cp "unpacked/usr/bin/$name" "$into/$name"; done
  exit 0
fi
echo "No Prometheus or Alertmanager found: install them (Debian: prometheus, prometheus-alertmanager). Tests of deploy/ fail without them." >&2
