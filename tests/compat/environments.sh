#!/bin/sh
# Make the environments of the older packages, which cannot live beside what is installed today,
# of napari, which is large, and of moto, a server that speaks as Amazon does.
# usage: sh tests/compat/environments.sh VENV PYTHON
set -eu

venv=$1
python=$2

. "$(dirname "$0")/make_env.sh"

make_env compat-split 'split_dataset==0.4.4' 'numpy==1.26.4' 'tables==3.11.1'
make_env compat-mlhub 'radiant_mlhub==0.5.5'
make_env compat-acumen 'acumenindexer==0.0.1' 'numpy==2.4.6' 'pandas==2.3.3'
make_env compat-bcolz 'bcolz-zipline==1.13.0' 'numpy==2.4.6'
make_env compat-moto 'moto[s3,server]==5.2.5'
# haversack as it lies here, which napari finds by its entry point.
make_env compat-napari 'napari==0.9.2' -e '.'
