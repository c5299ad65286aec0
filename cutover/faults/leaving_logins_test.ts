import { strictEqual } from "node:assert/strict";
import { REQUIRED, startApi } from "../../testing/api.ts";
import { withDeadline } from "../../testing/eventually.ts";
import { leave, served } from "../testing/leaving_client.ts";
import { WAYS_TO_SEND } from "../testing/leaving_writes.ts";

// Runs alone: hashes have the lowest priority, and all must end within the grace period.

Deno.test("at SIGTERM Lotline executes the logins of clients that have left", async () => {
  const LOGINS = 4;
  await using api = await startApi({ environment: REQUIRED });
  // Each takes as long as one with an account: together longer than the pool waits at the end.
  await Promise.all(Array.from({ length: LOGINS }, (_, number) => {
    const sent = WAYS_TO_SEND["in one piece"];
    if (sent === undefined) throw new Error("there is no such case");
    const body = JSON.stringify({ email: `nobody-${number}@example.invalid`, password: "wrong" });
    return leave(Number(new URL(api.url).port), { ...sent("/api/login", body), leaving: "resets" });
  }));
  await served(api.url);
  api.process.kill("SIGTERM");
  strictEqual((await withDeadline("it ends", api.process.status, { seconds: 60 })).code, 0);
  await api.log.ended;
  const done = api.log.lines.filter((line) =>
    line.includes('"route":"/api/login"') && line.includes('"status":401')
  );
  strictEqual(done.length, LOGINS);
});
