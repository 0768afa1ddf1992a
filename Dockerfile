# syntax=docker/dockerfile:1
# Builds from source; the result runs as nobody and holds the binary, the rules and the certificates of Debian.

FROM rust:1-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY rules rules
COPY schemas schemas
COPY benches benches
COPY tests tests
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --bin incidentd && cp target/dist/incidentd /incidentd

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /incidentd /usr/local/bin/incidentd
COPY rules /etc/incidentd/rules
ENV INCIDENTD_RULES__DIR=/etc/incidentd/rules INCIDENTD_LOG_FORMAT=json
USER 65534:65534
EXPOSE 8080
ENTRYPOINT ["incidentd"]
CMD ["run"]
