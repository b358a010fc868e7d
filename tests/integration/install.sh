#!/usr/bin/env bash
# install.sh BUILD - install that build into a folder of its own and build the example against it, by
# pkg-config and by find_package. Prints ok or not ok; what failed is counted by whoever reads that.
set -uo pipefail
build=$1
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT

check() { # WHAT COMMAND...
    local what=$1 log=$prefix/log
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok - $what"
    else
        echo "not ok - $what"
        tail -n 30 "$log" >&2
        return 1
    fi
}

by_pkg_config() {
    export PKG_CONFIG_PATH=$libdir/pkgconfig
    gcc -Wall -Werror "$example/greeter.c" -o "$prefix/greeter" $(pkg-config --cflags --libs tandem) &&
        LD_LIBRARY_PATH=$libdir "$prefix/greeter" | grep -qx 'hello, world'
}

by_cmake() {
    cmake -S "$example" -B "$prefix/build" -G Ninja -DCMAKE_C_COMPILER=gcc -DCMAKE_PREFIX_PATH="$prefix" &&
        cmake --build "$prefix/build" && "$prefix/build/greeter" | grep -qx 'hello, world'
}

exports_only_public_names() {
    local others
    nm -D --defined-only "$libdir/libtandem.so" | awk '{ print $3 }' >"$prefix/names"
    grep -q '^tdm_runtime_new$' "$prefix/names" || return 1
    others=$(grep -v '^tdm_' "$prefix/names")
    [ -z "$others" ] || { echo "$others"; return 1; }
}

# Each public header must stand on its own.
headers_stand_alone() {
    local header
    for header in "$prefix"/include/tandem/*.h; do
        echo "#include <tandem/${header##*/}>" |
            gcc -std=gnu11 -Wall -Wextra -Werror -I"$prefix/include" -fsyntax-only -x c - || return 1
    done
}

check "it installs" cmake --install "$build" --prefix "$prefix" || exit 0
libdir=$(dirname "$(find "$prefix" -name libtandem.so)")
example=$(find "$prefix" -type d -name example)
check "an embedder builds and runs by pkg-config" by_pkg_config
check "an embedder builds and runs by find_package" by_cmake
check "each installed header compiles by itself" headers_stand_alone
check "the library exports only public names" exports_only_public_names
