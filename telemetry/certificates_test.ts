import { deepStrictEqual } from "node:assert/strict";
import { valuesOf } from "../testing/series.ts";
import { certificateMetrics } from "./certificates.ts";

const NAME = "lotline_certificate_end_timestamp_seconds";

Deno.test("certificates are read every ten minutes, and what was read last stays when one can't be", async () => {
  let [now, end]: [number, Date | Error | undefined] = [0, new Date(5_000)];
  let reads = 0;
  const metrics = certificateMetrics([{
    of: "database",
    readEnd() {
      reads++;
      return end instanceof Error ? Promise.reject(end) : Promise.resolve(end);
    },
  }], () => now);
  /** A reading goes on in the background, so it is seen by the next one. */
  const read = async () => {
    await metrics.text();
    return valuesOf(await metrics.text());
  };
  const shown = (seconds: number) => ({ [`${NAME}{of="database"}`]: seconds });
  deepStrictEqual(await read(), shown(5));
  end = new Date(9_000);
  now = 599_999;
  deepStrictEqual([await read(), reads], [shown(5), 1]);
  now = 600_000;
  deepStrictEqual(await read(), shown(9));
  end = new Error("away");
  now = 1_200_000;
  deepStrictEqual([await read(), reads], [shown(9), 3]);
  end = undefined;
  now = 1_800_000;
  deepStrictEqual(await read(), {});
});

Deno.test("a server that doesn't respond delays the first metrics by a second at most", async () => {
  const never = Promise.withResolvers<Date>();
  const metrics = certificateMetrics([
    { of: "database", readEnd: () => never.promise },
    { of: "valkey", readEnd: () => Promise.resolve(new Date(7_000)) },
  ]);
  deepStrictEqual(valuesOf(await metrics.text()), { [`${NAME}{of="valkey"}`]: 7 });
});
