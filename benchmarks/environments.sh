#!/bin/sh
# Make the environments that the peers are measured in.
# usage: sh benchmarks/environments.sh VENV PYTHON
set -eu

venv=$1
python=$2
. "$(dirname "$0")/../tests/compat/make_env.sh"

# add ENVIRONMENT REQUIREMENTS...: one peer; what cannot be installed is left out, and the tables
# say so.
add() {
  home="$venv/$1"
  shift
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
    echo "Could not install $*: the benchmarks go on without it."
}

# What streaming imports where it is used here, without the cloud's clients that it asks for.
streaming='xxhash==3.6.0 brotli catalogue pillow python-snappy requests tqdm zstd'

# numpy as streaming asks for it. torch and transformers, which streaming imports and does not use
# where records are read, are stubs (benchmarks/records/contenders/stubs.py): they would be gigabytes.
peers=$(cat "$0" | cksum)
if [ "$(cat "$venv/bench-peers/.peers" 2>/dev/null || true)" != "$peers" ]; then
  make_env bench-peers 'numpy==2.1.3'
  echo "Installing the peers in $venv/bench-peers ..."
  add bench-peers 'numpy==2.1.3' 'lmdb==3.0.0'
  add bench-peers 'numpy==2.1.3' 'array_record==0.8.6'
  add bench-peers 'numpy==2.1.3' 'datasets==5.0.1'
  add bench-peers 'numpy==2.1.3' 'pylance==14.0.2'
  add bench-peers 'numpy==2.1.3' 'h5py==3.16.0'
  add bench-peers 'numpy==2.1.3' 'zarr==3.1.6'
  add bench-peers 'numpy==2.1.3' 'safetensors==0.8.0'
  add bench-peers 'numpy==2.1.3' $streaming
  add bench-peers --no-deps 'mosaicml-streaming==0.13.0'
  echo "$peers" > "$venv/bench-peers/.peers"
fi
make_env compat-acumen 'acumenindexer==0.0.1' 'numpy==2.4.6' 'pandas==2.3.3'
make_env compat-bcolz 'bcolz-zipline==1.13.0' 'numpy==2.4.6'
# The old package of split arrays, and their peers.
make_env compat-split 'split_dataset==0.4.4' 'numpy==1.26.4' 'tables==3.11.1'
if [ "$(cat "$venv/bench-split/.peers" 2>/dev/null || true)" != "$peers" ]; then
  make_env bench-split 'numpy==2.4.6'
  add bench-split 'numpy==2.4.6' 'h5py==3.16.0' 'hdf5plugin==7.1.0'
  add bench-split 'numpy==2.4.6' 'zarr==3.1.6' 'zarrs==0.2.3'
  add bench-split 'numpy==2.4.6' 'tensorstore==0.1.86'
  add bench-split 'numpy==2.4.6' 'blosc2==4.14.1'
  echo "$peers" > "$venv/bench-split/.peers"
fi
# Clients that fetch files, and readers of catalogs; curl and aria2 are the system's, where it has
# them.
make_env bench-download 'requests==2.34.2' 'aiohttp==3.14.5' 'obstore==0.12.1' \
  'stac-asset==0.4.8' 'rustac==0.9.18' 'shapely==2.2.0'
make_env compat-mlhub 'radiant_mlhub==0.5.5'
# Peers that DataLoaders are put over.
if [ "$(cat "$venv/bench-torch/.peers" 2>/dev/null || true)" != "$peers" ]; then
  make_env bench-torch 'numpy==2.1.3' 'torch==2.13.0'
  add bench-torch 'numpy==2.1.3' 'lmdb==3.0.0'
  add bench-torch 'numpy==2.1.3' 'datasets==5.0.1'
  add bench-torch 'numpy==2.1.3' 'pylance==14.0.2'
  add bench-torch 'numpy==2.1.3' 'webdataset==1.0.2'
  add bench-torch 'numpy==2.1.3' 'torch==2.13.0' 'litdata==0.2.76'
  add bench-torch 'numpy==2.1.3' $streaming
  add bench-torch --no-deps 'mosaicml-streaming==0.13.0'
  echo "$peers" > "$venv/bench-torch/.peers"
fi
