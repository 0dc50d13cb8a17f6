#!/bin/sh
# The gate for any CI: installs one exact version of stele, whose archive it
# holds against its checksum, and asks with it what a release would meet.
#
#   gate.sh NAME@VERSION --stage STAGE [FLAG…] [PATH|URL]   as `stele gate` takes them
#   gate.sh --install DIR                                   only install, into DIR
#
#   STELE_VERSION       the version, as 0.1.0; needed
#   STELE_CHECKSUM      the archive's SHA-256; several, with spaces, for several
#                       systems. Without it SHA256SUMS is believed, which lies
#                       beside the archive: that finds damage, and no thief
#   STELE_DOWNLOAD_URL  where releases lie, if not on GitHub: below it are
#                       vVERSION/SHA256SUMS and the archives. https:// alone
#   STELE_REPORT        the file for the JUnit report (stele-gate.xml)
#
# Nothing secret is needed. The exit status is the gate's own: 0 let it through;
# 3, 4, 5, 6 and 7 do not (docs/ci.md says what each of them asks for). For the
# installation: 2 the command line, 3 a checksum does not match, 5 there is no
# such archive, 7 it could not be had, 1 anything else.
set -eu

fail() {
  status=$1
  shift
  printf 'gate.sh: %s\n' "$*" >&2
  exit "$status"
}

# What is made here is removed at the end, however it ends.
bin='' work=''
trap 'rm -rf ${bin:+"$bin"} ${work:+"$work"}' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

need() {
  command -v "$1" >/dev/null 2>&1 || fail 1 "$1 is needed and not here"
}

# fetch URL FILE downloads over TLS, redirects included.
fetch() {
  curl --fail --silent --show-error --location --proto '=https' --proto-redir '=https' \
    --connect-timeout 20 --retry 3 --output "$2" -- "$1" || case $? in
    22) fail 5 "$1: the server has no such file" ;;
    *) fail 7 "$1: could not be downloaded" ;;
  esac
}

# sha256 FILE prints 64 digits.
sha256() {
  if command -v sha256sum >/dev/null 2>&1; then
    sha256sum <"$1" | cut -c 1-64
  else
    shasum -a 256 <"$1" | cut -c 1-64
  fi
}

is_sha256() {
  case $1 in *[!0-9a-f]*) return 1 ;; esac
  [ ${#1} -eq 64 ]
}

# read_pins sets pins to what STELE_CHECKSUM lists, with spaces between them.
read_pins() {
  pins=$(printf %s "${STELE_CHECKSUM-}" | tr 'A-F,\t\r\n' 'a-f    ')
  for pin in $pins; do
    is_sha256 "$pin" || fail 2 "STELE_CHECKSUM: $pin is no SHA-256 of 64 hexadecimal digits"
  done
}

# check_sums ARCHIVE compares an archive with SHA256SUMS and with the pins.
check_sums() {
  got=$(sha256 "$1")
  is_sha256 "$got" || fail 1 "the SHA-256 of $1 could not be computed"
  listed=$(awk -v name="$1" '$2 == name || $2 == "*" name { print $1 }' SHA256SUMS)
  is_sha256 "$listed" || fail 3 "SHA256SUMS does not list $1 once"
  [ "$got" = "$listed" ] || fail 3 "$1 has the SHA-256 $got, and SHA256SUMS says $listed"
  [ -n "$pins" ] || return 0
  case " $pins " in
    *" $got "*) ;;
    *) fail 3 "$1 has the SHA-256 $got, which STELE_CHECKSUM does not name" ;;
  esac
}

# install DIR puts stele into DIR. Everything on the way is in a folder of its
# own, and nothing that was there before is used.
install() {
  version=${STELE_VERSION-}
  version=${version#v}
  [ -n "$version" ] || fail 2 "STELE_VERSION is not set: name the version to install, as 0.1.0"
  case $version in
    *[!0-9A-Za-z.-]* | [!0-9]* | *..*) fail 2 "STELE_VERSION: $version is no version, as 0.1.0" ;;
  esac
  from=${STELE_DOWNLOAD_URL:-https://github.com/stele-ml/stele/releases/download}
  case $from in
    https://*) ;;
    *) fail 2 "STELE_DOWNLOAD_URL: $from does not begin with https://" ;;
  esac
  case ${RUNNER_OS:-$(uname -s)} in
    Linux) system=linux program=stele suffix=tar.gz ;;
    macOS | Darwin) system=darwin program=stele suffix=tar.gz ;;
    Windows | MINGW* | MSYS* | CYGWIN*) system=windows program=stele.exe suffix=zip ;;
    *) fail 2 "there is no archive for ${RUNNER_OS:-$(uname -s)}" ;;
  esac
  case ${RUNNER_ARCH:-$(uname -m)} in
    X64 | x86_64 | amd64) processor=amd64 ;;
    ARM64 | aarch64 | arm64) processor=arm64 ;;
    *) fail 2 "there is no archive for ${RUNNER_ARCH:-$(uname -m)}" ;;
  esac
  read_pins
  need curl
  need awk
  folder=stele_${version}_${system}_${processor}
  mkdir -p "$1"
  into=$(cd "$1" && pwd)
  work=$(mktemp -d "$into/install.XXXXXX")
  here=$(pwd)
  cd "$work"
  fetch "${from%/}/v$version/SHA256SUMS" SHA256SUMS
  fetch "${from%/}/v$version/$folder.$suffix" "$folder.$suffix"
  check_sums "$folder.$suffix"
  if [ "$suffix" = zip ]; then
    need unzip
    unzip -q "$folder.zip" "$folder/$program" || fail 3 "$folder.zip does not hold $folder/$program"
  else
    need tar
    tar -xzf "$folder.tar.gz" "$folder/$program" || fail 3 "$folder.tar.gz does not hold $folder/$program"
  fi
  chmod 755 "$folder/$program"
  says=$("./$folder/$program" --version)
  [ "$says" = "stele $version" ] || fail 3 "$folder.$suffix holds another version: $says"
  mv -f "$folder/$program" "$into/$program"
  cd "$here"
  stele=$into/$program
}

case ${1-} in
  '') fail 2 "usage: gate.sh NAME@VERSION --stage STAGE [PATH|URL]" ;;
  --install)
    if [ $# -ne 2 ] || [ -z "$2" ]; then fail 2 "usage: gate.sh --install DIR"; fi
    install "$2"
    echo "$stele"
    exit
    ;;
esac

report=${STELE_REPORT:-stele-gate.xml}
rm -f "$report" # of an earlier run
bin=$(mktemp -d)
install "$bin"
status=0
"$stele" gate --output "junit=$report" "$@" || status=$?
exit "$status"
