import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { createClient } from "redis";
import { endOf } from "../db/certificates.ts";
import { freePort } from "../dev/free_port.ts";
import { eventually } from "../testing/eventually.ts";
import { ownValkey } from "../testing/own_valkey.ts";
import { named, valuesOf } from "../testing/series.ts";
import { startBlackHole } from "../testing/test_server.ts";
import { openTlsLink } from "../testing/tls_link.ts";
import { connectValkey, type Valkey } from "./valkey.ts";
import { valkeyCertificates, valkeyMetrics } from "./valkey_metrics.ts";

const log = () => {};

Deno.test("the metrics show whether Valkey can be used, and why not", async () => {
  await using own = await ownValkey();
  const valkey = connectValkey(own.server.url, log);
  const read = async () => {
    const values = valuesOf(await valkeyMetrics(valkey).text());
    return [values["lotline_valkey_usable"], named(values, "lotline_valkey_problem")];
  };
  const reads = async (usable: number, reason?: string) => {
    const problem = reason === undefined
      ? {}
      : { [`lotline_valkey_problem{reason="${reason}"}`]: 1 };
    const expected = JSON.stringify([usable, problem]);
    await eventually(expected, async () => JSON.stringify(await read()) === expected);
  };
  try {
    await reads(1);
    const client = await createClient({ url: own.server.url }).connect();
    await client.sendCommand(["REPLICAOF", "127.0.0.1", String(freePort())]);
    await reads(0, "readonly");
    await client.sendCommand(["REPLICAOF", "NO", "ONE"]);
    client.destroy();
    await reads(1);
    await own.server.kill();
    await reads(0, "unreachable");
  } finally {
    valkey.close();
  }
});

Deno.test("a reason that is in no list is shown as other", async () => {
  const valkey: Pick<Valkey, "problem"> = { problem: () => Promise.resolve("made_up") };
  deepStrictEqual(valuesOf(await valkeyMetrics(valkey).text()), {
    "lotline_valkey_usable": 0,
    'lotline_valkey_problem{reason="other"}': 1,
  });
});

Deno.test("the ends of Valkey's certificates are the server's and that of VALKEY_CA_FILE", async () => {
  await using own = await ownValkey();
  await using link = await openTlsLink(own.server.port, "IP:127.0.0.1");
  const [server, authority, ...others] = valkeyCertificates(
    `rediss://127.0.0.1:${link.port}`,
    link.caFile,
  );
  deepStrictEqual([server?.of, authority?.of, others], ["valkey", "valkey_authority", []]);
  const end = endOf(await Deno.readTextFile(link.caFile));
  deepStrictEqual(await authority?.readEnd(), end);
  const served = await server?.readEnd();
  // Made for as long, right after the authority's.
  strictEqual(Math.abs((served?.getTime() ?? 0) - end.getTime()) < 86_400_000, true);
  deepStrictEqual(valkeyCertificates(own.server.url, undefined), []);
  await using silent = await startBlackHole();
  const [unread] = valkeyCertificates(`rediss://${new URL(silent.url).host}`, undefined);
  await rejects(async () => await unread?.readEnd(), /no TLS with Valkey in 2000 ms/);
});
