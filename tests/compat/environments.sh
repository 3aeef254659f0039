#!/bin/sh
# Make the environments of the older packages, which cannot live beside what is installed today.
# usage: sh tests/compat/environments.sh VENV PYTHON
set -eu

venv=$1
python=$2

# make_env NAME REQUIREMENTS...: an environment VENV/NAME; one that is already whole stays.
make_env() {
  name=$1
  shift
  home="$venv/$name"
  [ "$(cat "$home/.whole" 2>/dev/null || true)" = "$*" ] && return 0
  echo "Installing $* in $home ..."
  rm -rf "$home"
  "$python" -m venv "$home"
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
  echo "$*" > "$home/.whole"
}

make_env compat-split 'split_dataset==0.4.4' 'numpy==1.26.4' 'tables==3.11.1'
make_env compat-mlhub 'radiant_mlhub==0.5.5'
make_env compat-acumen 'acumenindexer==0.0.1' 'numpy==2.4.6' 'pandas==2.3.3'
