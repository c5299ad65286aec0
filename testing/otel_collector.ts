/**
 * The OpenTelemetry Collector for tests: it takes OTLP over HTTP and writes the spans to a file. It is
 * pinned by `otel_collector/go.mod`. The tests that need it build it once, as does
 * this program; CI starts it early, beside other tests.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { freePort } from "../dev/free_port.ts";
import { ensureGoProgram, type GoProgram } from "../dev/go_program.ts";
import { ahead } from "./ahead.ts";
import { withDeadline } from "./eventually.ts";
import { readLines } from "./lines.ts";
import { temporaryFolder } from "./temporary_folder.ts";

const COLLECTOR: GoProgram = {
  name: "otel-collector",
  module: new URL("./otel_collector/", import.meta.url),
  package: ".",
};

const ensureCollector = (): Promise<string> => ensureGoProgram(COLLECTOR);

const Attribute = z.object({
  key: z.string(),
  value: z.union([
    z.object({ stringValue: z.string() }).transform((value) => value.stringValue),
    z.object({ boolValue: z.boolean() }).transform((value) => value.boolValue),
    z.object({ intValue: z.coerce.number() }).transform((value) => value.intValue),
    z.object({ doubleValue: z.number() }).transform((value) => value.doubleValue),
  ]),
});
const Attributes = z.array(Attribute).default([]).transform((list) =>
  Object.fromEntries(list.map(({ key, value }) => [key, value]))
);
const WrittenSpan = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().default(""),
  name: z.string(),
  attributes: Attributes,
  links: z.array(z.object({ traceId: z.string() })).default([]),
});
const WrittenLine = z.object({
  resourceSpans: z.array(z.object({
    resource: z.object({ attributes: Attributes }),
    scopeSpans: z.array(z.object({ spans: z.array(WrittenSpan) })),
  })),
});

/** A span as the collector has written it. */
export interface CollectedSpan extends z.infer<typeof WrittenSpan> {
  /** `service.name` of its process. */
  readonly service: unknown;
}

/** A collector that runs. Disposing ends it. */
export interface Collector extends AsyncDisposable {
  /** The settings that send a process's spans to it. */
  environment(service: string): Record<string, string>;
  spans(): Promise<readonly CollectedSpan[]>;
  /** All that it has written. */
  text(): Promise<string>;
}

/** Starts a collector on a free port; resolves when it accepts spans. */
export async function startCollector(): Promise<Collector> {
  const program = await ensureCollector();
  const folder = await temporaryFolder();
  const path = join(folder.path, "spans.jsonl");
  const endpoint = `127.0.0.1:${freePort()}`;
  const config = {
    receivers: { otlp: { protocols: { http: { endpoint } } } },
    exporters: { file: { path } },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { traces: { receivers: ["otlp"], exporters: ["file"] } },
    },
  };
  const process = new Deno.Command(program, {
    args: [`--config=yaml:${JSON.stringify(config)}`],
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const log = readLines(process.stderr);
  await log.find((line) => line.includes("Everything is ready"));
  const text = () => Deno.readTextFile(path).catch(() => "");
  return {
    environment: (service) => ({
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://${endpoint}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
      OTEL_DENO_METRICS: "false",
      OTEL_DENO_CONSOLE: "ignore",
      OTEL_BSP_SCHEDULE_DELAY: "200",
    }),
    async spans() {
      // The last line may be half written.
      const lines = (await text()).split("\n").slice(0, -1);
      return lines.flatMap((line) => WrittenLine.parse(JSON.parse(line)).resourceSpans).flatMap(
        ({ resource, scopeSpans }) =>
          scopeSpans.flatMap(({ spans }) => spans).map((span) => ({
            ...span,
            service: resource.attributes["service.name"],
          })),
      );
    },
    text,
    async [Symbol.asyncDispose]() {
      process.kill("SIGTERM");
      await withDeadline("the collector ends", process.status);
      await withDeadline("the collector's log ends", log.ended);
      await folder[Symbol.asyncDispose]();
    },
  };
}

if (import.meta.main) await ahead(ensureCollector);
