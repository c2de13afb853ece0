#!/bin/sh
# The report is tested in a real browser: find one, or install Debian's where that is possible.
set -eu
for name in "${ETHOSTAT_CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
  exit 0
fi
echo "No Chromium found: install it, or set ETHOSTAT_CHROMIUM to its path. The browser tests fail without it." >&2
