#!/bin/sh
# Build the image of the service: sh deploy/build.sh [BASE] [TAG]
#
# Without root where the builder can: buildah, podman, else docker. BASE is an image with Python and its venv module, by
# digest where the result has to be the same later. Times in the image are those of the last commit, or of
# SOURCE_DATE_EPOCH, so that the same sources give the same digest. BUILD_FLAGS are flags for the builder.
set -eu
cd "$(dirname "$0")/.."
base=${1:-python:3.11-slim-bookworm}
tag=${2:-mien}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
if command -v buildah >/dev/null; then
    # shellcheck disable=SC2086  # flags are words
    buildah build --timestamp "$epoch" --build-arg "BASE=$base" ${BUILD_FLAGS:-} -f deploy/Dockerfile -t "$tag" .
    buildah inspect --type image --format '{{.FromImageDigest}} {{.FromImageID}}' "$tag"
elif command -v podman >/dev/null; then
    # shellcheck disable=SC2086
    podman build --timestamp "$epoch" --build-arg "BASE=$base" ${BUILD_FLAGS:-} -f deploy/Dockerfile -t "$tag" .
    podman image inspect --format '{{.Digest}} {{.Id}}' "$tag"
else
    # shellcheck disable=SC2086
    SOURCE_DATE_EPOCH=$epoch docker buildx build --output "type=docker,rewrite-timestamp=true" \
        --build-arg "BASE=$base" ${BUILD_FLAGS:-} -f deploy/Dockerfile -t "$tag" .
    docker image inspect --format '{{.Id}}' "$tag"
fi
