import { deepStrictEqual, fail, match, strictEqual } from "node:assert/strict";
import { z } from "zod";
import { freePort } from "../dev/free_port.ts";
import { startObservers } from "../dev/observe.ts";
import { debianObservePrograms } from "../dev/observe_programs.ts";
import { freshDatabase } from "../testing/database.ts";
import { eventually } from "../testing/eventually.ts";
import { temporaryFolder } from "../testing/temporary_folder.ts";
import { startWorker } from "../testing/worker.ts";

const Message = z.object({
  alerts: z.array(z.object({
    status: z.string(),
    labels: z.record(z.string(), z.string()),
    annotations: z.record(z.string(), z.string()),
  })),
});
type Alert = z.output<typeof Message>["alerts"][number];

/** Longer than scrapes, rules and messages take on a busy machine. */
const PATIENT = { seconds: 90 };

/** A receiver of alerts. */
function startReceiver() {
  const received: Alert[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    received.push(...Message.parse(await request.json()).alerts);
    return new Response();
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/alerts`,
    received,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("a worker that ends is told to the receiver, with its runbook, and so is its return", async () => {
  await using database = await freshDatabase();
  await using folder = await temporaryFolder();
  await using receiver = startReceiver();
  const port = freePort();
  const start = () =>
    startWorker({
      databaseUrl: database.url,
      environment: { METRICS_PORT: String(port) },
    });
  await using worker = await start();
  await using _observers = await startObservers({
    programs: await debianObservePrograms(),
    folder: `${folder.path}/observe`,
    targets: { "lotline-worker": [`127.0.0.1:${port}`] },
    intervalSeconds: 1,
    // So that a test needs no minutes; all else is as shipped.
    editRules: (text) => text.replaceAll(/for: \d+[smh]$/gm, "for: 2s"),
    webhookUrl: receiver.url,
    groupWait: "1s",
  });
  const told = (status: string) =>
    receiver.received.find((alert) =>
      alert.labels.alertname === "ProcessDown" && alert.status === status
    );

  await worker[Symbol.asyncDispose]();
  await eventually("it fires", () => told("firing") !== undefined, PATIENT);
  const { labels, annotations } = told("firing") ?? fail();
  deepStrictEqual(
    [labels.job, labels.severity, annotations.runbook],
    ["lotline-worker", "page", "docs/runbooks/process-down.md"],
  );
  match(annotations.summary ?? "", /^lotline-worker doesn't respond$/);
  match(
    annotations.description ?? "",
    new RegExp(`^The process at 127\\.0\\.0\\.1:${port} has sent`),
  );
  strictEqual(told("resolved"), undefined);

  await using _again = await start();
  await eventually("it resolves", () => told("resolved") !== undefined, PATIENT);
});
