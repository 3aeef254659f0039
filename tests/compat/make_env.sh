# Sourced with $venv and $python set. make_env NAME REQUIREMENTS...: an environment VENV/NAME; one
# that is already whole stays.
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
