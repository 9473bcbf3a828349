# syntax=docker/dockerfile:1
# Wharf without a shell, as uid 65532. `docker build -t wharf .` builds it; docs/operations.md has how it is run.
#
# The bases are named by tag. Pin them by digest for a build that can be repeated:
#   docker buildx imagetools inspect NAME --format '{{.Manifest.Digest}}'
#   docker build --build-arg RUST=NAME@sha256:… --build-arg RUNTIME=NAME@sha256:… .
ARG RUST=docker.io/library/rust:1.95-bookworm
# --build-arg RUNTIME=docker.io/library/debian:trixie-slim gives an image with a shell, which lacks CA certificates.
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM --platform=$BUILDPLATFORM $RUST AS build
ARG BUILDARCH
ARG TARGETARCH
ARG CARGO_PROFILE=release
# For example --no-default-features, which leaves out the native engine.
ARG CARGO_FLAGS=
WORKDIR /build

# A foreign architecture is cross-compiled: an emulated compiler takes hours.
RUN <<'SH'
set -eu
case $TARGETARCH in
  amd64) target=x86_64-unknown-linux-gnu prefix=x86_64-linux-gnu package=x86-64-linux-gnu ;;
  arm64) target=aarch64-unknown-linux-gnu prefix=aarch64-linux-gnu package=aarch64-linux-gnu ;;
  *) echo "no build for $TARGETARCH" >&2; exit 1 ;;
esac
rustup target add $target
if [ "$TARGETARCH" != "$BUILDARCH" ]; then
  apt-get update
  apt-get install -y --no-install-recommends gcc-$package libc6-dev-$TARGETARCH-cross
  rm -rf /var/lib/apt/lists/*
fi
variable=$(echo $target | tr a-z- A-Z_)
cat >/cargo-build <<BUILD
#!/bin/sh
export CARGO_TARGET_${variable}_LINKER=$prefix-gcc CC_$(echo $target | tr - _)=$prefix-gcc
exec cargo build --locked --bin wharf --target $target "\$@"
BUILD
chmod +x /cargo-build
echo $target >/target
SH

# The dependencies, in a layer that a change of src/ does not rebuild.
COPY .cargo/config.toml .cargo/
COPY Cargo.toml Cargo.lock ./
COPY benches/floor/Cargo.toml benches/floor/
COPY benches/load/Cargo.toml benches/load/
COPY tests/testbed/Cargo.toml tests/testbed/
COPY third_party third_party
RUN --mount=type=cache,target=/usr/local/cargo/registry <<'SH'
set -eu
mkdir -p src benches/floor/src benches/load/src tests/testbed/src
for directory in src benches/floor/src benches/load/src tests/testbed/src; do
  echo 'fn main() {}' >$directory/main.rs
  touch $directory/lib.rs
done
/cargo-build --profile "$CARGO_PROFILE" $CARGO_FLAGS
rm -r src benches tests
SH

COPY . .
# The times of the copied files can be older than the build of the empty crate.
RUN --mount=type=cache,target=/usr/local/cargo/registry <<'SH'
set -eu
touch src/main.rs src/lib.rs
/cargo-build --profile "$CARGO_PROFILE" $CARGO_FLAGS
mkdir -p /root-of-image/usr/bin /root-of-image/usr/share/doc/wharf /root-of-image/etc/wharf/devices
mkdir -m 700 /empty
cp "target/$(cat /target)/$CARGO_PROFILE/wharf" /root-of-image/usr/bin/
python3 assets/packaging/licences notices "$(cat /target)" $CARGO_FLAGS >/root-of-image/usr/share/doc/wharf/THIRD-PARTY
cp LICENSE-* README.md docs/adr/0007-agpl-part-behind-a-feature.md /root-of-image/usr/share/doc/wharf/
SH

FROM $RUNTIME
ARG VERSION=
ARG REVISION=
ARG CREATED=
# MIT OR Apache-2.0 with CARGO_FLAGS=--no-default-features; see docs/adr/0007-agpl-part-behind-a-feature.md.
ARG LICENCE=AGPL-3.0-only
LABEL org.opencontainers.image.title=wharf \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.created=$CREATED \
      org.opencontainers.image.licenses=$LICENCE
COPY --from=build /root-of-image/ /
COPY --from=build --chown=65532:65532 /empty /data
ENV WHARF__SERVER__LISTEN=0.0.0.0:3000 \
    WHARF__STORE__DATA_DIR=/data \
    WHARF__DEVICES__DIR=/etc/wharf/devices \
    WHARF__LOG__FORMAT=json
USER 65532:65532
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["wharf", "health"]
ENTRYPOINT ["wharf"]
CMD ["serve"]
