# One image for every process of Lotline. The command selects the process: start (the default), worker,
# migrate, grants, doctor, keys, user, jobs, gateway, cutover, parity or legacy. These are the tasks of
# deno.json, which alone defines the permissions of each process.
FROM denoland/deno:alpine-2.9.6

WORKDIR /app

# Everything below belongs to root and can be read by any user: the processes can't change their own
# code, and need no user of a name.
COPY deno.json deno.lock openapi.yaml ./
COPY main.ts worker.ts app.ts byte_buffer.ts client_address.ts clock.ts command_line.ts config.ts errors.ts batcher.ts host.ts json.ts link_target.ts listen_error.ts log.ts metrics.ts read_bytes.ts secret_files.ts shell_word.ts task_help.ts terminal.ts timing.ts uncaught_errors.ts version.ts ./
COPY audit ./audit
COPY auth ./auth
COPY cache ./cache
COPY contract ./contract
COPY cutover ./cutover
COPY db ./db
COPY doctor ./doctor
COPY dry_run ./dry_run
COPY http ./http
COPY jobs ./jobs
COPY lineage ./lineage
COPY reference ./reference
COPY routes ./routes
COPY telemetry ./telemetry
COPY dev/seed.ts dev/seed.json ./dev/
COPY containers/fetch_packages.ts ./containers/

# Only the packages that these programs import, at the versions of the lockfile.
RUN deno run --allow-read --allow-write=deno.json --allow-run containers/fetch_packages.ts \
  main.ts worker.ts jobs/heavy_thread.ts db/migrate_main.ts db/grants_main.ts auth/keys_main.ts auth/restored_main.ts auth/user_main.ts \
  jobs/jobs_main.ts doctor/doctor_main.ts cutover/main.ts cutover/cli/cutover_main.ts cutover/cli/parity_main.ts cutover/legacy/main.ts \
  marked

# The image has no git clone, so its build is told the commit and the commit's time:
#   docker build --build-arg LOTLINE_COMMIT="$(git rev-parse HEAD)" \
#     --build-arg CREATED="$(git log -1 --format=%cI)" .
ARG LOTLINE_COMMIT=
ENV LOTLINE_COMMIT=$LOTLINE_COMMIT

# Made here so that a new volume on it belongs to the image's user. Group 0 is for platforms that run
# containers as any number of a user, such as OpenShift.
RUN install -d -o 1000 -g 0 -m 0770 /keys

# By number: Kubernetes' runAsNonRoot can't tell who a name is. Any other number works as well.
USER 1000:1000

# A container needs all addresses: the published port decides who may connect.
ENV HOST=0.0.0.0 PORT=8000 JWT_KEYS_FILE=/keys/jwt.json \
  DENO_NO_UPDATE_CHECK=1 NO_COLOR=1

EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["deno", "eval", "const { ok } = await fetch(`http://127.0.0.1:${Deno.env.get('PORT')}/livez`); Deno.exit(ok ? 0 : 1)"]

# Last, since they change with every commit. A release sets the version.
ARG LOTLINE_VERSION=0.1.0
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="Lotline" \
  org.opencontainers.image.description="Lot traceability of a food plant" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="$LOTLINE_VERSION" \
  org.opencontainers.image.revision="$LOTLINE_COMMIT" \
  org.opencontainers.image.created="$CREATED" \
  org.opencontainers.image.source="$SOURCE"

# "deno task" passes signals and exit codes on, so "docker stop" ends the process gracefully.
ENTRYPOINT ["deno", "task", "--quiet"]
CMD ["start"]
