#!/bin/sh
# What the measurements of quality need, in the folder that is named: a Python with `pesq`, voices, a recorded impulse response.
#
#     benches/quality/prepare.sh FOLDER
#
# Voices are of the Debian packages asterisk-core-sounds-{en,fr,ru}-{wav,g722} (CC-BY-SA 3.0, recorded by one speaker each), the
# impulse response of jconvolver-config-files (a street in Antwerp, recorded by Fons Adriaensen, GPL-2+). Nothing is installed, and
# nothing of it becomes part of the repository or of the programs.
set -eu
folder=${1:?where to}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
cd "$folder"
[ -x venv/bin/python ] || python3 -m venv venv
venv/bin/pip install --quiet --requirement "$here/requirements.txt"
for package in asterisk-core-sounds-en asterisk-core-sounds-fr asterisk-core-sounds-ru; do
  apt-get download "$package-wav" "$package-g722"
done
apt-get download jconvolver-config-files
for package in *.deb; do
  dpkg -x "$package" .
done
